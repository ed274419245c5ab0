// Sampler: chooses the next token from logits. StopStrings: ends a text where one of them appears.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "naru/token_mask.h"
#include "naru/tokenizer.h"

namespace naru {

/// How to choose. The steps are taken in this order: mask, logit bias, penalties, temperature,
/// top-k, top-p, min-p, typical, each on what the one before has left.
struct SamplingParameters {
  double temperature = 1.0;  ///< 0 to 100; 0: the most likely token, always
  std::int64_t top_k = 0;    ///< the k most likely; 0: all
  double top_p = 1.0;        ///< over 0, to 1: the most likely that together have this probability
  double min_p = 0.0;        ///< 0 to 1: at least this share of the most likely token's probability
  double typical_p = 1.0;    ///< over 0, to 1: those whose surprise is nearest the expected one
  double repetition_penalty = 1.0;  ///< over 0, to 100: divides (multiplies) logits over (under) 0
  double presence_penalty = 0.0;    ///< -100 to 100: taken from each token that came before
  double frequency_penalty = 0.0;   ///< -100 to 100: taken from it once for each time it came
  std::int64_t penalty_window = 0;  ///< tokens that penalties look back on; 0: all
  std::vector<std::pair<TokenId, double>> logit_bias = {};  ///< -1000 to 1000 each; at most 65536
  std::uint64_t seed = 0;
  std::int64_t log_probabilities =
      0;  ///< 0 to 1024: the most likely tokens to report with each choice
};

/// @throws Error InvalidArgument that names the parameter, what it is and what it may be.
void check(const SamplingParameters& parameters, std::int64_t vocab_size);

struct TokenProbability {
  TokenId id = -1;
  double probability = 0;
};

struct TokenLogProbability {
  TokenId id = -1;
  float log_probability = 0;
};

/// A choice. Log-probabilities are the model's own: of the logits as they came, without mask,
/// penalties or temperature. They are filled when the parameters ask for any.
struct SampledToken {
  TokenId id = -1;
  float log_probability = 0;
  std::vector<TokenLogProbability> top;  ///< the most likely first
};

/// xoshiro256** of Blackman and Vigna, its state filled by splitmix64 from the seed: the same
/// numbers on every machine.
class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) noexcept;
  std::uint64_t next() noexcept;
  /// The next number's upper 53 bits, over 2^53: from 0, below 1.
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::array<std::uint64_t, 4> state_;
};

/// Chooses tokens of one sequence. Copies go on independently. One thread at a time.
class Sampler {
 public:
  /// @throws Error InvalidArgument for parameters out of range.
  Sampler(SamplingParameters parameters, std::int64_t vocab_size);

  /// Notes a token that came, of the prompt or chosen; penalties look back on these.
  /// @throws Error InvalidArgument for an id out of range.
  void accept(TokenId id);

  /// Chooses from `logits`, one for each token; `mask`, when given, says which may be chosen. The
  /// choice is not accepted: that is up to the caller.
  /// @throws Error InvalidArgument for logits of another number, that are no numbers or infinite,
  /// and when nothing may be chosen.
  SampledToken sample(std::span<const float> logits, const TokenMask* mask = nullptr);

  /// What sample() chooses from: the tokens that are left, the most likely first. With temperature
  /// 0, one token. @throws Error InvalidArgument like sample().
  std::vector<TokenProbability> distribution(std::span<const float> logits,
                                             const TokenMask* mask = nullptr) const;

  const SamplingParameters& parameters() const noexcept { return parameters_; }

 private:
  SamplingParameters parameters_;
  std::int64_t vocab_size_;
  RandomSource random_;
  std::vector<TokenId> history_;
  std::unordered_map<TokenId, std::int64_t> counts_;  ///< of the tokens that penalties look back on
};

/// Ends a text at the first of several strings, even one that lies across tokens. One thread at a
/// time.
class StopStrings {
 public:
  /// At most 64 strings of 1 to 4096 bytes. @throws Error InvalidArgument.
  explicit StopStrings(std::vector<std::string> stops);

  /// Takes in more text; returns what is surely before any stop string. What may be the beginning
  /// of one waits. After the end has come, returns nothing.
  std::string push(std::string_view text);
  /// What waits, at the end of the text.
  std::string finish();
  /// Whether a stop string appeared, and which.
  bool stopped() const noexcept { return found_ >= 0; }
  std::int64_t found() const noexcept { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string pending_;
  std::int64_t found_ = -1;
};

}  // namespace naru
