// ChildProcess: a program that runs beside the harness, with pipes to its standard input and output.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace naru::bench {

/// Its own process group, so that what it starts ends with it.
class ChildProcess {
 public:
  /// With pipes to both ends; standard error stays the harness's.
  /// @throws Failure Connection when it does not start.
  explicit ChildProcess(const std::vector<std::string>& command);
  /// Without pipes: reads nothing, and writes to the file `log`.
  ChildProcess(const std::vector<std::string>& command, const std::string& log);
  /// Asks it to end, and ends what is left after a moment.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int input() const { return input_; }
  int output() const { return output_; }
  /// "" while it runs, else how it ended, in words.
  std::string end();

 private:
  void close_pipes();

  pid_t pid_ = -1;
  int input_ = -1, output_ = -1;
  std::string end_;
};

/// A program's path: as given when it has a folder, else from PATH or the peers that the repository
/// sets up. Empty when it is not there.
std::string find_program(const std::string& name);

}  // namespace naru::bench
