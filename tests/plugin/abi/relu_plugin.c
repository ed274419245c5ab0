/* A plug-in of the first version of the interface, in plain C: Relu in f32, the ten required functions. */
#include <naru/naru_fragment.h>
#include <naru/naru_plugin.h>
#include <stdlib.h>

struct naru_device {
  int unused;
};
struct naru_executable {
  int unused;
};

static naru_code count_devices(uint32_t* count, naru_status* status) {
  (void)status;
  *count = 1;
  return NARU_OK;
}

static naru_code describe_device(uint32_t index, naru_device_info* info, naru_status* status) {
  (void)index;
  (void)status;
  info->flags = NARU_DEVICE_THREAD_SAFE | NARU_DEVICE_COPIES_WEIGHTS;
  info->name = "first version";
  info->vendor = "Naru";
  info->sku = "relu";
  return NARU_OK;
}

static naru_code open_device(uint32_t index, const naru_option* const* options, uint32_t count, naru_device** device,
                             naru_status* status) {
  (void)index;
  (void)options;
  if (count > 0) return naru_set_status(status, NARU_INVALID_ARGUMENT, 0, "options: got some, expected none");
  *device = malloc(sizeof **device);
  return *device != NULL ? NARU_OK : naru_set_status(status, NARU_OUT_OF_MEMORY, 1, "no memory");
}

static void close_device(naru_device* device) { free(device); }

static naru_code support(naru_device* device, const naru_fragment* fragment, naru_verdict* const* verdicts,
                         uint32_t count, naru_status* status) {
  naru_fragment_reader graph;
  uint32_t i;
  (void)device;
  if (!naru_fragment_open(&graph, fragment->data, fragment->size_bytes)) {
    return naru_set_status(status, NARU_INVALID_MODEL, 0, "fragment: not readable");
  }
  for (i = 0; i < count; ++i) {
    naru_node node = naru_node_at(&graph, i);
    naru_value x = naru_value_at(&graph, naru_node_input(&node, 0));
    verdicts[i]->accepted = strcmp(node.op, "Relu") == 0 && x.dtype == 2 && x.static_shape && count == 1;
    if (!verdicts[i]->accepted) {
      verdicts[i]->reason = NARU_REASON_OPERATOR;
      strcpy(verdicts[i]->text, "one Relu in f32 is all it has");
    }
  }
  return NARU_OK;
}

static naru_code compile(naru_device* device, const naru_fragment* fragment, const naru_compile_options* options,
                         naru_executable** executable, naru_status* status) {
  (void)device;
  (void)fragment;
  (void)options;
  *executable = malloc(sizeof **executable);
  return *executable != NULL ? NARU_OK : naru_set_status(status, NARU_OUT_OF_MEMORY, 1, "no memory");
}

static void destroy(naru_executable* executable) { free(executable); }

static naru_code submit(naru_executable* executable, const naru_submit_info* info, naru_submission** submission,
                        naru_status* status) {
  const float* x = info->inputs[0]->data;
  float* y = info->outputs[0]->data;
  uint64_t i;
  (void)executable;
  (void)submission;
  (void)status;
  for (i = 0; i < info->outputs[0]->size_bytes / sizeof *y; ++i) y[i] = x[i] > 0 ? x[i] : 0;
  return NARU_OK;
}

static const naru_device_table kDevice = {sizeof kDevice, 0, count_devices, describe_device, open_device, close_device};
static const naru_compile_table kCompile = {sizeof kCompile, 0, support, compile, destroy, NULL};
static const naru_exec_table kExec = {sizeof kExec, 0, submit, NULL, NULL, NULL, NULL};
static const naru_plugin kPlugin = {.struct_size = sizeof kPlugin, .abi_major = NARU_ABI_MAJOR, .abi_minor = NARU_ABI_MINOR,
                                    .name = "relu", .version = "1.0", .device = &kDevice, .compile = &kCompile,
                                    .exec = &kExec};

NARU_EXPORT naru_code naru_plugin_get_api(const naru_host* host, const naru_plugin** plugin, naru_status* status) {
  if (host->abi_major != NARU_ABI_MAJOR) return naru_set_status(status, NARU_UNSUPPORTED, 0, "another major version");
  *plugin = &kPlugin;
  return NARU_OK;
}
