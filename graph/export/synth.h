// Models of known shapes with random weights: as fast and as large as the real ones, and without sense.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "graph/export/progress.h"
#include "graph/export/weight_mix.h"

namespace naru {

/// A dense transformer with gated feed-forward layers and grouped queries.
struct ModelShape {
  std::string name;
  std::string architecture;  ///< in GGUF: "llama" or "exaone"
  std::int64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_size = 0, feed_forward = 0;
  std::int64_t vocab = 0, context = 0;
  double rope_theta = 500000;
  bool tied = false;  ///< the embedding serves as output
};

/// The shapes of published models, and small ones of the same build.
std::span<const ModelShape> known_shapes();
/// A known shape, or the one that a Hugging Face config.json describes.
/// @throws Error InvalidArgument listing the names, InvalidModel or Unsupported for a config file.
ModelShape find_shape(const std::string& name_or_config);

/// Parameters of the model.
std::int64_t parameter_count(const ModelShape& shape);

/// Writes a GGUF file with a byte-level tokenizer, weights as `mix` says. The same seed gives the same
/// bytes. Needs little memory whatever the shape. @throws Error Io.
void synthesise(const ModelShape& shape, const WeightMix& mix, std::uint64_t seed,
                const std::filesystem::path& to, const WriteProgress& progress);

}  // namespace naru
