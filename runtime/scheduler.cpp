// Scheduler: the worker loop over the priority queue.
#include "runtime/scheduler.h"

#include "graph/fail.h"

namespace naru {

Scheduler::Scheduler(int workers, std::size_t max_queued)
    : queue_(std::make_shared<Queue>()), max_queued_(max_queued) {
  for (int i = 0; i < workers; ++i) threads_.emplace_back([queue = queue_] { work(queue); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->stopping = true;
  }
  queue_->changed.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

void Scheduler::submit(int priority, std::function<void()> task) {
  {
    const std::lock_guard lock(queue_->mutex);
    if (queue_->tasks.size() >= max_queued_) {
      fail(ErrorCode::OutOfMemory, "scheduler: {} requests wait already, the limit is {}",
           queue_->tasks.size(), max_queued_);
    }
    queue_->tasks.emplace(std::pair(-priority, queue_->arrivals++), std::move(task));
  }
  queue_->changed.notify_one();
}

void Scheduler::work(const std::shared_ptr<Queue>& queue) {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(queue->mutex);
      queue->changed.wait(lock, [&] { return queue->stopping || !queue->tasks.empty(); });
      if (queue->tasks.empty()) return;
      task = std::move(queue->tasks.begin()->second);
      queue->tasks.erase(queue->tasks.begin());
    }
    task();
  }
}

}  // namespace naru
