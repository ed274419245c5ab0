// Finds batches by trying: the reference says whether the samples are independent.
#include "tests/differential/batch.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "graph/evaluate.h"
#include "graph/infer.h"
#include "naru/error.h"
#include "tests/differential/oracle.h"

namespace naru::fuzz {
namespace {

constexpr std::int64_t kMaxSamples = 8;

std::int64_t first_dim(const Datum& value) {
  return value.is_tensor() && value.tensor.defined() && value.tensor.rank() > 0 ? value.tensor.shape()[0] : 0;
}

/// The most frequent first dimension that can be a batch; 0 when there is none.
std::int64_t likely_batch(std::span<const Datum> inputs) {
  std::map<std::int64_t, int> counts;
  for (const Datum& input : inputs) {
    const std::int64_t dim = first_dim(input);
    if (dim >= 2 && dim <= kMaxSamples && element_bits(input.tensor.dtype()) >= 8) ++counts[dim];
  }
  const auto most = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? 0 : most->first;
}

Shape with_first(const Tensor& tensor, std::int64_t dim) {
  std::vector<std::int64_t> dims = tensor.shape().dims();
  dims[0] = dim;
  return Shape(std::move(dims));
}

Tensor sample_of(const Tensor& batch, std::int64_t index) {
  Tensor sample(batch.dtype(), with_first(batch, 1));
  if (batch.dtype() == DType::String) {
    const auto texts = batch.strings().subspan(static_cast<std::size_t>(index * sample.numel()), static_cast<std::size_t>(sample.numel()));
    std::copy(texts.begin(), texts.end(), sample.mutable_strings().begin());
  } else if (sample.size_bytes() > 0) {
    std::memcpy(sample.mutable_data(), batch.data() + index * sample.size_bytes(), static_cast<std::size_t>(sample.size_bytes()));
  }
  return sample;
}

/// The batch of samples that are alike; nothing when they cannot be put together.
std::optional<Tensor> joined(const std::vector<std::vector<Datum>>& results, std::size_t output) {
  const Datum& first = results[0][output];
  if (first_dim(first) != 1 || element_bits(first.tensor.dtype()) < 8 || first.tensor.dtype() == DType::String) return std::nullopt;
  Tensor batch(first.tensor.dtype(), with_first(first.tensor, static_cast<std::int64_t>(results.size())));
  std::byte* at = batch.mutable_data();
  for (const auto& outputs : results) {
    const Tensor& sample = outputs[output].tensor;
    if (!outputs[output].is_tensor() || sample.shape() != first.tensor.shape() || sample.dtype() != first.tensor.dtype()) return std::nullopt;
    at = std::copy_n(sample.data(), sample.size_bytes(), at);
  }
  return batch;
}

bool equal(const Datum& got, const Datum& expected) {
  if (!expected.is_tensor()) return false;
  const Expected exact{expected, std::vector<double>(static_cast<std::size_t>(expected.tensor.numel()), 0.0)};
  return !mismatch(std::span(&got, 1), std::span(&exact, 1), Match::Exact);
}

/// Bodies state shapes of the whole batch, which a loop without iterations never uses.
bool has_body(const Node& node) {
  bool found = false;
  for_each_subgraph(node, [&](const std::string&, const Graph&) { found = true; });
  return found;
}

/// The graph with inputs of one sample; nothing when the graph needs the batch's size.
std::optional<Graph> single_graph(const RandomCase& test, std::span<const Datum> sample) {
  Graph graph = test.graph;
  for (std::size_t i = 0; i < sample.size(); ++i) graph.value(graph.inputs[i]).type = Type::of(sample[i]);
  try {
    infer_types(graph);
    return graph;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::InvalidModel) throw;
    return std::nullopt;
  }
}

/// By output, whether it is the same for all samples; nothing when one is neither that nor a batch.
std::optional<std::vector<bool>> shared_outputs(const std::vector<Datum>& whole, const std::vector<std::vector<Datum>>& results) {
  std::vector<bool> shared(whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::optional<Tensor> batch = joined(results, i);
    if (batch && equal(Datum(*batch), whole[i])) continue;
    if (!std::all_of(results.begin(), results.end(), [&](const auto& outputs) { return equal(outputs[i], whole[i]); })) return std::nullopt;
    shared[i] = true;
  }
  return shared;
}

}  // namespace

std::vector<Datum> Batch::run(const RunGraph& run) const {
  std::vector<std::vector<Datum>> results;
  for (const auto& sample : samples_) results.push_back(run(single_, sample));
  std::vector<Datum> outputs;
  for (std::size_t i = 0; i < shared_.size(); ++i) {
    const std::optional<Tensor> batch = shared_[i] ? std::nullopt : joined(results, i);
    outputs.push_back(batch ? Datum(*batch) : results.back()[i]);
  }
  return outputs;
}

std::optional<Batch> find_batch(const RandomCase& test) {
  const std::int64_t size = likely_batch(test.inputs);
  const auto& nodes = test.graph.nodes;
  if (size == 0 || std::any_of(nodes.begin(), nodes.end(), has_body)) return std::nullopt;
  std::vector<std::vector<Datum>> samples(static_cast<std::size_t>(size), test.inputs);
  for (std::int64_t s = 0; s < size; ++s) {
    for (Datum& input : samples[static_cast<std::size_t>(s)]) {
      if (first_dim(input) == size && element_bits(input.tensor.dtype()) >= 8) input = sample_of(input.tensor, s);
    }
  }
  std::optional<Graph> single = single_graph(test, samples[0]);
  if (!single) return std::nullopt;
  std::vector<std::vector<Datum>> results;
  try {
    for (const auto& sample : samples) results.push_back(evaluate(*single, sample));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) throw;
    return std::nullopt;  // an index beyond one sample, say
  }
  const auto shared = shared_outputs(evaluate(test.graph, test.inputs), results);
  if (!shared || std::all_of(shared->begin(), shared->end(), [](bool all) { return all; })) return std::nullopt;
  return Batch(std::move(*single), std::move(samples), *shared);
}

}  // namespace naru::fuzz
