// Scheduler: one bounded queue of requests for all models of an engine, by priority, then arrival.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace naru {

/// Runs tasks on `workers` threads. Thread-safe. Destruction finishes queued tasks; it may happen on
/// a worker itself, when a task held the last reference to the scheduler's owner.
class Scheduler {
 public:
  Scheduler(int workers, std::size_t max_queued);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// @throws Error OutOfMemory when `max_queued` tasks wait.
  void submit(int priority, std::function<void()> task);

 private:
  /// What the workers share; it outlives the scheduler while a worker still runs.
  struct Queue {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::pair<int, std::uint64_t>, std::function<void()>> tasks;  // (-priority, arrival)
    std::uint64_t arrivals = 0;
    bool stopping = false;
  };
  static void work(const std::shared_ptr<Queue>& queue);

  std::shared_ptr<Queue> queue_;
  std::size_t max_queued_;
  std::vector<std::thread> threads_;
};

}  // namespace naru
