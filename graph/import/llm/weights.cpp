// Names of weights: from naru's to the file's.
#include "graph/import/llm/weights.h"

#include <algorithm>

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru::llm {
namespace {

/// Equal tensors as one with a further first dimension.
Tensor stacked(const std::vector<Tensor>& parts) {
  std::vector<std::int64_t> dims = parts.front().shape().dims();
  dims.insert(dims.begin(), static_cast<std::int64_t>(parts.size()));
  Tensor all(parts.front().dtype(), Shape(std::move(dims)));
  std::byte* at = all.mutable_data();
  for (const Tensor& part : parts) at = std::copy_n(part.data(), part.size_bytes(), at);
  return all;
}

}  // namespace

Weights::Weights(TensorMap tensors, std::vector<WeightName> names) : tensors_(std::move(tensors)) {
  for (const WeightName& name : names) names_[name.own] = name.file;
}

std::string Weights::file_name(std::string_view own, std::int64_t layer,
                               std::string_view part) const {
  const auto found = names_.find(own);
  if (found == names_.end() || found->second.empty()) return {};
  std::string name(found->second);
  if (const std::size_t at = name.find("{}"); at != std::string::npos)
    name.replace(at, 2, std::to_string(layer));
  return part.empty() ? name : name + "." + std::string(part);
}

std::optional<Tensor> Weights::find(std::string_view own, std::int64_t layer,
                                    std::string_view part) {
  return find_by_name(file_name(own, layer, part));
}

std::optional<Tensor> Weights::find_by_name(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return std::nullopt;
  if (!is_float(found->second.dtype()) && !is_block(found->second.dtype())) {
    fail(ErrorCode::InvalidModel, "tensor {}: got {}, expected a float or block format",
         quote_name(name), to_string(found->second));
  }
  taken_[found->first] = true;
  return found->second;
}

std::optional<Tensor> Weights::find_experts(std::string_view own, std::int64_t layer,
                                            std::int64_t count, std::string_view part) {
  constexpr std::string_view kExpert = "{expert}";
  const std::string name = file_name(own, layer, part);
  const std::size_t at = name.find(kExpert);
  if (at == std::string::npos) return find_by_name(name);
  std::vector<Tensor> parts;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string one_name = std::string(name).replace(at, kExpert.size(), std::to_string(i));
    std::optional<Tensor> one = find_by_name(one_name);
    if (!one && i == 0) return std::nullopt;
    if (!one) fail(ErrorCode::InvalidModel, "tensor {}: is missing", quote_name(one_name));
    const Tensor& first = i == 0 ? *one : parts.front();
    if (one->dtype() != first.dtype() || one->shape() != first.shape()) {
      fail(ErrorCode::InvalidModel, "tensor {}: got {}, expected it as that of expert 0",
           quote_name(one_name), to_string(*one));
    }
    parts.push_back(std::move(*one));
  }
  return stacked(parts);
}

std::vector<LowRank> Weights::low_ranks(std::string_view own, std::int64_t layer) {
  std::vector<LowRank> found;
  const std::string name = file_name(own, layer, "weight");
  for (Adapter& adapter : adapters_) {
    if (auto taken = adapter.extract(name)) found.push_back(std::move(taken.mapped()));
  }
  return found;
}

Tensor Weights::take(std::string_view own, std::int64_t layer, std::string_view part) {
  if (std::optional<Tensor> found = find(own, layer, part)) return std::move(*found);
  fail(ErrorCode::InvalidModel, "tensor {}: is missing", quote_name(file_name(own, layer, part)));
}

void Weights::expect_all_taken() const {
  for (const Adapter& adapter : adapters_) {
    if (adapter.empty()) continue;
    fail(ErrorCode::Unsupported, "adapter of {}: the model has no matrix of that name that naru adapts",
         quote_name(adapter.begin()->first));
  }
  for (const auto& [name, tensor] : tensors_) {
    if (!taken_.contains(name)) {
      fail(ErrorCode::Unsupported, "tensor {}: is no part of what naru knows of this architecture",
           quote_name(name));
    }
  }
}

}  // namespace naru::llm
