// Figures of one run: steady window, series, rates, checks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"

namespace naru::bench {
namespace {

constexpr double kNs = 1e-9;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t base_time(const RequestRecord& record, const Condition& condition) {
  return condition.scenario.open_loop() ? record.a : record.s;
}

double seconds(std::int64_t ns) { return static_cast<double>(ns) * kNs; }

/// What the steady window is found by: TTFT of generating models, else latency.
double response(const RequestRecord& record, const Condition& condition) {
  if (!record.ok()) return kInfinity;
  const std::int64_t end = record.t.empty() ? record.e : record.t.front();
  return seconds(end - base_time(record, condition));
}

std::vector<double> finite(std::vector<double> values) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); }), values.end());
  return values;
}

/// Requests in flight at the moment that each request is handed in.
std::vector<double> in_flight_at_arrival(const RunRecord& run) {
  std::vector<std::int64_t> ends;
  std::vector<double> counts;
  std::size_t handed = 0;
  for (const RequestRecord& record : run.requests) ends.push_back(record.e);
  std::sort(ends.begin(), ends.end());
  for (const RequestRecord& record : run.requests) {
    const auto ended = std::upper_bound(ends.begin(), ends.end(), record.s) - ends.begin();
    counts.push_back(static_cast<double>(++handed) - static_cast<double>(ended));
  }
  return counts;
}

/// Leading requests that belong to the ramp-up. A closed loop turns in cycles of `concurrency` requests;
/// whole cycles are dropped, so that a window has the same phase at both of its ends: what is cut off
/// at one stands at the other, also where all requests start and end together.
std::size_t ramp_up(const RunRecord& run, const Condition& condition) {
  const std::size_t count = run.requests.size();
  std::vector<double> responses;
  for (const RequestRecord& record : run.requests) responses.push_back(response(record, condition));
  std::size_t dropped = std::max(mser5(finite(responses)), mser5(in_flight_at_arrival(run)));
  if (!condition.scenario.open_loop()) {
    const auto cycle = static_cast<std::size_t>(condition.scenario.concurrency);
    dropped = (dropped + cycle - 1) / cycle * cycle;
    if (dropped >= count) dropped = count / 2 / cycle * cycle;
  }
  return dropped < count ? dropped : 0;
}

/// When the drain begins: with the first end that no hand-over follows. Of a closed loop that is the one
/// before the last `concurrency` - 1 ends.
std::int64_t drain_begin(const RunRecord& run, const Condition& condition) {
  std::vector<std::int64_t> ends;
  for (const RequestRecord& record : run.requests) ends.push_back(record.e);
  std::sort(ends.begin(), ends.end());
  if (condition.scenario.open_loop()) return *std::lower_bound(ends.begin(), ends.end() - 1, run.requests.back().s);
  return ends[ends.size() - std::min(ends.size(), static_cast<std::size_t>(condition.scenario.concurrency))];
}

/// Drops ramp-up and drain. A burst has neither: its window is the whole run.
void find_window(const RunRecord& run, const Condition& condition, RunFigures& figures) {
  if (condition.scenario.kind == ScenarioKind::Burst) {
    figures.window_begin_ns = base_time(run.requests.front(), condition);
    for (const RequestRecord& record : run.requests) figures.window_end_ns = std::max(figures.window_end_ns, record.e);
    return;
  }
  figures.dropped = ramp_up(run, condition);
  figures.window_begin_ns = base_time(run.requests[figures.dropped], condition);
  figures.window_end_ns = std::max(drain_begin(run, condition), figures.window_begin_ns + 1);
}

bool in_window(std::int64_t time, const RunFigures& figures) {
  return time > figures.window_begin_ns && time <= figures.window_end_ns;
}

bool within_limits(const RequestRecord& record, const Condition& condition) {
  if (!record.ok()) return false;
  const Limits& limits = condition.limits;
  const std::int64_t base = base_time(record, condition);
  const auto over = [](std::int64_t limit, double value) { return limit > 0 && value > static_cast<double>(limit); };
  if (over(limits.latency_ns, static_cast<double>(record.e - base))) return false;
  if (record.t.empty()) return true;
  if (over(limits.ttft_ns, static_cast<double>(record.t.front() - base))) return false;
  return record.n() < 2 || !over(limits.tpot_ns, static_cast<double>(record.t.back() - record.t.front()) / static_cast<double>(record.n() - 1));
}

void add_token_series(const RequestRecord& record, const Condition& condition, RunFigures& figures) {
  if (!condition.model.generates) return;
  auto& series = figures.series;
  if (!record.ok()) {
    for (const char* name : {"ttft", "tpot", "max_stall"}) series[name].push_back(kInfinity);
    series["user_tokens_per_s"].push_back(0);
    return;
  }
  series["ttft"].push_back(seconds(record.t.front() - base_time(record, condition)));
  if (condition.scenario.kind == ScenarioKind::Closed && condition.scenario.concurrency == 1) {
    series["prefill_tokens_per_s"].push_back(static_cast<double>(record.prompt_tokens) / seconds(record.t.front() - record.s));
  }
  if (record.n() < 2) return;
  const double tpot = seconds(record.t.back() - record.t.front()) / static_cast<double>(record.n() - 1);
  series["tpot"].push_back(tpot);
  if (tpot > 0) series["user_tokens_per_s"].push_back(1 / tpot);
  double stall = 0;
  for (std::size_t k = 1; k < record.t.size(); ++k) {
    const double gap = seconds(record.t[k] - record.t[k - 1]);
    series["itl"].push_back(gap);
    stall = std::max(stall, gap);
  }
  series["max_stall"].push_back(stall);
}

void add_series(const RunRecord& run, const Condition& condition, RunFigures& figures) {
  for (std::size_t i = figures.dropped; i < run.requests.size(); ++i) {
    const RequestRecord& record = run.requests[i];
    figures.series["latency"].push_back(record.ok() ? seconds(record.e - base_time(record, condition)) : kInfinity);
    figures.series["queue"].push_back(seconds(record.s - record.a));
    add_token_series(record, condition, figures);
  }
}

/// Joules at a time, by interpolation between samples; absent outside of them.
std::optional<double> energy_at(const std::vector<EnergySample>& samples, std::uint32_t provider, std::int64_t time) {
  const EnergySample* before = nullptr;
  for (const EnergySample& sample : samples) {
    if (sample.provider != provider) continue;
    if (sample.time_ns >= time) {
      if (before == nullptr) return sample.time_ns == time ? std::optional(sample.joules) : std::nullopt;
      const double share = static_cast<double>(time - before->time_ns) / static_cast<double>(sample.time_ns - before->time_ns);
      return before->joules + share * (sample.joules - before->joules);
    }
    before = &sample;
  }
  return std::nullopt;
}

void add_energy(const RunRecord& run, double tokens, double completions, RunFigures& figures) {
  const auto begin = energy_at(run.energy, 0, figures.window_begin_ns), end = energy_at(run.energy, 0, figures.window_end_ns);
  if (!begin || !end) return;
  const double joules = *end - *begin;
  figures.scalars["energy"] = joules;
  figures.scalars["power"] = joules / seconds(figures.window_end_ns - figures.window_begin_ns);
  if (tokens > 0) figures.scalars["energy_per_token"] = joules / tokens;
  if (completions > 0) figures.scalars["energy_per_request"] = joules / completions;
}

/// How much faster the last quarter of the window was than the first.
double drift(const RunRecord& run, const RunFigures& figures) {
  const std::int64_t quarter = (figures.window_end_ns - figures.window_begin_ns) / 4;
  double first = 0, last = 0;
  for (const RequestRecord& record : run.requests) {
    if (!record.ok() || !in_window(record.e, figures)) continue;
    first += record.e <= figures.window_begin_ns + quarter ? 1 : 0;
    last += record.e > figures.window_end_ns - quarter ? 1 : 0;
  }
  return first > 0 ? last / first - 1 : 0;
}

void add_rates(const RunRecord& run, const Condition& condition, const RowFacts& facts, RunFigures& figures) {
  const double window = seconds(figures.window_end_ns - figures.window_begin_ns);
  double tokens = 0, all_tokens = 0, completions = 0, good = 0, good_all = 0, arrivals = 0, arrival_time = 0, flight = 0;
  for (const RequestRecord& record : run.requests) {
    if (record.ok()) {
      all_tokens += static_cast<double>(record.n());
      for (const std::int64_t time : record.t) tokens += in_window(time, figures) ? 1 : 0;
      completions += in_window(record.e, figures) ? 1 : 0;
    }
    const std::int64_t base = base_time(record, condition);
    const bool good_one = within_limits(record, condition);
    good_all += good_one ? 1 : 0;
    if (base >= figures.window_begin_ns && base < figures.window_end_ns) {
      ++arrivals;
      arrival_time += seconds(record.e - base);
      good += good_one ? 1 : 0;
    }
    flight += std::max(0.0, seconds(std::min(record.e, figures.window_end_ns) - std::max(base, figures.window_begin_ns)));
  }
  auto& out = figures.scalars;
  out["requests_per_s"] = completions / window;
  if (condition.model.generates) {
    out["output_tokens_per_s"] = tokens / window;
    std::int64_t last = 0;
    for (const RequestRecord& record : run.requests) last = std::max(last, record.e);
    out["whole_run_tokens_per_s"] = all_tokens / seconds(std::max<std::int64_t>(1, last - run.requests.front().s));
  } else {
    out["samples_per_s"] = out["requests_per_s"] * static_cast<double>(condition.batch);
  }
  if (condition.limits.any()) {
    out["goodput"] = good / window;
    out["attainment"] = good_all / static_cast<double>(run.requests.size());
  }
  if (condition.scenario.kind == ScenarioKind::Sustained) out["drift"] = drift(run, figures);
  out["in_flight"] = flight / window;
  out["failed_share"] = static_cast<double>(figures.failed) / static_cast<double>(run.requests.size());
  figures.little_error = flight > 0 ? std::abs(flight - arrival_time) / flight : 0;
  const double units = condition.model.generates ? out["output_tokens_per_s"] : out["samples_per_s"];
  if (facts.peak_flops > 0 && facts.flops_per_unit > 0) {
    const double prompt = condition.model.generates ? 1 + static_cast<double>(condition.input_tokens) / static_cast<double>(condition.output_tokens) : 1;
    out["mfu"] = units * prompt * facts.flops_per_unit / facts.peak_flops;
  }
  const bool alone = condition.scenario.kind == ScenarioKind::Closed && condition.scenario.concurrency == 1;
  if (alone && facts.peak_bytes > 0 && facts.bytes_per_unit > 0 && condition.model.generates && !figures.series["tpot"].empty()) {
    out["mbu"] = facts.bytes_per_unit / mean(figures.series["tpot"]) / facts.peak_bytes;
  }
  add_energy(run, tokens, completions, figures);
}

void add_checks(const RunRecord& run, const Condition& condition, RunFigures& figures) {
  if (run.broken) figures.reasons.push_back(Reason::Identity);
  for (const RequestRecord& record : run.requests) {
    const bool ordered = record.a <= record.s && record.s <= record.e && std::is_sorted(record.t.begin(), record.t.end()) &&
                         (record.t.empty() || (record.s <= record.t.front() && record.t.back() <= record.e));
    if (record.ok() && !ordered) figures.reasons.push_back(Reason::Identity);
  }
  if (run.clock_step_ns != 0) figures.reasons.push_back(Reason::ClockStep);
  if (run.short_prompts) figures.reasons.push_back(Reason::PromptLength);
  const auto cached = [](const RequestRecord& record) { return record.cached_tokens > 0; };
  if (std::any_of(run.requests.begin(), run.requests.end(), cached)) figures.reasons.push_back(Reason::PrefixCached);
  if (run.multi_token_chunks) figures.reasons.push_back(Reason::MultiToken);
  if (condition.scenario.kind == ScenarioKind::Burst) return;
  if (figures.little_error > 0.05) figures.reasons.push_back(Reason::Little);
  const std::vector<double> steady = finite(figures.series[condition.model.generates ? "ttft" : "latency"]);
  if (has_trend(steady).value_or(false)) figures.reasons.push_back(Reason::NotSteady);
}

}  // namespace

bool keeps_limits(const RunFigures& figures, const Condition& condition) {
  const auto found = figures.scalars.find("attainment");
  return found != figures.scalars.end() && found->second >= condition.limits.attainment;
}

RunFigures analyse_run(const RunRecord& run, const Condition& condition, const RowFacts& facts) {
  RunFigures figures;
  figures.requests = run.requests.size();
  if (run.requests.empty()) {
    figures.reasons.push_back(Reason::NoRequests);
    return figures;
  }
  for (const RequestRecord& record : run.requests) {
    if (record.ok()) continue;
    ++figures.failed;
    figures.reasons.push_back(record.failure == Reason::None ? Reason::Timeout : record.failure);
  }
  if (figures.failed == figures.requests) return figures;
  find_window(run, condition, figures);
  add_series(run, condition, figures);
  add_rates(run, condition, facts, figures);
  add_checks(run, condition, figures);
  return figures;
}

}  // namespace naru::bench
