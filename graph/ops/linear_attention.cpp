// Operators with a state that replaces a key cache: LinearAttention, CausalConvWithState, and
// TensorScatter, which writes into a cache kept outside Attention.
#include <algorithm>
#include <cmath>

#include "graph/checked.h"
#include "graph/ops/activation.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kShortFloats{DType::F32, DType::F16, DType::BF16};

// LinearAttention

constexpr std::size_t kQuery = 0, kKey = 1, kValue = 2, kState = 3, kDecay = 4, kBeta = 5;

struct UpdateRule {
  bool gated;
  bool delta;

  explicit UpdateRule(const Node& node) {
    const std::size_t choice =
        expect_choice(node, "update_rule", {"linear", "gated", "delta", "gated_delta"});
    gated = choice == 1 || choice == 3;
    delta = choice >= 2;
  }
};

/// The size of one of `heads` that are packed in the last axis of input `i`.
Dim packed_size(InferContext& ctx, std::size_t i, std::int64_t heads) {
  const SymShape* shape = expect_rank(ctx, i, 3);
  if (shape == nullptr) return ctx.fresh_dim();
  ctx.require(!(*shape)[2].is_known() || (*shape)[2].value() % heads == 0,
              "{}: got last axis {}, expected a multiple of {} heads", ctx.node.op->inputs[i].name,
              (*shape)[2].to_string(), heads);
  return floor_div((*shape)[2], heads);
}

void infer_linear_attention(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {kQuery, kKey, kValue, kDecay, kBeta}, kShortFloats);
  expect_type(ctx, kState, kShortFloats);
  const UpdateRule rule(ctx.node);
  ctx.require(ctx.has_input(kDecay) == rule.gated, "decay: got {}, expected {} for update_rule {}",
              ctx.has_input(kDecay) ? "one" : "none", rule.gated ? "one" : "none",
              ctx.node.attr_string("update_rule"));
  ctx.require(ctx.has_input(kBeta) == rule.delta, "beta: got {}, expected {} for update_rule {}",
              ctx.has_input(kBeta) ? "one" : "none", rule.delta ? "one" : "none",
              ctx.node.attr_string("update_rule"));
  const std::int64_t heads = ctx.node.attr_int("q_num_heads");
  const std::int64_t kv_heads = ctx.node.attr_int("kv_num_heads");
  ctx.require(heads >= 1 && kv_heads >= 1 && heads % kv_heads == 0,
              "q_num_heads: got {}, expected a positive multiple of kv_num_heads {}", heads,
              kv_heads);
  const Dim key_size =
      expect_equal(ctx, packed_size(ctx, kKey, kv_heads), packed_size(ctx, kQuery, heads), "key: head size");
  const Dim value_size = packed_size(ctx, kValue, kv_heads);
  Dim batch = ctx.fresh_dim();
  Dim length = ctx.fresh_dim();
  for (std::size_t i : {kQuery, kKey, kValue, kDecay, kBeta}) {
    const SymShape* shape = expect_rank(ctx, i, 3);
    if (shape == nullptr) continue;
    const std::string& name = ctx.node.op->inputs[i].name;
    batch = expect_equal(ctx, (*shape)[0], i == kQuery ? (*shape)[0] : batch, name + ": batch");
    length = expect_equal(ctx, (*shape)[1], i == kQuery ? (*shape)[1] : length, name + ": length");
  }
  const auto expect_last = [&](std::size_t i, const Dim& a, const Dim& b) {
    const SymShape* shape = expect_rank(ctx, i, 3);
    if (shape == nullptr || !shape->back().is_known() || !a.is_known() || !b.is_known()) return;
    ctx.require(shape->back() == a || shape->back() == b, "{}: got last axis {}, expected {} or {}",
                ctx.node.op->inputs[i].name, shape->back().to_string(), a.to_string(),
                b.to_string());
  };
  expect_last(kDecay, Dim(kv_heads), key_size * kv_heads);
  expect_last(kBeta, Dim(kv_heads), Dim(1));
  const SymShape state{batch, Dim(kv_heads), key_size, value_size};
  if (const SymShape* past = expect_rank(ctx, kState, 4)) {
    for (std::size_t axis = 0; axis < 4; ++axis) {
      expect_equal(ctx, (*past)[axis], state[axis], fmt::format("past_state: axis {}", axis));
    }
  }
  ctx.set_output(0, dtype, {batch, length, value_size * heads});
  ctx.set_output(1, ctx.has_input(kState) ? ctx.dtype(kState) : dtype, state);
}

/// Wide operands of one call; tokens are [batch, length, heads, size].
struct LinearRun {
  std::int64_t batch, length, heads, kv_heads, key_size, value_size;
  std::vector<double> query, key, value, decay, beta, state;
  std::int64_t decays_per_head = 1;  ///< 1, or one per key element
  std::int64_t betas = 1;            ///< 1, or one per head
};

LinearRun read_linear(const ReferenceContext& ctx) {
  LinearRun run;
  const Shape& query = ctx.input(kQuery).shape();
  run.batch = query[0];
  run.length = query[1];
  run.heads = ctx.node.attr_int("q_num_heads");
  run.kv_heads = ctx.node.attr_int("kv_num_heads");
  run.key_size = query[2] / run.heads;
  run.value_size = ctx.input(kValue).shape()[2] / run.kv_heads;
  run.query = to_wide<double>(ctx.input(kQuery));
  run.key = to_wide<double>(ctx.input(kKey));
  run.value = to_wide<double>(ctx.input(kValue));
  if (ctx.has_input(kDecay)) {
    run.decay = to_wide<double>(ctx.input(kDecay));
    const bool per_head = ctx.input(kDecay).shape()[2] == run.kv_heads;
    run.decays_per_head = per_head ? 1 : run.key_size;
  }
  if (ctx.has_input(kBeta)) {
    run.beta = to_wide<double>(ctx.input(kBeta));
    run.betas = ctx.input(kBeta).shape()[2];
  }
  if (ctx.has_input(kState)) {
    run.state = to_wide<double>(ctx.input(kState));
  } else {
    run.state.assign(static_cast<std::size_t>(checked_mul(
                         run.batch * run.kv_heads, checked_mul(run.key_size, run.value_size))),
                     0.0);
  }
  return run;
}

/// Takes one token into the state [key size, value size] of one head.
void update_state(const LinearRun& run, std::int64_t token, std::int64_t head, double* state,
                  std::vector<double>& written) {
  const double* const key = run.key.data() + (token * run.kv_heads + head) * run.key_size;
  const double* const value = run.value.data() + (token * run.kv_heads + head) * run.value_size;
  if (!run.decay.empty()) {
    const double* const decay = run.decay.data() + (token * run.kv_heads + head) * run.decays_per_head;
    for (std::int64_t d = 0; d < run.key_size; ++d) {
      const double factor = std::exp(decay[run.decays_per_head == 1 ? 0 : d]);
      for (std::int64_t m = 0; m < run.value_size; ++m) state[d * run.value_size + m] *= factor;
    }
  }
  written.assign(value, value + run.value_size);
  if (!run.beta.empty()) {
    // The delta rule writes only what the state does not yet say of this key.
    const double rate = run.beta[static_cast<std::size_t>(token * run.betas + (run.betas == 1 ? 0 : head))];
    for (std::int64_t m = 0; m < run.value_size; ++m) {
      double known = 0;
      for (std::int64_t d = 0; d < run.key_size; ++d) known += state[d * run.value_size + m] * key[d];
      written[static_cast<std::size_t>(m)] = rate * (value[m] - known);
    }
  }
  for (std::int64_t d = 0; d < run.key_size; ++d) {
    for (std::int64_t m = 0; m < run.value_size; ++m) {
      state[d * run.value_size + m] += key[d] * written[static_cast<std::size_t>(m)];
    }
  }
}

void reference_linear_attention(ReferenceContext& ctx) {
  LinearRun run = read_linear(ctx);
  const double stated = ctx.node.attr_float("scale");
  const double scale =
      stated != 0 ? stated : 1 / std::sqrt(static_cast<double>(run.key_size));
  const std::int64_t sharing = run.heads / run.kv_heads;
  Tensor& output = ctx.output(0);
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  std::vector<double> written;
  for (std::int64_t token = 0; token < run.batch * run.length; ++token) {
    for (std::int64_t head = 0; head < run.kv_heads; ++head) {
      double* const state = run.state.data() + (token / run.length * run.kv_heads + head) *
                                                   run.key_size * run.value_size;
      update_state(run, token, head, state, written);
      for (std::int64_t reader = head * sharing; reader < (head + 1) * sharing; ++reader) {
        const double* const query = run.query.data() + (token * run.heads + reader) * run.key_size;
        double* const to = y.data() + (token * run.heads + reader) * run.value_size;
        for (std::int64_t d = 0; d < run.key_size; ++d) {
          for (std::int64_t m = 0; m < run.value_size; ++m) {
            to[m] += scale * query[d] * state[d * run.value_size + m];
          }
        }
      }
    }
  }
  from_wide<double>(y, output);
  if (ctx.has_output(1)) from_wide<double>(run.state, ctx.output(1));
}

Cost cost_linear_attention(const Node& node, std::span<const Type> inputs,
                           std::span<const Type> outputs) {
  // Each token of each key head touches its whole state: decay, recall, write, and reads.
  const auto kv_heads = static_cast<double>(node.attr_int("kv_num_heads"));
  const auto heads = static_cast<double>(node.attr_int("q_num_heads"));
  const double key_elements = element_count(inputs[kKey]);
  const double value_size =
      inputs[kValue].shape && inputs[kValue].shape->size() == 3 && inputs[kValue].shape->back().is_known()
          ? static_cast<double>(inputs[kValue].shape->back().value()) / kv_heads
          : 0;
  const UpdateRule rule(node);
  const double per_state = 2 + (rule.gated ? 1 : 0) + (rule.delta ? 2 : 0) + 2 * heads / kv_heads;
  return {key_elements * value_size * per_state, total_bytes(inputs, outputs)};
}

// CausalConvWithState

void infer_causal_conv(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2, 3}, kShortFloats);
  expect_choice(ctx.node, "activation", {"none", "silu", "swish"});
  SymShape y(3), state(3);
  const SymShape* x = expect_rank(ctx, 0, 3);
  for (std::size_t i = 0; i < 3; ++i) {
    y[i] = x != nullptr ? (*x)[i] : ctx.fresh_dim();
    state[i] = y[i];
  }
  state[2] = ctx.fresh_dim();
  if (const SymShape* w = expect_rank(ctx, 1, 3)) {
    expect_equal(ctx, (*w)[0], y[1], "weight: channels");
    expect_equal(ctx, (*w)[1], Dim(1), "weight: axis 1");
    ctx.require(!((*w)[2] == Dim(0)), "weight: got kernel size 0, expected 1 or more");
    state[2] = (*w)[2] - 1;
  }
  expect_vector(ctx, 2, y[1]);
  if (const SymShape* past = expect_rank(ctx, 3, 3)) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      expect_equal(ctx, (*past)[axis], state[axis], fmt::format("past_state: axis {}", axis));
    }
  }
  ctx.set_output(0, dtype, std::move(y));
  ctx.set_output(1, dtype, std::move(state));
}

void reference_causal_conv(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  const std::int64_t channels = shape[1];
  const std::int64_t length = shape[2];
  const std::int64_t kernel = ctx.input(1).shape()[2];
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<double> w = to_wide<double>(ctx.input(1));
  std::vector<double> bias(static_cast<std::size_t>(channels), 0.0);
  if (ctx.has_input(2)) bias = to_wide<double>(ctx.input(2));
  std::vector<double> past(static_cast<std::size_t>(shape[0] * channels * (kernel - 1)), 0.0);
  if (ctx.has_input(3)) past = to_wide<double>(ctx.input(3));
  const bool silu = ctx.node.attr_string("activation") != "none";
  std::vector<double> y, present;
  std::vector<double> line;  // the state, then the input
  for (std::int64_t row = 0; row < shape[0] * channels; ++row) {
    line.assign(past.begin() + row * (kernel - 1), past.begin() + (row + 1) * (kernel - 1));
    line.insert(line.end(), x.begin() + row * length, x.begin() + (row + 1) * length);
    const std::int64_t channel = row % channels;
    for (std::int64_t t = 0; t < length; ++t) {
      double sum = bias[static_cast<std::size_t>(channel)];
      for (std::int64_t k = 0; k < kernel; ++k) {
        sum += w[static_cast<std::size_t>(channel * kernel + k)] * line[static_cast<std::size_t>(t + k)];
      }
      y.push_back(silu ? sum * sigmoid(sum) : sum);
    }
    present.insert(present.end(), line.end() - (kernel - 1), line.end());
  }
  from_wide<double>(y, ctx.output(0));
  if (ctx.has_output(1)) from_wide<double>(present, ctx.output(1));
}

Cost cost_causal_conv(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  const Type& w = inputs[1];
  const double kernel = w.shape && w.shape->size() == 3 && w.shape->back().is_known()
                            ? static_cast<double>(w.shape->back().value())
                            : 0;
  return {2 * kernel * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

}  // namespace

void define_linear_attention(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "LinearAttention",
      .since_version = 27,
      .doc = "Attention by a recurrent state instead of scores; heads are packed.",
      .source = "ONNX LinearAttention-27",
      .inputs = {{"query", "[batch, length, heads * key size], f32|f16|bf16"},
                 {"key", "[batch, length, kv heads * key size]"},
                 {"value", "[batch, length, kv heads * value size]"},
                 {"past_state", "[batch, kv heads, key size, value size]", Arity::Optional},
                 {"decay", "logarithms, [batch, length, kv heads] or as key: the gated rules",
                  Arity::Optional},
                 {"beta", "[batch, length, kv heads or 1]: the delta rules", Arity::Optional}},
      .outputs = {{"output", "[batch, length, heads * value size]"},
                  {"present_state", "as past_state"}},
      .attributes = {{"chunk_size", AttrKind::Int, "a hint for speed", std::int64_t{64}},
                     {"kv_num_heads", AttrKind::Int, "heads of key and value", std::nullopt, true},
                     {"q_num_heads", AttrKind::Int, "heads of query", std::nullopt, true},
                     {"scale", AttrKind::Float, "factor of the output; 0: 1/sqrt(key size)", 0.0f},
                     {"update_rule", AttrKind::String, "linear, gated, delta or gated_delta",
                      "gated_delta"}},
      .infer = infer_linear_attention,
      .reference = reference_linear_attention,
      .cost = cost_linear_attention,
  });
  ops.push_back({
      .name = "CausalConvWithState",
      .since_version = 27,
      .doc = "Convolves each channel with its own kernel over past and present elements.",
      .source = "ONNX CausalConvWithState-27",
      .inputs = {{"input", "[batch, channels, length], f32|f16|bf16"},
                 {"weight", "[channels, 1, kernel]"},
                 {"bias", "[channels]", Arity::Optional},
                 {"past_state", "[batch, channels, kernel - 1]; zeros when absent",
                  Arity::Optional}},
      .outputs = {{"output", "the shape of input"},
                  {"present_state", "the last kernel - 1 elements of past_state and input"}},
      .attributes = {{"activation", AttrKind::String, "none, silu or swish", "none"}},
      .infer = infer_causal_conv,
      .reference = reference_causal_conv,
      .cost = cost_causal_conv,
  });
}

}  // namespace naru
