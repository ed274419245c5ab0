// The kinds of files, named as llama.cpp's tools name them, and who gets more bits in them.
#include "graph/export/weight_mix.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

#include "graph/fail.h"

namespace naru {
namespace {

using enum DType;

constexpr WeightMix kMixes[] = {
    {"f32", 0, F32, F32, F32},
    {"f16", 1, F16, F16, F16},
    {"bf16", 32, BF16, BF16, BF16},
    {"q4_0", 2, Q4_0, Q4_0, Q6_K},
    {"q4_1", 3, Q4_1, Q4_1, Q6_K},
    {"q5_0", 8, Q5_0, Q5_0, Q6_K},
    {"q5_1", 9, Q5_1, Q5_1, Q6_K},
    {"q8_0", 7, Q8_0, Q8_0, Q8_0},
    {"q2_k", 10, Q2_K, Q3_K, Q6_K},
    {"q3_k", 11, Q3_K, Q3_K, Q6_K},
    {"q3_k_m", 12, Q3_K, Q5_K, Q6_K},
    {"q4_k", 14, Q4_K, Q4_K, Q6_K},
    {"q4_k_m", 15, Q4_K, Q6_K, Q6_K},
    {"q5_k", 16, Q5_K, Q5_K, Q6_K},
    {"q5_k_m", 17, Q5_K, Q6_K, Q6_K},
    {"q6_k", 18, Q6_K, Q6_K, Q6_K},
    {"iq4_nl", 25, IQ4_NL, Q5_K, Q6_K},
    {"iq4_xs", 30, IQ4_XS, Q5_K, Q6_K},
    {"mxfp4", 38, MXFP4, MXFP4, Q8_0},
    {"tq1_0", 36, TQ1_0, TQ1_0, Q6_K},
    {"tq2_0", 37, TQ2_0, TQ2_0, Q6_K},
};

/// Types for rows that are whole blocks of 32, not of 256.
constexpr std::pair<DType, DType> kSmaller[] = {
    {Q2_K, Q4_0},     {Q3_K, Q4_0},  {Q4_K, Q5_0},  {Q5_K, Q5_1},
    {Q6_K, Q8_0},     {IQ4_XS, IQ4_NL}, {TQ1_0, Q4_0}, {TQ2_0, Q4_0},
};

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

/// The first and last eighth of the layers and every third between.
bool is_sensitive_layer(std::string_view name, std::int64_t layers) {
  std::int64_t layer = 0;
  if (!name.starts_with("blk.") ||
      std::from_chars(name.data() + 4, name.data() + name.size(), layer).ec != std::errc()) {
    return false;
  }
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

bool has_part(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

/// Matrices that are small or whose rounding does harm everywhere: those of norms, routers, sinks and positions.
bool stays(std::string_view name) {
  for (const std::string_view part : {"norm", "ffn_gate_inp", "rope_", "sinks", "exp_probs"}) {
    if (has_part(name, part)) return true;
  }
  return !name.ends_with(".weight");
}

}  // namespace

std::span<const WeightMix> weight_mixes() { return kMixes; }

const WeightMix& find_weight_mix(std::string_view name) {
  const std::string lower = in_lower_case(name);
  std::string known;
  for (const WeightMix& mix : kMixes) {
    if (mix.name == lower) return mix;
    known += (known.empty() ? "" : ", ") + std::string(mix.name);
  }
  fail(ErrorCode::InvalidArgument, "type of weights: got '{}', expected one of {}", name, known);
}

DType fitting_type(DType dtype, std::int64_t row) {
  if (row % dtype_info(dtype).block_elements == 0) return dtype;
  const auto* smaller = std::ranges::find(kSmaller, dtype, &std::pair<DType, DType>::first);
  return smaller == std::end(kSmaller) ? F16 : fitting_type(smaller->second, row);
}

std::optional<DType> mixed_type(const WeightMix& mix, std::string_view name, const Shape& shape,
                                std::int64_t layers, bool tied) {
  if (shape.rank() < 2 || stays(name)) return std::nullopt;
  const bool head = name == "output.weight" || (tied && name == "token_embd.weight");
  const bool sensitive = (has_part(name, "attn_v.") || has_part(name, "ffn_down")) &&
                         is_sensitive_layer(name, layers);
  const DType wanted = head ? mix.head : sensitive ? mix.sensitive : mix.base;
  return fitting_type(wanted, shape[shape.rank() - 1]);
}

}  // namespace naru
