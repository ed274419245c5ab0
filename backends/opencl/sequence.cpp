// ClSequence: binding, the queue, profiles.
#include "backends/opencl/sequence.h"

#include <chrono>

#include "graph/fail.h"

namespace naru::opencl {
namespace {

using generated::LaunchSpan;
using kernel::Launch;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
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

/// Profiles count on the device's clock; its first command was queued at `begin_ns` of the host's.
void add_spans(const std::vector<EventHandle>& events, std::int64_t begin_ns, std::vector<LaunchSpan>& spans) {
  if (events.empty()) return;
  const std::int64_t shift = begin_ns - profiled(events.front().get(), CL_PROFILING_COMMAND_QUEUED);
  for (const EventHandle& event : events) {
    spans.push_back({shift + profiled(event.get(), CL_PROFILING_COMMAND_START), shift + profiled(event.get(), CL_PROFILING_COMMAND_END)});
  }
}

}  // namespace

ClSequence::ClSequence(ClDevice& device, std::vector<const Launch*> launches, std::vector<generated::BuiltKernel> built, int worker)
    : device_(device), line_(device.line_of(worker)), launches_(std::move(launches)), built_(std::move(built)) {
  for (std::size_t i = 0; i < launches_.size(); ++i) bind(*launches_[i], built_[i]);
}

Location ClSequence::status() {
  if (status_ == nullptr) status_ = device_.allocate(sizeof(cl_int));
  return *status_;
}

void ClSequence::bind(const Launch& launch, const generated::BuiltKernel& built) {
  cl_int status = CL_SUCCESS;
  const cl_program program = static_cast<const ProgramHandle*>(built.program.get())->get();
  kernels_.emplace_back(api().CreateKernel(program, built.symbol.c_str(), &status));
  check(status, "creating a kernel");
  const std::size_t first = 2 * launch.operands.size();
  for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
    set_scalar(kernels_.back().get(), first + i, launch.kernel->scalars[i].element, launch.arguments[i]);
  }
  set_.resize(set_.size() + launch.operands.size(), {0, -1});
}

void ClSequence::set_operands(std::size_t index, std::size_t first, std::span<const Location> operands) {
  const Launch& launch = *launches_[index];
  for (std::size_t o = 0; o < operands.size(); ++o) {
    const Location& location = operands[o];
    Location& set = set_[first + o];
    if (!location.transient && set.memory == location.memory && set.offset_bytes == location.offset_bytes) continue;
    const std::int64_t element = kernel::size_of(launch.kernel->buffers[o].element);
    const std::int64_t offset = location.offset_bytes / element;
    if (location.offset_bytes % element != 0 || offset > INT32_MAX) {
      fail(ErrorCode::Unsupported, "opencl: {}: got an operand at byte {} of its memory, expected a multiple of {} below 2^31 elements",
           launch.kernel->name, location.offset_bytes, element);
    }
    set_argument(kernels_[index].get(), 2 * o, object_of(location));
    set_argument(kernels_[index].get(), 2 * o + 1, static_cast<cl_int>(offset));
    set = location.transient ? Location{0, -1} : location;
  }
}

EventHandle ClSequence::enqueue(std::size_t index, bool timed) const {
  const kernel::Grid& grid = launches_[index]->grid;
  std::size_t items[3];
  std::size_t group[3];
  for (std::size_t d = 0; d < 3; ++d) {
    items[d] = static_cast<std::size_t>(grid.items[d]);
    group[d] = static_cast<std::size_t>(grid.group[d]);
  }
  cl_event event = nullptr;
  check(api().EnqueueNDRangeKernel(line_.queue.get(), kernels_[index].get(), 3, nullptr, items, group, 0, nullptr, timed ? &event : nullptr),
        "launching a kernel");
  return EventHandle(event);
}

std::int32_t ClSequence::read_status() const {
  cl_int code = 0;
  check(api().EnqueueReadBuffer(line_.queue.get(), object_of(*status_), CL_TRUE, static_cast<std::size_t>(status_->offset_bytes),
                                sizeof(code), &code, 0, nullptr, nullptr),
        "reading the status");
  return code;
}

std::int32_t ClSequence::run(std::span<const Location> operands, std::vector<LaunchSpan>* spans) {
  const std::lock_guard lock(line_.mutex);
  constexpr cl_int kGood = 0;
  if (status_ != nullptr) {
    check(api().EnqueueWriteBuffer(line_.queue.get(), object_of(*status_), CL_FALSE, static_cast<std::size_t>(status_->offset_bytes),
                                   sizeof(kGood), &kGood, 0, nullptr, nullptr),
          "clearing the status");
  }
  std::vector<EventHandle> events;
  const std::int64_t begin = now_ns();
  std::size_t first = 0;
  for (std::size_t i = 0; i < launches_.size(); ++i) {
    const std::size_t count = launches_[i]->operands.size();
    set_operands(i, first, operands.subspan(first, count));
    first += count;
    EventHandle event = enqueue(i, spans != nullptr);
    if (event) events.push_back(std::move(event));
  }
  check(api().Finish(line_.queue.get()), "running kernels");
  if (spans != nullptr) add_spans(events, begin, *spans);
  return status_ != nullptr ? read_status() : 0;
}

}  // namespace naru::opencl
