// ClExecutable: memory planning, constants, binding of arguments, the run loop.
#include "backends/opencl/executable.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "graph/arena.h"
#include "graph/checked.h"

namespace naru::opencl {
namespace {

using kernel::Launch;
using kernel::ProgramBuffer;
using Kind = kernel::ProgramBuffer::Kind;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t bytes_of(const Graph& graph, ValueId id) {
  const Type& type = graph.value(id).type;
  return storage_bytes(type.dtype, known_shape(*type.shape)->numel());
}

/// Device memory that is the host's.
std::shared_ptr<const Location> wrap_host(cl_context context, const std::byte* data, std::int64_t size_bytes) {
  cl_int status = CL_SUCCESS;
  auto memory = std::make_shared<Memory>(api().CreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
                                                            static_cast<std::size_t>(size_bytes),
                                                            const_cast<std::byte*>(data), &status));
  check(status, "using host memory");
  auto location = std::make_shared<Location>(Location{memory->get(), 0});
  return {location.get(), [location, memory](const Location*) {}};
}

void upload(cl_command_queue queue, const Location& to, const std::byte* data, std::int64_t size_bytes) {
  check(api().EnqueueWriteBuffer(queue, to.memory, CL_TRUE, static_cast<std::size_t>(to.offset_bytes),
                                 static_cast<std::size_t>(size_bytes), data, 0, nullptr, nullptr),
        "writing a constant");
}

template <typename T>
void set_argument(cl_kernel kernel, std::size_t index, const T& value) {
  check(api().SetKernelArg(kernel, static_cast<cl_uint>(index), sizeof(T), &value), "setting an argument");
}

void set_scalar(cl_kernel kernel, std::size_t index, kernel::Element element, kernel::ScalarValue value) {
  switch (element) {
    case kernel::Element::F32: return set_argument(kernel, index, static_cast<cl_float>(value.real));
    case kernel::Element::F64: return set_argument(kernel, index, static_cast<cl_double>(value.real));
    default: return set_argument(kernel, index, static_cast<cl_int>(value.integer));
  }
}

std::int64_t profiled(cl_event event, cl_profiling_info what) {
  cl_ulong value = 0;
  check(api().GetEventProfilingInfo(event, what, sizeof(value), &value, nullptr), "reading a profile");
  return static_cast<std::int64_t>(value);
}

}  // namespace

struct ClExecutable::Ends {
  std::vector<Location> inputs;
  std::vector<Location> outputs;
  std::vector<std::shared_ptr<const Location>> wrapped;

  Location of(const Session& session, const BufferView& view) {
    if (view.size_bytes == 0) return {};
    if (const auto* own = dynamic_cast<const PoolBuffer*>(view.buffer); own != nullptr) {
      return {own->location().memory, own->location().offset_bytes + view.offset_bytes};
    }
    wrapped.push_back(wrap_host(session.context.get(), view.buffer->host_data() + view.offset_bytes, view.size_bytes));
    return *wrapped.back();
  }
};

ClExecutable::ClExecutable(Session& session, std::shared_ptr<const Graph> fragment, kernel::Program program, std::size_t workers)
    : session_(session), fragment_(std::move(fragment)), program_(std::move(program)), bound_(workers) {
  for (const ValueId id : fragment_->inputs) input_bytes_.push_back(bytes_of(*fragment_, id));
  for (const ValueId id : fragment_->outputs) output_bytes_.push_back(bytes_of(*fragment_, id));
  dummy_ = session_.pool->allocate(64);
  plan_memory();
  place_constants();
  std::vector<const kernel::Kernel*> kernels;
  for (const auto* launches : {&program_.launches, &program_.prepare}) {
    for (const Launch& launch : *launches) kernels.push_back(launch.kernel.get());
  }
  built_ = session_.programs->get(kernels);
  prepare();
}

void ClExecutable::plan_memory() {
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

void ClExecutable::place_constants() {
  resident_.resize(program_.buffers.size());
  for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
    const ProgramBuffer& buffer = program_.buffers[b];
    if (buffer.kind != Kind::Constant || buffer.size_bytes == 0) continue;
    Hasher hasher;
    hasher.number(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(buffer.data)));
    hasher.number(buffer.size_bytes);
    const std::lock_guard lock(session_.constants_mutex);
    std::weak_ptr<const Location>& shared = session_.constants[hasher.finish()];
    resident_[b] = shared.lock();
    if (resident_[b] != nullptr) continue;
    if (session_.profile.host_memory) {
      resident_[b] = wrap_host(session_.context.get(), buffer.data, buffer.size_bytes);
    } else {
      resident_[b] = session_.pool->allocate(buffer.size_bytes);
      const std::lock_guard setup(session_.setup_mutex);
      upload(session_.setup.get(), *resident_[b], buffer.data, buffer.size_bytes);
      memory_.weights_bytes += buffer.size_bytes;
    }
    // The address names the constant for as long as its memory lives.
    resident_[b] = {resident_[b].get(), [owner = buffer.owner, location = resident_[b]](const Location*) {}};
    shared = resident_[b];
  }
}

void ClExecutable::prepare() {
  for (std::size_t i = 0; i < program_.prepare.size(); ++i) {
    const Launch& launch = program_.prepare[i];
    // The same preparation of the same constants is the same memory.
    Hasher hasher;
    hasher.text(kernel::to_string(*launch.kernel));
    for (const kernel::ScalarValue& argument : launch.arguments) hasher.number(argument.integer);
    std::size_t target = 0;
    std::vector<std::shared_ptr<const Location>> sources;
    for (const kernel::Operand& operand : launch.operands) {
      const auto index = static_cast<std::size_t>(operand.buffer);
      if (operand.written) {
        target = index;
      } else {
        sources.push_back(resident_[index]);
        hasher.number(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(resident_[index].get())));
        hasher.number(operand.offset_bytes);
      }
    }
    const std::lock_guard lock(session_.constants_mutex);
    std::weak_ptr<const Location>& shared = session_.constants[hasher.finish()];
    resident_[target] = shared.lock();
    if (resident_[target] != nullptr) continue;
    const std::int64_t size = program_.buffers[target].size_bytes;
    std::shared_ptr<const Location> made = session_.pool->allocate(size);
    resident_[target] = {made.get(), [made, sources](const Location*) {}};
    memory_.weights_bytes += size;
    KernelHandle kernel;
    bind(kernel, launch, built_[program_.launches.size() + i]);
    for (std::size_t o = 0; o < launch.operands.size(); ++o) {
      set_location(kernel.get(), launch, o, locate(launch.operands[o], {}, {}, {}));
    }
    const std::lock_guard setup(session_.setup_mutex);
    enqueue(session_.setup.get(), kernel.get(), launch, nullptr);
    check(api().Finish(session_.setup.get()), "preparing constants");
    shared = resident_[target];
  }
}

Location ClExecutable::locate(const kernel::Operand& operand, const Ends& ends, const Location& arena, const Location& status) const {
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

void ClExecutable::bind(KernelHandle& kernel, const Launch& launch, const BuiltKernel& built) const {
  cl_int status = CL_SUCCESS;
  kernel = KernelHandle(api().CreateKernel(built.program->get(), built.symbol.c_str(), &status));
  check(status, "creating a kernel");
  const std::size_t first = 2 * launch.operands.size();
  for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
    set_scalar(kernel.get(), first + i, launch.kernel->scalars[i].element, launch.arguments[i]);
  }
}

void ClExecutable::set_location(cl_kernel kernel, const Launch& launch, std::size_t operand, const Location& location) const {
  const std::int64_t element = kernel::size_of(launch.kernel->buffers[operand].element);
  const std::int64_t offset = location.offset_bytes / element;
  if (location.offset_bytes % element != 0 || offset > INT32_MAX) {
    fail(ErrorCode::Unsupported, "opencl: {}: got an operand at byte {} of its memory, expected a multiple of {} below 2^31 elements",
         launch.kernel->name, location.offset_bytes, element);
  }
  set_argument(kernel, 2 * operand, location.memory);
  set_argument(kernel, 2 * operand + 1, static_cast<cl_int>(offset));
}

void ClExecutable::enqueue(cl_command_queue queue, cl_kernel kernel, const Launch& launch, cl_event* event) const {
  std::size_t items[3];
  std::size_t group[3];
  for (std::size_t d = 0; d < 3; ++d) {
    items[d] = static_cast<std::size_t>(launch.grid.items[d]);
    group[d] = static_cast<std::size_t>(launch.grid.group[d]);
  }
  check(api().EnqueueNDRangeKernel(queue, kernel, 3, nullptr, items, group, 0, nullptr, event), "launching a kernel");
}

std::string ClExecutable::label(const Launch& launch) const {
  return launch.node < 0 ? "copy" : fragment_->nodes[static_cast<std::size_t>(launch.node)].label();
}

std::string ClExecutable::describe() const {
  std::string text;
  for (const auto& [launches, when] : {std::pair{&program_.prepare, "once "}, std::pair{&program_.launches, ""}}) {
    for (const Launch& launch : *launches) {
      text += fmt::format("{}{}: {} ({}) grid {}x{}x{}\n", when, label(launch), launch.kernel->name, launch.note,
                          launch.grid.items[0], launch.grid.items[1], launch.grid.items[2]);
    }
  }
  return text;
}

void ClExecutable::check_views(const Submission& submission) const {
  const auto check_all = [&](const std::vector<BufferView>& views, const std::vector<std::int64_t>& sizes, const char* what) {
    if (views.size() != sizes.size()) {
      fail(ErrorCode::InvalidArgument, "submission: got {} {}s, expected {}", views.size(), what, sizes.size());
    }
    for (std::size_t i = 0; i < views.size(); ++i) {
      const BufferView& view = views[i];
      const bool ours = view.buffer != nullptr && (dynamic_cast<const PoolBuffer*>(view.buffer) != nullptr ||
                                                   (session_.profile.host_memory && view.buffer->host_data() != nullptr));
      if (!ours || view.size_bytes != sizes[i] || view.offset_bytes < 0 ||
          checked_add(view.offset_bytes, view.size_bytes) > view.buffer->size_bytes()) {
        fail(ErrorCode::InvalidArgument, "submission: {} {} is a view of {} bytes at {}, expected {} bytes of this device's memory",
             what, i, view.size_bytes, view.offset_bytes, sizes[i]);
      }
    }
  };
  check_all(submission.inputs, input_bytes_, "input");
  check_all(submission.outputs, output_bytes_, "output");
}

void ClExecutable::check_status(cl_command_queue queue, const Location& status) const {
  cl_int code = 0;
  check(api().EnqueueReadBuffer(queue, status.memory, CL_TRUE, static_cast<std::size_t>(status.offset_bytes), sizeof(code), &code, 0,
                                nullptr, nullptr),
        "reading the status");
  if (code <= 0 || static_cast<std::size_t>(code) > program_.complaints.size()) return;
  const kernel::Complaint& complaint = program_.complaints[static_cast<std::size_t>(code - 1)];
  fail(ErrorCode::InvalidArgument, "{}: got {}", fragment_->nodes[static_cast<std::size_t>(complaint.node)].label(), complaint.message);
}

void ClExecutable::run(const Submission& submission, std::size_t worker_index, Worker& worker) const {
  check_views(submission);
  Ends ends;
  for (const BufferView& view : submission.inputs) ends.inputs.push_back(ends.of(session_, view));
  for (const BufferView& view : submission.outputs) ends.outputs.push_back(ends.of(session_, view));
  if (worker.arena == nullptr || worker.arena_bytes < memory_.workspace_bytes) {
    worker.arena = nullptr;  // free first: both at once may not fit
    worker.arena = session_.pool->allocate(memory_.workspace_bytes);
    worker.arena_bytes = memory_.workspace_bytes;
  }
  const cl_command_queue queue = worker.queue.get();
  Bound& bound = bound_[worker_index];
  const bool first = bound.kernels.empty();
  const bool guarded = !program_.complaints.empty();
  if (first) {
    bound.kernels.resize(program_.launches.size());
    bound.status = session_.pool->allocate(sizeof(cl_int));
  }
  constexpr cl_int kGood = 0;
  if (guarded) {
    check(api().EnqueueWriteBuffer(queue, bound.status->memory, CL_FALSE, static_cast<std::size_t>(bound.status->offset_bytes),
                                   sizeof(kGood), &kGood, 0, nullptr, nullptr),
          "clearing the status");
  }
  std::vector<EventHandle> events;
  const std::int64_t begin = now_ns();
  std::size_t next = 0;
  for (std::size_t i = 0; i < program_.launches.size(); ++i) {
    const Launch& launch = program_.launches[i];
    if (first) bind(bound.kernels[i], launch, built_[i]);
    for (std::size_t o = 0; o < launch.operands.size(); ++o, ++next) {
      const Location location = locate(launch.operands[o], ends, *worker.arena, *bound.status);
      if (!first && bound.operands[next].memory == location.memory && bound.operands[next].offset_bytes == location.offset_bytes) continue;
      set_location(bound.kernels[i].get(), launch, o, location);
      if (next == bound.operands.size()) bound.operands.emplace_back();
      bound.operands[next] = location;
    }
    cl_event event = nullptr;
    enqueue(queue, bound.kernels[i].get(), launch, submission.spans != nullptr ? &event : nullptr);
    if (event != nullptr) events.emplace_back(event);
  }
  check(api().Finish(queue), "running kernels");
  // A later object may get the address of one of these.
  for (Location& operand : bound.operands) {
    for (const auto& wrapped : ends.wrapped) {
      if (operand.memory == wrapped->memory) operand = {};
    }
  }
  if (guarded) check_status(queue, *bound.status);
  if (submission.spans == nullptr || events.empty()) return;
  const std::int64_t shift = begin - profiled(events.front().get(), CL_PROFILING_COMMAND_QUEUED);
  for (std::size_t i = 0; i < events.size(); ++i) {
    submission.spans->push_back({program_.launches[i].node, program_.launches[i].kernel->name,
                                 shift + profiled(events[i].get(), CL_PROFILING_COMMAND_START),
                                 shift + profiled(events[i].get(), CL_PROFILING_COMMAND_END)});
  }
}

}  // namespace naru::opencl
