// ProgramExecutable: memory planning, constants, operands, the run.
#include "backends/generated/program_executable.h"

#include <map>
#include <utility>

#include "graph/arena.h"
#include "graph/checked.h"

namespace naru::generated {
namespace {

using kernel::Launch;
using kernel::ProgramBuffer;
using Kind = kernel::ProgramBuffer::Kind;

std::int64_t bytes_of(const Graph& graph, ValueId id) {
  const Type& type = graph.value(id).type;
  return storage_bytes(type.dtype, known_shape(*type.shape)->numel());
}

std::uint64_t number_of(const void* address) { return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(address)); }

/// The same memory, which keeps `owner` alive as well.
template <typename Owner>
Memory holding(const Memory& memory, Owner owner) {
  return {memory.get(), [memory, owner = std::move(owner)](const Location*) {}};
}

}  // namespace

struct ProgramExecutable::Ends {
  std::vector<Location> inputs;
  std::vector<Location> outputs;
  /// By host address and size: an output may be the input that it updates.
  std::map<std::pair<const std::byte*, std::int64_t>, Memory> wrapped;

  Location of(KernelDevice& device, const BufferView& view) {
    if (view.size_bytes == 0) return {};
    if (const auto* own = dynamic_cast<const DeviceBuffer*>(view.buffer); own != nullptr) return own->at(view.offset_bytes);
    const std::byte* data = view.buffer->host_data() + view.offset_bytes;
    Memory& memory = wrapped[{data, view.size_bytes}];
    if (memory == nullptr) memory = device.wrap_host(data, view.size_bytes);
    Location location = *memory;
    location.transient = true;
    return location;
  }
};

std::vector<const kernel::Kernel*> kernels_of(const kernel::Program& program) {
  std::vector<const kernel::Kernel*> kernels;
  for (const auto* launches : {&program.launches, &program.prepare, &program.takeovers}) {
    for (const Launch& launch : *launches) kernels.push_back(launch.kernel.get());
  }
  return kernels;
}

ProgramExecutable::ProgramExecutable(KernelDevice& device, ConstantPool& constants, std::shared_ptr<const Graph> fragment,
                                     kernel::Program program, std::size_t workers)
    : device_(device), constants_(constants), fragment_(std::move(fragment)), program_(std::move(program)), sequences_(workers) {
  for (const ValueId id : fragment_->inputs) input_bytes_.push_back(bytes_of(*fragment_, id));
  for (const ValueId id : fragment_->outputs) output_bytes_.push_back(bytes_of(*fragment_, id));
  dummy_ = device_.allocate(64);
  plan_memory();
  place_constants();
  built_ = device_.build(kernels_of(program_));
  prepare();
}

void ProgramExecutable::plan_memory() {
  std::vector<ArenaRequest> lives(program_.buffers.size());
  for (ArenaRequest& life : lives) life.first_step = -1;
  for (std::size_t s = 0; s < program_.launches.size(); ++s) {
    for (const kernel::Operand& operand : program_.launches[s].operands) {
      const ProgramBuffer& buffer = program_.buffers[static_cast<std::size_t>(operand.buffer)];
      if (buffer.kind != Kind::Scratch) continue;
      ArenaRequest& life = lives[static_cast<std::size_t>(operand.buffer)];
      if (life.first_step < 0) {
        life.first_step = static_cast<std::int32_t>(s);
        life.size_bytes = buffer.size_bytes;
      }
      life.last_step = static_cast<std::int32_t>(s);
    }
  }
  const ArenaPlan arena = plan_arena(lives);
  offsets_ = arena.offsets;
  memory_.workspace_bytes = arena.total_bytes;
}

void ProgramExecutable::place_constants() {
  resident_.resize(program_.buffers.size());
  for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
    const ProgramBuffer& buffer = program_.buffers[b];
    if (buffer.kind != Kind::Constant || buffer.size_bytes == 0) continue;
    // The address names the constant for as long as its memory lives.
    Hasher hasher;
    hasher.number(number_of(buffer.data));
    hasher.number(buffer.size_bytes);
    resident_[b] = constants_.get(hasher.finish(), [&] {
      if (device_.host_memory()) return holding(device_.wrap_host(buffer.data, buffer.size_bytes), buffer.owner);
      const Memory memory = device_.allocate(buffer.size_bytes);
      device_.write(*memory, buffer.data, buffer.size_bytes);
      memory_.weights_bytes += buffer.size_bytes;
      return holding(memory, buffer.owner);
    });
  }
}

void ProgramExecutable::prepare() {
  for (std::size_t i = 0; i < program_.prepare.size(); ++i) {
    const Launch& launch = program_.prepare[i];
    // The same preparation of the same constants is the same memory.
    Hasher hasher;
    hasher.text(kernel::to_string(*launch.kernel));
    for (const kernel::ScalarValue& argument : launch.arguments) hasher.number(argument.integer);
    std::size_t target = 0;
    std::vector<Memory> sources;
    for (const kernel::Operand& operand : launch.operands) {
      const auto index = static_cast<std::size_t>(operand.buffer);
      if (operand.written) {
        target = index;
      } else {
        sources.push_back(resident_[index]);
        hasher.number(number_of(resident_[index].get()));
        hasher.number(operand.offset_bytes);
      }
    }
    const BuiltKernel& built = built_[program_.launches.size() + i];
    resident_[target] = constants_.get(hasher.finish(), [&] { return prepare(launch, built, target, std::move(sources)); });
  }
}

Memory ProgramExecutable::prepare(const Launch& launch, const BuiltKernel& built, std::size_t target, std::vector<Memory> sources) {
  const std::int64_t size = program_.buffers[target].size_bytes;
  resident_[target] = device_.allocate(size);
  memory_.weights_bytes += size;
  std::vector<Location> operands;
  for (const kernel::Operand& operand : launch.operands) operands.push_back(locate(operand, {}, {}, {}));
  device_.sequence({&launch}, {built}, kSetupWorker)->run(operands, nullptr);
  return holding(resident_[target], std::move(sources));
}

Location ProgramExecutable::locate(const kernel::Operand& operand, const Ends& ends, const Location& arena,
                                   const Location& status) const {
  if (operand.elements == 0) return *dummy_;
  const auto index = static_cast<std::size_t>(operand.buffer);
  const ProgramBuffer& buffer = program_.buffers[index];
  Location location;
  switch (buffer.kind) {
    case Kind::Scratch: location = {arena.memory, arena.offset_bytes + offsets_[index]}; break;
    case Kind::Input: location = ends.inputs[static_cast<std::size_t>(buffer.index)]; break;
    case Kind::Output: location = ends.outputs[static_cast<std::size_t>(buffer.index)]; break;
    case Kind::Constant: case Kind::Prepared: location = *resident_[index]; break;
    case Kind::Status: location = status; break;
  }
  location.offset_bytes += operand.offset_bytes;
  return location;
}

void ProgramExecutable::take_over(const Ends& ends, std::size_t worker) const {
  const std::size_t first_built = program_.launches.size() + program_.prepare.size();
  for (std::size_t i = 0; i < program_.takeovers.size(); ++i) {
    const Launch& launch = program_.takeovers[i];
    std::vector<Location> operands;
    for (const kernel::Operand& operand : launch.operands) operands.push_back(locate(operand, ends, {}, {}));
    const bool same = operands[0].memory == operands[1].memory && operands[0].offset_bytes == operands[1].offset_bytes;
    if (!same) device_.sequence({&launch}, {built_[first_built + i]}, static_cast<int>(worker))->run(operands, nullptr);
  }
}

std::vector<Location> ProgramExecutable::locate_all(const Ends& ends, const Location& arena, const Location& status) const {
  std::vector<Location> operands;
  for (const Launch& launch : program_.launches) {
    for (const kernel::Operand& operand : launch.operands) operands.push_back(locate(operand, ends, arena, status));
  }
  return operands;
}

Sequence& ProgramExecutable::sequence_of(std::size_t worker) const {
  std::unique_ptr<Sequence>& sequence = sequences_[worker];
  if (sequence == nullptr) {
    std::vector<const Launch*> launches;
    for (const Launch& launch : program_.launches) launches.push_back(&launch);
    std::vector<BuiltKernel> built(built_.begin(), built_.begin() + static_cast<std::ptrdiff_t>(launches.size()));
    sequence = device_.sequence(std::move(launches), std::move(built), static_cast<int>(worker));
  }
  return *sequence;
}

std::string ProgramExecutable::label(const Launch& launch) const {
  return launch.node < 0 ? "copy" : fragment_->nodes[static_cast<std::size_t>(launch.node)].label();
}

std::string ProgramExecutable::describe() const {
  std::string text;
  for (const auto& [launches, when] : {std::pair{&program_.prepare, "once "}, std::pair{&program_.takeovers, "unless in place "},
                                       std::pair{&program_.launches, ""}}) {
    for (const Launch& launch : *launches) {
      text += fmt::format("{}{}: {} ({}) grid {}x{}x{}\n", when, label(launch), launch.kernel->name, launch.note,
                          launch.grid.items[0], launch.grid.items[1], launch.grid.items[2]);
    }
  }
  return text;
}

void ProgramExecutable::check_views(const Submission& submission) const {
  const auto is_ours = [&](Buffer* buffer) {
    if (buffer == nullptr) return false;
    if (const auto* own = dynamic_cast<const DeviceBuffer*>(buffer); own != nullptr) return own->belongs_to(device_);
    return device_.host_memory() && buffer->host_data() != nullptr;
  };
  const auto check_all = [&](const std::vector<BufferView>& views, const std::vector<std::int64_t>& sizes, const char* what) {
    if (views.size() != sizes.size()) {
      fail(ErrorCode::InvalidArgument, "submission: got {} {}s, expected {}", views.size(), what, sizes.size());
    }
    for (std::size_t i = 0; i < views.size(); ++i) {
      const BufferView& view = views[i];
      if (!is_ours(view.buffer) || view.size_bytes != sizes[i] || view.offset_bytes < 0 ||
          checked_add(view.offset_bytes, view.size_bytes) > view.buffer->size_bytes()) {
        fail(ErrorCode::InvalidArgument, "submission: {} {} is a view of {} bytes at {}, expected {} bytes of this device's memory",
             what, i, view.size_bytes, view.offset_bytes, sizes[i]);
      }
    }
  };
  check_all(submission.inputs, input_bytes_, "input");
  check_all(submission.outputs, output_bytes_, "output");
}

void ProgramExecutable::check_status(std::int32_t status) const {
  if (status <= 0 || static_cast<std::size_t>(status) > program_.complaints.size()) return;
  const kernel::Complaint& complaint = program_.complaints[static_cast<std::size_t>(status - 1)];
  fail(ErrorCode::InvalidArgument, "{}: got {}", fragment_->nodes[static_cast<std::size_t>(complaint.node)].label(), complaint.message);
}

void ProgramExecutable::run(const Submission& submission, std::size_t worker, Arena& arena) const {
  check_views(submission);
  Ends ends;
  for (const BufferView& view : submission.inputs) ends.inputs.push_back(ends.of(device_, view));
  for (const BufferView& view : submission.outputs) ends.outputs.push_back(ends.of(device_, view));
  if (arena.memory == nullptr || arena.size_bytes < memory_.workspace_bytes) {
    arena = {};  // free first: both at once may not fit
    arena.memory = device_.allocate(memory_.workspace_bytes);
    arena.size_bytes = memory_.workspace_bytes;
  }
  take_over(ends, worker);
  Sequence& sequence = sequence_of(worker);
  std::vector<LaunchSpan> spans;
  const Location status = program_.complaints.empty() ? Location{} : sequence.status();
  const std::vector<Location> operands = locate_all(ends, *arena.memory, status);
  check_status(sequence.run(operands, submission.spans != nullptr ? &spans : nullptr));
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Launch& launch = program_.launches[i];
    submission.spans->push_back({launch.node, launch.kernel->name, spans[i].start_ns, spans[i].end_ns});
  }
}

}  // namespace naru::generated
