// Sampling from logits with partial selection: what is not chosen from is never sorted.
#include "naru/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/fail.h"

namespace naru {
namespace {

struct Candidate {
  double logit;
  TokenId id;
};

/// The most likely first; of equals, the lowest id.
bool more_likely(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

using Candidates = std::vector<Candidate>;

/// Sorts candidates by `before` from the first on, in growing parts, and stops once
/// `enough(candidate)` says that this one is the last that is wanted; the others are dropped.
template <typename Before, typename Enough>
void keep_first(Candidates& candidates, Before&& before, Enough&& enough) {
  std::size_t done = 0;
  for (std::size_t part = 64; done < candidates.size(); part *= 4) {
    const std::size_t end = std::min(done + part, candidates.size());
    const auto begin = candidates.begin() + static_cast<std::ptrdiff_t>(done);
    const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(end);
    if (middle != candidates.end()) std::nth_element(begin, middle, candidates.end(), before);
    std::sort(begin, middle, before);
    for (; done < end; ++done) {
      if (!enough(candidates[done])) continue;
      candidates.resize(done + 1);
      return;
    }
  }
}

/// log(sum(exp(logit))).
double log_sum(const Candidates& candidates) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates) largest = std::max(largest, candidate.logit);
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += std::exp(candidate.logit - largest);
  return largest + std::log(sum);
}

void apply_temperature(Candidates& candidates, double temperature) {
  for (Candidate& candidate : candidates) candidate.logit /= temperature;
}

void apply_top_k(Candidates& candidates, std::int64_t k) {
  if (k == 0 || k >= static_cast<std::int64_t>(candidates.size())) return;
  std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), more_likely);
  candidates.resize(static_cast<std::size_t>(k));
}

void apply_top_p(Candidates& candidates, double p) {
  if (p >= 1) return;
  const double total = log_sum(candidates);
  double sum = 0;
  keep_first(candidates, more_likely, [&](const Candidate& candidate) {
    return (sum += std::exp(candidate.logit - total)) >= p;
  });
}

void apply_min_p(Candidates& candidates, double p) {
  if (p <= 0) return;
  const double least =
      std::max_element(candidates.begin(), candidates.end(),
                       [](const auto& a, const auto& b) { return a.logit < b.logit; })
          ->logit +
      std::log(p);
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.logit < least; });
}

/// Meister et al., "Locally Typical Sampling": nearest to the entropy first.
void apply_typical(Candidates& candidates, double p) {
  if (p >= 1) return;
  const double total = log_sum(candidates);
  double entropy = 0;
  for (const Candidate& candidate : candidates) {
    const double log_p = candidate.logit - total;
    entropy -= std::exp(log_p) * log_p;
  }
  const auto distance = [&](const Candidate& candidate) {
    return std::abs(total - candidate.logit - entropy);
  };
  const auto nearer = [&](const Candidate& a, const Candidate& b) {
    const double x = distance(a), y = distance(b);
    return x != y ? x < y : more_likely(a, b);
  };
  double sum = 0;
  keep_first(candidates, nearer, [&](const Candidate& candidate) {
    return (sum += std::exp(candidate.logit - total)) >= p;
  });
}

void check_logits(std::span<const float> logits, std::int64_t vocab_size) {
  if (static_cast<std::int64_t>(logits.size()) != vocab_size) {
    fail(ErrorCode::InvalidArgument, "logits: got {}, expected {}", logits.size(), vocab_size);
  }
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= std::numeric_limits<float>::max())
      continue;  // minus infinity is no chance at all
    fail(ErrorCode::InvalidArgument, "logits: got {} for token {}, expected a number", logits[i],
         i);
  }
}

struct Range {
  const char* name;
  double value, low, high;
  bool low_excluded = false;
};

}  // namespace

void check(const SamplingParameters& parameters, std::int64_t vocab_size) {
  constexpr double kHuge = 9.0e15;
  const Range ranges[] = {
      {"temperature", parameters.temperature, 0, 100},
      {"top_k", static_cast<double>(parameters.top_k), 0, kHuge},
      {"top_p", parameters.top_p, 0, 1, true},
      {"min_p", parameters.min_p, 0, 1},
      {"typical_p", parameters.typical_p, 0, 1, true},
      {"repetition_penalty", parameters.repetition_penalty, 0, 100, true},
      {"presence_penalty", parameters.presence_penalty, -100, 100},
      {"frequency_penalty", parameters.frequency_penalty, -100, 100},
      {"penalty_window", static_cast<double>(parameters.penalty_window), 0, kHuge},
      {"log_probabilities", static_cast<double>(parameters.log_probabilities), 0, 1024},
      {"logit_bias entries", static_cast<double>(parameters.logit_bias.size()), 0, 65536},
  };
  const auto check_range = [](const Range& range) {
    const bool inside = range.value >= range.low && range.value <= range.high &&
                        !(range.low_excluded && range.value == range.low);
    if (!inside) {
      fail(ErrorCode::InvalidArgument, "{}: got {}, expected {} {} to {}", range.name, range.value,
           range.low_excluded ? "over" : "from", range.low, range.high);
    }
  };
  for (const Range& range : ranges) check_range(range);
  for (const auto& [id, bias] : parameters.logit_bias) {
    check_range({"logit_bias", bias, -1000, 1000});
    check_range(
        {"logit_bias token", static_cast<double>(id), 0, static_cast<double>(vocab_size - 1)});
  }
}

RandomSource::RandomSource(std::uint64_t seed) noexcept : state_{} {
  for (std::uint64_t& word : state_) {
    seed += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = seed;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    word = z ^ z >> 31;
  }
}

std::uint64_t RandomSource::next() noexcept {
  const auto rotated = [](std::uint64_t x, int bits) { return x << bits | x >> (64 - bits); };
  auto& s = state_;
  const std::uint64_t result = rotated(s[1] * 5, 7) * 9;
  const std::uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotated(s[3], 45);
  return result;
}

Sampler::Sampler(SamplingParameters parameters, std::int64_t vocab_size)
    : parameters_(std::move(parameters)), vocab_size_(vocab_size), random_(parameters_.seed) {
  check(parameters_, vocab_size);
}

void Sampler::accept(TokenId id) {
  if (id < 0 || id >= vocab_size_)
    fail(ErrorCode::InvalidArgument, "token: got id {}, expected 0 to {}", id, vocab_size_ - 1);
  ++counts_[id];
  const std::int64_t window = parameters_.penalty_window;
  if (window == 0) return;
  history_.push_back(id);
  if (static_cast<std::int64_t>(history_.size()) <= window) return;
  // The token that leaves the window; the list is cut once in a while.
  const TokenId left = history_[history_.size() - static_cast<std::size_t>(window) - 1];
  if (--counts_[left] == 0) counts_.erase(left);
  if (history_.size() > 2 * static_cast<std::size_t>(window) + 1024)
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(window));
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits,
                                                    const TokenMask* mask) const {
  check_logits(logits, vocab_size_);
  std::vector<double> values(logits.begin(), logits.end());
  for (const auto& [id, bias] : parameters_.logit_bias)
    values[static_cast<std::size_t>(id)] += bias;
  for (const auto& [id, count] : counts_) {
    double& value = values[static_cast<std::size_t>(id)];
    value =
        value > 0 ? value / parameters_.repetition_penalty : value * parameters_.repetition_penalty;
    value -=
        parameters_.presence_penalty + parameters_.frequency_penalty * static_cast<double>(count);
  }
  Candidates candidates;
  candidates.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (values[i] == -std::numeric_limits<double>::infinity() ||
        (mask != nullptr && !mask->allows(id)))
      continue;
    candidates.push_back({values[i], id});
  }
  if (candidates.empty()) fail(ErrorCode::InvalidArgument, "sampling: no token may be chosen");
  if (parameters_.temperature == 0) {
    return {{std::min_element(candidates.begin(), candidates.end(), more_likely)->id, 1.0}};
  }
  apply_temperature(candidates, parameters_.temperature);
  apply_top_k(candidates, parameters_.top_k);
  apply_top_p(candidates, parameters_.top_p);
  apply_min_p(candidates, parameters_.min_p);
  apply_typical(candidates, parameters_.typical_p);
  const double total = log_sum(candidates);
  std::vector<TokenProbability> result;
  result.reserve(candidates.size());
  // The whole vocabulary needs no order to draw from; what was cut down is put into order.
  if (candidates.size() < values.size())
    std::sort(candidates.begin(), candidates.end(), more_likely);
  for (const Candidate& candidate : candidates)
    result.push_back({candidate.id, std::exp(candidate.logit - total)});
  return result;
}

SampledToken Sampler::sample(std::span<const float> logits, const TokenMask* mask) {
  const std::vector<TokenProbability> choices = distribution(logits, mask);
  SampledToken token;
  token.id = choices.back().id;  // rounding may leave the sum below the number drawn
  double left = choices.size() > 1 ? random_.uniform() : 0;
  for (const TokenProbability& choice : choices) {
    left -= choice.probability;
    if (left >= 0) continue;
    token.id = choice.id;
    break;
  }
  if (parameters_.log_probabilities == 0) return token;
  Candidates all;
  for (std::size_t i = 0; i < logits.size(); ++i)
    all.push_back({logits[i], static_cast<TokenId>(i)});
  const double total = log_sum(all);
  token.log_probability = static_cast<float>(logits[static_cast<std::size_t>(token.id)] - total);
  apply_top_k(all, parameters_.log_probabilities);
  std::sort(all.begin(), all.end(), more_likely);
  for (const Candidate& candidate : all)
    token.top.push_back({candidate.id, static_cast<float>(candidate.logit - total)});
  return token;
}

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  constexpr std::size_t kMaxStops = 64, kMaxBytes = 4096;
  if (stops_.size() > kMaxStops)
    fail(ErrorCode::InvalidArgument, "stop strings: got {}, expected at most {}", stops_.size(),
         kMaxStops);
  for (const std::string& stop : stops_) {
    if (stop.empty() || stop.size() > kMaxBytes)
      fail(ErrorCode::InvalidArgument, "stop string: got {} bytes, expected 1 to {}", stop.size(),
           kMaxBytes);
  }
}

std::string StopStrings::push(std::string_view text) {
  if (stopped()) return {};
  pending_ += text;
  std::size_t first = std::string::npos;
  for (std::size_t i = 0; i < stops_.size(); ++i) {
    const std::size_t at = pending_.find(stops_[i]);
    if (at >= first) continue;
    first = at;
    found_ = static_cast<std::int64_t>(i);
  }
  std::size_t kept = first == std::string::npos ? 0 : pending_.size() - first;
  if (!stopped()) {
    // The longest end that is the beginning of a stop string waits.
    for (const std::string& stop : stops_) {
      for (std::size_t size = std::min(stop.size() - 1, pending_.size()); size > kept; --size) {
        if (pending_.compare(pending_.size() - size, size, stop, 0, size) == 0) kept = size;
      }
    }
  }
  std::string ready = pending_.substr(0, pending_.size() - kept);
  pending_.erase(0, ready.size());
  if (stopped()) pending_.clear();
  return ready;
}

std::string StopStrings::finish() { return std::exchange(pending_, {}); }

}  // namespace naru
