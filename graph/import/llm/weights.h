// The tensors of a model by naru's names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "naru/tensor.h"

#include "graph/import/llm/adapter.h"

namespace naru::llm {

/// Tensors by the names that the file gives them.
using TensorMap = std::unordered_map<std::string, Tensor>;

/// What a file calls a weight: "{}" stands for the number of the layer, "{expert}" for that of the
/// expert where each has a tensor of its own.
struct WeightName {
  std::string_view own;
  std::string_view file;
};

/// Finds weights by own names such as "q" and parts such as "weight" and "bias", and remembers
/// which were taken.
class Weights {
 public:
  /// The last of `names` that has an own name decides, so that an architecture's names, which
  /// follow the common ones, replace them.
  Weights(TensorMap tensors, std::vector<WeightName> names);

  static constexpr std::int64_t kNoLayer = -1;
  /// @throws Error InvalidModel for a tensor of integers.
  std::optional<Tensor> find(std::string_view own, std::int64_t layer = kNoLayer,
                             std::string_view part = "weight");
  /// @throws Error InvalidModel when there is none.
  Tensor take(std::string_view own, std::int64_t layer = kNoLayer,
              std::string_view part = "weight");
  /// The weights of `count` experts as one tensor, a copy where they are apart.
  std::optional<Tensor> find_experts(std::string_view own, std::int64_t layer, std::int64_t count,
                                     std::string_view part = "weight");

  void add(Adapter adapter) { adapters_.push_back(std::move(adapter)); }
  /// What adapters add to a matrix.
  std::vector<LowRank> low_ranks(std::string_view own, std::int64_t layer);

  /// @throws Error InvalidModel naming a tensor that was not taken: a model that has more than naru
  /// builds would give wrong answers.
  void expect_all_taken() const;

 private:
  std::string file_name(std::string_view own, std::int64_t layer, std::string_view part) const;
  std::optional<Tensor> find_by_name(const std::string& name);

  TensorMap tensors_;
  std::vector<Adapter> adapters_;
  std::unordered_map<std::string_view, std::string_view> names_;
  std::unordered_map<std::string, bool> taken_;
};

}  // namespace naru::llm
