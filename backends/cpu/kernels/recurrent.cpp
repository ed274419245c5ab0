// LSTM of default activations: one product for all inputs, then the steps of time.
#include <algorithm>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/recurrent_loops.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  const Node& node = view.node;
  if (view.dtype(0) != DType::Undefined && view.dtype(0) != DType::F32) return "element type " + std::string(to_string(view.dtype(0)));
  if (node.has("clip")) return "clip";
  if (node.attr_int_or("input_forget", 0) != 0) return "coupled gates";
  if (node.attr_int_or("layout", 0) != 0) return "batch outermost";
  if (view.has_input(4)) return "sequences of different lengths";
  if (view.has_input(7)) return "peepholes";
  for (std::size_t i = 0; node.has("activations") && i < node.attr_strings("activations").size(); ++i) {
    if (node.attr_strings("activations")[i] != (i % 3 == 0 ? "Sigmoid" : "Tanh")) return "activations other than the default";
  }
  return "";
}

struct LstmSizes {
  std::int64_t length, batch, hidden, directions;
  bool first_reversed;
};

/// Indices of the operands of the step, -1 where absent.
struct LstmOperands {
  int from_x = 0, r = 1, bias = -1, h0 = -1, c0 = -1, y = -1, h = -1, c = -1, scratch = -1;
};

template <typename T>
T* at(std::byte* const* p, int index) {
  return index < 0 ? nullptr : reinterpret_cast<T*>(p[index]);
}

/// One direction; `gates` is [batch, 4 * hidden] scratch behind the states h and c [batch, hidden].
void run_direction(const LstmSizes& n, const LstmOperands& o, std::byte* const* p, std::int64_t direction) {
  const std::int64_t lines = 4 * n.hidden;
  const std::int64_t states = n.batch * n.hidden;
  const bool reverse = direction == 1 || n.first_reversed;
  float* h = at<float>(p, o.scratch);
  float* c = h + states;
  float* gates = c + states;
  float* bias = gates + n.batch * lines;
  const auto load_state = [&](float* to, int operand) {
    const auto* from = at<const float>(p, operand);
    if (from != nullptr) std::copy_n(from + direction * states, states, to);
    else std::fill_n(to, states, 0.0f);
  };
  load_state(h, o.h0);
  load_state(c, o.c0);
  std::fill_n(bias, lines, 0.0f);
  if (const auto* both = at<const float>(p, o.bias)) {
    both += direction * 2 * lines;
    for (std::int64_t i = 0; i < lines; ++i) bias[i] = both[i] + both[lines + i];
  }
  const float* r = at<const float>(p, o.r) + direction * n.hidden * lines;
  const float* from_x = at<const float>(p, o.from_x) + direction * n.length * n.batch * lines;
  for (std::int64_t step = 0; step < n.length; ++step) {
    const std::int64_t t = reverse ? n.length - 1 - step : step;
    for (std::int64_t b = 0; b < n.batch; ++b) {
      float* row = gates + b * lines;
      ew_loop(Ew::Add)(row, from_x + (t * n.batch + b) * lines, bias, lines, 0, 0);
      add_row_product(row, h + b * n.hidden, r, n.hidden, lines);
    }
    for (std::int64_t b = 0; b < n.batch; ++b) {
      lstm_cell(gates + b * lines, n.hidden, c + b * n.hidden, h + b * n.hidden);
    }
    if (float* y = at<float>(p, o.y)) {
      std::copy_n(h, states, y + (t * n.directions + direction) * states);
    }
  }
  if (float* last = at<float>(p, o.h)) std::copy_n(h, states, last + direction * states);
  if (float* last = at<float>(p, o.c)) std::copy_n(c, states, last + direction * states);
}

/// x W^T for all times and one direction: [length * batch, features] x [features, 4 * hidden].
void emit_input_product(Lowering& lowering, const Rep& target, std::int64_t direction) {
  const Shape x = lowering.shape(0);
  const Shape w = lowering.shape(1);
  const std::int64_t rows = x[0] * x[1];
  using Desc = dnnl::memory::desc;
  constexpr auto kF32 = dnnl::memory::data_type::f32;
  const Desc a({rows, x[2]}, kF32, dnnl::memory::dims{x[2], 1});
  const Desc b({x[2], w[1]}, kF32, dnnl::memory::dims{1, x[2]});
  const Desc c({rows, w[1]}, kF32, dnnl::memory::dims{w[1], 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::matmul::primitive_desc desc(engine(), a, b, c, attributes);
  Rep weights = lowering.plain(1);
  weights.offset_bytes += direction * w[1] * w[2] * 4;
  Rep output = target;
  output.offset_bytes += direction * rows * w[1] * 4;
  lowering.emit(std::string("lstm input ") + desc.impl_info_str(), dnnl::matmul(desc), desc,
                {{DNNL_ARG_SRC, a, lowering.plain(0), false}, {DNNL_ARG_WEIGHTS, b, weights, false},
                 {DNNL_ARG_DST, c, output, true}});
}

bool lower(Lowering& lowering) {
  const Shape x = lowering.shape(0);
  const Shape r = lowering.shape(2);
  const LstmSizes n{x[0], x[1], r[2], r[0], lowering.node().attr_string_or("direction", "forward") == "reverse"};
  const std::int64_t lines = 4 * n.hidden;
  return with_dnnl("an LSTM", [&] {
    const Rep from_x = lowering.scratch(n.directions * n.length * n.batch * lines * 4);
    for (std::int64_t direction = 0; direction < n.directions; ++direction) emit_input_product(lowering, from_x, direction);
    // R^T, so that one state element meets a row of all gates.
    const dnnl::memory::dims dims = {n.directions, n.hidden, lines};
    constexpr auto kF32 = dnnl::memory::data_type::f32;
    const Rep transposed = lowering.arranged(2, {dims, kF32, dnnl::memory::dims{lines * n.hidden, 1, n.hidden}},
                                             {dims, kF32, dnnl::memory::dims{lines * n.hidden, lines, 1}});
    std::vector<Operand> operands = {Lowering::reads(from_x), Lowering::reads(transposed)};
    LstmOperands o;
    const auto add = [&](int& index, const Operand& operand) {
      index = static_cast<int>(operands.size());
      operands.push_back(operand);
    };
    if (lowering.has_input(3)) add(o.bias, Lowering::reads(lowering.plain(3)));
    if (lowering.has_input(5)) add(o.h0, Lowering::reads(lowering.plain(5)));
    if (lowering.has_input(6)) add(o.c0, Lowering::reads(lowering.plain(6)));
    if (lowering.has_output(0)) add(o.y, Lowering::writes(lowering.output(0)));
    if (lowering.has_output(1)) add(o.h, Lowering::writes(lowering.output(1)));
    if (lowering.has_output(2)) add(o.c, Lowering::writes(lowering.output(2)));
    add(o.scratch, Lowering::writes(lowering.scratch((n.batch * (2 * n.hidden + lines) + lines) * 4)));
    lowering.emit("lstm", to_string(lowering.plain(0).layout), std::move(operands), [n, o](std::byte* const* p) {
      for (std::int64_t direction = 0; direction < n.directions; ++direction) run_direction(n, o, p, direction);
    });
    return true;
  });
}

}  // namespace

void add_recurrent_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"LSTM", "lstm", refuses, lower});
}

}  // namespace naru::cpu
