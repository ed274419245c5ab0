/* @NAME@: a plug-in for Naru. It runs Relu and Add in f32 on the host: replace that by your SDK.
 *
 * Grow it in this order: describe_device() with what your card is; open_device() with your driver's handle;
 * judge() with what your compiler takes; compile() with your compiler; submit() with your queue. */
#include <naru/naru_fragment.h>
#include <naru/naru_plugin.h>

#include <stdio.h>
#include <stdlib.h>

enum { kF32 = 2 };

struct naru_device {
  int handle; /* your driver's */
};

/* One node, or what your compiler made of many. */
struct naru_executable {
  int is_add;
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
  info->name = "@NAME@";
  info->vendor = "your company";
  info->sku = "@NAME@-1";
  info->driver_version = "0.1";
  info->queue_depth = 2;
  return NARU_OK;
}

static naru_code open_device(uint32_t index, const naru_option* const* options, uint32_t count, naru_device** device,
                             naru_status* status) {
  (void)index;
  (void)options;
  if (count > 0) return naru_set_status(status, NARU_INVALID_ARGUMENT, 0, "options: got some, expected none");
  *device = calloc(1, sizeof **device);
  if (*device == NULL) return naru_set_status(status, NARU_OUT_OF_MEMORY, 1, "device: no memory");
  return NARU_OK;
}

static void close_device(naru_device* device) { free(device); }

static int same_shape(const naru_value* a, const naru_value* b) {
  return a->rank == b->rank && a->rank >= 0 && memcmp(a->dims, b->dims, sizeof a->dims[0] * (size_t)a->rank) == 0;
}

/* Accepts a node or says why not. A fragment here is one node: `alone`. */
static void judge(const naru_node* node, int alone, naru_verdict* verdict) {
  naru_value x = naru_value_at(node->reader, naru_node_input(node, 0));
  naru_value y = naru_value_at(node->reader, naru_node_output(node, 0));
  naru_value b = naru_value_at(node->reader, naru_node_input(node, 1));
  int is_add = strcmp(node->op, "Add") == 0;
  if (!is_add && strcmp(node->op, "Relu") != 0) {
    verdict->reason = NARU_REASON_OPERATOR;
    snprintf(verdict->text, sizeof verdict->text, "no kernel for %s", node->op);
  } else if (x.dtype != kF32 || y.dtype != kF32) {
    verdict->reason = NARU_REASON_TYPE;
    snprintf(verdict->text, sizeof verdict->text, "an element type other than f32");
  } else if (!y.static_shape || (is_add && (!same_shape(&x, &b) || b.constant))) {
    verdict->reason = NARU_REASON_SHAPE;
    snprintf(verdict->text, sizeof verdict->text, "a broadcast, a constant, or a shape that is not known");
  } else if (!alone) {
    verdict->reason = NARU_REASON_OTHER;
    snprintf(verdict->text, sizeof verdict->text, "more than one node at a time");
  } else {
    verdict->accepted = 1;
    snprintf(verdict->text, sizeof verdict->text, "@NAME@ loop");
  }
}

static naru_code support(naru_device* device, const naru_fragment* fragment, naru_verdict* const* verdicts,
                         uint32_t count, naru_status* status) {
  naru_fragment_reader graph;
  uint32_t i;
  (void)device;
  if (!naru_fragment_open(&graph, fragment->data, fragment->size_bytes) || naru_node_count(&graph) != count) {
    return naru_set_status(status, NARU_INVALID_MODEL, 0, "fragment: not readable");
  }
  for (i = 0; i < count; ++i) {
    naru_node node = naru_node_at(&graph, i);
    judge(&node, count == 1, verdicts[i]);
  }
  return NARU_OK;
}

static naru_code compile(naru_device* device, const naru_fragment* fragment, const naru_compile_options* options,
                         naru_executable** executable, naru_status* status) {
  naru_fragment_reader graph;
  naru_node node;
  (void)device;
  (void)options;
  if (!naru_fragment_open(&graph, fragment->data, fragment->size_bytes)) {
    return naru_set_status(status, NARU_INVALID_MODEL, 0, "fragment: not readable");
  }
  node = naru_node_at(&graph, 0);
  *executable = calloc(1, sizeof **executable);
  if (*executable == NULL) return naru_set_status(status, NARU_OUT_OF_MEMORY, 1, "executable: no memory");
  (*executable)->is_add = strcmp(node.op, "Add") == 0;
  return NARU_OK;
}

static void destroy(naru_executable* executable) { free(executable); }

static naru_code submit(naru_executable* executable, const naru_submit_info* info, naru_submission** submission,
                        naru_status* status) {
  const float* a = info->inputs[0]->data;
  const float* b = info->inputs[info->input_count - 1]->data;
  float* y = info->outputs[0]->data;
  uint64_t i, count = info->outputs[0]->size_bytes / sizeof *y;
  (void)submission;
  (void)status;
  for (i = 0; i < count; ++i) y[i] = executable->is_add ? a[i] + b[i] : (a[i] > 0 ? a[i] : 0);
  return NARU_OK;
}

static const naru_device_table kDevice = {sizeof kDevice, 0, count_devices, describe_device, open_device, close_device};
static const naru_compile_table kCompile = {sizeof kCompile, 0, support, compile, destroy, NULL};
static const naru_exec_table kExec = {sizeof kExec, 0, submit, NULL, NULL, NULL, NULL};
static const naru_plugin kPlugin = {.struct_size = sizeof kPlugin, .abi_major = NARU_ABI_MAJOR, .abi_minor = NARU_ABI_MINOR,
                                    .name = "@NAME@", .version = "0.1", .device = &kDevice, .compile = &kCompile,
                                    .exec = &kExec};

NARU_EXPORT naru_code naru_plugin_get_api(const naru_host* host, const naru_plugin** plugin, naru_status* status) {
  if (host->abi_major != NARU_ABI_MAJOR) {
    return naru_set_status(status, NARU_UNSUPPORTED, 0, "another major version of the interface");
  }
  *plugin = &kPlugin;
  return NARU_OK;
}
