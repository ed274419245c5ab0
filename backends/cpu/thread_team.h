// ThreadTeam: threads that run one function together, many times a millisecond.
//
// Between two calls the threads spin for a while, so that the next call costs no system call, then
// give way to others, then sleep. OpenMP's teams do that too, but not once a process has more
// threads than cores, as any process with two teams has.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace naru::cpu {

class ThreadTeam {
 public:
  /// `threads`: with the calling one; the others start on the first run().
  explicit ThreadTeam(int threads) : threads_(threads) {}
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int threads() const { return threads_; }

  /// Calls `body(self)` for self in [0, threads()) on all threads, and returns when all have. One
  /// caller at a time; `body` must not throw.
  template <typename Body>
  void run(const Body& body) {
    run_job({[](const void* context, int self) { (*static_cast<const Body*>(context))(self); }, &body});
  }

  /// The team that parallel loops on this thread use, or null for OpenMP's.
  static ThreadTeam* current() { return current_; }
  /// Makes a team current for a scope.
  class Use {
   public:
    explicit Use(ThreadTeam* team) : previous_(current_) { current_ = team; }
    ~Use() { current_ = previous_; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    ThreadTeam* previous_;
  };

 private:
  struct Job {
    void (*call)(const void* context, int self) = nullptr;
    const void* context = nullptr;
  };
  void run_job(const Job& job);
  void work(int self);
  /// Waits until `value` is no longer `old`.
  static std::uint32_t await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old);

  static thread_local ThreadTeam* current_;

  int threads_;
  Job job_;
  alignas(64) std::atomic<std::uint32_t> round_{0};     // of the job that the others are to run
  alignas(64) std::atomic<std::uint32_t> finished_{0};  // threads that have run all jobs so far, summed up
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> others_;
};

}  // namespace naru::cpu
