// QueueThread, and what ends all such threads when the process does.
#include "backends/npu_sim/icd/queue_thread.h"

#include <chrono>
#include <set>
#include <thread>

namespace npu::icd {
namespace {

/// Threads must not outlive the code that they run: what hangs is ended when the driver is unloaded.
class Threads {
 public:
  void add(QueueThread* thread) {
    const std::lock_guard lock(mutex_);
    live_.insert(thread);
  }
  void remove(QueueThread* thread) {
    const std::lock_guard lock(mutex_);
    live_.erase(thread);
    changed_.notify_all();
  }
  ~Threads() {
    std::unique_lock lock(mutex_);
    for (QueueThread* thread : live_) {
      thread->device().stop();
      thread->close();
    }
    // Commands that wait for user events would never end.
    changed_.wait_for(lock, std::chrono::seconds(2), [&] { return live_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<QueueThread*> live_;
};

Threads& threads() {
  static Threads all;
  return all;
}

}  // namespace

void QueueThread::start() {
  threads().add(this);
  try {
    std::thread([self = shared_from_this()] {
      self->work();
      threads().remove(self.get());
    }).detach();
  } catch (...) {
    threads().remove(this);
    throw;
  }
}

void QueueThread::add(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  changed_.notify_all();
}

void QueueThread::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

cl_int QueueThread::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return commands_.empty() && !busy_; });
  return std::exchange(error_, CL_SUCCESS);
}

cl_int QueueThread::run(Command& command) {
  std::int64_t earliest = command.event->queued_ns;
  for (const Ref<_cl_event>& event : command.waits) {
    if (event->wait() < 0) return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    earliest = std::max(earliest, event->span.end_ns);
  }
  command.event->set_state(CL_SUBMITTED);
  command.event->set_state(CL_RUNNING);
  const auto start = std::chrono::steady_clock::now();
  command.event->span = {earliest, earliest, 0};
  const cl_int status = command.run(earliest, command.event->span);
  command.event->wall_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
  return status;
}

void QueueThread::work() {
  for (;;) {
    Command command;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !commands_.empty(); });
      if (commands_.empty()) return;
      command = std::move(commands_.front());
      commands_.pop_front();
      busy_ = true;
    }
    const cl_int status = run(command);
    command.run = nullptr;  // lets go of memory before anyone learns that the command is done
    command.waits.clear();
    {
      const std::lock_guard lock(mutex_);
      if (error_ == CL_SUCCESS) error_ = status;
    }
    command.event->set_state(status == CL_SUCCESS ? CL_COMPLETE : status);
    command.event = {};
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
    }
    changed_.notify_all();
  }
}

}  // namespace npu::icd
