// WorkerProcess: the process that a plug-in lives in; killed and reaped with its object.
#pragma once

#include <mutex>
#include <string>
#include <sys/types.h>

#include "backends/plugin/wire.h"

namespace naru::plugin {

class WorkerProcess {
 public:
  /// Starts the worker program that lies beside libnaru. @throws Error Device.
  WorkerProcess();
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  int control() const { return control_.get(); }
  void kill() noexcept;
  /// How it ended, or that it runs; waits a moment for one that is about to end.
  std::string state();

 private:
  Descriptor control_;
  std::mutex mutex_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  std::string end_;
};

}  // namespace naru::plugin
