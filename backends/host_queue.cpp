// HostQueue: the worker loop and its events.
#include "backends/host_queue.h"

namespace naru {

bool HostEvent::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void HostEvent::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_; });
  if (error_ != nullptr) std::rethrow_exception(error_);
}

void HostEvent::complete(std::exception_ptr error) noexcept {
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
  done_ = true;
  changed_.notify_all();
}

HostBuffer::HostBuffer(std::int64_t size_bytes) : memory_(DType::U8, Shape{size_bytes}) {}

HostQueue::HostQueue(int workers, std::function<void(int worker)> on_start) {
  for (int worker = 0; worker < workers; ++worker) {
    threads_.emplace_back([this, worker, on_start] {
      if (on_start) on_start(worker);
      work(worker);
    });
  }
}

HostQueue::~HostQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

EventPtr HostQueue::submit(std::vector<EventPtr> wait, std::function<void(int worker)> task) {
  auto event = std::make_shared<HostEvent>();
  {
    const std::lock_guard lock(mutex_);
    items_.push_back({std::move(wait), std::move(task), event});
  }
  changed_.notify_one();
  return event;
}

void HostQueue::work(int worker) {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !items_.empty(); });
      if (items_.empty()) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    std::exception_ptr error;
    try {
      for (const EventPtr& event : item.wait) event->wait();
      item.task(worker);
    } catch (...) {
      error = std::current_exception();  // rethrown by whoever waits for the event
    }
    item.task = nullptr;
    item.event->complete(std::move(error));
  }
}

}  // namespace naru
