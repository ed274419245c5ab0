// Spawning, ending and reaping child processes.
#include "benchmarks/sut/child_process.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "benchmarks/sut/system.h"
#include "graph/fail.h"

extern char** environ;

namespace naru::bench {
namespace {

// Of 20 ms each, in which a child may end by itself.
constexpr int kEndTries = 100;
constexpr const char* kPeerFolders[] = {".deps/peers/llama.cpp/bin"};

void close_end(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

/// What a child does with its descriptors before it becomes the program.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void place(int descriptor, int at) { posix_spawn_file_actions_adddup2(&actions_, descriptor, at); }
  void open(const char* path, int flags, int at) { posix_spawn_file_actions_addopen(&actions_, at, path, flags, 0644); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::string words_of(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("ended with code {}", WEXITSTATUS(status));
}

pid_t spawn(const std::vector<std::string>& command, const FileActions& actions) {
  if (command.empty()) fail(ErrorCode::InvalidArgument, "child process: the command is empty");
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], actions.get(), &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw Failure(Reason::Connection, fmt::format("'{}' does not start: {}", command[0], std::strerror(error)));
  return pid;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  // A child that is gone must end its requests, not this process.
  std::signal(SIGPIPE, SIG_IGN);
  int in[2] = {-1, -1}, out[2] = {-1, -1};
  const bool made = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0;
  input_ = in[1];
  output_ = out[0];
  try {
    if (!made) fail(ErrorCode::Io, "pipe: {}", std::strerror(errno));
    FileActions actions;
    actions.place(in[0], STDIN_FILENO);
    actions.place(out[1], STDOUT_FILENO);
    pid_ = spawn(command, actions);
  } catch (...) {
    for (int descriptor : {in[0], out[1]}) close_end(descriptor);
    close_pipes();
    throw;
  }
  for (int descriptor : {in[0], out[1]}) close_end(descriptor);
  // A child that does not read must not hold up the harness.
  fcntl(input_, F_SETFL, O_NONBLOCK);
}

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::string& log) {
  FileActions actions;
  actions.open("/dev/null", O_RDONLY, STDIN_FILENO);
  actions.open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  actions.place(STDOUT_FILENO, STDERR_FILENO);
  pid_ = spawn(command, actions);
}

ChildProcess::~ChildProcess() {
  const bool piped = input_ >= 0;
  close_end(input_);
  if (!piped && end().empty()) ::kill(-pid_, SIGTERM);
  for (int tries = 0; tries < kEndTries && end().empty(); ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  if (end().empty()) {
    ::kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close_pipes();
}

void ChildProcess::close_pipes() {
  close_end(input_);
  close_end(output_);
}

std::string ChildProcess::end() {
  int status = 0;
  if (end_.empty() && waitpid(pid_, &status, WNOHANG) == pid_) end_ = words_of(status);
  return end_;
}

std::string find_program(const std::string& name) {
  namespace fs = std::filesystem;
  if (name.find('/') != std::string::npos) return fs::exists(name) ? name : "";
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && ::access((fs::path(folder) / name).c_str(), X_OK) == 0) return (fs::path(folder) / name).string();
  }
  for (const char* folder : kPeerFolders) {
    if (::access((fs::path(folder) / name).c_str(), X_OK) == 0) return (fs::path(folder) / name).string();
  }
  return "";
}

}  // namespace naru::bench
