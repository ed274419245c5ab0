// The synthetic system: one thread that releases tokens at their times, from a queue of deadlines.
#include "benchmarks/sut/synthetic.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <queue>
#include <thread>

#include "benchmarks/load/timing.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

/// One request and the time of what it does next.
struct Job {
  std::uint32_t id = 0;
  std::uint64_t number = 0;
  std::int64_t tokens = 0;
  std::int64_t made = 0;
  std::int64_t due_ns = 0;
  Sink* sink = nullptr;
};

struct Later {
  bool operator()(const Job& a, const Job& b) const { return a.due_ns > b.due_ns; }
};

class Synthetic : public System {
 public:
  explicit Synthetic(const SyntheticTruth& truth) : truth_(truth), thread_([this] { run(); }) {}
  ~Synthetic() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  nlohmann::json describe() const override {
    return {{"name", "synthetic"}, {"version", "1"}, {"ttft_ms", static_cast<double>(truth_.ttft_ns) * 1e-6},
            {"tpot_ms", static_cast<double>(truth_.tpot_ns) * 1e-6}};
  }
  LoadResult load(const Workload&) override {
    LoadResult result;
    result.vocabulary = 32000;
    return result;
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    const std::int64_t now = now_ns();
    {
      const std::lock_guard lock(mutex_);
      const bool cached = truth_.cached_ttft_ns > 0 && std::equal(last_prompt_.begin(), last_prompt_.end(), request.prompt.begin(), request.prompt.end());
      last_prompt_.assign(request.prompt.begin(), request.prompt.end());
      Job job{request.id, ++count_, request.max_tokens, 0, now + (cached ? truth_.cached_ttft_ns : truth_.ttft_ns), &sink};
      if (truth_.servers > 0 && busy_ >= truth_.servers) {
        waiting_.push_back(job);
        return;
      }
      ++busy_;
      queue_.push(job);
    }
    changed_.notify_all();
  }

  void cancel_all() override {
    const std::lock_guard lock(mutex_);
    for (const Job& job : waiting_) job.sink->failed(job.id, Reason::Interrupted, "cancelled");
    waiting_.clear();
    for (; !queue_.empty(); queue_.pop()) queue_.top().sink->failed(queue_.top().id, Reason::Interrupted, "cancelled");
    busy_ = 0;
  }

 private:
  void run() {
    const PromptThread prompt;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (queue_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const std::int64_t due = queue_.top().due_ns;
      if (due > now_ns()) {
        wait_until(changed_, lock, due);
        continue;
      }
      Job job = queue_.top();
      queue_.pop();
      lock.unlock();
      const bool more = advance(job);
      lock.lock();
      if (more) {
        queue_.push(job);
      } else {
        serve_next();
      }
    }
  }

  void serve_next() {
    busy_ = std::max(0, busy_ - 1);
    if (waiting_.empty()) return;
    Job job = waiting_.front();
    waiting_.pop_front();
    job.due_ns = now_ns() + truth_.ttft_ns;
    ++busy_;
    queue_.push(job);
  }

  bool chosen(const Job& job, int every) const { return every > 0 && job.number % static_cast<std::uint64_t>(every) == 0; }

  /// Does what is due; false when the request is over.
  bool advance(Job& job) {
    if (job.made >= job.tokens) {
      job.sink->complete(job.id);
      return false;
    }
    if (chosen(job, truth_.fail_every)) {
      job.sink->failed(job.id, Reason::Internal, "a failure of the synthetic system");
      return false;
    }
    std::int32_t ids[64];
    const auto count = static_cast<int>(std::min<std::int64_t>(truth_.tokens_per_chunk, job.tokens - job.made));
    for (int i = 0; i < count; ++i) ids[i] = static_cast<std::int32_t>((job.made + i) % 1000);
    job.sink->tokens(job.id, {ids, static_cast<std::size_t>(count)});
    job.made += count;
    const bool stalls = chosen(job, truth_.stall_every) && job.made == job.tokens / 2;
    if (job.made < job.tokens) {
      job.due_ns += truth_.tpot_ns * count + (stalls ? truth_.stall_ns : 0);
      return true;
    }
    job.due_ns += truth_.end_ns;
    if (truth_.end_ns > 0) return true;
    job.sink->complete(job.id);
    return false;
  }

  SyntheticTruth truth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Job, std::vector<Job>, Later> queue_;
  std::deque<Job> waiting_;
  std::vector<std::int32_t> last_prompt_;
  std::uint64_t count_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace

SyntheticTruth synthetic_truth(const nlohmann::json& config) {
  SyntheticTruth truth;
  const auto ns = [](const nlohmann::json& ms) { return static_cast<std::int64_t>(ms.get<double>() * 1e6); };
  const auto count = [](const nlohmann::json& value) { return value.get<int>(); };
  for (const auto& [key, value] : config.items()) {
    if (key == "kind") continue;
    if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1e9) {
      fail(ErrorCode::InvalidArgument, "synthetic system: field '{}' is not a number from 0 to 1e9", key);
    }
    if (key == "ttft_ms") truth.ttft_ns = ns(value);
    else if (key == "tpot_ms") truth.tpot_ns = ns(value);
    else if (key == "cached_ttft_ms") truth.cached_ttft_ns = ns(value);
    else if (key == "stall_ms") truth.stall_ns = ns(value);
    else if (key == "end_ms") truth.end_ns = ns(value);
    else if (key == "stall_every") truth.stall_every = count(value);
    else if (key == "fail_every") truth.fail_every = count(value);
    else if (key == "servers") truth.servers = count(value);
    else if (key == "tokens_per_chunk") truth.tokens_per_chunk = std::clamp(count(value), 1, 64);
    else fail(ErrorCode::InvalidArgument, "synthetic system: unknown field '{}'", key);
  }
  return truth;
}

std::unique_ptr<System> make_synthetic(const SyntheticTruth& truth) { return std::make_unique<Synthetic>(truth); }

}  // namespace naru::bench
