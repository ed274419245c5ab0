// Lowering: memory of values, views, emission of launches, the outputs of a fragment.
#include "compiler/kernel/lowering.h"

#include <algorithm>

#include "compiler/kernel/bounds.h"
#include "compiler/kernel/walk.h"
#include "graph/checked.h"
#include "graph/scalar.h"

namespace naru::kernel {
namespace {

/// Operators whose output has its input's bytes in order.
bool is_view(const Node& node) {
  constexpr std::string_view kViews[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"};
  return node.op->domain.empty() && std::find(std::begin(kViews), std::end(kViews), node.op->name) != std::end(kViews);
}

std::int64_t bytes_of(const Rep& rep) { return storage_bytes(rep.dtype, rep.numel()); }

}  // namespace

Call::Call(Lowering& lowering, std::string name) : Builder(std::move(name)), lowering_(lowering) {
  limit_group(lowering.target().max_group);
}

Buffer Call::read(const Rep& rep) {
  operands_.push_back({rep.buffer, rep.offset_bytes, rep.numel(), false});
  return buffer("b" + std::to_string(operands_.size() - 1), rep.element(), false);
}

Buffer Call::write(const Rep& rep) {
  operands_.push_back({rep.buffer, rep.offset_bytes, rep.numel(), true});
  return buffer("b" + std::to_string(operands_.size() - 1), rep.element(), true);
}

Buffer Call::in(std::size_t i) { return read(lowering_.input(i)); }
Buffer Call::out(std::size_t i) { return write(lowering_.output(i)); }

void Call::require(const Expr& ok, const std::string& message) {
  if (status_ < 0) {
    status_ = write({lowering_.status_buffer(), 0, DType::I32, Shape{1}}).index;
  }
  lowering_.program_.complaints.push_back({lowering_.node_index_, message});
  const Expr code = size(static_cast<std::int64_t>(lowering_.program_.complaints.size()));
  when(!ok, [&] { store(Buffer{status_, Element::I32}, 0, code); });
}

Expr Call::checked_index(const Expr& value, const Expr& limit) {
  const bool wide = size_of(value.element()) == 8;
  const Expr bound = wide ? let(cast(limit, value.element())) : limit;
  Expr at = wide ? value : cast(value, Element::I32);
  if (is_signed(value.element())) at = let(select(at < 0, at + bound, at));
  require(at >= 0 && at < bound, "an index out of range");
  return let(cast(max(min(at, bound - 1), 0), Element::I32));
}

void Call::launch(std::string note) { lowering_.emit(*this, std::move(note), false); }
void Call::launch_prepared(std::string note) { lowering_.emit(*this, std::move(note), true); }

Lowering::Lowering(const Graph& graph, const Target& target)
    : graph_(graph),
      target_(target),
      uses_(graph),
      reps_(graph.values.size()),
      fragment_output_(graph.values.size(), -1),
      output_buffers_(graph.outputs.size(), -1) {
  for (std::size_t i = graph.outputs.size(); i-- > 0;) {
    fragment_output_[static_cast<std::size_t>(graph.outputs[i])] = static_cast<std::int32_t>(i);
  }
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    Rep rep{-1, 0, type.dtype, NodeView::static_shape(type)};
    rep.buffer = add_buffer({ProgramBuffer::Kind::Input, bytes_of(rep), static_cast<std::int32_t>(i)});
    reps_[static_cast<std::size_t>(graph.inputs[i])] = rep;
  }
}

Program Lowering::run() {
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    with_context([&] { return "lowering " + graph_.nodes[i].label() + " to kernels"; },
                 [&] { lower_node(static_cast<std::int32_t>(i)); });
  }
  finish_outputs();
  return std::move(program_);
}

void Lowering::lower_node(std::int32_t index) {
  node_index_ = index;
  node_ = &graph_.nodes[static_cast<std::size_t>(index)];
  const auto nothing = [&](ValueId id) {
    return id == kNoValue || NodeView::static_shape(graph_.value(id).type).numel() == 0;
  };
  // What has no elements needs no launch, and yet a place.
  const auto make_empty_outputs = [&] {
    for (std::size_t i = 0; i < node_->outputs.size(); ++i) {
      if (has_output(i) && nothing(node_->outputs[i])) output(i);
    }
  };
  if (std::all_of(node_->outputs.begin(), node_->outputs.end(), nothing)) return make_empty_outputs();
  std::string reason;
  const KernelEntry* entry = find_kernel(view(), target_, reason);
  if (entry == nullptr) fail(ErrorCode::Unsupported, "{}: {}", node_->label(), reason);
  entry->lower(*this);
  make_empty_outputs();
}

std::vector<std::int64_t> Lowering::ints(std::size_t i) const {
  const Tensor* value = constant(i);
  NARU_CHECK(value != nullptr, node_->label() + ": input " + std::to_string(i) + " is not constant");
  return to_i64_vector(*value);
}

BufferId Lowering::add_buffer(ProgramBuffer buffer) {
  program_.buffers.push_back(std::move(buffer));
  return static_cast<BufferId>(program_.buffers.size() - 1);
}

BufferId Lowering::status_buffer() {
  if (status_ < 0) status_ = add_buffer({ProgramBuffer::Kind::Status, 4});
  return status_;
}

Rep Lowering::literal(Tensor value) {
  Rep rep{-1, 0, value.dtype(), value.shape()};
  rep.buffer = add_buffer({ProgramBuffer::Kind::Constant, value.size_bytes(), -1, value.data(), value.owner()});
  return rep;
}

Rep Lowering::input(std::size_t i) {
  const ValueId id = node_->inputs[i];
  Rep& rep = reps_[static_cast<std::size_t>(id)];
  if (rep.buffer < 0) {
    const Value& value = graph_.value(id);
    NARU_CHECK(value.is_constant(), "value '" + value.name + "' is used before it is made");
    rep = literal(value.constant);
  }
  return rep;
}

std::int32_t Lowering::home_of(ValueId id) const {
  for (;;) {
    const auto index = static_cast<std::size_t>(id);
    if (fragment_output_[index] >= 0) return fragment_output_[index];
    if (!uses_.single_use(id)) return -1;
    const Node& consumer = graph_.nodes[static_cast<std::size_t>(uses_.consumers[index].front())];
    if (!is_view(consumer) || consumer.inputs[0] != id || !consumer.has_output(0)) return -1;
    id = consumer.outputs[0];
  }
}

Rep Lowering::output(std::size_t i) {
  const ValueId id = node_->outputs[i];
  Rep& rep = reps_[static_cast<std::size_t>(id)];
  if (rep.buffer >= 0) return rep;
  rep.dtype = view().output_dtype(i);
  rep.shape = output_shape(i);
  const std::int32_t home = home_of(id);
  if (home >= 0 && output_buffers_[static_cast<std::size_t>(home)] < 0) {
    rep.buffer = add_buffer({ProgramBuffer::Kind::Output, bytes_of(rep), home});
    output_buffers_[static_cast<std::size_t>(home)] = rep.buffer;
  } else {
    rep.buffer = add_buffer({ProgramBuffer::Kind::Scratch, bytes_of(rep)});
  }
  return rep;
}

void Lowering::set_output(std::size_t i, const Rep& rep) {
  if (has_output(i)) reps_[static_cast<std::size_t>(node_->outputs[i])] = rep;
}

void Lowering::view_as_output(std::size_t i, const Rep& rep) {
  set_output(i, {rep.buffer, rep.offset_bytes, view().output_dtype(i), output_shape(i)});
}

Rep Lowering::scratch(DType dtype, const Shape& shape) {
  Rep rep{-1, 0, dtype, shape};
  rep.buffer = add_buffer({ProgramBuffer::Kind::Scratch, bytes_of(rep)});
  return rep;
}

bool Lowering::is_constant(const Rep& rep) const {
  const ProgramBuffer::Kind kind = program_.buffers[static_cast<std::size_t>(rep.buffer)].kind;
  return kind == ProgramBuffer::Kind::Constant || kind == ProgramBuffer::Kind::Prepared;
}

Rep Lowering::prepared(DType dtype, const Shape& shape, const std::vector<Rep>& sources) {
  Rep rep = scratch(dtype, shape);
  if (std::all_of(sources.begin(), sources.end(), [&](const Rep& source) { return is_constant(source); })) {
    program_.buffers[static_cast<std::size_t>(rep.buffer)].kind = ProgramBuffer::Kind::Prepared;
  }
  return rep;
}

Launch Lowering::launch_of(Call& call, std::string note) const {
  Launch launch;
  launch.node = node_index_;
  launch.operands = std::move(call.operands_);
  launch.arguments = call.arguments();
  launch.grid = call.grid();
  launch.note = std::move(note);
  launch.kernel = std::make_shared<const Kernel>(call.take());
  check_bounds(launch);
  return launch;
}

void Lowering::emit(Call& call, std::string note, bool prepared) {
  Launch launch = launch_of(call, std::move(note));
  const auto kind = [&](const Operand& operand) { return program_.buffers[static_cast<std::size_t>(operand.buffer)].kind; };
  const bool once = prepared && std::all_of(launch.operands.begin(), launch.operands.end(), [&](const Operand& operand) {
    return kind(operand) == ProgramBuffer::Kind::Prepared || (!operand.written && kind(operand) == ProgramBuffer::Kind::Constant);
  });
  (once ? program_.prepare : program_.launches).push_back(std::move(launch));
}

Launch Lowering::copy_launch(const Rep& from, const Rep& to) {
  Call call(*this, "copy");
  const Buffer x = call.read(as_bits(from));
  const Buffer y = call.write(as_bits(to));
  const Expr i = call.points({to.numel()})[0];
  call.store(y, i, call.load(x, i));
  return launch_of(call, naru::to_string(to.shape));
}

void Lowering::copy(const Rep& from, const Rep& to) {
  if (to.numel() > 0) program_.launches.push_back(copy_launch(from, to));
}

Rep Lowering::updated_output(std::size_t i, std::size_t input) {
  using Kind = ProgramBuffer::Kind;
  const Rep from = this->input(input);
  const Rep to = output(i);
  const auto kind = [&](const Rep& rep) { return program_.buffers[static_cast<std::size_t>(rep.buffer)].kind; };
  if (to.numel() == 0) return to;
  const bool ends = kind(from) == Kind::Input && kind(to) == Kind::Output;
  (ends ? program_.takeovers : program_.launches).push_back(copy_launch(from, to));
  return to;
}

void Lowering::finish_outputs() {
  node_index_ = -1;
  for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId id = graph_.outputs[i];
    Rep& rep = reps_[static_cast<std::size_t>(id)];
    if (rep.buffer < 0) {  // a constant straight to an output
      NARU_CHECK(graph_.value(id).is_constant(), "output '" + graph_.value(id).name + "' is never made");
      rep = literal(graph_.value(id).constant);
    }
    if (output_buffers_[i] >= 0 && rep.buffer == output_buffers_[i]) continue;
    Rep target = rep;
    target.offset_bytes = 0;
    target.buffer = add_buffer({ProgramBuffer::Kind::Output, bytes_of(rep), static_cast<std::int32_t>(i)});
    copy(rep, target);
  }
}

}  // namespace naru::kernel
