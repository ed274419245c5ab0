// LSTM, GRU and RNN: one recurrent layer over padded sequences, in one or both directions.
#include <algorithm>
#include <cmath>

#include "graph/checked.h"
#include "graph/ops/activation.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// Inputs that all three share; LSTM has two more.
constexpr std::size_t kX = 0, kW = 1, kR = 2, kB = 3, kLengths = 4, kInitialH = 5, kInitialC = 6,
                      kPeepholes = 7;

std::size_t directions_of(const Node& node) {
  return expect_choice(node, "direction", {"forward", "reverse", "bidirectional"}) == 2 ? 2 : 1;
}

bool batch_first(const InferContext& ctx) {
  const std::int64_t layout = ctx.node.attr_int("layout");
  ctx.require(layout == 0 || layout == 1, "layout: got {}, expected 0 or 1", layout);
  return layout == 1;
}

void expect_shape(const InferContext& ctx, std::size_t i, std::initializer_list<Dim> expected) {
  const SymShape* shape = expect_rank(ctx, i, expected.size());
  if (shape == nullptr) return;
  std::size_t axis = 0;
  for (const Dim& dim : expected) {
    expect_equal(ctx, (*shape)[axis], dim,
                 fmt::format("{}: axis {}", ctx.node.op->inputs[i].name, axis));
    ++axis;
  }
}

Dim hidden_size(InferContext& ctx) {
  const std::int64_t stated = ctx.node.attr_int_or("hidden_size", 0);
  if (const SymShape* r = expect_rank(ctx, kR, 3)) {
    return stated > 0 ? expect_equal(ctx, (*r)[2], Dim(stated), "R: hidden size") : (*r)[2];
  }
  return stated > 0 ? Dim(stated) : ctx.fresh_dim();
}

/// The rule of all three; `gates` is the number of gates. Returns after setting every output.
void infer_recurrent(InferContext& ctx, std::int64_t gates) {
  const DType dtype =
      expect_common_type(ctx, {kX, kW, kR, kB, kInitialH, kInitialC, kPeepholes});
  expect_type(ctx, kLengths, {DType::I32});
  const Dim directions(static_cast<std::int64_t>(directions_of(ctx.node)));
  const bool transposed = batch_first(ctx);
  const Dim hidden = hidden_size(ctx);
  Dim length, batch, features;
  if (const SymShape* x = expect_rank(ctx, kX, 3)) {
    length = (*x)[transposed ? 1 : 0];
    batch = (*x)[transposed ? 0 : 1];
    features = (*x)[2];
  } else {
    length = ctx.fresh_dim();
    batch = ctx.fresh_dim();
    features = ctx.fresh_dim();
  }
  expect_shape(ctx, kW, {directions, hidden * gates, features});
  expect_shape(ctx, kR, {directions, hidden * gates, hidden});
  expect_shape(ctx, kB, {directions, hidden * gates * 2});
  expect_shape(ctx, kLengths, {batch});
  for (std::size_t state : {kInitialH, kInitialC}) {
    expect_shape(ctx, state, {transposed ? batch : directions, transposed ? directions : batch, hidden});
  }
  expect_shape(ctx, kPeepholes, {directions, hidden * 3});
  const SymShape y = transposed ? SymShape{batch, length, directions, hidden}
                                : SymShape{length, directions, batch, hidden};
  const SymShape state = transposed ? SymShape{batch, directions, hidden}
                                    : SymShape{directions, batch, hidden};
  ctx.set_output(0, dtype, y);
  ctx.set_output(1, dtype, state);
  ctx.set_output(2, dtype, state);
}

const std::vector<std::string_view> kLstmDefaults = {"Sigmoid", "Tanh", "Tanh"};
const std::vector<std::string_view> kGruDefaults = {"Sigmoid", "Tanh"};
const std::vector<std::string_view> kRnnDefaults = {"Tanh"};

void infer_lstm(InferContext& ctx) {
  read_activations(ctx.node, kLstmDefaults, directions_of(ctx.node));
  infer_recurrent(ctx, 4);
}
void infer_gru(InferContext& ctx) {
  read_activations(ctx.node, kGruDefaults, directions_of(ctx.node));
  infer_recurrent(ctx, 3);
}
void infer_rnn(InferContext& ctx) {
  read_activations(ctx.node, kRnnDefaults, directions_of(ctx.node));
  infer_recurrent(ctx, 1);
}

/// The sizes and wide operands of one call, with the time axis outermost.
struct Recurrence {
  std::int64_t length, batch, features, hidden, gates;
  std::size_t directions;
  bool transposed;
  std::vector<double> x;                ///< [length, batch, features]
  std::vector<std::int64_t> lengths;    ///< per batch element
  std::vector<double> h, c;             ///< [directions, batch, hidden]: the states
  std::vector<double> y;                ///< [length, directions, batch, hidden]
};

/// Swaps the two outer axes of values[a, b, inner].
std::vector<double> swap_outer(const std::vector<double>& values, std::int64_t a, std::int64_t b) {
  const std::int64_t inner = a * b == 0 ? 0 : static_cast<std::int64_t>(values.size()) / (a * b);
  std::vector<double> result(values.size());
  for (std::int64_t i = 0; i < a; ++i) {
    for (std::int64_t k = 0; k < b; ++k) {
      std::copy_n(values.begin() + (i * b + k) * inner, inner,
                  result.begin() + (k * a + i) * inner);
    }
  }
  return result;
}

std::vector<double> initial_state(const ReferenceContext& ctx, std::size_t input,
                                  const Recurrence& run) {
  const auto directions = static_cast<std::int64_t>(run.directions);
  if (!ctx.has_input(input)) {
    return std::vector<double>(static_cast<std::size_t>(directions * run.batch * run.hidden), 0.0);
  }
  std::vector<double> state = to_wide<double>(ctx.input(input));
  return run.transposed ? swap_outer(state, run.batch, directions) : state;
}

Recurrence read_recurrence(const ReferenceContext& ctx, std::int64_t gates) {
  Recurrence run;
  const Shape& x = ctx.input(kX).shape();
  run.transposed = ctx.node.attr_int("layout") == 1;
  run.length = x[run.transposed ? 1 : 0];
  run.batch = x[run.transposed ? 0 : 1];
  run.features = x[2];
  run.hidden = ctx.input(kR).shape()[2];
  run.gates = gates;
  run.directions = directions_of(ctx.node);
  run.x = to_wide<double>(ctx.input(kX));
  if (run.transposed) run.x = swap_outer(run.x, run.batch, run.length);
  run.lengths.assign(static_cast<std::size_t>(run.batch), run.length);
  if (ctx.has_input(kLengths)) run.lengths = to_i64_vector(ctx.input(kLengths));
  for (std::int64_t length : run.lengths) {
    ctx.require(length >= 0 && length <= run.length, "sequence_lens: got {}, expected [0, {}]",
                length, run.length);
  }
  run.h = initial_state(ctx, kInitialH, run);
  run.c = initial_state(ctx, kInitialC, run);
  run.y.assign(static_cast<std::size_t>(checked_mul(
                   run.length * static_cast<std::int64_t>(run.directions), run.batch * run.hidden)),
               0.0);
  return run;
}

void store_recurrence(ReferenceContext& ctx, const Recurrence& run) {
  const auto directions = static_cast<std::int64_t>(run.directions);
  const auto store_state = [&](std::size_t output, const std::vector<double>& state) {
    if (!ctx.has_output(output)) return;
    from_wide<double>(run.transposed ? swap_outer(state, directions, run.batch) : state,
                      ctx.output(output));
  };
  store_state(1, run.h);
  store_state(2, run.c);
  if (!ctx.has_output(0)) return;
  if (!run.transposed) return from_wide<double>(run.y, ctx.output(0));
  // [length, directions, batch, hidden] to [batch, length, directions, hidden].
  from_wide<double>(swap_outer(run.y, run.length * directions, run.batch), ctx.output(0));
}

/// Parameters of one direction as wide values.
struct Weights {
  std::vector<double> w;       ///< [features, gates * hidden]
  std::vector<double> r;       ///< [hidden, gates * hidden]
  std::vector<double> w_bias;  ///< [gates * hidden]
  std::vector<double> r_bias;
  std::vector<double> peepholes;  ///< [3 * hidden]: input, output, forget
};

std::vector<double> direction_slice(const Tensor& tensor, std::size_t direction) {
  const std::vector<double> all = to_wide<double>(tensor);
  const auto size = static_cast<std::ptrdiff_t>(tensor.numel() / tensor.shape()[0]);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(direction) * size;
  return {first, first + size};
}

Weights read_weights(const ReferenceContext& ctx, const Recurrence& run, std::size_t direction) {
  const std::int64_t lines = run.gates * run.hidden;
  Weights weights;
  weights.w = transposed(direction_slice(ctx.input(kW), direction), lines, run.features);
  weights.r = transposed(direction_slice(ctx.input(kR), direction), lines, run.hidden);
  weights.w_bias.assign(static_cast<std::size_t>(lines), 0.0);
  weights.r_bias = weights.w_bias;
  if (ctx.has_input(kB)) {
    const std::vector<double> bias = direction_slice(ctx.input(kB), direction);
    std::copy_n(bias.begin(), lines, weights.w_bias.begin());
    std::copy_n(bias.begin() + lines, lines, weights.r_bias.begin());
  }
  weights.peepholes.assign(static_cast<std::size_t>(3 * run.hidden), 0.0);
  if (ctx.has_input(kPeepholes)) {
    weights.peepholes = direction_slice(ctx.input(kPeepholes), direction);
  }
  return weights;
}

/// What a cell sees of one sequence at one step, all [hidden] per gate.
struct CellStep {
  const Recurrence& run;
  const Weights& weights;
  std::span<const Activation> activations;
  double clip;               ///< bound of what enters a gate; infinite without clipping
  const double* from_x;      ///< [gates, hidden]: x W^T + Wb
  const double* from_h;      ///< [gates, hidden]: h R^T + Rb
  double* h;                 ///< [hidden], the state, updated in place
  double* c;                 ///< [hidden], the LSTM's cell state

  double activate(std::size_t function, double x) const {
    return activations[function](std::clamp(x, -clip, clip));
  }
};

/// Steps one direction through all sequences; `cell` updates the state of one sequence.
template <typename Cell>
void run_direction(const ReferenceContext& ctx, Recurrence& run, std::size_t direction,
                   bool reverse, std::span<const Activation> activations, const Cell& cell) {
  const Weights weights = read_weights(ctx, run, direction);
  const std::int64_t lines = run.gates * run.hidden;
  const double clip = ctx.node.has("clip") ? std::fabs(ctx.node.attr_float("clip"))
                                           : std::numeric_limits<double>::infinity();
  std::vector<double> from_x(static_cast<std::size_t>(checked_mul(run.length * run.batch, lines)));
  for (std::size_t i = 0; i < from_x.size(); ++i) {
    from_x[i] = weights.w_bias[i % static_cast<std::size_t>(lines)];
  }
  add_product(run.x.data(), weights.w.data(), from_x.data(), run.length * run.batch, run.features,
              lines);
  double* const h = run.h.data() + static_cast<std::int64_t>(direction) * run.batch * run.hidden;
  double* const c = run.c.data() + static_cast<std::int64_t>(direction) * run.batch * run.hidden;
  std::vector<double> from_h(static_cast<std::size_t>(run.batch * lines));
  for (std::int64_t step = 0; step < run.length; ++step) {
    for (std::size_t i = 0; i < from_h.size(); ++i) {
      from_h[i] = weights.r_bias[i % static_cast<std::size_t>(lines)];
    }
    add_product(h, weights.r.data(), from_h.data(), run.batch, run.hidden, lines);
    for (std::int64_t b = 0; b < run.batch; ++b) {
      const std::int64_t length = run.lengths[static_cast<std::size_t>(b)];
      if (step >= length) continue;  // a finished sequence keeps its state; its outputs stay 0
      const std::int64_t t = reverse ? length - 1 - step : step;
      cell(CellStep{run, weights, activations, clip, from_x.data() + (t * run.batch + b) * lines,
                    from_h.data() + b * lines, h + b * run.hidden, c + b * run.hidden});
      const std::int64_t row =
          (t * static_cast<std::int64_t>(run.directions) + static_cast<std::int64_t>(direction)) *
              run.batch + b;
      std::copy_n(h + b * run.hidden, run.hidden, run.y.begin() + row * run.hidden);
    }
  }
}

template <typename Cell>
void run_recurrent(ReferenceContext& ctx, std::int64_t gates,
                   const std::vector<std::string_view>& defaults, const Cell& cell) {
  Recurrence run = read_recurrence(ctx, gates);
  const std::vector<Activation> all = read_activations(ctx.node, defaults, run.directions);
  const std::size_t per_direction = all.size() / run.directions;
  for (std::size_t direction = 0; direction < run.directions; ++direction) {
    const bool reverse = direction == 1 || ctx.node.attr_string("direction") == "reverse";
    run_direction(ctx, run, direction, reverse,
                  std::span(all).subspan(direction * per_direction, per_direction), cell);
  }
  store_recurrence(ctx, run);
}

void reference_lstm(ReferenceContext& ctx) {
  const bool coupled = ctx.node.attr_int("input_forget") != 0;
  run_recurrent(ctx, 4, kLstmDefaults, [coupled](const CellStep& step) {
    const std::int64_t n = step.run.hidden;
    const double* const p = step.weights.peepholes.data();
    const auto gate = [&](std::int64_t g, std::int64_t i) {
      return step.from_x[g * n + i] + step.from_h[g * n + i];
    };
    for (std::int64_t i = 0; i < n; ++i) {
      const double c_before = step.c[i];
      const double in = step.activate(0, gate(0, i) + p[i] * c_before);
      const double forget =
          coupled ? 1 - in : step.activate(0, gate(2, i) + p[2 * n + i] * c_before);
      const double c = forget * c_before + in * step.activate(1, gate(3, i));
      const double out = step.activate(0, gate(1, i) + p[n + i] * c);
      step.c[i] = c;
      step.h[i] = out * step.activations[2](c);  // as ONNX Runtime: clip bounds the gates alone
    }
  });
}

void reference_gru(ReferenceContext& ctx) {
  const bool linear_first = ctx.node.attr_int("linear_before_reset") != 0;
  std::vector<double> reset_h, candidate;
  run_recurrent(ctx, 3, kGruDefaults, [&](const CellStep& step) {
    const std::int64_t n = step.run.hidden;
    const auto gate = [&](std::int64_t g, std::int64_t i) {
      return step.activate(0, step.from_x[g * n + i] + step.from_h[g * n + i]);
    };
    candidate.assign(static_cast<std::size_t>(n), 0.0);
    if (linear_first) {
      for (std::int64_t i = 0; i < n; ++i) {
        candidate[static_cast<std::size_t>(i)] = gate(1, i) * step.from_h[2 * n + i];
      }
    } else {
      // The reset gate acts on the state before the product, so the product is taken again.
      reset_h.resize(static_cast<std::size_t>(n));
      for (std::int64_t i = 0; i < n; ++i) {
        reset_h[static_cast<std::size_t>(i)] = gate(1, i) * step.h[i];
        candidate[static_cast<std::size_t>(i)] =
            step.weights.r_bias[static_cast<std::size_t>(2 * n + i)];
      }
      for (std::int64_t k = 0; k < n; ++k) {
        const double* const row = step.weights.r.data() + k * 3 * n + 2 * n;
        for (std::int64_t i = 0; i < n; ++i) {
          candidate[static_cast<std::size_t>(i)] += reset_h[static_cast<std::size_t>(k)] * row[i];
        }
      }
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const double update = gate(0, i);
      const double fresh =
          step.activate(1, step.from_x[2 * n + i] + candidate[static_cast<std::size_t>(i)]);
      step.h[i] = (1 - update) * fresh + update * step.h[i];
    }
  });
}

void reference_rnn(ReferenceContext& ctx) {
  run_recurrent(ctx, 1, kRnnDefaults, [](const CellStep& step) {
    for (std::int64_t i = 0; i < step.run.hidden; ++i) {
      step.h[i] = step.activate(0, step.from_x[i] + step.from_h[i]);
    }
  });
}

Cost cost_recurrent(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  const Type& x = inputs[kX];
  double features = 0;
  if (x.shape && x.shape->size() == 3 && x.shape->back().is_known()) {
    features = static_cast<double>(x.shape->back().value());
  }
  // Each row of X meets all weights of all directions once.
  const double rows = features > 0 ? element_count(x) / features : 0;
  return {2 * rows * (element_count(inputs[kW]) + element_count(inputs[kR])),
          total_bytes(inputs, outputs)};
}

std::vector<AttrSpec> recurrent_attributes(const char* functions, std::vector<AttrSpec> extra) {
  std::vector<AttrSpec> attributes = {
      {"activation_alpha", AttrKind::Floats, "first parameters of the functions that have one"},
      {"activation_beta", AttrKind::Floats, "second parameters of the functions that have one"},
      {"activations", AttrKind::Strings, functions},
      {"clip", AttrKind::Float, "bound of what enters the gates"},
      {"direction", AttrKind::String, "forward, reverse or bidirectional", "forward"},
      {"hidden_size", AttrKind::Int, "size of the state; that of R when absent"},
      {"layout", AttrKind::Int, "1: the batch axis is outermost", std::int64_t{0}},
  };
  attributes.insert(attributes.end(), extra.begin(), extra.end());
  return attributes;
}

std::vector<FormalParam> recurrent_inputs() {
  return {{"X", "[length, batch, features], or [batch, length, features] with layout 1"},
          {"W", "[directions, gates * hidden, features]"},
          {"R", "[directions, gates * hidden, hidden]"},
          {"B", "[directions, 2 * gates * hidden], biases of W, then of R", Arity::Optional},
          {"sequence_lens", "[batch], i32: length of each sequence", Arity::Optional},
          {"initial_h", "[directions, batch, hidden]", Arity::Optional}};
}

std::vector<FormalParam> recurrent_outputs() {
  return {{"Y", "[length, directions, batch, hidden], every state", Arity::Optional},
          {"Y_h", "[directions, batch, hidden], the last state", Arity::Optional}};
}

}  // namespace

void define_recurrent(std::vector<OpDef>& ops) {
  OpDef lstm{
      .name = "LSTM",
      .since_version = 22,
      .doc = "A long short-term memory layer; gates in the order input, output, forget, cell.",
      .source = "ONNX LSTM-22",
      .inputs = recurrent_inputs(),
      .outputs = recurrent_outputs(),
      .attributes = recurrent_attributes(
          "functions f, g, h per direction; Sigmoid, Tanh, Tanh when absent",
          {{"input_forget", AttrKind::Int, "1: the forget gate is 1 - input gate",
            std::int64_t{0}}}),
      .infer = infer_lstm,
      .reference = reference_lstm,
      .cost = cost_recurrent,
  };
  lstm.inputs.push_back({"initial_c", "[directions, batch, hidden]", Arity::Optional});
  lstm.inputs.push_back({"P", "[directions, 3 * hidden]: peepholes", Arity::Optional});
  lstm.outputs.push_back(
      {"Y_c", "[directions, batch, hidden], the last cell state", Arity::Optional});
  ops.push_back(std::move(lstm));

  ops.push_back({
      .name = "GRU",
      .since_version = 22,
      .doc = "A gated recurrent unit layer; gates in the order update, reset, hidden.",
      .source = "ONNX GRU-22",
      .inputs = recurrent_inputs(),
      .outputs = recurrent_outputs(),
      .attributes = recurrent_attributes(
          "functions f, g per direction; Sigmoid, Tanh when absent",
          {{"linear_before_reset", AttrKind::Int,
            "1: the reset gate acts after the product with R", std::int64_t{0}}}),
      .infer = infer_gru,
      .reference = reference_gru,
      .cost = cost_recurrent,
  });
  ops.push_back({
      .name = "RNN",
      .since_version = 22,
      .doc = "A plain recurrent layer.",
      .source = "ONNX RNN-22",
      .inputs = recurrent_inputs(),
      .outputs = recurrent_outputs(),
      .attributes =
          recurrent_attributes("the function f per direction; Tanh when absent", {}),
      .infer = infer_rnn,
      .reference = reference_rnn,
      .cost = cost_recurrent,
  });
}

}  // namespace naru
