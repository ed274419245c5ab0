// Names of weights: from naru's to the file's.
#include "graph/import/llm/weights.h"

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru::llm {

Weights::Weights(TensorMap tensors, std::vector<WeightName> names) : tensors_(std::move(tensors)) {
  for (const WeightName& name : names) names_[name.own] = name.file;
}

std::string Weights::file_name(std::string_view own, std::int64_t layer, std::string_view part) const {
  const auto found = names_.find(own);
  if (found == names_.end() || found->second.empty()) return {};
  std::string name(found->second);
  if (const std::size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(layer));
  return part.empty() ? name : name + "." + std::string(part);
}

std::optional<Tensor> Weights::find(std::string_view own, std::int64_t layer, std::string_view part) {
  const auto found = tensors_.find(file_name(own, layer, part));
  if (found == tensors_.end()) return std::nullopt;
  taken_[found->first] = true;
  return found->second;
}

Tensor Weights::take(std::string_view own, std::int64_t layer, std::string_view part) {
  if (std::optional<Tensor> found = find(own, layer, part)) return std::move(*found);
  fail(ErrorCode::InvalidModel, "tensor {}: is missing", quote_name(file_name(own, layer, part)));
}

void Weights::expect_all_taken() const {
  for (const auto& [name, tensor] : tensors_) {
    if (!taken_.contains(name)) {
      fail(ErrorCode::Unsupported, "tensor {}: is no part of what naru knows of this architecture", quote_name(name));
    }
  }
}

}  // namespace naru::llm
