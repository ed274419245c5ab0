// Element-wise operators with broadcasting, alone and fused, and Cast.
#include <algorithm>

#include "compiler/kernel/chain.h"
#include "compiler/kernel/walk.h"
#include "graph/ops/post_ops.h"

namespace naru::kernel {
namespace {

/// An attribute as the number that element-wise expressions read: of a text, whether it differs from
/// the operator's default, or says LEFT.
double attribute_value(const Node& node, const char* name) {
  if (name == nullptr) return 0;
  const Attribute* value = node.find(name);
  if (value == nullptr) return 0;
  switch (kind_of(*value)) {
    case AttrKind::Float: return node.attr_float(name);
    case AttrKind::Int: return static_cast<double>(node.attr_int(name));
    default: return node.attr_string(name) == "tanh" || node.attr_string(name) == "LEFT" ? 1 : 0;
  }
}

/// The walk over the output and the inputs that broadcast to it.
Walk broadcast_walk(const std::vector<Rep>& reps, const Shape& output) {
  Walk walk{output.dims(), {}};
  for (const Rep& rep : reps) walk.strides.push_back(broadcast_strides(rep.shape, output));
  walk.strides.push_back(output.strides());
  walk.collapse();
  return walk;
}

void lower_elementwise(Lowering& lowering) {
  const Node& node = lowering.node();
  const ElementOp& row = *find_element_op(node.op->name);
  std::vector<Rep> reps;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) reps.push_back(lowering.input(i));
  Call call(lowering, std::string(row.op));
  std::vector<Buffer> buffers;
  for (const Rep& rep : reps) buffers.push_back(call.read(rep));
  const Buffer y = call.out(0);
  const Points points = walk_points(call, broadcast_walk(reps, lowering.output_shape(0)));
  std::vector<Expr> operands;
  for (std::size_t i = 0; i < buffers.size(); ++i) operands.push_back(call.load(buffers[i], points.index[i]));
  const Expr value = apply_element(call, row.op, std::move(operands), attribute_value(node, row.alpha),
                                   attribute_value(node, row.beta));
  call.store(y, points.index.back(), cast(value, y.element));
  call.launch(naru::to_string(lowering.output_shape(0)));
}

void lower_clip(Lowering& lowering) {
  Call call(lowering, "Clip");
  const Buffer x = call.in(0);
  const Buffer y = call.out(0);
  const Expr i = call.points({lowering.output_shape(0).numel()})[0];
  Expr value = call.load(x, i);
  for (const std::size_t bound : {std::size_t{1}, std::size_t{2}}) {
    if (!lowering.has_input(bound)) continue;
    const Expr limit = call.load(call.in(bound), 0);
    value = call.let(select(bound == 1 ? value < limit : value > limit, limit, value));
  }
  call.store(y, i, value);
  call.launch(naru::to_string(lowering.output_shape(0)));
}

void lower_fused(Lowering& lowering) {
  Call call(lowering, "FusedElementwise");
  const Shape shape = lowering.output_shape(0);
  const Rep first = lowering.input(0);
  const Buffer x = call.read(first);
  const Buffer y = call.out(0);
  // Every operand of the chain is walked through the same merged dimensions.
  const std::vector<PostStep> steps = post_steps(lowering.node());
  std::vector<Rep> reps = {first};
  std::vector<Buffer> buffers = {x};
  std::size_t operand = first_operand(lowering.node());
  for (const PostStep& step : steps) {
    if (!step.op->binary) continue;
    reps.push_back(lowering.input(operand++));
    buffers.push_back(call.read(reps.back()));
  }
  const Points points = walk_points(call, broadcast_walk(reps, shape));
  Expr value = call.load(x, points.index[0]);
  std::size_t next = 1;
  for (const PostStep& step : steps) {
    std::vector<Expr> operands = {value};
    if (step.op->binary) {
      operands.push_back(call.load(buffers[next], points.index[next]));
      ++next;
    }
    value = apply_element(call, step.op->name, std::move(operands), step.alpha, step.beta);
  }
  call.store(y, points.index.back(), value);
  call.launch(naru::to_string(shape));
}

void lower_cast(Lowering& lowering) {
  Call call(lowering, "Cast");
  const Buffer x = call.in(0);
  const Buffer y = call.out(0);
  const Expr i = call.points({lowering.output_shape(0).numel()})[0];
  call.store(y, i, cast(call.load(x, i), y.element));
  call.launch(naru::to_string(lowering.output_shape(0)));
}

}  // namespace

void add_elementwise_kernels(std::vector<KernelEntry>& table) {
  for (const ElementOp& row : element_ops()) {
    table.push_back({row.op, "element-wise", refuses_types, row.op == "Clip" ? lower_clip : lower_elementwise});
  }
  table.push_back({"naru.FusedElementwise", "element-wise chain", refuses_types, lower_fused});
  table.push_back({"Cast", "element-wise", refuses_types, lower_cast});
}

}  // namespace naru::kernel
