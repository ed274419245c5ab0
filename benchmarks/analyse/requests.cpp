// Records of requests from events; what an endpoint claims is held against what came.
#include "benchmarks/analyse/requests.h"

#include <algorithm>
#include <unordered_map>

namespace naru::bench {
namespace {

/// A release of output: when, and how many tokens where that is known.
struct Release {
  std::int64_t time = 0;
  std::int64_t tokens = 0;
};

class Folder {
 public:
  explicit Folder(std::int64_t asked) : asked_(asked) {}

  void add(const RunEvent& event) {
    run_.end_ns = std::max(run_.end_ns, event.time_ns);
    if (event.kind == RunEventKind::Begin || event.kind == RunEventKind::End || event.kind == RunEventKind::DeviceStamp) return;
    if (event.kind == RunEventKind::ClockStep) {
      run_.clock_step_ns = event.value;
      return;
    }
    if (event.kind == RunEventKind::Energy) {
      run_.energy.push_back({event.request, event.time_ns, static_cast<double>(event.value) * 1e-6});
      return;
    }
    if (event.kind == RunEventKind::Scheduled) {
      run_.broken |= !index_.emplace(event.request, run_.requests.size()).second;
      run_.requests.emplace_back();
      run_.requests.back().id = event.request;
      run_.requests.back().a = event.time_ns;
      releases_.emplace_back();
      return;
    }
    const auto found = index_.find(event.request);
    if (found == index_.end()) {
      run_.broken = true;
      return;
    }
    apply(event, run_.requests[found->second], releases_[found->second]);
  }

  RunRecord finish() {
    for (std::size_t i = 0; i < run_.requests.size(); ++i) settle(run_.requests[i], releases_[i]);
    return std::move(run_);
  }

 private:
  void apply(const RunEvent& event, RequestRecord& record, std::vector<Release>& releases) {
    run_.broken |= record.ended;
    switch (event.kind) {
      case RunEventKind::Handed:
        record.s = event.time_ns;
        record.prompt_tokens = event.value;
        break;
      case RunEventKind::Token:
        record.ids.push_back(static_cast<std::int32_t>(event.value));
        if (!releases.empty() && releases.back().time == event.time_ns) ++releases.back().tokens;
        else releases.push_back({event.time_ns, 1});
        break;
      case RunEventKind::Chunk: releases.push_back({event.time_ns, event.value}); break;
      case RunEventKind::Prompted:
        run_.short_prompts |= event.value < record.prompt_tokens;
        record.prompt_tokens = event.value;
        break;
      case RunEventKind::Cached: record.cached_tokens = event.value; break;
      case RunEventKind::Claimed: record.claimed = event.value; break;
      case RunEventKind::Failed: record.failure = static_cast<Reason>(event.value); [[fallthrough]];
      case RunEventKind::Complete:
        record.e = event.time_ns;
        record.ended = true;
        break;
      default: run_.broken = true;
    }
  }

  /// Gives every token its stamp. Where only chunks are known, the claimed number is spread over them.
  void settle(RequestRecord& record, std::vector<Release>& releases) {
    record.chunks = static_cast<std::int64_t>(releases.size());
    const bool counted = std::all_of(releases.begin(), releases.end(), [](const Release& r) { return r.tokens > 0; });
    std::int64_t known = 0;
    for (const Release& release : releases) known += release.tokens;
    if (record.ok() && record.claimed >= 0 && (counted ? record.claimed != known : record.claimed < record.chunks)) {
      record.failure = Reason::UsageMismatch;
    }
    if (!counted) spread(record.claimed, releases);
    for (const Release& release : releases) {
      run_.multi_token_chunks |= release.tokens > 1;
      record.t.insert(record.t.end(), static_cast<std::size_t>(std::clamp<std::int64_t>(release.tokens, 0, 1 << 20)), release.time);
    }
    if (record.ok() && asked_ > 0 && record.t.empty()) record.failure = Reason::NoTokens;
    if (record.ok() && asked_ > 0 && record.n() != asked_) record.failure = Reason::LengthMismatch;
  }

  static void spread(std::int64_t claimed, std::vector<Release>& releases) {
    const auto chunks = static_cast<std::int64_t>(releases.size());
    const std::int64_t total = std::max(claimed, chunks);
    for (std::int64_t i = 0; i < chunks; ++i) {
      releases[static_cast<std::size_t>(i)].tokens = total * (i + 1) / chunks - total * i / chunks;
    }
  }

  std::int64_t asked_;
  RunRecord run_;
  std::unordered_map<std::uint32_t, std::size_t> index_;
  std::vector<std::vector<Release>> releases_;
};

}  // namespace

RunRecord fold_run(std::span<const RunEvent> events, std::int64_t tokens) {
  Folder folder(tokens);
  for (const RunEvent& event : events) folder.add(event);
  return folder.finish();
}

}  // namespace naru::bench
