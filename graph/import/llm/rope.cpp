// The known ways to stretch rotary embeddings over more positions than were trained.
#include "graph/import/llm/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru::llm {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

struct Scaling {
  const Parameters& parameters;
  const RopeUse& use;
  double factor = 1;
  double context = 0;  ///< positions trained
  double theta = 0;
};

/// Every frequency divided by the factor.
void scale_linear(const Scaling& scaling, Rope& rope) {
  for (float& f : rope.inverse_frequencies)
    f = static_cast<float>(static_cast<double>(f) / scaling.factor);
}

/// Llama 3: long waves are stretched, short ones kept, those between blended.
void scale_llama3(const Scaling& scaling, Rope& rope) {
  const double low = scaling.parameters.number("rope_low", 1),
               high = scaling.parameters.number("rope_high", 4);
  for (float& f : rope.inverse_frequencies) {
    const double frequency = static_cast<double>(f);
    const double turns = scaling.context * frequency / kTurn;
    const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    f = static_cast<float>((1 - kept) * frequency / scaling.factor + kept * frequency);
  }
}

/// YaRN: a ramp over the pairs between two numbers of turns within the trained positions.
void scale_yarn(const Scaling& scaling, Rope& rope) {
  const double dims = 2.0 * static_cast<double>(rope.inverse_frequencies.size());
  const auto pair_of = [&](double turns) {
    return dims * std::log(scaling.context / (turns * kTurn)) / (2 * std::log(scaling.theta));
  };
  double first = pair_of(scaling.parameters.number("rope_beta_fast", 32));
  double last = pair_of(scaling.parameters.number("rope_beta_slow", 1));
  if (scaling.parameters.number("rope_truncate", scaling.use.yarn_truncates ? 1 : 0) != 0) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, dims - 1);
  if (first == last) last += 0.001;
  for (std::size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
    const double stretched =
        std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
    const double frequency = static_cast<double>(rope.inverse_frequencies[i]);
    rope.inverse_frequencies[i] =
        static_cast<float>(frequency / scaling.factor * stretched + frequency * (1 - stretched));
  }
  // llama.cpp's attn_factor multiplies the usual magnitude, config.json's replaces it.
  const double usual = scaling.factor > 1 ? 0.1 * std::log(scaling.factor) + 1 : 1.0;
  const auto stated = scaling.parameters.number("rope_magnitude");
  rope.magnitude = static_cast<float>(scaling.parameters.is_gguf() ? usual * stated.value_or(1)
                                                                   : stated.value_or(usual));
}

/// Phi-3: a divisor per pair, one list for the trained context and one for more.
void scale_long(const Scaling& scaling, Rope& rope) {
  const bool stretched = static_cast<double>(scaling.use.context) > scaling.context;
  if (const auto divisors = scaling.parameters.list(stretched ? "rope_long" : "rope_short")) {
    if (divisors->size() != rope.inverse_frequencies.size()) {
      fail(ErrorCode::InvalidModel, "rope factors: got {}, expected {}", divisors->size(),
           rope.inverse_frequencies.size());
    }
    for (std::size_t i = 0; i < divisors->size(); ++i) {
      rope.inverse_frequencies[i] =
          static_cast<float>(static_cast<double>(rope.inverse_frequencies[i]) / (*divisors)[i]);
    }
  }
  const double ratio = scaling.parameters.number("context", scaling.context) / scaling.context;
  const double usual = ratio > 1 ? std::sqrt(1 + std::log(ratio) / std::log(scaling.context)) : 1.0;
  rope.magnitude = static_cast<float>(scaling.parameters.number("rope_magnitude", usual));
}

void keep(const Scaling&, Rope&) {}

struct Kind {
  std::string_view name;
  void (*apply)(const Scaling&, Rope&);
  bool needs_context;
};
constexpr Kind kKinds[] = {
    {"none", keep, false},          {"default", keep, false},   {"linear", scale_linear, false},
    {"llama3", scale_llama3, true}, {"yarn", scale_yarn, true}, {"longrope", scale_long, true},
};

}  // namespace

Rope plain_rope(double theta, std::int64_t dims) {
  if (!(theta > 0) || dims < 2 || dims % 2 != 0) {
    fail(ErrorCode::InvalidModel,
         "rotary embedding: got base {} over {} elements, expected a positive one over an even "
         "number",
         theta, dims);
  }
  Rope rope;
  for (std::int64_t i = 0; i < dims / 2; ++i) {
    // In f32 as the models were trained.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dims);
    rope.inverse_frequencies.push_back(1.0f / std::pow(static_cast<float>(theta), exponent));
  }
  return rope;
}

Rope make_rope(const Parameters& parameters, const RopeUse& use) {
  const auto part = static_cast<std::int64_t>(static_cast<double>(use.head_size) *
                                              parameters.number("rope_part", 1));
  const std::int64_t dims = parameters.integer("rope_dims", 2, use.head_size, part);
  const double theta = parameters.number("rope_theta", 10000);
  Rope rope = plain_rope(theta, dims);
  const std::vector<float>& divisors = use.divisors;
  if (!divisors.empty()) {
    if (divisors.size() != rope.inverse_frequencies.size()) {
      fail(ErrorCode::InvalidModel, "rope factors: got {}, expected {}", divisors.size(),
           rope.inverse_frequencies.size());
    }
    for (std::size_t i = 0; i < divisors.size(); ++i) rope.inverse_frequencies[i] /= divisors[i];
  }
  const std::string name = parameters.text("rope_kind").value_or("none");
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& k) { return k.name == name; });
  if (kind == std::end(kKinds))
    fail(ErrorCode::Unsupported, "rotary embedding: got scaling {}, which naru does not know",
         quote_name(name));
  const Scaling scaling{parameters, use, parameters.number("rope_factor", 1),
                        parameters.number("rope_context", parameters.number("context", 0)), theta};
  if (!(scaling.factor > 0) || (kind->needs_context && !(scaling.context > 1))) {
    fail(ErrorCode::InvalidModel,
         "rotary embedding: got factor {} over {} trained positions, expected positive ones",
         scaling.factor, scaling.context);
  }
  kind->apply(scaling, rope);
  return rope;
}

}  // namespace naru::llm
