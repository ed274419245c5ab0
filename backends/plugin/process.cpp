// WorkerProcess: spawning, ends in words.
#include "backends/plugin/process.h"

#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "backends/plugin/library.h"
#include "backends/plugin/worker.h"
#include "graph/fail.h"

extern char** environ;

namespace naru::plugin {
namespace {

std::string end_of(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return fmt::format("was ended by signal {} ({})", signal, strsignal(signal));
  }
  return fmt::format("ended itself with code {}", WEXITSTATUS(status));
}

}  // namespace

WorkerProcess::WorkerProcess() {
  auto [ours, theirs] = make_channel();
  // Out of the way of the number that the child gets.
  const Descriptor high(fcntl(theirs.get(), F_DUPFD_CLOEXEC, 2 * kWorkerChannel));
  const std::string program = (plugin_folder().parent_path() / "naru_plugin_worker").string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, high.get(), kWorkerChannel);
  std::string name = program;
  std::array<char*, 2> arguments = {name.data(), nullptr};
  const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(ErrorCode::Device, "plug-in worker '{}': does not start: {}", program, std::strerror(error));
  control_ = std::move(ours);
}

WorkerProcess::~WorkerProcess() {
  kill();
  const std::lock_guard lock(mutex_);
  if (!reaped_) waitpid(pid_, nullptr, 0);
}

void WorkerProcess::kill() noexcept {
  const std::lock_guard lock(mutex_);
  if (!reaped_) ::kill(pid_, SIGKILL);
}

std::string WorkerProcess::state() {
  constexpr int kTries = 50;
  for (int i = 0; i < kTries; ++i) {
    {
      const std::lock_guard lock(mutex_);
      int status = 0;
      if (!reaped_ && waitpid(pid_, &status, WNOHANG) == pid_) {
        reaped_ = true;
        end_ = end_of(status);
      }
      if (reaped_) return end_;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return "closed its channel";
}

}  // namespace naru::plugin
