// The reference plug-in: f32 on a plain CPU library. Copy it, then replace what calls cpu_library.
//
// In five parts: what a node looks like here; one row per operator (when it is refused, how it is run);
// compiling a fragment into steps; running them; the tables of functions.
#include <naru/naru_fragment.h>
#include <naru/naru_plugin.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/plugin/reference/cpu_library.h"

namespace {

using cpu_library::Dims;
constexpr std::int32_t kF32 = 2;
constexpr std::int32_t kI64 = 16;

// ---- 1. nodes ------------------------------------------------------------------------------------

struct Tensor {
  naru_value type{};
  Dims dims;
  std::int64_t count = 0;
};

/// A node with its ends looked up; absent ends have dtype 0.
struct Node {
  naru_node node{};
  std::vector<Tensor> inputs, outputs;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].type.dtype != 0; }
  const Tensor& x() const { return inputs[0]; }
  const Tensor& y() const { return outputs[0]; }
  std::int64_t integer(const char* name, std::int64_t absent) const { return naru_attribute_int(&node, name, absent); }
  float real(const char* name, float absent) const { return naru_attribute_float(&node, name, absent); }
  Dims integers(const char* name, std::size_t count, std::int64_t absent) const {
    Dims values(count, absent);
    naru_attribute_ints(&node, name, values.data(), static_cast<std::uint32_t>(count));
    return values;
  }
  bool is(const char* op) const { return std::strcmp(node.op, op) == 0; }
};

Tensor tensor_of(const naru_fragment_reader& graph, std::int32_t id) {
  Tensor tensor;
  if (id == NARU_NO_VALUE) return tensor;
  tensor.type = naru_value_at(&graph, id);
  tensor.count = 1;
  for (std::int32_t i = 0; i < tensor.type.rank; ++i) {
    tensor.dims.push_back(tensor.type.dims[i]);
    tensor.count *= tensor.type.dims[i];
  }
  return tensor;
}

Node node_of(const naru_fragment_reader& graph, std::uint32_t index) {
  Node node;
  node.node = naru_node_at(&graph, index);
  for (std::uint32_t i = 0; i < node.node.input_count; ++i)
    node.inputs.push_back(tensor_of(graph, naru_node_input(&node.node, i)));
  for (std::uint32_t i = 0; i < node.node.output_count; ++i)
    node.outputs.push_back(tensor_of(graph, naru_node_output(&node.node, i)));
  return node;
}

// ---- 2. operators ----------------------------------------------------------------------------------

/// Pointers to the ends of a running node, in the node's order.
struct Ends {
  std::vector<const float*> in;
  std::vector<float*> out;
};
using Run = void (*)(const Node&, const Ends&);
/// Why a node is refused; null when it is not. Types and static shapes are checked before.
using Refuses = const char* (*)(const Node&);

struct Operator {
  const char* name;
  Refuses refuses;
  Run run;
};

cpu_library::Window window_of(const Node& node) {
  cpu_library::Window window;
  const Dims kernel = node.integers("kernel_shape", 2, 0), stride = node.integers("strides", 2, 1);
  const Dims dilation = node.integers("dilations", 2, 1), pads = node.integers("pads", 4, 0);
  const bool weight = node.is("Conv");
  for (std::size_t i = 0; i < 2; ++i) {
    window.kernel[i] = weight ? node.inputs[1].dims[i + 2] : kernel[i];
    window.stride[i] = stride[i];
    window.dilation[i] = dilation[i];
    window.begin[i] = pads[i];
  }
  return window;
}

const char* refuses_window(const Node& node) {
  if (node.x().type.rank != 4) return "a window of another rank than 2";
  if (std::strcmp(naru_attribute_text(&node.node, "auto_pad", "NOTSET"), "NOTSET") != 0) return "auto_pad";
  if (node.outputs.size() > 1) return "more than one output";
  if (node.is("Conv")) return nullptr;
  const Dims dilation = node.integers("dilations", 2, 1);
  if (dilation[0] != 1 || dilation[1] != 1) return "a dilated pool";
  return node.integer("ceil_mode", 0) != 0 ? "ceil_mode" : nullptr;
}

void run_conv(const Node& node, const Ends& ends) {
  cpu_library::convolve(ends.in[0], node.x().dims, ends.in[1], node.has(2) ? ends.in[2] : nullptr, ends.out[0],
                        node.y().dims, window_of(node), node.integer("group", 1));
}

void run_pool(const Node& node, const Ends& ends) {
  cpu_library::pool(ends.in[0], node.x().dims, ends.out[0], node.y().dims, window_of(node), node.is("AveragePool"),
                    node.integer("count_include_pad", 0) != 0);
}

const char* refuses_unless_rank_4(const Node& node) { return node.x().type.rank == 4 ? nullptr : "a rank other than 4"; }

void run_global_pool(const Node& node, const Ends& ends) {
  cpu_library::Window window;
  for (std::size_t i = 0; i < 2; ++i) window.kernel[i] = node.x().dims[i + 2];
  cpu_library::pool(ends.in[0], node.x().dims, ends.out[0], node.y().dims, window, node.is("GlobalAveragePool"), true);
}

const char* refuses_matmul(const Node& node) {
  if (node.x().type.rank < 2 || node.inputs[1].type.rank != 2) return "a right side that is no matrix";
  return nullptr;
}

void run_matmul(const Node& node, const Ends& ends) {
  const std::int64_t k = node.inputs[1].dims[0], n = node.inputs[1].dims[1];
  cpu_library::matmul(node.x().count / k, n, k, ends.in[0], ends.in[1], ends.out[0]);
}

const char* refuses_gemm(const Node& node) {
  if (node.integer("transA", 0) != 0) return "transA";
  return node.real("alpha", 1) != 1 || node.real("beta", 1) != 1 ? "alpha or beta other than 1" : nullptr;
}

float add(float a, float b) { return a + b; }

void run_gemm(const Node& node, const Ends& ends) {
  const Dims& w = node.inputs[1].dims;
  const bool transposed = node.integer("transB", 0) != 0;
  const std::int64_t k = node.x().dims[1], n = w[transposed ? 0 : 1];
  std::vector<float> turned(transposed ? static_cast<std::size_t>(k * n) : 0);
  if (transposed) cpu_library::transpose(ends.in[1], w, turned.data(), {1, 0});
  cpu_library::matmul(node.x().dims[0], n, k, ends.in[0], transposed ? turned.data() : ends.in[1], ends.out[0]);
  if (node.has(2)) {
    cpu_library::combine(ends.out[0], node.y().dims, ends.in[2], node.inputs[2].dims, ends.out[0], node.y().dims, add);
  }
}

void run_batch_norm(const Node& node, const Ends& ends) {
  const std::int64_t channels = node.x().dims[1], inner = node.x().count / (node.x().dims[0] * channels);
  for (std::int64_t i = 0; i < node.x().count; ++i) {
    const std::int64_t c = i / inner % channels;
    const float scale = ends.in[1][c] / std::sqrt(ends.in[4][c] + node.real("epsilon", 1e-5f));
    ends.out[0][i] = (ends.in[0][i] - ends.in[3][c]) * scale + ends.in[2][c];
  }
}
const char* refuses_batch_norm(const Node& node) {
  return node.outputs.size() > 1 || node.x().type.rank < 2 ? "training outputs, or a rank below 2" : nullptr;
}

struct Unary {
  const char* name;
  float (*f)(float x, float a, float b);
};
constexpr Unary kUnary[] = {
    {"Relu", [](float x, float, float) { return x < 0 ? 0.0f : x; }},
    {"Sigmoid", [](float x, float, float) { return 1 / (1 + std::exp(-x)); }},
    {"Tanh", [](float x, float, float) { return std::tanh(x); }},
    {"Exp", [](float x, float, float) { return std::exp(x); }},
    {"Sqrt", [](float x, float, float) { return std::sqrt(x); }},
    {"Neg", [](float x, float, float) { return -x; }},
    {"Abs", [](float x, float, float) { return std::fabs(x); }},
    {"Erf", [](float x, float, float) { return std::erf(x); }},
    {"Identity", [](float x, float, float) { return x; }},
    {"LeakyRelu", [](float x, float a, float) { return x < 0 ? a * x : x; }},
    {"HardSigmoid", [](float x, float a, float b) { return std::fmin(1.0f, std::fmax(0.0f, a * x + b)); }},
    {"HardSwish", [](float x, float, float) { return x * std::fmin(1.0f, std::fmax(0.0f, x / 6 + 0.5f)); }},
};
void run_unary(const Node& node, const Ends& ends) {
  const float alpha = node.real("alpha", 0), beta = node.real("beta", 0);
  for (const Unary& row : kUnary)
    if (node.is(row.name)) cpu_library::map(ends.in[0], ends.out[0], node.y().count, row.f, alpha, beta);
}

struct Binary {
  const char* name;
  float (*f)(float, float);
};
constexpr Binary kBinary[] = {
    {"Add", add},
    {"Sub", [](float a, float b) { return a - b; }},
    {"Mul", [](float a, float b) { return a * b; }},
    {"Div", [](float a, float b) { return a / b; }},
};
void run_binary(const Node& node, const Ends& ends) {
  for (const Binary& row : kBinary) {
    if (!node.is(row.name)) continue;
    cpu_library::combine(ends.in[0], node.inputs[0].dims, ends.in[1], node.inputs[1].dims, ends.out[0], node.y().dims, row.f);
  }
}

std::int64_t axis_of(const Node& node, std::int64_t absent) {
  const std::int64_t axis = node.integer("axis", absent);
  return axis < 0 ? axis + node.y().type.rank : axis;
}
std::int64_t product(const Dims& dims, std::int64_t first, std::int64_t last) {
  std::int64_t n = 1;
  for (std::int64_t i = first; i < last; ++i) n *= dims[static_cast<std::size_t>(i)];
  return n;
}
void run_softmax(const Node& node, const Ends& ends) {
  const Dims& d = node.x().dims;
  const std::int64_t axis = axis_of(node, -1), rank = node.x().type.rank;
  cpu_library::softmax(ends.in[0], ends.out[0], product(d, 0, axis), product(d, axis, axis + 1), product(d, axis + 1, rank));
}
void run_concat(const Node& node, const Ends& ends) {
  const std::int64_t axis = axis_of(node, 0), rank = node.y().type.rank;
  const Dims& d = node.y().dims;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const std::int64_t rows = product(node.inputs[i].dims, axis, axis + 1);
    cpu_library::place(ends.in[i], ends.out[0], product(d, 0, axis), rows, product(d, axis, axis + 1), at, product(d, axis + 1, rank));
    at += rows;
  }
}
const char* refuses_scalars(const Node& node) { return node.x().type.rank < 1 ? "a scalar" : nullptr; }
void run_transpose(const Node& node, const Ends& ends) {
  const auto rank = static_cast<std::size_t>(node.x().type.rank);
  Dims permutation = node.integers("perm", rank, -1);
  for (std::size_t i = 0; i < rank; ++i)
    if (permutation[i] < 0) permutation[i] = static_cast<std::int64_t>(rank - 1 - i);
  cpu_library::transpose(ends.in[0], node.x().dims, ends.out[0], permutation);
}
void run_copy(const Node& node, const Ends& ends) {
  std::memcpy(ends.out[0], ends.in[0], static_cast<std::size_t>(node.y().count) * sizeof(float));
}

constexpr Operator kOperators[] = {
    {"Conv", refuses_window, run_conv},
    {"MaxPool", refuses_window, run_pool},
    {"AveragePool", refuses_window, run_pool},
    {"GlobalAveragePool", refuses_unless_rank_4, run_global_pool},
    {"GlobalMaxPool", refuses_unless_rank_4, run_global_pool},
    {"MatMul", refuses_matmul, run_matmul},
    {"Gemm", refuses_gemm, run_gemm},
    {"BatchNormalization", refuses_batch_norm, run_batch_norm},
    {"Softmax", refuses_scalars, run_softmax},
    {"Concat", refuses_scalars, run_concat},
    {"Transpose", refuses_scalars, run_transpose},
    {"Reshape", nullptr, run_copy},
    {"Flatten", nullptr, run_copy},
    {"Squeeze", nullptr, run_copy},
    {"Unsqueeze", nullptr, run_copy},
};

const Operator* find_operator(const Node& node) {
  static constexpr Operator kMap = {"map", nullptr, run_unary}, kCombine = {"combine", nullptr, run_binary};
  for (const Operator& row : kOperators)
    if (node.is(row.name)) return &row;
  for (const Unary& row : kUnary)
    if (node.is(row.name)) return &kMap;
  for (const Binary& row : kBinary)
    if (node.is(row.name)) return &kCombine;
  return nullptr;
}

void judge(const Node& node, naru_verdict& verdict) {
  const auto refuse = [&](std::uint32_t reason, const std::string& text) {
    verdict.reason = reason;
    std::snprintf(verdict.text, sizeof verdict.text, "%s", text.c_str());
  };
  const Operator* row = find_operator(node);
  if (row == nullptr) return refuse(NARU_REASON_OPERATOR, std::string("no ") + node.node.op + " in the library");
  for (const auto* ends : {&node.inputs, &node.outputs}) {
    for (const Tensor& end : *ends) {
      if (end.type.dtype == 0) continue;
      // A shape or axes input is known at compile time and never read.
      if (end.type.dtype == kI64 && end.type.constant != 0 && &end != &node.inputs[0]) continue;
      if (end.type.dtype != kF32) return refuse(NARU_REASON_TYPE, "an element type other than f32");
      if (end.type.static_shape == 0) return refuse(NARU_REASON_SHAPE, "a shape that is not known");
    }
  }
  if (const char* why = row->refuses != nullptr ? row->refuses(node) : nullptr) return refuse(NARU_REASON_ATTRIBUTE, why);
  verdict.accepted = 1;
  std::snprintf(verdict.text, sizeof verdict.text, "cpu_library %s", row->name);
}

// ---- 3. compiling ------------------------------------------------------------------------------------

/// Where a value is while the fragment runs: an end, a constant, or a part of the workspace.
struct Place {
  enum Kind { kNone, kInput, kOutput, kConstant, kWorkspace } kind = kNone;
  std::uint64_t index = 0;  // of an end; offset in floats
  const float* constant = nullptr;
};

struct Step {
  Node node;
  Run run = nullptr;
  std::vector<Place> in, out;
};

}  // namespace

struct naru_executable {
  naru_device* device = nullptr;
  naru_fragment_reader graph{};
  std::vector<Step> steps;
  std::uint64_t workspace_floats = 0;
};

struct naru_device {
  std::mutex mutex;
  std::vector<std::vector<float>> workspaces;  // free ones
};

namespace {

std::vector<Place> place_values(naru_executable& executable) {
  const naru_fragment_reader& graph = executable.graph;
  std::vector<Place> places(naru_value_count(&graph));
  for (std::size_t id = 0; id < places.size(); ++id) {
    const Tensor tensor = tensor_of(graph, static_cast<std::int32_t>(id));
    if (tensor.type.constant != 0) {
      places[id] = {Place::kConstant, 0, static_cast<const float*>(tensor.type.data)};
    } else if (tensor.type.dtype == kF32) {
      places[id] = {Place::kWorkspace, executable.workspace_floats, nullptr};
      executable.workspace_floats += static_cast<std::uint64_t>(tensor.count + 15) / 16 * 16;
    }
  }
  for (std::uint32_t i = 0; i < naru_input_count(&graph); ++i)
    places.at(static_cast<std::size_t>(naru_input_id(&graph, i))) = {Place::kInput, i, nullptr};
  for (std::uint32_t i = 0; i < naru_output_count(&graph); ++i)
    places.at(static_cast<std::size_t>(naru_output_id(&graph, i))) = {Place::kOutput, i, nullptr};
  return places;
}

void add_steps(naru_executable& executable, const std::vector<Place>& places) {
  const auto place = [&](std::int32_t id) { return id == NARU_NO_VALUE ? Place{} : places.at(static_cast<std::size_t>(id)); };
  for (std::uint32_t i = 0; i < naru_node_count(&executable.graph); ++i) {
    Step step;
    step.node = node_of(executable.graph, i);
    naru_verdict verdict{};
    judge(step.node, verdict);
    if (verdict.accepted == 0) throw std::string(step.node.node.op) + ": " + verdict.text;
    step.run = find_operator(step.node)->run;
    for (std::uint32_t k = 0; k < step.node.node.input_count; ++k) step.in.push_back(place(naru_node_input(&step.node.node, k)));
    for (std::uint32_t k = 0; k < step.node.node.output_count; ++k) step.out.push_back(place(naru_node_output(&step.node.node, k)));
    executable.steps.push_back(std::move(step));
  }
}

// ---- 4. running --------------------------------------------------------------------------------------

float* address(const Place& place, const naru_submit_info& info, float* workspace) {
  switch (place.kind) {
    case Place::kInput: return static_cast<float*>(info.inputs[place.index]->data);
    case Place::kOutput: return static_cast<float*>(info.outputs[place.index]->data);
    case Place::kConstant: return const_cast<float*>(place.constant);
    case Place::kWorkspace: return workspace + place.index;
    case Place::kNone: break;
  }
  return nullptr;
}

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void run_steps(const naru_executable& executable, const naru_submit_info& info, float* workspace) {
  std::int32_t index = 0;
  for (const Step& step : executable.steps) {
    Ends ends;
    for (const Place& place : step.in) ends.in.push_back(address(place, info, workspace));
    for (const Place& place : step.out) ends.out.push_back(address(place, info, workspace));
    const std::int64_t start = info.span != nullptr ? now_ns() : 0;
    step.run(step.node, ends);
    if (info.span != nullptr) info.span(info.span_context, index, step.node.node.op, start, now_ns());
    ++index;
  }
}

/// Runs a body that may throw and turns what it throws into a status: nothing may pass the interface.
template <typename Body>
naru_code guarded(naru_status* status, Body&& body) {
  try {
    body();
    return NARU_OK;
  } catch (const std::string& text) {
    return naru_set_status(status, NARU_UNSUPPORTED, 0, text.c_str());
  } catch (const std::bad_alloc&) {
    return naru_set_status(status, NARU_OUT_OF_MEMORY, 1, "the host refused an allocation");
  } catch (const std::exception& error) {
    return naru_set_status(status, NARU_INTERNAL, 0, error.what());
  }
}

// ---- 5. the tables of functions -------------------------------------------------------------------------

naru_code count_devices(std::uint32_t* count, naru_status*) {
  *count = 1;
  return NARU_OK;
}

naru_code describe_device(std::uint32_t, naru_device_info* info, naru_status*) {
  static const naru_type_row f32 = {sizeof f32, kF32, NARU_USE_INPUT | NARU_USE_WEIGHT | NARU_USE_OUTPUT | NARU_USE_ACCUMULATOR, 0};
  static const naru_type_row* const types[] = {&f32};
  info->flags = NARU_DEVICE_THREAD_SAFE | NARU_DEVICE_STATIC_SHAPES;
  info->name = "plain CPU library";
  info->vendor = "Naru";
  info->sku = "reference";
  info->driver_version = "1.0";
  info->queue_depth = 2;
  info->core_count = 1;
  info->determinism = NARU_DETERMINISM_BITWISE;
  info->type_count = 1;
  info->types = types;
  return NARU_OK;
}

naru_code open_device(std::uint32_t, const naru_option* const* options, std::uint32_t count, naru_device** device, naru_status* status) {
  if (count > 0) return naru_set_status(status, NARU_INVALID_ARGUMENT, 0, (std::string("option: got '") + options[0]->key + "', expected none").c_str());
  return guarded(status, [&] { *device = new naru_device; });
}

void close_device(naru_device* device) { delete device; }

naru_code support(naru_device*, const naru_fragment* fragment, naru_verdict* const* verdicts, std::uint32_t count, naru_status* status) {
  return guarded(status, [&] {
    naru_fragment_reader graph;
    if (naru_fragment_open(&graph, fragment->data, fragment->size_bytes) == 0 || naru_node_count(&graph) != count) throw std::string("fragment: not readable");
    for (std::uint32_t i = 0; i < count; ++i) judge(node_of(graph, i), *verdicts[i]);
  });
}

naru_code compile(naru_device* device, const naru_fragment* fragment, const naru_compile_options*, naru_executable** executable, naru_status* status) {
  return guarded(status, [&] {
    auto result = std::make_unique<naru_executable>();
    result->device = device;
    if (naru_fragment_open(&result->graph, fragment->data, fragment->size_bytes) == 0) throw std::string("fragment: not readable");
    // The reader moved with the executable: nodes point to it.
    add_steps(*result, place_values(*result));
    *executable = result.release();
  });
}

void destroy(naru_executable* executable) { delete executable; }

naru_code describe(const naru_executable* executable, naru_executable_info* info, naru_status*) {
  info->workspace_bytes = executable->workspace_floats * sizeof(float);
  std::snprintf(info->text, sizeof info->text, "%zu steps in order\n", executable->steps.size());
  return NARU_OK;
}

std::vector<float> take_workspace(naru_device& device) {
  const std::lock_guard<std::mutex> lock(device.mutex);
  if (device.workspaces.empty()) return {};
  std::vector<float> workspace = std::move(device.workspaces.back());
  device.workspaces.pop_back();
  return workspace;
}

naru_code submit(naru_executable* executable, const naru_submit_info* info, naru_submission**, naru_status* status) {
  return guarded(status, [&] {
    std::vector<float> workspace = take_workspace(*executable->device);
    if (workspace.size() < executable->workspace_floats) workspace.resize(executable->workspace_floats);
    run_steps(*executable, *info, workspace.data());
    const std::lock_guard<std::mutex> lock(executable->device->mutex);
    executable->device->workspaces.push_back(std::move(workspace));
  });
}

const naru_device_table kDevice = {sizeof kDevice, 0, count_devices, describe_device, open_device, close_device};
const naru_compile_table kCompile = {sizeof kCompile, 0, support, compile, destroy, describe};
const naru_exec_table kExec = {sizeof kExec, 0, submit, nullptr, nullptr, nullptr, nullptr};
const naru_plugin kPlugin = {sizeof kPlugin, NARU_ABI_MAJOR, NARU_ABI_MINOR, 0, "reference", "1.0", &kDevice, &kCompile, &kExec,
                             nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};

}  // namespace

extern "C" naru_code naru_plugin_get_api(const naru_host* host, const naru_plugin** plugin, naru_status* status) {
  if (host->abi_major != NARU_ABI_MAJOR) return naru_set_status(status, NARU_UNSUPPORTED, 0, "another major version of the interface");
  *plugin = &kPlugin;
  return NARU_OK;
}
