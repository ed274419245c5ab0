// States become inputs and outputs that the runner feeds back.
#include "tests/llm/step_runner.h"

#include <algorithm>
#include <numeric>

namespace naru::testing {
namespace {

Tensor ints(std::vector<std::int32_t> values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return Tensor::from<std::int32_t>({size}, values);
}

}  // namespace

StepRunner::StepRunner(Graph graph, std::int64_t context) : graph_(std::move(graph)) {
  std::int64_t pages = 0;
  for (const State& state : graph_.states) {
    const Type& type = graph_.value(state.input).type;
    const std::int64_t page = (*type.shape)[1].value();
    pages = (context + page - 1) / page;
    Shape shape{pages};
    for (std::size_t axis = 1; axis < type.shape->size(); ++axis)
      shape.push_back((*type.shape)[axis].value());
    Tensor cache(type.dtype, shape);
    std::fill_n(cache.mutable_data(), cache.size_bytes(), std::byte{0});
    caches_.emplace_back(std::move(cache));
    graph_.inputs.push_back(state.input);
    graph_.outputs.push_back(state.output);
  }
  graph_.states.clear();
  // Backwards, so that nothing depends on pages being in order.
  pages_.resize(static_cast<std::size_t>(pages));
  std::iota(pages_.rbegin(), pages_.rend(), 0);
}

Tensor StepRunner::step(std::span<const std::int32_t> tokens) {
  std::vector<std::int32_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  return run(tokens, std::move(rows));
}

Tensor StepRunner::step_last(std::span<const std::int32_t> tokens) {
  return run(tokens, {static_cast<std::int32_t>(tokens.size()) - 1});
}

Tensor StepRunner::run(std::span<const std::int32_t> tokens, std::vector<std::int32_t> rows) {
  const auto count = static_cast<std::int32_t>(tokens.size());
  std::vector<std::int32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), length_);
  length_ += count;
  std::vector<Datum> inputs{ints({tokens.begin(), tokens.end()}),
                            ints(std::move(positions)),
                            ints({0, count}),
                            ints({length_}),
                            ints(pages_).reshaped({1, static_cast<std::int64_t>(pages_.size())}),
                            ints(std::move(rows))};
  inputs.insert(inputs.end(), caches_.begin(), caches_.end());
  std::vector<Datum> outputs = evaluate(graph_, inputs);
  std::move(outputs.begin() + 1, outputs.end(), caches_.begin());
  return outputs.front().tensor;
}

}  // namespace naru::testing
