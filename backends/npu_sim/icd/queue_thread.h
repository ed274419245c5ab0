// QueueThread: runs the commands of one queue in their order.
#pragma once

#include <deque>

#include "backends/npu_sim/icd/objects.h"

namespace npu::icd {

struct Command {
  std::vector<Ref<_cl_event>> waits;
  /// Runs on the queue's thread; may start at `earliest_ns` of the simulated clock.
  std::function<cl_int(std::int64_t earliest_ns, Span& span)> run;
  Ref<_cl_event> event;
};

/// The thread ends by itself once the queue is closed and its commands are done, so that nobody waits for a
/// device that hangs.
class QueueThread : public std::enable_shared_from_this<QueueThread> {
 public:
  explicit QueueThread(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  void start();
  void add(Command command);
  void close();
  /// Waits for all commands; the first error since the last call, if there was one.
  cl_int finish();
  Device& device() { return *device_; }

 private:
  void work();
  static cl_int run(Command& command);

  std::shared_ptr<Device> device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Command> commands_;
  bool busy_ = false;
  bool closed_ = false;
  cl_int error_ = CL_SUCCESS;
};

}  // namespace npu::icd
