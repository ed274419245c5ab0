// Command queues and what is enqueued on them.
#include <algorithm>
#include <cstring>

#include "backends/npu_sim/icd/entry_points.h"
#include "backends/npu_sim/icd/queue_thread.h"

_cl_command_queue::~_cl_command_queue() { thread->close(); }

namespace npu::icd {
namespace {

/// The wait list and the event of an enqueue call.
struct Order {
  cl_command_queue queue;
  cl_uint wait_count;
  const cl_event* waits;
  cl_event* event;
};

cl_int check(const Order& order) {
  if (!valid(order.queue)) return CL_INVALID_COMMAND_QUEUE;
  if ((order.wait_count == 0) != (order.waits == nullptr)) return CL_INVALID_EVENT_WAIT_LIST;
  if (!std::all_of(order.waits, order.waits + order.wait_count, valid<_cl_event>)) return CL_INVALID_EVENT_WAIT_LIST;
  const auto other = [&](cl_event event) { return event->context.get() != order.queue->context.get(); };
  return std::any_of(order.waits, order.waits + order.wait_count, other) ? CL_INVALID_CONTEXT : CL_SUCCESS;
}

cl_int check(const Order& order, cl_mem memory) {
  if (const cl_int wrong = check(order); wrong != CL_SUCCESS) return wrong;
  if (!valid(memory)) return CL_INVALID_MEM_OBJECT;
  return memory->context.get() == order.queue->context.get() ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

bool inside(const _cl_mem& memory, std::size_t offset, std::size_t size) { return size > 0 && offset <= memory.size && size <= memory.size - offset; }

using Run = std::function<cl_int(std::int64_t, Span&)>;

/// Queues a command; waits for it when it is `blocking`.
cl_int enqueue(const Order& order, cl_command_type type, bool blocking, Run run) {
  try {
    Ref<_cl_event> event(new _cl_event);
    release(event.get());  // the reference it was made with
    event->context = order.queue->context;
    event->queue = Ref(order.queue);
    event->command = type;
    event->queued_ns = order.queue->context->device->now_ns();
    Command command{{}, std::move(run), event};
    for (cl_uint i = 0; i < order.wait_count; ++i) command.waits.emplace_back(order.waits[i]);
    order.queue->thread->add(std::move(command));
    if (order.event != nullptr) {
      retain(event.get());
      *order.event = event.get();
    }
    return blocking ? std::min(event->wait(), CL_SUCCESS) : CL_SUCCESS;
  } catch (const std::bad_alloc&) {
    return CL_OUT_OF_HOST_MEMORY;
  }
}

cl_int nothing(std::int64_t, Span&) { return CL_SUCCESS; }

/// A copy that keeps its buffers alive. `from` or `to` lies in host memory when `over_link`.
Run copying(cl_mem a, cl_mem b, const std::byte* from, std::byte* to, std::size_t size, bool over_link) {
  return [a = Ref(a), b = Ref(b), from, to, size, over_link](std::int64_t earliest, Span& span) {
    return status_of(a->context->device->copy(from, to, static_cast<std::int64_t>(size), over_link, earliest, span));
  };
}

/// The call that a kernel object describes now; its arguments may change right after.
Run launching(const _cl_kernel& kernel) {
  std::vector<Ref<_cl_mem>> memory;
  std::vector<Argument> arguments;
  for (std::size_t i = 0; i < kernel.slots.size(); ++i) {
    const _cl_kernel::Slot& slot = kernel.slots[i];
    const Role role = kernel.kernel->parameters[i].role;
    memory.push_back(slot.memory);
    if (role == Role::Int || role == Role::Float) {
      arguments.push_back(slot.scalar);
    } else {
      const _cl_mem* buffer = slot.memory.get();
      arguments.push_back(buffer != nullptr ? std::span<std::byte>(buffer->data(), buffer->size) : std::span<std::byte>());
    }
  }
  return [program = kernel.program, function = kernel.kernel, memory = std::move(memory), arguments = std::move(arguments)](
             std::int64_t earliest, Span& span) {
    const _cl_context& context = *program->context.get();
    std::string message;
    const Status status = context.device->launch(*function, arguments, earliest, span, &message);
    if (!message.empty() && context.notify != nullptr) context.notify(message.c_str(), nullptr, 0, context.notify_data);
    return status_of(status);
  };
}

cl_int check_kernel(const Order& order, cl_kernel kernel) {
  if (const cl_int wrong = check(order); wrong != CL_SUCCESS) return wrong;
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  if (kernel->program->context.get() != order.queue->context.get()) return CL_INVALID_CONTEXT;
  for (std::size_t i = 0; i < kernel->slots.size(); ++i) {
    const _cl_kernel::Slot& slot = kernel->slots[i];
    const Role role = kernel->kernel->parameters[i].role;
    const bool needs_memory = role == Role::Input || role == Role::Output;
    if (!slot.set || (needs_memory && slot.memory.get() == nullptr)) return CL_INVALID_KERNEL_ARGS;
  }
  return CL_SUCCESS;
}

}  // namespace

// --- Queues -----------------------------------------------------------------------------------------------

cl_command_queue CL_API_CALL CreateCommandQueue(cl_context context, cl_device_id id, cl_command_queue_properties properties, cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  if (id != device()) return refuse(CL_INVALID_DEVICE, status);
  constexpr cl_command_queue_properties kKnown = CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
  if ((properties & ~kKnown) != 0) return refuse(CL_INVALID_VALUE, status);
  if ((properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0) return refuse(CL_INVALID_QUEUE_PROPERTIES, status);
  try {
    auto thread = std::make_shared<QueueThread>(context->device);
    auto queue = std::make_unique<_cl_command_queue>();
    queue->context = Ref(context);
    queue->properties = properties;
    queue->thread = thread;
    thread->start();
    return hand_out(queue.release(), status);
  } catch (const std::exception&) {
    return refuse(CL_OUT_OF_HOST_MEMORY, status);
  }
}

cl_int CL_API_CALL RetainCommandQueue(cl_command_queue queue) {
  if (!valid(queue)) return CL_INVALID_COMMAND_QUEUE;
  retain(queue);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseCommandQueue(cl_command_queue queue) {
  if (!valid(queue)) return CL_INVALID_COMMAND_QUEUE;
  release(queue);
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(queue)) return CL_INVALID_COMMAND_QUEUE;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_QUEUE_CONTEXT: return answer.number(queue->context.get());
    case CL_QUEUE_DEVICE: return answer.number(device());
    case CL_QUEUE_REFERENCE_COUNT: return answer.number<cl_uint>(queue->references);
    case CL_QUEUE_PROPERTIES: return answer.number(queue->properties);
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL Flush(cl_command_queue queue) { return valid(queue) ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
cl_int CL_API_CALL Finish(cl_command_queue queue) { return valid(queue) ? queue->thread->finish() : CL_INVALID_COMMAND_QUEUE; }

// --- Kernels ----------------------------------------------------------------------------------------------

/// A built-in kernel works on whole tensors: one work-item is one call.
cl_int CL_API_CALL EnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const std::size_t* offset,
                                        const std::size_t* global, const std::size_t* local, cl_uint wait_count, const cl_event* waits,
                                        cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check_kernel(order, kernel); wrong != CL_SUCCESS) return wrong;
  if (dimensions < 1 || dimensions > 3) return CL_INVALID_WORK_DIMENSION;
  const auto all = [&](const std::size_t* sizes, std::size_t value) {
    return std::all_of(sizes, sizes + dimensions, [&](std::size_t size) { return size == value; });
  };
  if (global == nullptr || !all(global, 1)) return CL_INVALID_GLOBAL_WORK_SIZE;
  if (offset != nullptr && !all(offset, 0)) return CL_INVALID_GLOBAL_OFFSET;
  if (local != nullptr && !all(local, 1)) return CL_INVALID_WORK_GROUP_SIZE;
  return enqueue(order, CL_COMMAND_NDRANGE_KERNEL, false, launching(*kernel));
}

cl_int CL_API_CALL EnqueueTask(cl_command_queue queue, cl_kernel kernel, cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check_kernel(order, kernel); wrong != CL_SUCCESS) return wrong;
  return enqueue(order, CL_COMMAND_TASK, false, launching(*kernel));
}

// --- Buffers ----------------------------------------------------------------------------------------------

cl_int CL_API_CALL EnqueueReadBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, std::size_t offset, std::size_t size, void* to,
                                     cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return wrong;
  if (to == nullptr || !inside(*memory, offset, size)) return CL_INVALID_VALUE;
  if ((memory->flags & (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)) != 0) return CL_INVALID_OPERATION;
  return enqueue(order, CL_COMMAND_READ_BUFFER, blocking != CL_FALSE,
                 copying(memory, nullptr, memory->data() + offset, static_cast<std::byte*>(to), size, true));
}

cl_int CL_API_CALL EnqueueWriteBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, std::size_t offset, std::size_t size, const void* from,
                                      cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return wrong;
  if (from == nullptr || !inside(*memory, offset, size)) return CL_INVALID_VALUE;
  if ((memory->flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)) != 0) return CL_INVALID_OPERATION;
  return enqueue(order, CL_COMMAND_WRITE_BUFFER, blocking != CL_FALSE,
                 copying(memory, nullptr, static_cast<const std::byte*>(from), memory->data() + offset, size, true));
}

cl_int CL_API_CALL EnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, std::size_t from_offset, std::size_t to_offset, std::size_t size,
                                     cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  for (const cl_mem memory : {from, to}) {
    if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return wrong;
  }
  if (!inside(*from, from_offset, size) || !inside(*to, to_offset, size)) return CL_INVALID_VALUE;
  const std::byte* source = from->data() + from_offset;
  std::byte* target = to->data() + to_offset;
  if (from->block == to->block && source < target + size && target < source + size) return CL_MEM_COPY_OVERLAP;
  return enqueue(order, CL_COMMAND_COPY_BUFFER, false, copying(from, to, source, target, size, false));
}

cl_int CL_API_CALL EnqueueFillBuffer(cl_command_queue queue, cl_mem memory, const void* pattern, std::size_t pattern_size, std::size_t offset,
                                     std::size_t size, cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return wrong;
  constexpr std::size_t kLargest = 128;
  const bool good_pattern = pattern != nullptr && pattern_size > 0 && pattern_size <= kLargest && (pattern_size & (pattern_size - 1)) == 0;
  if (!good_pattern || !inside(*memory, offset, size) || offset % pattern_size != 0 || size % pattern_size != 0) return CL_INVALID_VALUE;
  auto values = std::make_shared<std::vector<std::byte>>(size);
  for (std::size_t at = 0; at < size; at += pattern_size) std::memcpy(values->data() + at, pattern, pattern_size);
  return enqueue(order, CL_COMMAND_FILL_BUFFER, false, [values, copy = copying(memory, nullptr, values->data(), memory->data() + offset, size, false)](
                                                           std::int64_t earliest, Span& span) { return copy(earliest, span); });
}

/// The device's memory is not the host's: a mapped range is a copy, which unmapping brings back.
void* CL_API_CALL EnqueueMapBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags, std::size_t offset, std::size_t size,
                                   cl_uint wait_count, const cl_event* waits, cl_event* event, cl_int* status) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return refuse(wrong, status);
  constexpr cl_map_flags kKnown = CL_MAP_READ | CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;
  if ((flags & ~kKnown) != 0 || !inside(*memory, offset, size)) return refuse(CL_INVALID_VALUE, status);
  const bool reads = (flags & CL_MAP_READ) != 0;
  const bool writes = (flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0;
  const cl_mem_flags barred = (reads ? CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS : 0) | (writes ? CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS : 0);
  if ((memory->flags & barred) != 0) return refuse(CL_INVALID_OPERATION, status);
  std::unique_ptr<std::byte[]> own;
  auto* to = static_cast<std::byte*>(memory->host_pointer);
  if (to != nullptr) {
    to += offset;
  } else {
    own.reset(new (std::nothrow) std::byte[size]);
    to = own.get();
    if (to == nullptr) return refuse(CL_MAP_FAILURE, status);
  }
  {
    const std::lock_guard lock(memory->mutex);
    memory->mappings.emplace(to, _cl_mem::Mapping{std::move(own), offset, size, writes});
  }
  const cl_int queued = enqueue(order, CL_COMMAND_MAP_BUFFER, blocking != CL_FALSE, copying(memory, nullptr, memory->data() + offset, to, size, true));
  return queued == CL_SUCCESS ? hand_out(to, status) : refuse(queued, status);
}

cl_int CL_API_CALL EnqueueUnmapMemObject(cl_command_queue queue, cl_mem memory, void* mapped, cl_uint wait_count, const cl_event* waits,
                                         cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order, memory); wrong != CL_SUCCESS) return wrong;
  std::shared_ptr<_cl_mem::Mapping> mapping;
  {
    const std::lock_guard lock(memory->mutex);
    const auto found = memory->mappings.find(mapped);
    if (found == memory->mappings.end()) return CL_INVALID_VALUE;
    mapping = std::make_shared<_cl_mem::Mapping>(std::move(found->second));
    memory->mappings.erase(found);
  }
  Run copy = mapping->written ? copying(memory, nullptr, static_cast<const std::byte*>(mapped), memory->data() + mapping->offset, mapping->size, true)
                              : Run(nothing);
  return enqueue(order, CL_COMMAND_UNMAP_MEM_OBJECT, false,
                 [mapping, copy = std::move(copy)](std::int64_t earliest, Span& span) { return copy(earliest, span); });
}

cl_int CL_API_CALL EnqueueMigrateMemObjects(cl_command_queue queue, cl_uint count, const cl_mem* memory, cl_mem_migration_flags flags,
                                            cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  if (const cl_int wrong = check(order); wrong != CL_SUCCESS) return wrong;
  if (count == 0 || memory == nullptr || (flags & ~cl_mem_migration_flags{CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED}) != 0) {
    return CL_INVALID_VALUE;
  }
  for (cl_uint i = 0; i < count; ++i) {
    if (const cl_int wrong = check(order, memory[i]); wrong != CL_SUCCESS) return wrong;
  }
  return enqueue(order, CL_COMMAND_MIGRATE_MEM_OBJECTS, false, nothing);
}

// --- Markers and barriers: commands that only wait ---------------------------------------------------------

cl_int CL_API_CALL EnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  const cl_int wrong = check(order);
  return wrong != CL_SUCCESS ? wrong : enqueue(order, CL_COMMAND_MARKER, false, nothing);
}

cl_int CL_API_CALL EnqueueBarrierWithWaitList(cl_command_queue queue, cl_uint wait_count, const cl_event* waits, cl_event* event) {
  const Order order{queue, wait_count, waits, event};
  const cl_int wrong = check(order);
  return wrong != CL_SUCCESS ? wrong : enqueue(order, CL_COMMAND_BARRIER, false, nothing);
}

cl_int CL_API_CALL EnqueueMarker(cl_command_queue queue, cl_event* event) {
  return event == nullptr ? CL_INVALID_VALUE : EnqueueMarkerWithWaitList(queue, 0, nullptr, event);
}

cl_int CL_API_CALL EnqueueBarrier(cl_command_queue queue) { return EnqueueBarrierWithWaitList(queue, 0, nullptr, nullptr); }

cl_int CL_API_CALL EnqueueWaitForEvents(cl_command_queue queue, cl_uint count, const cl_event* events) {
  if (!valid(queue)) return CL_INVALID_COMMAND_QUEUE;
  if (count == 0 || events == nullptr) return CL_INVALID_VALUE;
  const cl_int status = EnqueueBarrierWithWaitList(queue, count, events, nullptr);
  return status == CL_INVALID_EVENT_WAIT_LIST ? CL_INVALID_EVENT : status;
}

}  // namespace npu::icd
