// CallExecutable: constants, the arena, the run.
#include "backends/opencl/built_in/executable.h"

#include "graph/arena.h"
#include "graph/checked.h"

namespace naru::opencl {

using generated::Location;

CallExecutable::CallExecutable(Runner& runner, generated::ConstantPool& constants, std::shared_ptr<const Graph> fragment, CallProgram program)
    : runner_(runner), fragment_(std::move(fragment)), program_(std::move(program)), resident_(program_.blocks.size()) {
  place_constants(constants);
  plan_scratch();
}

void CallExecutable::place_constants(generated::ConstantPool& constants) {
  for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
    const Block& block = program_.blocks[b];
    if (block.kind != Block::Kind::Constant) continue;
    // The address names the constant for as long as its memory lives, which the pool's entry sees to.
    Hasher hasher;
    hasher.number(reinterpret_cast<std::uintptr_t>(block.constant->data()));
    hasher.number(block.size_bytes);
    hasher.number(static_cast<std::int64_t>(block.dtype));
    for (const auto* list : {&block.layout.order, &block.layout.align, &block.constant->shape().dims()}) {
      for (const std::int64_t value : *list) hasher.number(value);
    }
    held_.push_back(constants.get(hasher.finish(), [&] {
      const generated::Memory memory = runner_.allocate(block.size_bytes);
      runner_.write(*memory, arrange(*block.constant, block.layout, block.dtype).data(), block.size_bytes);
      return generated::Memory(memory.get(), [memory, owner = block.constant->owner()](const Location*) {});
    }));
    memory_.weights_bytes += block.size_bytes;
    resident_[b] = range_of(*held_.back(), block.size_bytes);
  }
}

void CallExecutable::plan_scratch() {
  // The device's alignment of ranges is at most the pool's own; the plan keeps it by rounding sizes.
  constexpr std::int64_t kAlignment = 256;
  std::vector<ArenaRequest> requests(program_.blocks.size());
  for (ArenaRequest& request : requests) request.first_step = -1;
  for (std::size_t step = 0; step < program_.calls.size(); ++step) {
    for (const CallArgument& argument : program_.calls[step].arguments) {
      if (argument.block < 0 || program_.blocks[static_cast<std::size_t>(argument.block)].kind != Block::Kind::Scratch) continue;
      ArenaRequest& request = requests[static_cast<std::size_t>(argument.block)];
      if (request.first_step < 0) request.first_step = static_cast<std::int32_t>(step);
      request.last_step = static_cast<std::int32_t>(step);
      request.size_bytes = CheckedSize(program_.blocks[static_cast<std::size_t>(argument.block)].size_bytes).align_up(kAlignment).value();
    }
  }
  const ArenaPlan plan = plan_arena(requests);
  memory_.workspace_bytes = plan.total_bytes;
  if (plan.total_bytes == 0) return;
  held_.push_back(runner_.allocate(plan.total_bytes));
  for (std::size_t b = 0; b < requests.size(); ++b) {
    if (requests[b].first_step < 0) continue;
    resident_[b] = range_of({held_.back()->memory, held_.back()->offset_bytes + plan.offsets[b]}, program_.blocks[b].size_bytes);
  }
}

std::string CallExecutable::label(const KernelCall& call) const {
  return call.node < 0 ? "conversion" : fragment_->nodes[static_cast<std::size_t>(call.node)].label();
}

std::string CallExecutable::describe() const {
  std::string text;
  for (const KernelCall& call : program_.calls) text += fmt::format("{}: {}\n", label(call), call.kernel);
  return text;
}

void CallExecutable::run(const Submission& submission) const {
  std::vector<Memory> ends;
  std::vector<cl_mem> objects;
  for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
    const Block& block = program_.blocks[b];
    objects.push_back(resident_[b].get());
    if ((block.kind != Block::Kind::Input && block.kind != Block::Kind::Output) || block.size_bytes == 0) continue;
    const auto& views = block.kind == Block::Kind::Input ? submission.inputs : submission.outputs;
    const BufferView& view = views.at(block.index);
    const auto* buffer = dynamic_cast<const ClBuffer*>(view.buffer);
    if (buffer == nullptr || view.size_bytes != block.size_bytes) {
      fail(ErrorCode::InvalidArgument, "submission: got a view of {} bytes, expected {} of this device's memory", view.size_bytes, block.size_bytes);
    }
    ends.push_back(range_of(buffer->at(view.offset_bytes), view.size_bytes));
    objects.back() = ends.back().get();
  }
  std::vector<generated::LaunchSpan> spans;
  runner_.run(program_, objects, submission.spans != nullptr ? &spans : nullptr);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    submission.spans->push_back({program_.calls[i].node, program_.calls[i].kernel, spans[i].start_ns, spans[i].end_ns});
  }
}

}  // namespace naru::opencl
