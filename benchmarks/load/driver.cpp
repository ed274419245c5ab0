// The load generator. The calling thread hands requests in; the system's threads stamp what comes back.
#include "benchmarks/load/driver.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "benchmarks/load/timing.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Stamps and counts. What comes after the end of a run is dropped.
class Recorder : public Sink {
 public:
  Recorder(RawLog& log, std::int64_t start_ns) : log_(log), start_ns_(start_ns) {}

  void tokens(std::uint32_t request, std::span<const std::int32_t> ids) override {
    const std::int64_t time = since_start();
    for (const std::int32_t id : ids) log_.append({RunEventKind::Token, request, time, id});
  }
  void chunk(std::uint32_t request, std::int64_t count) override { log(RunEventKind::Chunk, request, count); }
  void claimed(std::uint32_t request, std::int64_t count) override { log(RunEventKind::Claimed, request, count); }
  void prompted(std::uint32_t request, std::int64_t count, std::int64_t cached) override {
    log(RunEventKind::Prompted, request, count);
    if (cached > 0) log(RunEventKind::Cached, request, cached);
  }
  void complete(std::uint32_t request) override {
    log(RunEventKind::Complete, request, 0);
    ended(false, {});
  }
  void failed(std::uint32_t request, Reason reason, const std::string& detail) override {
    log(RunEventKind::Failed, request, static_cast<std::int64_t>(reason));
    ended(true, detail);
  }

  void log(RunEventKind kind, std::uint32_t request, std::int64_t value) {
    log_.append({kind, request, since_start(), value});
  }
  std::int64_t since_start() const { return now_ns() - start_ns_; }
  std::int64_t start_ns() const { return start_ns_; }

  /// Waits until fewer than `limit` of `handed` requests are under way, `due_ns` has come, or stop.
  bool wait_below(int handed, int limit, std::int64_t due_ns, const std::atomic<bool>* stop) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (handed - ended_ < limit) return true;
      if (now_ns() >= due_ns || (stop != nullptr && stop->load(std::memory_order_relaxed))) return false;
      const std::int64_t nap = std::min<std::int64_t>(due_ns - now_ns(), 50'000'000);
      changed_.wait_for(lock, std::chrono::nanoseconds(nap));
    }
  }
  /// Sleeps until `due_ns`; false when stopped before.
  bool wait_for_time(std::int64_t due_ns, const std::atomic<bool>* stop) {
    std::unique_lock lock(idle_mutex_);
    for (;;) {
      if (stop != nullptr && stop->load(std::memory_order_relaxed)) return false;
      if (now_ns() >= due_ns) return true;
      wait_until(idle_, lock, std::min(due_ns, now_ns() + 100'000'000));
    }
  }

  int failures() const { return failed_; }
  const std::string& first_failure() const { return first_failure_; }

 private:
  void ended(bool failed, const std::string& detail) {
    {
      const std::lock_guard lock(mutex_);
      ++ended_;
      if (failed && failed_++ == 0) first_failure_ = detail;
    }
    changed_.notify_all();
  }

  RawLog& log_;
  std::int64_t start_ns_;
  std::mutex mutex_, idle_mutex_;
  std::condition_variable changed_, idle_;
  int ended_ = 0, failed_ = 0;
  std::string first_failure_;
};

void log_energy(RawLog& log, const EnergyReading& reading, std::int64_t time_ns) {
  for (std::size_t i = 0; i < reading.size(); ++i) {
    if (reading[i]) log.append({RunEventKind::Energy, static_cast<std::uint32_t>(i), time_ns, static_cast<std::int64_t>(*reading[i] * 1e6)});
  }
}

/// Writes the log out and reads energy while the run goes on.
class Background {
 public:
  Background(RawLog& log, const Recorder& recorder, const std::function<EnergyReading()>& read_energy) : thread_([this, &log, &recorder, read_energy] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      try {
        if (read_energy) log_energy(log, read_energy(), recorder.since_start());
        log.flush();
      } catch (...) {
        failure_ = std::current_exception();
      }
      lock.lock();
      if (!stopping_) changed_.wait_for(lock, std::chrono::milliseconds(100));
    }
  }) {}
  ~Background() { stop(); }
  /// Rethrows what went wrong.
  void finish() {
    stop();
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses everything above
};

void hand_in(System& system, const RunPlan& plan, std::uint32_t id, Recorder& recorder) {
  SystemRequest request;
  request.id = id;
  request.sample = id % plan.samples;
  request.max_tokens = plan.max_tokens;
  request.ignore_end = plan.ignore_end;
  if (!plan.prompts.empty()) request.prompt = plan.prompts[id % plan.prompts.size()];
  recorder.log(RunEventKind::Handed, id, static_cast<std::int64_t>(request.prompt.size()));
  try {
    system.submit(request, recorder);
  } catch (...) {
    std::string detail;
    const Reason reason = reason_of_current_error(detail);
    recorder.failed(id, reason, detail);
  }
}

/// Hands in until the scenario or the time is over; the number handed in.
int issue(System& system, const RunPlan& plan, RawLog& log, Recorder& recorder) {
  const Scenario& scenario = plan.scenario;
  const std::vector<std::int64_t> arrivals = arrivals_ns(scenario, plan.seed);
  const int count = scenario.open_loop() ? static_cast<int>(arrivals.size()) : scenario.requests;
  const std::int64_t limit = recorder.start_ns() + scenario.limit_ns;
  int handed = 0;
  while (handed < count) {
    const std::int64_t arrival = scenario.open_loop() ? arrivals[static_cast<std::size_t>(handed)] : 0;
    if (scenario.open_loop()) {
      if (!recorder.wait_for_time(recorder.start_ns() + arrival, plan.stop)) break;
    } else if (!recorder.wait_below(handed, scenario.concurrency, limit, plan.stop) || now_ns() >= limit) {
      break;
    }
    const auto id = static_cast<std::uint32_t>(handed++);
    log.append({RunEventKind::Scheduled, id, scenario.open_loop() ? arrival : recorder.since_start(), 0});
    hand_in(system, plan, id, recorder);
  }
  return handed;
}

}  // namespace

RunOutcome run_load(System& system, const RunPlan& plan, RawLog& log) {
  // Taken before the first request, so that the steady window never begins before the readings do.
  const EnergyReading first = plan.read_energy ? plan.read_energy() : EnergyReading();
  const std::int64_t start = now_ns(), wall_offset = wall_ns() - now_ns();
  Recorder recorder(log, start);
  log.append({RunEventKind::Begin, 0, 0, start});
  log_energy(log, first, 0);
  RunOutcome outcome;
  {
    Background background(log, recorder, plan.read_energy);
    {
      const PromptThread prompt;
      outcome.requests = issue(system, plan, log, recorder);
    }
    if (!recorder.wait_below(outcome.requests, 1, now_ns() + plan.timeout_ns, plan.stop)) {
      system.cancel_all();
      recorder.wait_below(outcome.requests, 1, now_ns() + 30'000'000'000, nullptr);
    }
    background.finish();
  }
  if (plan.read_energy) log_energy(log, plan.read_energy(), recorder.since_start());
  outcome.interrupted = plan.stop != nullptr && plan.stop->load();
  const std::int64_t step = wall_ns() - now_ns() - wall_offset;
  // A clock that is slewed moves by at most half a millisecond a second; more is a step.
  if (std::abs(step) > 10'000'000 + recorder.since_start() / 1000) recorder.log(RunEventKind::ClockStep, 0, step);
  if (!outcome.interrupted) recorder.log(RunEventKind::End, 0, 0);
  log.flush();
  outcome.failed = recorder.failures();
  outcome.first_failure = recorder.first_failure();
  return outcome;
}

}  // namespace naru::bench
