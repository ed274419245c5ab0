// The emulated driver: the functions of api.def over the machine's state.
#include <dlfcn.h>

#include <cstring>

#include "backends/cuda/driver.h"
#include "tests/backends/cuda/emulator/machine.h"

using namespace naru::cuda;  // the C functions below are declared in its types

#define CU(name, symbol, parameters) extern "C" Status symbol parameters;
#include "backends/cuda/api.def"
#undef CU

namespace naru::test::emulator {
extern thread_local int context_depth;

namespace {

/// Every function of the driver: recorded, refused where a test said so, and done under the lock.
template <typename Body>
Status call(const char* function, bool needs_context, Body&& body) {
  const std::lock_guard lock(mutex());
  if (const Status status = begin(function, needs_context); status != kSuccess) return status;
  return body(state());
}
template <typename Body>
Status call(const char* function, Body&& body) {
  return call(function, true, std::forward<Body>(body));
}

/// The object behind a handle; a handle that is not alive is a violation.
template <typename Objects>
typename Objects::mapped_type::element_type* find(Objects& objects, const void* handle, const char* what) {
  const auto found = objects.find(handle);
  if (found != objects.end()) return found->second.get();
  violate(std::string(what) + ": not alive");
  return nullptr;
}

template <typename Objects, typename Handle>
Status make(Objects& objects, Handle* handle) {
  auto object = std::make_unique<typename Objects::mapped_type::element_type>();
  *handle = reinterpret_cast<Handle>(object.get());
  const void* key = object.get();
  objects.emplace(key, std::move(object));
  return kSuccess;
}

template <typename Objects>
Status drop(Objects& objects, const void* handle, const char* what) {
  if (find(objects, handle, what) == nullptr) return kInvalidHandle;
  objects.erase(handle);
  return kSuccess;
}

Stream* stream_of(StreamHandle handle) { return find(state().streams, handle, "stream"); }

Status allocate(DevicePointer* address, std::size_t size) {
  State& s = state();
  if (size > s.machine.memory_bytes || used_bytes() > s.machine.memory_bytes - size) return kOutOfMemory;
  Block block = make_block(size);
  *address = reinterpret_cast<DevicePointer>(block.bytes.get());
  s.memory.emplace(*address, std::move(block));
  return kSuccess;
}

Status copy(StreamHandle handle, DevicePointer device, void* host, std::size_t size, bool to_device) {
  Stream* stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (block_at(state().host_memory, reinterpret_cast<DevicePointer>(host), size) == nullptr) violate("copy: the host memory is not page-locked");
  stream->work.push_back({[=] {
                            if (block_at(state().memory, device, size) == nullptr) {
                              violate("copy: the device memory is not there");
                              state().sticky = kIllegalAddress;
                            } else {
                              auto* at = reinterpret_cast<void*>(device);
                              to_device ? std::memcpy(at, host, size) : std::memcpy(host, at, size);
                            }
                          },
                          {}});
  return kSuccess;
}

template <typename T>
T* symbol(void* library, const std::string& name) {
  return reinterpret_cast<T*>(dlsym(library, name.c_str()));
}

std::unique_ptr<Function> function_of(const Module& module, const std::string& name) {
  const char* kinds = symbol<const char>(module.library, "kinds_" + name);
  if (kinds == nullptr) return nullptr;
  auto function = std::make_unique<Function>();
  function->entry = symbol<void(void**)>(module.library, "entry_" + name);
  function->kinds = kinds + 1;
  function->meets = kinds[0] == 'm';
  function->local = symbol<int>(module.library, "naru_local");
  function->group = symbol<int>(module.library, "naru_group");
  function->group_size = symbol<int>(module.library, "naru_group_size");
  function->groups = symbol<int>(module.library, "naru_groups");
  function->meet = symbol<void (*)()>(module.library, "naru_meet");
  function->module = &module;
  return function;
}

Launch launch_from(const KernelNode& node) {
  return launch_of(*reinterpret_cast<const Function*>(node.function), node.grid, node.block, node.parameters);
}

}  // namespace
}  // namespace naru::test::emulator

using namespace naru::test::emulator;  // NOLINT

Status cuInit(unsigned) {
  return call("cuInit", false, [](State& s) { return s.machine.init_status; });
}

Status cuDriverGetVersion(int* version) {
  return call("cuDriverGetVersion", false, [=](State& s) {
    *version = s.machine.driver_version;
    return kSuccess;
  });
}

// Names are needed for what fails, so that nothing makes this fail.
Status cuGetErrorName(Status status, const char** name) {
  static const std::map<Status, const char*> names = {
      {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"}, {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"},   {kNoDevice, "CUDA_ERROR_NO_DEVICE"},
      {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto found = names.find(status);
  *name = found != names.end() ? found->second : nullptr;
  return found != names.end() ? kSuccess : kInvalidValue;
}

Status cuDeviceGetCount(int* count) {
  return call("cuDeviceGetCount", false, [=](State& s) {
    *count = s.machine.gpus;
    return kSuccess;
  });
}

Status cuDeviceGet(Ordinal* device, int ordinal) {
  return call("cuDeviceGet", false, [=](State&) {
    *device = ordinal;
    return kSuccess;
  });
}

Status cuDeviceGetName(char* name, int size, Ordinal) {
  return call("cuDeviceGetName", false, [=](State&) {
    std::strncpy(name, "emulated GPU", static_cast<std::size_t>(size));
    return kSuccess;
  });
}

Status cuDeviceGetAttribute(int* value, int what, Ordinal) {
  return call("cuDeviceGetAttribute", false, [=](State& s) {
    const std::map<int, int> values = {{kMaxThreadsPerBlock, 1024}, {kClockKilohertz, 1'000'000}, {kMultiprocessors, 4},
                                       {kMemoryClockKilohertz, 1'000'000}, {kMemoryBusBits, 256},
                                       {kCapabilityMajor, s.machine.capability_major}, {kCapabilityMinor, s.machine.capability_minor},
                                       {kMemoryPools, s.machine.memory_pools ? 1 : 0}};
    *value = values.at(what);
    return kSuccess;
  });
}

Status cuDeviceTotalMem_v2(std::size_t* bytes, Ordinal) {
  return call("cuDeviceTotalMem", false, [=](State& s) {
    *bytes = s.machine.memory_bytes;
    return kSuccess;
  });
}

Status cuDevicePrimaryCtxRetain(ContextHandle* context, Ordinal) {
  return call("cuDevicePrimaryCtxRetain", false, [=](State& s) {
    ++s.contexts;
    *context = reinterpret_cast<ContextHandle>(&s);
    return kSuccess;
  });
}

Status cuDevicePrimaryCtxRelease_v2(Ordinal) {
  return call("cuDevicePrimaryCtxRelease", false, [](State& s) {
    if (--s.contexts < 0) violate("context: released more often than retained");
    return kSuccess;
  });
}

Status cuCtxPushCurrent_v2(ContextHandle) {
  ++context_depth;
  return kSuccess;
}

Status cuCtxPopCurrent_v2(ContextHandle*) {
  --context_depth;
  return kSuccess;
}

Status cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return call("cuMemGetInfo", [=](State& s) {
    *total = s.machine.memory_bytes;
    *free = s.machine.memory_bytes - used_bytes();
    return kSuccess;
  });
}

Status cuMemPoolCreate(PoolHandle* pool, const PoolProperties*) {
  return call("cuMemPoolCreate", [=](State& s) {
    *pool = reinterpret_cast<PoolHandle>(new char);
    s.pools.insert(*pool);
    return kSuccess;
  });
}

Status cuMemPoolDestroy(PoolHandle pool) {
  return call("cuMemPoolDestroy", [=](State& s) {
    if (s.pools.erase(pool) == 0) violate("pool: destroyed twice");
    delete reinterpret_cast<char*>(pool);
    return kSuccess;
  });
}

Status cuMemPoolSetAttribute(PoolHandle, int, void*) {
  return call("cuMemPoolSetAttribute", [](State&) { return kSuccess; });
}

Status cuMemPoolTrimTo(PoolHandle, std::size_t) {
  return call("cuMemPoolTrimTo", [](State&) { return kSuccess; });
}

Status cuMemAllocFromPoolAsync(DevicePointer* address, std::size_t size, PoolHandle, StreamHandle) {
  return call("cuMemAllocFromPoolAsync", [=](State&) { return allocate(address, size); });
}

Status cuMemFreeAsync(DevicePointer address, StreamHandle handle) {
  return call("cuMemFreeAsync", [=](State& s) {
    Stream* stream = stream_of(handle);
    if (stream == nullptr) return kInvalidHandle;
    if (!s.memory.contains(address)) violate("memory: freed what is not there, or twice");
    stream->work.push_back({[address] { drop_block(state().memory, address, "memory"); }, {}});
    return kSuccess;
  });
}

Status cuMemAlloc_v2(DevicePointer* address, std::size_t size) {
  return call("cuMemAlloc", [=](State&) { return allocate(address, size); });
}

Status cuMemFree_v2(DevicePointer address) {
  return call("cuMemFree", [=](State& s) {
    drain_all();
    return drop_block(s.memory, address, "memory");
  });
}

Status cuMemHostAlloc(void** memory, std::size_t size, unsigned) {
  return call("cuMemHostAlloc", [=](State& s) {
    Block block = make_block(size);
    *memory = block.bytes.get();
    s.host_memory.emplace(reinterpret_cast<DevicePointer>(*memory), std::move(block));
    return kSuccess;
  });
}

Status cuMemFreeHost(void* memory) {
  return call("cuMemFreeHost", [=](State& s) {
    drain_all();
    return drop_block(s.host_memory, reinterpret_cast<DevicePointer>(memory), "host memory");
  });
}

Status cuMemHostGetDevicePointer_v2(DevicePointer* address, void* memory, unsigned) {
  return call("cuMemHostGetDevicePointer", [=](State&) {
    *address = reinterpret_cast<DevicePointer>(memory);
    return kSuccess;
  });
}

Status cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, std::size_t size, StreamHandle stream) {
  return call("cuMemcpyHtoDAsync", [=](State&) { return copy(stream, to, const_cast<void*>(from), size, true); });
}

Status cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, std::size_t size, StreamHandle stream) {
  return call("cuMemcpyDtoHAsync", [=](State&) { return copy(stream, from, to, size, false); });
}

Status cuStreamCreate(StreamHandle* stream, unsigned) {
  return call("cuStreamCreate", [=](State& s) { return make(s.streams, stream); });
}

Status cuStreamDestroy_v2(StreamHandle handle) {
  return call("cuStreamDestroy", [=](State& s) {
    if (Stream* stream = stream_of(handle); stream != nullptr) drain(*stream);
    return drop(s.streams, handle, "stream");
  });
}

Status cuStreamSynchronize(StreamHandle handle) {
  return call("cuStreamSynchronize", [=](State& s) {
    Stream* stream = stream_of(handle);
    if (stream == nullptr) return kInvalidHandle;
    drain(*stream);
    return s.sticky;
  });
}

Status cuEventCreate(EventHandle* event, unsigned) {
  return call("cuEventCreate", [=](State& s) { return make(s.events, event); });
}

Status cuEventDestroy_v2(EventHandle event) {
  return call("cuEventDestroy", [=](State& s) {
    return drop(s.events, event, "event");
  });
}

Status cuEventRecord(EventHandle handle, StreamHandle stream_handle) {
  return call("cuEventRecord", [=](State& s) {
    Stream* stream = stream_of(stream_handle);
    if (find(s.events, handle, "event") == nullptr || stream == nullptr) return kInvalidHandle;
    const std::shared_ptr<Event> event = s.events.at(handle);
    event->done = false;
    stream->work.push_back({[event] {
                              event->done = true;
                              event->milliseconds = state().clock;
                            },
                            {event.get()}});
    return kSuccess;
  });
}

/// Runs what is in front of the event and no more.
Status cuEventSynchronize(EventHandle handle) {
  return call("cuEventSynchronize", [=](State& s) {
    Event* event = find(s.events, handle, "event");
    if (event == nullptr) return kInvalidHandle;
    for (auto& [stream_handle, stream] : s.streams) {
      const auto waits = [&] {
        return std::any_of(stream->work.begin(), stream->work.end(), [&](const Work& work) { return work.needs.contains(event); });
      };
      while (waits()) {
        const Work work = std::move(stream->work.front());
        stream->work.pop_front();
        s.clock += 1;
        if (s.sticky == 0) work.run();
      }
    }
    return s.sticky;
  });
}

Status cuEventElapsedTime(float* milliseconds, EventHandle first, EventHandle second) {
  return call("cuEventElapsedTime", [=](State& s) {
    const Event* a = find(s.events, first, "event");
    const Event* b = find(s.events, second, "event");
    if (a == nullptr || b == nullptr) return kInvalidHandle;
    if (!a->done || !b->done) return kNotReady;
    *milliseconds = static_cast<float>(b->milliseconds - a->milliseconds);
    return kSuccess;
  });
}

Status cuModuleLoadDataEx(ModuleHandle* handle, const void* image, unsigned count, int* options, void** values) {
  return call("cuModuleLoadDataEx", [=](State& s) {
    auto module = std::make_unique<Module>();
    std::string log;
    const Status status = load_module(image, *module, log);
    if (status == kSuccess) {
      *handle = reinterpret_cast<ModuleHandle>(module.get());
      const void* key = module.get();
      s.modules.emplace(key, std::move(module));
    } else if (count > 0 && options[0] == kJitErrorLog) {
      std::strcpy(static_cast<char*>(values[0]), log.c_str());
    }
    return status;
  });
}

Status cuModuleUnload(ModuleHandle handle) {
  return call("cuModuleUnload", [=](State& s) {
    check_unused(handle, "module");
    if (Module* module = find(s.modules, handle, "module"); module != nullptr) dlclose(module->library);
    return drop(s.modules, handle, "module");
  });
}

Status cuModuleGetFunction(FunctionHandle* handle, ModuleHandle module_handle, const char* name) {
  return call("cuModuleGetFunction", [=](State& s) {
    Module* module = find(s.modules, module_handle, "module");
    if (module == nullptr) return kInvalidHandle;
    std::unique_ptr<Function>& function = module->functions[name];
    if (function == nullptr) function = function_of(*module, name);
    *handle = reinterpret_cast<FunctionHandle>(function.get());
    return function != nullptr ? kSuccess : kNotFound;
  });
}

Status cuLaunchKernel(FunctionHandle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                      StreamHandle handle, void** parameters, void**) {
  return call("cuLaunchKernel", [=](State&) {
    Stream* stream = stream_of(handle);
    if (stream == nullptr) return kInvalidHandle;
    const KernelNode node = {function, {gx, gy, gz}, {bx, by, bz}, 0, parameters, nullptr, nullptr, nullptr};
    if (!launchable(node.grid, node.block)) return kInvalidValue;
    queue_launch(*stream, launch_from(node));
    return kSuccess;
  });
}

Status cuGraphCreate(GraphHandle* graph, unsigned) {
  return call("cuGraphCreate", [=](State& s) { return make(s.graphs, graph); });
}

Status cuGraphDestroy(GraphHandle graph) {
  return call("cuGraphDestroy", [=](State& s) { return drop(s.graphs, graph, "graph"); });
}

/// The nodes are a chain, so that their order is that in which they are added.
Status cuGraphAddKernelNode_v2(GraphNode* node, GraphHandle handle, const GraphNode* before, std::size_t count, const KernelNode* kernel) {
  return call("cuGraphAddKernelNode", [=](State& s) {
    auto* graph = find(s.graphs, handle, "graph");
    if (graph == nullptr) return kInvalidHandle;
    if (!launchable(kernel->grid, kernel->block)) return kInvalidValue;
    const bool chained = graph->nodes.empty() ? count == 0 : count == 1 && before[0] == reinterpret_cast<GraphNode>(graph->nodes.back().get());
    if (!chained) violate("graph: a node does not come after the one before it");
    graph->nodes.push_back(std::make_unique<Launch>(launch_from(*kernel)));
    graph->order[graph->nodes.back().get()] = graph->nodes.size() - 1;
    *node = reinterpret_cast<GraphNode>(graph->nodes.back().get());
    return kSuccess;
  });
}

Status cuGraphInstantiateWithFlags(GraphExec* exec, GraphHandle handle, unsigned long long) {
  return call("cuGraphInstantiate", [=](State& s) {
    auto* graph = find(s.graphs, handle, "graph");
    if (graph == nullptr) return kInvalidHandle;
    const Status status = make(s.graph_execs, exec);
    auto* made = s.graph_execs.at(*exec).get();
    for (const auto& node : graph->nodes) made->launches.push_back(*node);
    made->order = graph->order;
    return status;
  });
}

Status cuGraphExecKernelNodeSetParams_v2(GraphExec handle, GraphNode node, const KernelNode* kernel) {
  return call("cuGraphExecKernelNodeSetParams", [=](State& s) {
    auto* exec = find(s.graph_execs, handle, "graph");
    if (exec == nullptr || !exec->order.contains(node)) return kInvalidHandle;
    exec->launches[exec->order.at(node)] = launch_from(*kernel);
    return kSuccess;
  });
}

Status cuGraphExecDestroy(GraphExec exec) {
  return call("cuGraphExecDestroy", [=](State& s) { return drop(s.graph_execs, exec, "graph"); });
}

Status cuGraphLaunch(GraphExec handle, StreamHandle stream_handle) {
  return call("cuGraphLaunch", [=](State& s) {
    const auto* exec = find(s.graph_execs, handle, "graph");
    Stream* stream = stream_of(stream_handle);
    if (exec == nullptr || stream == nullptr) return kInvalidHandle;
    for (const Launch& launch : exec->launches) queue_launch(*stream, launch);
    return kSuccess;
  });
}
