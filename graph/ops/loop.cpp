// Loop and Scan: sub-graphs that run again and again and carry values along.
#include "graph/ops/loop.h"

#include <algorithm>

#include "graph/limits.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/subgraphs.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {

Shape counter_shape(const Graph& body, std::size_t i) {
  const Type& declared = body.value(body.inputs[i]).type;
  return declared.shape && declared.shape->size() == 1 ? Shape{1} : Shape{};
}

bool condition_stays(const Graph& body) {
  ValueId id = body.outputs[0];
  for (std::size_t steps = 0; steps <= body.nodes.size(); ++steps) {
    if (id == body.inputs[1]) return true;
    const Value& value = body.value(id);
    if (value.is_constant()) {
      return value.constant.dtype() == DType::Bool && value.constant.numel() == 1 && value.constant.as<bool>()[0];
    }
    const auto producer = std::find_if(body.nodes.begin(), body.nodes.end(), [&](const Node& node) {
      return std::find(node.outputs.begin(), node.outputs.end(), id) != node.outputs.end();
    });
    if (producer == body.nodes.end() || producer->op->full_name() != "Identity") return false;
    id = producer->inputs[0];
  }
  return false;
}

namespace {

/// One number for each of `count` scan inputs or outputs.
std::vector<std::int64_t> scan_list(const Node& node, std::string_view name, std::size_t count) {
  std::vector<std::int64_t> values = node.attr_ints_or(name, std::vector<std::int64_t>(count, 0));
  if (values.size() != count) {
    fail(ErrorCode::InvalidModel, "{}: {}: got {} values, expected {}", node.label(), name, values.size(), count);
  }
  return values;
}

}  // namespace

ScanParts::ScanParts(const Node& node) {
  const Graph& body = node.attr_graph("body");
  const std::int64_t count = node.attr_int("num_scan_inputs");
  const auto inputs = static_cast<std::int64_t>(node.inputs.size());
  if (count < 1 || count > inputs) {
    fail(ErrorCode::InvalidModel, "{}: num_scan_inputs: got {}, expected [1, {}]", node.label(), count, inputs);
  }
  scan_inputs = static_cast<std::size_t>(count);
  states = node.inputs.size() - scan_inputs;
  if (body.outputs.size() < states || body.outputs.size() != node.outputs.size() ||
      formal_input_count(node, body) != node.inputs.size()) {
    fail(ErrorCode::InvalidModel, "{}: body: got {} inputs and {} outputs, expected {} and {}", node.label(),
         formal_input_count(node, body), body.outputs.size(), node.inputs.size(), node.outputs.size());
  }
  scan_outputs = body.outputs.size() - states;
  input_axes = scan_list(node, "scan_input_axes", scan_inputs);
  input_directions = scan_list(node, "scan_input_directions", scan_inputs);
  output_axes = scan_list(node, "scan_output_axes", scan_outputs);
  output_directions = scan_list(node, "scan_output_directions", scan_outputs);
}

namespace {

// Loop. Body inputs: iteration, condition, carried ones. Body outputs: condition, carried ones, scans.

/// Counts of a Loop node, checked against its body.
struct LoopParts {
  std::size_t carried = 0, scans = 0;

  explicit LoopParts(const InferContext& ctx) {
    const Graph& body = ctx.node.attr_graph("body");
    carried = ctx.input_count() > 2 ? ctx.input_count() - 2 : 0;
    const std::size_t formals = formal_input_count(ctx.node, body);
    ctx.require(formals == carried + 2, "body: got {} inputs, expected {}", formals, carried + 2);
    ctx.require(body.outputs.size() > carried, "body: got {} outputs, expected at least {}",
                body.outputs.size(), carried + 1);
    scans = body.outputs.size() - 1 - carried;
    ctx.require(ctx.output_count() <= carried + scans, "outputs: got {}, expected at most {}",
                ctx.output_count(), carried + scans);
  }
};

/// How often the body runs, when the trip count alone decides.
Dim trip_count(InferContext& ctx) {
  const bool may_stop = ctx.has_input(1) && !condition_stays(ctx.node.attr_graph("body"));
  const Tensor* condition = ctx.has_input(1) ? ctx.constant(1) : nullptr;
  const bool starts = !ctx.has_input(1) || (condition != nullptr && condition->numel() == 1 &&
                                            to_wide<std::int64_t>(*condition).front() != 0);
  if (!ctx.has_input(0) || may_stop || !starts) return ctx.fresh_dim();
  const auto trips = dims_value(ctx, 0);
  if (!trips || trips->size() != 1) return ctx.fresh_dim();
  return trips->front().is_nonnegative() ? trips->front() : max(trips->front(), 0);
}

Type with_leading(const Type& type, const Dim& dim) {
  if (!type.shape) return type;
  SymShape shape = *type.shape;
  shape.insert(shape.begin(), dim);
  return Type::tensor(type.dtype, std::move(shape));
}

void infer_loop(InferContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  const LoopParts parts(ctx);
  if (ctx.has_input(0)) require_type(ctx, 0, TypeSet{DType::I64});
  if (ctx.has_input(1)) require_type(ctx, 1, kBool);
  std::vector<Type> initial;
  for (std::size_t i = 0; i < parts.carried; ++i) initial.push_back(ctx.input(i + 2));
  CarriedTypes carried(ctx, std::move(initial));
  std::vector<Type> results;
  do {
    std::vector<Type> formals{Type::tensor(DType::I64, counter_shape(body, 0)),
                              Type::tensor(DType::Bool, counter_shape(body, 1))};
    formals.insert(formals.end(), carried.types().begin(), carried.types().end());
    results = ctx.infer_subgraph(body, std::move(formals));
  } while (carried.widen(std::span<const Type>(results).subspan(1, parts.carried)));
  const std::vector<Type> final_types = carried.final_types();
  for (std::size_t i = 0; i < parts.carried; ++i) ctx.set_output(i, final_types[i]);
  const Dim trips = trip_count(ctx);
  for (std::size_t i = 0; i < parts.scans; ++i) {
    ctx.set_output(parts.carried + i, with_leading(results[1 + parts.carried + i], trips));
  }
}

/// A bool or i64 scalar in the shape that the body wants.
template <typename T>
Datum counter(T value, const Shape& shape) {
  return Tensor::from<T>(shape, {value});
}

void reference_loop(ReferenceContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  const std::int64_t trips = ctx.has_input(0) ? single_value(ctx, "M", ctx.input(0)) : INT64_MAX;
  bool condition = !ctx.has_input(1) || single_value(ctx, "cond", ctx.input(1)) != 0;
  std::vector<Datum> carried;
  for (std::size_t i = 2; i < ctx.input_count(); ++i) carried.push_back(ctx.input_datum(i));
  const std::size_t scan_count = body.outputs.size() - 1 - carried.size();
  std::vector<std::vector<Tensor>> scans(scan_count);
  const Shape counter_of = counter_shape(body, 0), condition_of = counter_shape(body, 1);
  for (std::int64_t i = 0; i < trips && condition; ++i) {
    ctx.require(i < kLimits.max_loop_iterations, "iterations: got more than {}", i);
    std::vector<Datum> formals{counter(i, counter_of), counter(condition, condition_of)};
    std::move(carried.begin(), carried.end(), std::back_inserter(formals));
    std::vector<Datum> results = ctx.run_subgraph(body, std::move(formals));
    // Without an input condition the body's is there but has no say.
    if (ctx.has_input(1)) condition = single_value(ctx, "body condition", results[0].tensor) != 0;
    std::move(results.begin() + 1, results.end() - static_cast<std::ptrdiff_t>(scan_count), carried.begin());
    for (std::size_t k = 0; k < scan_count; ++k) {
      scans[k].push_back(std::move(results[1 + carried.size() + k].tensor));
    }
  }
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    if (!ctx.has_output(i)) continue;
    if (i < carried.size()) ctx.set_output(i, carried[i]);
    else ctx.set_output(i, stack(ctx, scans[i - carried.size()], ctx.output_type(i), 0, false));
  }
}

// Scan. Body inputs: states, one slice of each scan input. Body outputs: states, one slice each.

/// Takes the scanned axis out of a scan input's type and matches its length with `length`.
Type slice_type(const InferContext& ctx, const Type& type, std::int64_t axis, std::optional<Dim>& length) {
  if (!type.shape) return type;
  SymShape shape = *type.shape;
  const std::int64_t at = ctx.normalize_axis(axis, static_cast<std::int64_t>(shape.size()));
  const Dim& steps = shape[static_cast<std::size_t>(at)];
  length = length ? match_dims(ctx, "scan length", *length, steps) : steps;
  shape.erase(shape.begin() + at);
  return Type::tensor(type.dtype, std::move(shape));
}

void infer_scan(InferContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  const ScanParts parts(ctx.node);
  std::vector<Type> initial, slices;
  for (std::size_t i = 0; i < parts.states; ++i) initial.push_back(ctx.input(i));
  std::optional<Dim> length;
  for (std::size_t i = 0; i < parts.scan_inputs; ++i) {
    slices.push_back(slice_type(ctx, ctx.input(parts.states + i), parts.input_axes[i], length));
  }
  CarriedTypes states(ctx, std::move(initial));
  std::vector<Type> results;
  do {
    std::vector<Type> formals = states.types();
    formals.insert(formals.end(), slices.begin(), slices.end());
    results = ctx.infer_subgraph(body, std::move(formals));
  } while (states.widen(std::span<const Type>(results).first(parts.states)));
  const std::vector<Type> final_types = states.final_types();
  for (std::size_t i = 0; i < parts.states; ++i) ctx.set_output(i, final_types[i]);
  if (!length) length = ctx.fresh_dim();
  for (std::size_t i = 0; i < parts.scan_outputs; ++i) {
    const Type& slice = results[parts.states + i];
    if (!slice.shape) {
      ctx.set_output(parts.states + i, slice);
      continue;
    }
    SymShape shape = *slice.shape;
    const auto rank = static_cast<std::int64_t>(shape.size()) + 1;
    shape.insert(shape.begin() + ctx.normalize_axis(parts.output_axes[i], rank), *length);
    ctx.set_output(parts.states + i, slice.dtype, std::move(shape));
  }
}

/// The slice at `step` along `axis`, without that axis.
Tensor slice_at(const Tensor& data, std::int64_t axis, std::int64_t step) {
  StridedView view = dense_view(data);
  view.offset = step * view.strides[static_cast<std::size_t>(axis)];
  view.strides.erase(view.strides.begin() + axis);
  std::vector<std::int64_t> dims = data.shape().dims();
  dims.erase(dims.begin() + axis);
  Tensor slice(data.dtype(), Shape(std::move(dims)));
  copy_strided(slice, data, view);
  return slice;
}

void reference_scan(ReferenceContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  const ScanParts parts(ctx.node);
  std::vector<Datum> states;
  for (std::size_t i = 0; i < parts.states; ++i) states.push_back(ctx.input_datum(i));
  std::vector<std::vector<Tensor>> scans(parts.scan_outputs);
  const Tensor& first = ctx.input(parts.states);
  const std::int64_t length = first.shape()[ctx.normalize_axis(parts.input_axes[0], first.rank())];
  for (std::int64_t step = 0; step < length; ++step) {
    std::vector<Datum> formals = std::move(states);
    for (std::size_t i = 0; i < parts.scan_inputs; ++i) {
      const Tensor& data = ctx.input(parts.states + i);
      const std::int64_t axis = ctx.normalize_axis(parts.input_axes[i], data.rank());
      formals.push_back(slice_at(data, axis, parts.input_directions[i] != 0 ? length - 1 - step : step));
    }
    std::vector<Datum> results = ctx.run_subgraph(body, std::move(formals));
    states.assign(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(parts.states));
    for (std::size_t k = 0; k < parts.scan_outputs; ++k) {
      scans[k].push_back(std::move(results[parts.states + k].tensor));
    }
  }
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    if (!ctx.has_output(i)) continue;
    const std::size_t k = i - parts.states;
    if (i < parts.states) ctx.set_output(i, states[i]);
    else ctx.set_output(i, stack(ctx, scans[k], ctx.output_type(i), parts.output_axes[k], parts.output_directions[k] != 0));
  }
}

}  // namespace

void define_loop(std::vector<OpDef>& ops) {
  const AttrSpec body{"body", AttrKind::Graph, "runs once an iteration", std::nullopt, true};
  ops.push_back({
      .name = "Loop",
      .domain = "",
      .since_version = 25,
      .doc = "Runs a sub-graph while a condition holds, at most M times.",
      .source = "ONNX Loop-25; without the input cond the body's condition is ignored",
      .inputs = {{"M", "i64, most iterations; absent: no bound", Arity::Optional, true},
                 {"cond", "bool; absent: true for ever", Arity::Optional, true},
                 {"v_initial", "carried values of any kind", Arity::Variadic}},
      .outputs = {{"v_final_and_scan_outputs", "carried values, then stacked scan outputs", Arity::Variadic}},
      .attributes = {body},
      .infer = infer_loop,
      .reference = reference_loop,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "Scan",
      .domain = "",
      .since_version = 25,
      .doc = "Runs a sub-graph on each slice of its scan inputs, carrying states along.",
      .source = "ONNX Scan-25",
      .inputs = {{"initial_state_and_scan_inputs", "states, then scan inputs", Arity::Variadic}},
      .outputs = {{"final_state_and_scan_outputs", "states, then stacked scan outputs", Arity::Variadic}},
      .attributes = {body,
                     {"num_scan_inputs", AttrKind::Int, "count of scan inputs", std::nullopt, true},
                     {"scan_input_axes", AttrKind::Ints, "axis of each; absent: 0"},
                     {"scan_input_directions", AttrKind::Ints, "1: from the last slice; absent: 0"},
                     {"scan_output_axes", AttrKind::Ints, "axis of each; absent: 0"},
                     {"scan_output_directions", AttrKind::Ints, "1: prepended; absent: 0"}},
      .infer = infer_scan,
      .reference = reference_scan,
      .dynamic_output = true,
  });
}

}  // namespace naru
