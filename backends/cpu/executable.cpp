// CpuExecutable: memory planning, binding of addresses, the run loop.
#include "backends/cpu/executable.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "graph/arena.h"
#include "graph/checked.h"

namespace naru::cpu {
namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t bytes_of(const Graph& graph, ValueId id) {
  const Type& type = graph.value(id).type;
  return storage_bytes(type.dtype, known_shape(*type.shape)->numel());
}

}  // namespace

std::byte* WorkerArena::at_least(std::int64_t size_bytes) {
  if (!memory_.defined() || memory_.size_bytes() < size_bytes) {
    memory_ = Tensor();  // free first: both at once may not fit
    memory_ = Tensor(DType::U8, Shape{size_bytes});
  }
  return memory_.mutable_data();
}

CpuExecutable::CpuExecutable(Widened fragment, Plan plan, int workers)
    : fragment_(std::move(fragment)),
      plan_(std::move(plan)),
      bound_(static_cast<std::size_t>(workers)) {
  const Graph& graph = *fragment_.graph;
  for (ValueId id : graph.inputs) input_bytes_.push_back(bytes_of(graph, id));
  for (ValueId id : graph.outputs) output_bytes_.push_back(bytes_of(graph, id));
  own_team_ = std::none_of(plan_.steps.begin(), plan_.steps.end(),
                           [](const Step& step) { return static_cast<bool>(step.primitive); });
  plan_memory();
}

void CpuExecutable::plan_memory() {
  const std::size_t count = plan_.buffers.size();
  std::vector<ArenaRequest> lives(count);
  for (ArenaRequest& life : lives) life.first_step = -1;
  std::size_t operands = 0;
  for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
    first_operand_.push_back(operands);
    for (const Operand& operand : plan_.steps[s].operands) {
      const PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(operand.buffer)];
      if (buffer.kind == PlanBuffer::Kind::Input || buffer.kind == PlanBuffer::Kind::Output) {
        externals_.push_back({operands, buffer.kind == PlanBuffer::Kind::Output, buffer.index,
                              operand.offset_bytes});
      } else if (buffer.kind == PlanBuffer::Kind::Arena) {
        const Place place = place_of(plan_, operand.buffer);
        ArenaRequest& life = lives[static_cast<std::size_t>(place.root)];
        if (life.first_step < 0) life.first_step = static_cast<std::int32_t>(s);
        life.last_step = static_cast<std::int32_t>(s);
      }
      ++operands;
    }
  }
  std::set<const void*> counted;
  for (std::size_t b = 0; b < count; ++b) {
    const PlanBuffer& buffer = plan_.buffers[b];
    if (lives[b].first_step >= 0) lives[b].size_bytes = buffer.size_bytes;
    if (buffer.packed && counted.insert(buffer.data).second) {
      memory_.weights_bytes += buffer.size_bytes;
    }
  }
  const ArenaPlan arena = plan_arena(lives);
  memory_.workspace_bytes = arena.total_bytes;
  for (std::size_t b = 0; b < count; ++b) {
    const Place place = place_of(plan_, static_cast<BufferId>(b));
    offsets_.push_back(arena.offsets[static_cast<std::size_t>(place.root)] + place.offset_bytes);
  }
}

std::string CpuExecutable::label(const Step& step) const {
  if (step.node < 0) return "conversion";
  return fragment_.graph->nodes[static_cast<std::size_t>(step.node)].label();
}

std::string CpuExecutable::describe() const {
  std::string text;
  for (const Step& step : plan_.steps) {
    text += label(step) + ": " + step.kernel;
    if (!step.note.empty()) text += " (" + step.note + ")";
    text += " @";
    for (const Operand& operand : step.operands) {
      const PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(operand.buffer)];
      constexpr const char* kKinds[] = {"", "in", "out", "const"};
      text += fmt::format(" {}{}{}", operand.written ? ">" : "",
                          kKinds[static_cast<std::size_t>(buffer.kind)],
                          buffer.kind == PlanBuffer::Kind::Arena
                              ? offsets_[static_cast<std::size_t>(operand.buffer)] + operand.offset_bytes
                          : buffer.kind == PlanBuffer::Kind::Constant ? operand.offset_bytes
                                                                      : buffer.index);
    }
    text += "\n";
  }
  return text;
}

void CpuExecutable::check_views(const Submission& submission) const {
  const auto check = [](const std::vector<BufferView>& views, const std::vector<std::int64_t>& sizes,
                        const char* what) {
    if (views.size() != sizes.size()) {
      fail(ErrorCode::InvalidArgument, "submission: got {} {}s, expected {}", views.size(), what,
           sizes.size());
    }
    for (std::size_t i = 0; i < views.size(); ++i) {
      const BufferView& view = views[i];
      if (view.buffer == nullptr || view.buffer->host_data() == nullptr ||
          view.size_bytes != sizes[i] || view.offset_bytes < 0 ||
          checked_add(view.offset_bytes, view.size_bytes) > view.buffer->size_bytes()) {
        fail(ErrorCode::InvalidArgument,
             "submission: {} {} is a view of {} bytes at {}, expected {} bytes of host memory", what,
             i, view.size_bytes, view.offset_bytes, sizes[i]);
      }
    }
  };
  check(submission.inputs, input_bytes_, "input");
  check(submission.outputs, output_bytes_, "output");
}

void CpuExecutable::bind_arena(Bound& bound, std::byte* arena) const {
  const bool first = bound.pointers.empty();
  bound.arena = arena;
  bound.pointers.clear();
  for (const Step& step : plan_.steps) {
    for (const Operand& operand : step.operands) {
      const PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(operand.buffer)];
      std::byte* base = nullptr;
      if (buffer.kind == PlanBuffer::Kind::Arena) {
        base = arena + offsets_[static_cast<std::size_t>(operand.buffer)];
      } else if (buffer.kind == PlanBuffer::Kind::Constant) {
        base = const_cast<std::byte*>(buffer.data);
      }
      bound.pointers.push_back(base == nullptr ? nullptr : base + operand.offset_bytes);
    }
  }
  if (first) {
    bound.stream = dnnl::stream(engine());
    for (const Step& step : plan_.steps) {
      for (std::size_t i = 0; i < step.operands.size(); ++i) {
        const bool used = static_cast<bool>(step.primitive);
        bound.memories.push_back(
            used ? dnnl::memory(step.argument_descs[i], engine(), nullptr) : dnnl::memory());
        bound.arguments.push_back(
            {used ? step.argument_ids[i] : 0, bound.memories.back().get(true)});
      }
    }
  }
  for (std::size_t i = 0; i < bound.pointers.size(); ++i) {
    if (bound.memories[i]) bound.memories[i].set_data_handle(bound.pointers[i]);
  }
}

void CpuExecutable::bind_views(Bound& bound, const Submission& submission) const {
  for (const External& external : externals_) {
    const auto& views = external.is_output ? submission.outputs : submission.inputs;
    const BufferView& view = views[static_cast<std::size_t>(external.index)];
    std::byte* pointer = view.buffer->host_data() + view.offset_bytes + external.offset_bytes;
    if (bound.pointers[external.operand] == pointer) continue;
    bound.pointers[external.operand] = pointer;
    if (bound.memories[external.operand]) bound.memories[external.operand].set_data_handle(pointer);
  }
}

void CpuExecutable::run_step(const Bound& bound, std::size_t index) const {
  const Step& step = plan_.steps[index];
  const std::size_t first = first_operand_[index];
  if (step.code) {
    step.code(bound.pointers.data() + first);
    return;
  }
  const dnnl_status_t status =
      dnnl_primitive_execute(step.primitive.get(), bound.stream.get(),
                             static_cast<int>(step.operands.size()), bound.arguments.data() + first);
  if (status != dnnl_success) {
    fail(status == dnnl_out_of_memory ? ErrorCode::OutOfMemory : ErrorCode::Device,
         "oneDNN: {} failed with status {}", step.kernel, static_cast<int>(status));
  }
}

void CpuExecutable::run(const Submission& submission, int worker, WorkerArena& arena, ThreadTeam& team) const {
  check_views(submission);
  const ThreadTeam::Use use(own_team_ ? &team : nullptr);
  Bound& bound = bound_[static_cast<std::size_t>(worker)];
  with_dnnl("binding memory", [&] {
    std::byte* memory = arena.at_least(memory_.workspace_bytes);
    if (bound.pointers.empty() || bound.arena != memory) bind_arena(bound, memory);
    bind_views(bound, submission);
  });
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    const std::int64_t start = submission.spans != nullptr ? now_ns() : 0;
    run_step(bound, i);
    if (submission.spans != nullptr) {
      const std::int32_t node = plan_.steps[i].node;
      const bool mapped = node >= 0 && !fragment_.origin.empty();
      submission.spans->push_back({mapped ? fragment_.origin[static_cast<std::size_t>(node)] : node,
                                   plan_.steps[i].kernel, start, now_ns()});
    }
  }
}

}  // namespace naru::cpu
