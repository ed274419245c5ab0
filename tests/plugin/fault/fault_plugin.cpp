// The fault plug-in: runs Relu right, and does one thing wrong when told to by option `fault`.
#include <naru/naru_fragment.h>
#include <naru/naru_plugin.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifndef FAULT_ABI
#define FAULT_ABI NARU_ABI_MAJOR
#endif

struct naru_device {
  std::string fault;
  bool is(const char* name) const { return fault == name; }
};
struct naru_executable {
  const naru_device* device;
};

namespace {

constexpr std::int32_t kF32 = 2;
std::atomic<int> running{0};

void hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
}

/// At once, also where a sanitizer would first write a long report.
void crash() {
  std::signal(SIGSEGV, SIG_DFL);
  std::raise(SIGSEGV);
}

/// Ends the process, by the first thread that comes: two at once have no defined end.
void leave() {
  static std::atomic_flag leaving;
  if (!leaving.test_and_set()) std::exit(3);
  hang();
}

naru_code count_devices(std::uint32_t* count, naru_status*) {
  *count = 1;
  return NARU_OK;
}

naru_code describe_device(std::uint32_t, naru_device_info* info, naru_status*) {
  info->flags = NARU_DEVICE_THREAD_SAFE | NARU_DEVICE_COPIES_WEIGHTS;
  info->name = "faulty device";
  info->vendor = "Naru";
  info->sku = "fault";
  info->queue_depth = 4;
  return NARU_OK;
}

naru_code open_device(std::uint32_t, const naru_option* const* options, std::uint32_t count, naru_device** device,
                      naru_status* status) {
  auto* result = new naru_device;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (std::strcmp(options[i]->key, "fault") != 0) return naru_set_status(status, NARU_INVALID_ARGUMENT, 0, "an unknown option");
    result->fault = options[i]->value;
  }
  if (result->is("hang_open")) hang();
  *device = result;
  return NARU_OK;
}

void close_device(naru_device* device) { delete device; }

naru_code support(naru_device*, const naru_fragment* fragment, naru_verdict* const* verdicts, std::uint32_t count,
                  naru_status*) {
  naru_fragment_reader graph;
  naru_fragment_open(&graph, fragment->data, fragment->size_bytes);
  for (std::uint32_t i = 0; i < count; ++i) {
    const naru_node node = naru_node_at(&graph, i);
    const naru_value y = naru_value_at(&graph, naru_node_output(&node, 0));
    const bool known = std::strcmp(node.op, "Relu") == 0 && count == 1;
    verdicts[i]->accepted = known && y.dtype == kF32;
    std::strcpy(verdicts[i]->text, known ? "loop" : "anything but one Relu");
  }
  return NARU_OK;
}

naru_code compile(naru_device* device, const naru_fragment*, const naru_compile_options*, naru_executable** executable,
                  naru_status*) {
  if (device->is("hang_compile")) hang();
  if (device->is("throw_compile")) throw std::runtime_error("from compile");
  *executable = new naru_executable{device};
  return NARU_OK;
}

void destroy(naru_executable* executable) { delete executable; }

naru_code describe(const naru_executable* executable, naru_executable_info* info, naru_status*) {
  if (executable->device->is("absurd_memory")) info->workspace_bytes = UINT64_C(1) << 63;
  return NARU_OK;
}

void run(const naru_submit_info& info) {
  auto* y = static_cast<float*>(info.outputs[0]->data);
  const std::uint64_t count = info.outputs[0]->size_bytes / sizeof(float);
  const auto* x = static_cast<const float*>(info.inputs[0]->data);
  for (std::uint64_t i = 0; i < count; ++i) y[i] = std::fmax(x[i], 0.0f);
}

void overlap() {
  if (running.fetch_add(1) > 0) crash();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  running.fetch_sub(1);
}

naru_code submit(naru_executable* executable, const naru_submit_info* info, naru_submission**, naru_status* status) {
  const naru_device& device = *executable->device;
  if (device.is("throw")) throw std::runtime_error("from submit");
  if (device.is("exit")) leave();
  if (device.is("crash")) crash();
  if (device.is("hang_submit")) hang();
  if (device.is("error")) return naru_set_status(status, NARU_DEVICE_LOST, 1, "the link to the card went down");
  if (device.is("not_thread_safe")) overlap();
  if (device.is("leak")) std::memset(std::malloc(1 << 20), 1, 1 << 20);
  run(*info);
  auto* end = static_cast<char*>(info->outputs[0]->data) + info->outputs[0]->size_bytes;
  if (device.is("overrun")) std::memset(end, 0, 32);
  if (device.is("nan")) static_cast<float*>(info->outputs[0]->data)[0] = NAN;
  if (!device.is("answer_twice")) return NARU_OK;
  info->complete(info->complete_context, info->ticket, NARU_OK, nullptr);
  info->complete(info->complete_context, info->ticket, NARU_OK, nullptr);
  return NARU_PENDING;
}

const naru_device_table kDevice = {sizeof kDevice, 0, count_devices, describe_device, open_device, close_device};
const naru_compile_table kCompile = {sizeof kCompile, 0, support, compile, destroy, describe};
const naru_exec_table kExec = {sizeof kExec, 0, submit, nullptr, nullptr, nullptr, nullptr};
const naru_plugin kPlugin = {sizeof kPlugin, FAULT_ABI, 0,       0,       "fault", "1.0",   &kDevice, &kCompile,
                             &kExec,         nullptr,   nullptr, nullptr, nullptr, nullptr, nullptr};

}  // namespace

extern "C" NARU_EXPORT naru_code naru_plugin_get_api(const naru_host*, const naru_plugin** plugin, naru_status*) {
  *plugin = &kPlugin;
  return NARU_OK;
}
