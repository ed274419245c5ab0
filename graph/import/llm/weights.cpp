// Names of weights: from naru's to the file's.
#include "graph/import/llm/weights.h"

#include <cstring>

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
  return find_by_name(file_name(own, layer, part));
}

std::optional<Tensor> Weights::find_by_name(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return std::nullopt;
  taken_[found->first] = true;
  return found->second;
}

std::optional<Tensor> Weights::find_experts(std::string_view own, std::int64_t layer, std::int64_t count,
                                            std::string_view part) {
  constexpr std::string_view kExpert = "{expert}";
  const std::string name = file_name(own, layer, part);
  const std::size_t at = name.find(kExpert);
  if (at == std::string::npos) return find_by_name(name);
  Tensor all;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string one_name = std::string(name).replace(at, kExpert.size(), std::to_string(i));
    const std::optional<Tensor> one = find_by_name(one_name);
    if (!one && i == 0) return std::nullopt;
    if (!one) fail(ErrorCode::InvalidModel, "tensor {}: is missing", quote_name(one_name));
    if (i == 0) {
      std::vector<std::int64_t> dims = one->shape().dims();
      dims.insert(dims.begin(), count);
      all = Tensor(one->dtype(), Shape(std::move(dims)));
    }
    if (one->dtype() != all.dtype() || one->size_bytes() * count != all.size_bytes()) {
      fail(ErrorCode::InvalidModel, "tensor {}: got {}, expected it as that of expert 0", quote_name(one_name), to_string(*one));
    }
    std::memcpy(all.mutable_data() + i * one->size_bytes(), one->data(), static_cast<std::size_t>(one->size_bytes()));
  }
  return all;
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
