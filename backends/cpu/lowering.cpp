// Lowering: picks a kernel per node, converts layouts where needed, places results.
#include "backends/cpu/lowering.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "graph/checked.h"

namespace naru::cpu {

Place place_of(const Plan& plan, BufferId buffer) {
  Place place{buffer, 0};
  for (;;) {
    const PlanBuffer& at = plan.buffers[static_cast<std::size_t>(place.root)];
    if (at.parent < 0) return place;
    place.offset_bytes += at.parent_offset;
    place.root = at.parent;
  }
}

Lowering::Lowering(const Graph& graph, PackedCache& cache, const LoweringOptions& options)
    : graph_(graph),
      cache_(cache),
      options_(options),
      uses_(graph),
      reps_(graph.values.size()),
      fragment_output_(graph.values.size(), -1),
      output_buffers_(graph.outputs.size(), -1) {
  for (std::size_t i = graph.outputs.size(); i-- > 0;) {
    fragment_output_[static_cast<std::size_t>(graph.outputs[i])] = static_cast<std::int32_t>(i);
  }
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    const Layout layout = Layout::plain(type.dtype, NodeView::static_shape(type));
    PlanBuffer buffer;
    buffer.kind = PlanBuffer::Kind::Input;
    buffer.size_bytes = layout.size_bytes();
    buffer.index = static_cast<std::int32_t>(i);
    plan_.buffers.push_back(buffer);
    residents_.emplace_back();
    add_rep(graph.inputs[i], {static_cast<BufferId>(plan_.buffers.size() - 1), 0, layout});
  }
}

Plan Lowering::run() {
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    with_context([&] { return "compiling " + graph_.nodes[i].label() + " for the cpu"; },
                 [&] { lower_node(static_cast<std::int32_t>(i)); });
  }
  finish_outputs();
  return std::move(plan_);
}

void Lowering::lower_node(std::int32_t index) {
  node_index_ = index;
  node_ = &graph_.nodes[static_cast<std::size_t>(index)];
  if (const std::string reason = refuses_generic(view()); !reason.empty()) {
    fail(ErrorCode::Unsupported, "{}: {}", node_->label(), reason);
  }
  const auto empty = [&](ValueId id) {
    return id != kNoValue && NodeView::static_shape(graph_.value(id).type).numel() == 0;
  };
  const auto nothing = [&](ValueId id) { return id == kNoValue || empty(id); };
  if (std::all_of(node_->outputs.begin(), node_->outputs.end(), nothing)) {
    for (std::size_t i = 0; i < node_->outputs.size(); ++i) {
      if (has_output(i)) output(i);
    }
    return;
  }
  // Kernels need not think of empty operands: sums over nothing and the like are rare and small.
  if (std::any_of(node_->inputs.begin(), node_->inputs.end(), empty)) return lower_generic(*this);
  for (const KernelEntry& entry : kernels_for(node_->op->full_name())) {
    if (entry.refuses != nullptr && !entry.refuses(view()).empty()) continue;
    if (entry.lower(*this)) return;
  }
  lower_generic(*this);
}

void Lowering::add_rep(ValueId id, const Rep& rep) {
  reps(id).push_back(rep);
  residents_[static_cast<std::size_t>(place_of(plan_, rep.buffer).root)].push_back(id);
}

BufferId Lowering::new_arena_buffer(std::int64_t size_bytes) {
  PlanBuffer buffer;
  buffer.size_bytes = size_bytes;
  plan_.buffers.push_back(buffer);
  residents_.emplace_back();
  return static_cast<BufferId>(plan_.buffers.size() - 1);
}

Rep Lowering::literal(Tensor value) {
  PlanBuffer buffer;
  buffer.kind = PlanBuffer::Kind::Constant;
  buffer.size_bytes = value.size_bytes();
  buffer.data = value.data();
  buffer.packed = true;
  Layout layout = Layout::plain(value.dtype(), value.shape());
  buffer.owner = std::make_shared<const Tensor>(std::move(value));
  plan_.buffers.push_back(std::move(buffer));
  residents_.emplace_back();
  return {static_cast<BufferId>(plan_.buffers.size() - 1), 0, std::move(layout)};
}

Rep Lowering::input(std::size_t i) {
  const ValueId id = node_->inputs[i];
  std::vector<Rep>& known = reps(id);
  if (known.empty()) {
    const Value& value = graph_.value(id);
    NARU_CHECK(value.is_constant(), "value '" + value.name + "' is used before it is made");
    PlanBuffer buffer;
    buffer.kind = PlanBuffer::Kind::Constant;
    buffer.size_bytes = value.constant.size_bytes();
    buffer.data = value.constant.data();
    buffer.owner = value.constant.owner();
    plan_.buffers.push_back(std::move(buffer));
    residents_.emplace_back();
    add_rep(id, {static_cast<BufferId>(plan_.buffers.size() - 1), 0,
                 Layout::plain(value.constant.dtype(), value.constant.shape())});
  }
  const auto blocked = std::find_if(known.begin(), known.end(),
                                    [](const Rep& rep) { return !rep.layout.is_plain(); });
  return blocked != known.end() ? *blocked : known.front();
}

Rep Lowering::plain(std::size_t i) { return as(i, Layout::plain(dtype(i), shape(i))); }

std::vector<Layout> Lowering::layouts(std::size_t i) const {
  std::vector<Layout> result;
  for (const Rep& rep : reps(node_->inputs[i])) result.push_back(rep.layout);
  return result;
}

Rep Lowering::as(std::size_t i, const Layout& layout) {
  input(i);  // makes a constant known
  return convert_value(node_->inputs[i], layout);
}

Rep Lowering::convert_value(ValueId id, const Layout& layout) {
  for (const Rep& rep : reps(id)) {
    if (rep.layout == layout) return rep;
  }
  for (const Rep& rep : reps(id)) {
    if (!rep.layout.same_bytes(layout)) continue;
    const Rep renamed{rep.buffer, rep.offset_bytes, layout};
    add_rep(id, renamed);
    return renamed;
  }
  const Value& value = graph_.value(id);
  if (value.is_constant()) {
    const Rep& source = reps(id).front();
    add_rep(id, add_packed(cache_.get(value.constant, Packing{desc_of(source.layout), desc_of(layout)}), layout));
    return reps(id).back();
  }
  const Rep target = allocate(id, layout);
  const Rep source = reps(id).front();
  copy_to(source, target);
  add_rep(id, target);
  return target;
}

Rep Lowering::convert(const Rep& from, const Layout& to) {
  if (from.layout.same_bytes(to)) return {from.buffer, from.offset_bytes, to};
  const Rep target{new_arena_buffer(to.size_bytes()), 0, to};
  copy_to(from, target);
  return target;
}

void Lowering::copy_to(const Rep& from, const Rep& to) {
  if (to.layout.physical_elements() == 0) return;
  const std::string note = to_string(from.layout) + " -> " + to_string(to.layout);
  const std::int32_t node = node_index_;
  if (from.layout.same_bytes(to.layout)) {
    const std::int64_t bytes = to.layout.size_bytes();
    node_index_ = -1;
    emit("copy", note, {reads(from), writes(to)}, [bytes](std::byte* const* p) {
      parallel_ranges(bytes, 0.1, [&](std::int64_t begin, std::int64_t end) {
        std::memcpy(p[1] + begin, p[0] + begin, static_cast<std::size_t>(end - begin));
      });
    });
    node_index_ = node;
    return;
  }
  with_dnnl("a reorder of " + note, [&] {
    const dnnl::memory::desc source = desc_of(from.layout);
    const dnnl::memory::desc target = desc_of(to.layout);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc desc(engine(), source, engine(), target, attributes);
    node_index_ = -1;
    emit("reorder", dnnl::reorder(desc), desc,
         {{DNNL_ARG_FROM, source, from, false}, {DNNL_ARG_TO, target, to, true}});
    node_index_ = node;
  });
  plan_.steps.back().note = note;
}

bool Lowering::dies(const Rep& rep) const {
  const PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(rep.buffer)];
  if (buffer.kind != PlanBuffer::Kind::Arena) return false;
  const auto& residents = residents_[static_cast<std::size_t>(place_of(plan_, rep.buffer).root)];
  return std::all_of(residents.begin(), residents.end(), [&](ValueId id) {
    const auto index = static_cast<std::size_t>(id);
    if (uses_.is_output[index]) return false;
    const auto& consumers = uses_.consumers[index];
    return std::all_of(consumers.begin(), consumers.end(),
                       [&](std::int32_t node) { return node <= node_index_; });
  });
}

Rep Lowering::packed(std::size_t i, const Packing& packing) {
  const Tensor* tensor = constant(i);
  NARU_CHECK(tensor != nullptr, "only a constant can be packed");
  if (packing.from == packing.to && packing.scale == 1) return input(i);
  return add_packed(cache_.get(*tensor, packing), Layout::plain(tensor->dtype(), tensor->shape()));
}

Rep Lowering::packed_by(std::size_t i, const Recipe& recipe) {
  const Tensor* tensor = constant(i);
  NARU_CHECK(tensor != nullptr, "only a constant can be packed");
  auto bytes = cache_.get(*tensor, recipe);
  Layout layout = Layout::plain(DType::U8, bytes->shape());
  return add_packed(std::move(bytes), std::move(layout));
}

Rep Lowering::packed_bytes(std::size_t i, const BytePacking& packing) {
  if (constant(i) != nullptr) return packed_by(i, packing);
  const Rep packed = scratch(packing.packed_bytes());
  emit("pack bytes", to_string(plain(i).layout), {reads(plain(i)), writes(packed)},
       [packing](std::byte* const* p) { packing.pack(p[0], p[1]); });
  return packed;
}

Rep Lowering::add_packed(std::shared_ptr<const Tensor> bytes, Layout layout) {
  PlanBuffer buffer;
  buffer.kind = PlanBuffer::Kind::Constant;
  buffer.size_bytes = bytes->size_bytes();
  buffer.data = bytes->data();
  buffer.owner = std::move(bytes);
  buffer.packed = true;
  plan_.buffers.push_back(std::move(buffer));
  residents_.emplace_back();
  return {static_cast<BufferId>(plan_.buffers.size() - 1), 0, std::move(layout)};
}

Rep Lowering::derived(std::size_t i, int key, const std::function<Rep()>& make) {
  const std::pair<ValueId, int> index{node_->inputs[i], key};
  const auto found = derived_.find(index);
  return found != derived_.end() ? found->second : derived_.emplace(index, make()).first->second;
}

Rep Lowering::arranged(std::size_t i, const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  if (constant(i) != nullptr) return packed(i, {from, to});
  const Rep source = plain(i);
  if (from == to) return source;
  Rep target = scratch(static_cast<std::int64_t>(to.get_size()));
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, attributes);
  emit("reorder", dnnl::reorder(desc), desc,
       {{DNNL_ARG_FROM, from, source, false}, {DNNL_ARG_TO, to, target, true}});
  return target;
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

bool Lowering::is_fragment_output(std::size_t i) const { return home_of(node_->outputs[i]) >= 0; }

Rep Lowering::allocate(ValueId id, const Layout& layout) {
  const std::int32_t home = home_of(id);
  if (home >= 0 && output_buffers_[static_cast<std::size_t>(home)] < 0 &&
      layout.same_bytes(Layout::plain(layout.dtype, layout.shape))) {
    PlanBuffer buffer;
    buffer.kind = PlanBuffer::Kind::Output;
    buffer.size_bytes = layout.size_bytes();
    buffer.index = home;
    plan_.buffers.push_back(buffer);
    residents_.emplace_back();
    const auto made = static_cast<BufferId>(plan_.buffers.size() - 1);
    output_buffers_[static_cast<std::size_t>(home)] = made;
    return {made, 0, layout};
  }
  return {new_arena_buffer(layout.size_bytes()), 0, layout};
}

Rep Lowering::output(std::size_t i, const Layout& layout) {
  const ValueId id = node_->outputs[i];
  const Rep rep = allocate(id, layout);
  add_rep(id, rep);
  return rep;
}

void Lowering::set_output(std::size_t i, const Rep& rep) {
  if (has_output(i)) add_rep(node_->outputs[i], rep);
}

Rep Lowering::scratch(std::int64_t size_bytes) {
  return {new_arena_buffer(size_bytes), 0, Layout::plain(DType::U8, Shape{size_bytes})};
}

void Lowering::emit(std::string kernel, std::string note, std::vector<Operand> operands, Code code) {
  Step step;
  step.node = node_index_;
  step.kernel = std::move(kernel);
  step.note = std::move(note);
  step.operands = std::move(operands);
  step.code = std::move(code);
  plan_.steps.push_back(std::move(step));
}

void Lowering::emit(std::string kernel, const dnnl::primitive& primitive,
                    const dnnl::primitive_desc_base& desc, std::vector<Argument> arguments) {
  const dnnl::memory::desc scratchpad = desc.query_md(dnnl::query::scratchpad_md);
  if (scratchpad.get_size() > 0) {
    const Rep rep = scratch(static_cast<std::int64_t>(scratchpad.get_size()));
    arguments.push_back({DNNL_ARG_SCRATCHPAD, scratchpad, rep, true});
  }
  Step step;
  step.node = node_index_;
  step.kernel = std::move(kernel);
  step.primitive = primitive;
  for (const Argument& argument : arguments) {
    step.operands.push_back({argument.rep.buffer, argument.rep.offset_bytes, argument.written});
    step.argument_ids.push_back(argument.id);
    step.argument_descs.push_back(argument.desc);
    if (argument.id == DNNL_ARG_SCRATCHPAD) continue;
    step.note += (step.note.empty() ? "" : argument.written ? " -> " : ", ") +
                 to_string(argument.rep.layout);
  }
  plan_.steps.push_back(std::move(step));
}

bool Lowering::place_inside(const Rep& part, const Rep& whole, std::int64_t offset_bytes) {
  PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(part.buffer)];
  const PlanBuffer& target = plan_.buffers[static_cast<std::size_t>(whole.buffer)];
  // Only a whole buffer of its own can move, and only into the arena.
  if (buffer.kind != PlanBuffer::Kind::Arena || target.kind != PlanBuffer::Kind::Arena ||
      buffer.parent >= 0 || part.offset_bytes != 0 ||
      buffer.size_bytes != part.layout.size_bytes() ||
      place_of(plan_, whole.buffer).root == part.buffer) {
    return false;
  }
  buffer.parent = whole.buffer;
  buffer.parent_offset = whole.offset_bytes + offset_bytes;
  // From now on whoever overwrites one overwrites the other.
  auto& moved = residents_[static_cast<std::size_t>(part.buffer)];
  auto& joined = residents_[static_cast<std::size_t>(place_of(plan_, whole.buffer).root)];
  joined.insert(joined.end(), moved.begin(), moved.end());
  moved.clear();
  return true;
}

void Lowering::finish_outputs() {
  node_index_ = -1;
  for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId id = graph_.outputs[i];
    const Type& type = graph_.value(id).type;
    const Layout layout = Layout::plain(type.dtype, NodeView::static_shape(type));
    const BufferId home = output_buffers_[i];
    if (home >= 0) {
      const auto in_place = [&](const Rep& rep) {
        return rep.buffer == home && rep.offset_bytes == 0 && rep.layout.same_bytes(layout);
      };
      if (std::any_of(reps(id).begin(), reps(id).end(), in_place)) continue;
    }
    if (reps(id).empty()) {  // a constant straight to an output
      const Tensor& value = graph_.value(id).constant;
      NARU_CHECK(value.defined(), "output '" + graph_.value(id).name + "' is never made");
      PlanBuffer buffer;
      buffer.kind = PlanBuffer::Kind::Constant;
      buffer.size_bytes = value.size_bytes();
      buffer.data = value.data();
      buffer.owner = value.owner();
      plan_.buffers.push_back(std::move(buffer));
      residents_.emplace_back();
      add_rep(id, {static_cast<BufferId>(plan_.buffers.size() - 1), 0, layout});
    }
    // The first layout that needs no conversion, else any.
    const auto fits = std::find_if(reps(id).begin(), reps(id).end(),
                                   [&](const Rep& rep) { return rep.layout.same_bytes(layout); });
    const Rep source = fits != reps(id).end() ? *fits : reps(id).front();
    PlanBuffer buffer;
    buffer.kind = PlanBuffer::Kind::Output;
    buffer.size_bytes = layout.size_bytes();
    buffer.index = static_cast<std::int32_t>(i);
    plan_.buffers.push_back(buffer);
    residents_.emplace_back();
    copy_to(source, {static_cast<BufferId>(plan_.buffers.size() - 1), 0, layout});
  }
}

}  // namespace naru::cpu
