// HostQueue: worker threads that run submissions in order of readiness; for devices in host memory.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/backend.h"

namespace naru {

/// An event that host code completes. Thread-safe.
class HostEvent final : public Event {
 public:
  bool done() const override;
  void wait() override;
  void complete(std::exception_ptr error = nullptr) noexcept;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::exception_ptr error_;
};

/// Plain host memory, 64-byte aligned.
class HostBuffer final : public Buffer {
 public:
  /// @throws Error OutOfMemory.
  explicit HostBuffer(std::int64_t size_bytes);
  std::int64_t size_bytes() const override { return memory_.size_bytes(); }
  std::byte* host_data() override { return memory_.mutable_data(); }

 private:
  Tensor memory_;
};

/// `workers` threads; each first calls `on_start(worker)`, then runs tasks in order of submission.
/// A task waits for its events before it runs. Destruction finishes queued work.
class HostQueue {
 public:
  HostQueue(int workers, std::function<void(int worker)> on_start = {});
  ~HostQueue();
  HostQueue(const HostQueue&) = delete;
  HostQueue& operator=(const HostQueue&) = delete;

  /// Queues `task`; `worker` tells it which thread it runs on.
  EventPtr submit(std::vector<EventPtr> wait, std::function<void(int worker)> task);

 private:
  struct Item {
    std::vector<EventPtr> wait;
    std::function<void(int)> task;
    std::shared_ptr<HostEvent> event;
  };
  void work(int worker);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace naru
