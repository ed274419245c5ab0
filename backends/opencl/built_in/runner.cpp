// Runner: kernels by name, arguments, waiting with a limit.
#include "backends/opencl/built_in/runner.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "graph/fail.h"

namespace naru::opencl {
namespace {

using Clock = std::chrono::steady_clock;

bool lists(const std::string& names, const std::string& name) {
  return (";" + names + ";").find(";" + name + ";") != std::string::npos;
}

/// The kernels of the profile's rows that the device has, for all their types.
std::string kernel_names(const DeviceProfile& profile, const std::string& built_in) {
  constexpr std::string_view kType = "{type}";
  std::string names;
  for (const KernelRow& row : profile.rows) {
    for (const std::string& type : row.types) {
      std::string name = row.kernel;
      if (const std::size_t at = name.find(kType); at != std::string::npos) name.replace(at, kType.size(), type);
      if (lists(built_in, name) && !lists(names, name)) names += (names.empty() ? "" : ";") + name;
    }
  }
  return names;
}

std::int64_t profiled(cl_event event, cl_profiling_info what) {
  cl_ulong value = 0;
  check(api().GetEventProfilingInfo(event, what, sizeof(value), &value, nullptr), "reading a profile");
  return static_cast<std::int64_t>(value);
}

std::int64_t now_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count(); }

void add_spans(std::span<const EventHandle> events, std::int64_t begin_ns, std::vector<generated::LaunchSpan>& spans) {
  if (events.empty()) return;
  const std::int64_t shift = begin_ns - profiled(events.front().get(), CL_PROFILING_COMMAND_QUEUED);
  for (const EventHandle& event : events) {
    spans.push_back({shift + profiled(event.get(), CL_PROFILING_COMMAND_START), shift + profiled(event.get(), CL_PROFILING_COMMAND_END)});
  }
}

/// What a driver last said of an error in words. Drivers may speak after a device is closed, so it belongs to none.
struct Note {
  std::mutex mutex;
  std::string text;
};
Note& note() {
  static Note the;
  return the;
}

void CL_CALLBACK note_error(const char* text, const void*, std::size_t, void*) {
  const std::lock_guard lock(note().mutex);
  note().text = text;
}

std::string take_note() {
  const std::lock_guard lock(note().mutex);
  return std::exchange(note().text, {});
}

/// The host's end of a copy. A device that hangs may reach for it long after everyone has gone.
using Staging = std::vector<std::byte>;

void CL_CALLBACK drop_staging(cl_event, cl_int, void* staging) { delete static_cast<Staging*>(staging); }

}  // namespace

Memory range_of(const generated::Location& location, std::int64_t size_bytes) {
  const cl_buffer_region region{static_cast<std::size_t>(location.offset_bytes), static_cast<std::size_t>(size_bytes)};
  cl_int status = CL_SUCCESS;
  Memory memory(api().CreateSubBuffer(object_of(location), CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
  check(status, "naming a range of memory");
  return memory;
}

Runner::Runner(const Profile& device, const DeviceProfile& profile) : time_limit_ms_(profile.time_limit_ms) {
  cl_int status = CL_SUCCESS;
  context_ = Context(api().CreateContext(nullptr, 1, &device.device, note_error, nullptr, &status));
  check(status, "creating a context");
  pool_ = std::make_shared<Pool>(context_.get(), device.max_allocation_bytes);
  queue_ = Queue(api().CreateCommandQueue(context_.get(), device.device, CL_QUEUE_PROFILING_ENABLE, &status));
  check(status, "creating a queue");
  std::string names = kernel_names(profile, device.built_in_kernels);
  if (names.empty()) return;
  program_ = ProgramHandle(api().CreateProgramWithBuiltInKernels(context_.get(), 1, &device.device, names.c_str(), &status));
  check(status, "creating a program of built-in kernels");
  // Advertised is not working: some drivers list kernels that they cannot build.
  check(api().BuildProgram(program_.get(), 1, &device.device, "", nullptr, nullptr), "building the built-in kernels");
  for (std::string_view rest = names; !rest.empty();) {
    const std::string name(rest.substr(0, rest.find(';')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    kernels_[name] = KernelHandle(api().CreateKernel(program_.get(), name.c_str(), &status));
    check(status, "creating a kernel");
  }
}

void Runner::wait(std::span<const EventHandle> events) const {
  check(api().Flush(queue_.get()), "starting work");
  Clock::time_point progress = Clock::now();
  auto pause = std::chrono::microseconds(20);
  cl_int failed = CL_SUCCESS;
  for (const EventHandle& event : events) {
    for (;;) {
      cl_int state = CL_QUEUED;
      check(api().GetEventInfo(event.get(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, nullptr), "asking for an event");
      if (state <= CL_COMPLETE) {
        // The others are waited for all the same: their memory is in use until they end.
        if (failed == CL_SUCCESS) failed = state;
        progress = Clock::now();
        pause = std::chrono::microseconds(20);
        break;
      }
      if (Clock::now() - progress > std::chrono::milliseconds(time_limit_ms_)) {
        throw Hung(ErrorCode::Device, fmt::format("opencl: the device ended no command within {} ms", time_limit_ms_));
      }
      std::this_thread::sleep_for(pause);
      pause = std::min<std::chrono::microseconds>(2 * pause, std::chrono::milliseconds(1));
    }
  }
  if (failed == CL_SUCCESS) return;
  const std::string note = take_note();
  check(failed, note.empty() ? "a command" : ("a command (" + note + ")").c_str());
}

void Runner::copy(const generated::Location& location, std::byte* to, const std::byte* from, std::int64_t size_bytes) {
  if (size_bytes == 0) return;
  const auto offset = static_cast<std::size_t>(location.offset_bytes);
  const auto size = static_cast<std::size_t>(size_bytes);
  auto staging = std::make_unique<Staging>(size);
  if (from != nullptr) std::copy_n(from, size, staging->data());
  cl_event event = nullptr;
  const cl_int status = from != nullptr ? api().EnqueueWriteBuffer(queue_.get(), object_of(location), CL_FALSE, offset, size, staging->data(), 0, nullptr, &event)
                                        : api().EnqueueReadBuffer(queue_.get(), object_of(location), CL_FALSE, offset, size, staging->data(), 0, nullptr, &event);
  check(status, "copying");
  const EventHandle done(event);
  try {
    wait({&done, 1});
  } catch (const Hung&) {
    api().SetEventCallback(event, CL_COMPLETE, drop_staging, staging.release());
    throw;
  }
  if (to != nullptr) std::copy_n(staging->data(), size, to);
}

void Runner::write(const generated::Location& to, const std::byte* from, std::int64_t size_bytes) { copy(to, nullptr, from, size_bytes); }
void Runner::read(const generated::Location& from, std::byte* to, std::int64_t size_bytes) { copy(from, to, nullptr, size_bytes); }

EventHandle Runner::enqueue(const KernelCall& call, std::span<const cl_mem> blocks) {
  const auto found = kernels_.find(call.kernel);
  if (found == kernels_.end()) fail(ErrorCode::Device, "opencl: the device has no built-in kernel '{}'", call.kernel);
  const cl_kernel kernel = found->second.get();
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    const CallArgument& argument = call.arguments[i];
    const cl_mem memory = argument.block < 0 ? nullptr : blocks[static_cast<std::size_t>(argument.block)];
    const void* value = argument.kind == ArgumentRule::Kind::Memory ? static_cast<const void*>(&memory)
                        : argument.kind == ArgumentRule::Kind::Int  ? static_cast<const void*>(&argument.integer)
                                                                    : static_cast<const void*>(&argument.real);
    const std::size_t size = argument.kind == ArgumentRule::Kind::Memory ? sizeof(memory) : sizeof(cl_int);
    check(api().SetKernelArg(kernel, static_cast<cl_uint>(i), size, value), "setting an argument");
  }
  constexpr std::size_t kOne = 1;
  cl_event event = nullptr;
  check(api().EnqueueNDRangeKernel(queue_.get(), kernel, 1, nullptr, &kOne, nullptr, 0, nullptr, &event), "calling a built-in kernel");
  return EventHandle(event);
}

void Runner::run(const CallProgram& program, std::span<const cl_mem> blocks, std::vector<generated::LaunchSpan>* spans) {
  const std::lock_guard lock(mutex_);
  const std::int64_t begin = now_ns();
  std::vector<EventHandle> events;
  for (const KernelCall& call : program.calls) events.push_back(enqueue(call, blocks));
  wait(events);
  if (spans != nullptr) add_spans(events, begin, *spans);
}

}  // namespace naru::opencl
