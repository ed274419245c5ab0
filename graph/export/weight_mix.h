// Which element type each tensor of a language model gets in a file of a given kind.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "naru/shape.h"

#include "naru/dtype.h"

namespace naru {

/// A kind of file: one type for most matrices, others for those that suffer most from rounding.
struct WeightMix {
  std::string_view name;        ///< as users say it, for example "q4_k_m"
  std::uint32_t file_type = 0;  ///< GGUF's general.file_type
  DType base;
  DType sensitive;  ///< for some layers' values and the way back from the feed-forward layer
  DType head;       ///< for the output, and for the embedding that serves as output
};

std::span<const WeightMix> weight_mixes();
/// By name, in any case. @throws Error InvalidArgument listing those that there are.
const WeightMix& find_weight_mix(std::string_view name);

/// What a type gives way to where rows are not made of whole blocks.
DType fitting_type(DType dtype, std::int64_t row);

/// The type of a tensor by its name in GGUF ("blk.3.attn_v.weight"); nothing: leave it as it is.
std::optional<DType> mixed_type(const WeightMix& mix, std::string_view name, const Shape& shape,
                                std::int64_t layers, bool tied);

}  // namespace naru
