// unroll_loops: Scans and Loops of few iterations become their bodies, one after another.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "compiler/inline.h"
#include "compiler/pass.h"
#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/ops/loop.h"

namespace naru {
namespace {

/// More nodes than this are not worth the time to compile them.
constexpr std::int64_t kMaxNodes = 1024;

/// The iterations of one node, spliced in their order.
class Iterations {
 public:
  Iterations(Rewriter& rw, const Node& node) : rw_(rw), node_(node), body_(node.attr_graph("body")) {}

  /// A body with loops of its own is unrolled from the inside.
  bool fits(std::int64_t count) const {
    const auto nodes = static_cast<std::int64_t>(body_.nodes.size() + 2 * node_.inputs.size());
    return count > 0 && count <= kMaxNodes / nodes && count_nodes(body_) == body_.nodes.size() && body_.states.empty();
  }

  const Graph& body() const { return body_; }

  /// Runs the body once more and returns its outputs.
  std::vector<ValueId> next(std::vector<ValueId> formals) {
    formals.insert(formals.end(), node_.captures.begin(), node_.captures.end());
    Inliner inliner(rw_.mutable_graph(), body_, formals);
    std::vector<Node> nodes = inliner.nodes(fmt::format("{}/{}", node_.name, count_++));
    std::vector<ValueId> outputs = inliner.outputs();
    rw_.splice(std::move(nodes));
    return outputs;
  }

  ValueId ints(std::int64_t value) { return rw_.add_constant(node_.name, Tensor::from<std::int64_t>({1}, {value})); }

  /// What lies at `step` along an axis, without that axis.
  ValueId slice(ValueId data, std::int64_t axis, std::int64_t step) {
    const ValueId axes = ints(axis);
    return rw_.add("Squeeze", {rw_.add("Slice", {data, ints(step), ints(step + 1), axes}), axes});
  }

  /// Parts side by side along a new axis.
  ValueId stack(std::vector<ValueId> parts, std::int64_t axis, bool reversed) {
    if (reversed) std::reverse(parts.begin(), parts.end());
    const ValueId axes = ints(axis);
    for (ValueId& part : parts) part = rw_.add("Unsqueeze", {part, axes});
    return rw_.add("Concat", std::move(parts), {{"axis", axis}});
  }

 private:
  Rewriter& rw_;
  const Node& node_;
  const Graph& body_;
  int count_ = 0;
};

/// Where the outputs of each iteration are put together.
using Stacks = std::vector<std::vector<ValueId>>;

void collect(const std::vector<ValueId>& results, std::size_t first, Stacks& stacks) {
  for (std::size_t k = 0; k < stacks.size(); ++k) stacks[k].push_back(results[first + k]);
}

bool unroll_scan(Rewriter& rw, const Node& node) {
  const ScanParts parts(node);
  Iterations iterations(rw, node);
  std::vector<std::int64_t> axes;
  for (std::size_t i = 0; i < parts.scan_inputs; ++i) {
    const std::int64_t rank = rank_of(rw.type(node.inputs[parts.states + i]));
    if (rank < 0) return false;
    axes.push_back(parts.input_axes[i] < 0 ? parts.input_axes[i] + rank : parts.input_axes[i]);
  }
  const std::int64_t length = known_dim(rw.type(node.inputs[parts.states]), axes[0]);
  if (!iterations.fits(length)) return false;
  std::vector<ValueId> states(node.inputs.begin(), node.inputs.begin() + static_cast<std::ptrdiff_t>(parts.states));
  Stacks stacks(parts.scan_outputs);
  for (std::int64_t step = 0; step < length; ++step) {
    std::vector<ValueId> formals = states;
    for (std::size_t i = 0; i < parts.scan_inputs; ++i) {
      const std::int64_t at = parts.input_directions[i] != 0 ? length - 1 - step : step;
      formals.push_back(iterations.slice(node.inputs[parts.states + i], axes[i], at));
    }
    std::vector<ValueId> results = iterations.next(std::move(formals));
    collect(results, parts.states, stacks);
    states.assign(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(parts.states));
  }
  for (std::size_t k = 0; k < stacks.size(); ++k) {
    states.push_back(iterations.stack(std::move(stacks[k]), parts.output_axes[k], parts.output_directions[k] != 0));
  }
  rw.replace_outputs(states);
  return true;
}

/// How often a Loop runs when that is certain, else -1.
std::int64_t trip_count(const Rewriter& rw, const Node& node) {
  if (!node.has_input(0)) return -1;
  const auto trips = int_constant(rw, node.inputs[0]);
  if (!trips || trips->size() != 1) return -1;
  if (!node.has_input(1)) return trips->front();
  const Tensor* starts = rw.constant(node.inputs[1]);
  if (starts == nullptr || starts->dtype() != DType::Bool || starts->numel() != 1 || !starts->as<bool>()[0]) return -1;
  return condition_stays(node.attr_graph("body")) ? trips->front() : -1;
}

bool unroll_loop(Rewriter& rw, const Node& node) {
  const std::int64_t trips = trip_count(rw, node);
  Iterations iterations(rw, node);
  if (!iterations.fits(trips)) return false;
  const Graph& body = iterations.body();
  std::vector<ValueId> carried;
  if (node.inputs.size() > 2) carried.assign(node.inputs.begin() + 2, node.inputs.end());
  const ValueId goes_on = rw.add_constant(node.name, Tensor::from<bool>(counter_shape(body, 1), {true}));
  Stacks stacks(body.outputs.size() - 1 - carried.size());
  for (std::int64_t i = 0; i < trips; ++i) {
    std::vector<ValueId> formals{rw.add_constant(node.name, Tensor::from<std::int64_t>(counter_shape(body, 0), {i})), goes_on};
    formals.insert(formals.end(), carried.begin(), carried.end());
    std::vector<ValueId> results = iterations.next(std::move(formals));
    collect(results, 1 + carried.size(), stacks);
    std::copy(results.begin() + 1, results.begin() + 1 + static_cast<std::ptrdiff_t>(carried.size()), carried.begin());
  }
  for (std::vector<ValueId>& parts : stacks) carried.push_back(iterations.stack(std::move(parts), 0, false));
  carried.resize(std::max(carried.size(), node.outputs.size()), kNoValue);
  rw.replace_outputs(carried);
  return true;
}

constexpr std::array kRules{Rule{"unroll_scan", "Scan", unroll_scan}, Rule{"unroll_loop", "Loop", unroll_loop}};

}  // namespace

bool unroll_loops(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
