// Events: states, waiting, callbacks, and the two clocks.
#include <algorithm>

#include "backends/npu_sim/icd/entry_points.h"

cl_int _cl_event::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void _cl_event::set_state(cl_int state) {
  std::vector<Waiting> due;
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
    const auto later = std::stable_partition(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return state > w.state; });
    due.assign(later, waiting_.end());
    waiting_.erase(later, waiting_.end());
  }
  changed_.notify_all();
  for (const Waiting& one : due) one.callback(this, std::min(state, one.state), one.data);
}

cl_int _cl_event::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ <= CL_COMPLETE; });
  return state_;
}

void _cl_event::when(cl_int state, Callback callback, void* data) {
  cl_int reached = 0;
  {
    const std::lock_guard lock(mutex_);
    if (state_ > state) {
      waiting_.push_back({state, callback, data});
      return;
    }
    reached = state_;
  }
  callback(this, std::min(reached, state), data);
}

namespace npu::icd {
namespace {

// cl_naru_simulated_time: what the simulator itself took, and the energy that the model says.
constexpr cl_profiling_info kWallNanoseconds = 0x4e501;
constexpr cl_profiling_info kPicojoules = 0x4e502;

}  // namespace

cl_int CL_API_CALL WaitForEvents(cl_uint count, const cl_event* events) {
  if (count == 0 || events == nullptr) return CL_INVALID_VALUE;
  if (!std::all_of(events, events + count, valid<_cl_event>)) return CL_INVALID_EVENT;
  const auto other = [&](cl_event event) { return event->context.get() != events[0]->context.get(); };
  if (std::any_of(events, events + count, other)) return CL_INVALID_CONTEXT;
  bool failed = false;
  for (cl_uint i = 0; i < count; ++i) failed |= events[i]->wait() < 0;
  return failed ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : CL_SUCCESS;
}

cl_int CL_API_CALL GetEventInfo(cl_event event, cl_event_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(event)) return CL_INVALID_EVENT;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_EVENT_COMMAND_QUEUE: return answer.number(event->queue.get());
    case CL_EVENT_COMMAND_TYPE: return answer.number(event->command);
    case CL_EVENT_REFERENCE_COUNT: return answer.number<cl_uint>(event->references);
    case CL_EVENT_COMMAND_EXECUTION_STATUS: return answer.number(event->state());
    case CL_EVENT_CONTEXT: return answer.number(event->context.get());
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL GetEventProfilingInfo(cl_event event, cl_profiling_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(event)) return CL_INVALID_EVENT;
  const bool profiled = event->queue.get() != nullptr && (event->queue->properties & CL_QUEUE_PROFILING_ENABLE) != 0;
  if (!profiled || event->state() != CL_COMPLETE) return CL_PROFILING_INFO_NOT_AVAILABLE;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_PROFILING_COMMAND_QUEUED:
    case CL_PROFILING_COMMAND_SUBMIT: return answer.number(static_cast<cl_ulong>(event->queued_ns));
    case CL_PROFILING_COMMAND_START: return answer.number(static_cast<cl_ulong>(event->span.start_ns));
    case CL_PROFILING_COMMAND_END: return answer.number(static_cast<cl_ulong>(event->span.end_ns));
    case kWallNanoseconds: return answer.number(static_cast<cl_ulong>(event->wall_ns));
    case kPicojoules: return answer.number(static_cast<cl_ulong>(event->span.picojoules));
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL RetainEvent(cl_event event) {
  if (!valid(event)) return CL_INVALID_EVENT;
  retain(event);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseEvent(cl_event event) {
  if (!valid(event)) return CL_INVALID_EVENT;
  release(event);
  return CL_SUCCESS;
}

cl_event CL_API_CALL CreateUserEvent(cl_context context, cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  auto* event = new (std::nothrow) _cl_event;
  if (event == nullptr) return refuse(CL_OUT_OF_HOST_MEMORY, status);
  event->context = Ref(context);
  event->command = CL_COMMAND_USER;
  event->set_state(CL_SUBMITTED);
  return hand_out(event, status);
}

cl_int CL_API_CALL SetUserEventStatus(cl_event event, cl_int state) {
  if (!valid(event) || event->command != CL_COMMAND_USER) return CL_INVALID_EVENT;
  if (state > CL_COMPLETE) return CL_INVALID_VALUE;
  if (event->state() <= CL_COMPLETE) return CL_INVALID_OPERATION;
  event->set_state(state);
  return CL_SUCCESS;
}

cl_int CL_API_CALL SetEventCallback(cl_event event, cl_int state, void(CL_CALLBACK* callback)(cl_event, cl_int, void*), void* data) {
  if (!valid(event)) return CL_INVALID_EVENT;
  if (callback == nullptr || state < CL_COMPLETE || state > CL_SUBMITTED) return CL_INVALID_VALUE;
  event->when(state, callback, data);
  return CL_SUCCESS;
}

}  // namespace npu::icd
