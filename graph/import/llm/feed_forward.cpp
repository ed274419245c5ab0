// Gated feed-forward layers and their experts.
#include "graph/import/llm/feed_forward.h"

#include "graph/block/block_format.h"
#include "graph/fail.h"

namespace naru::llm {
namespace {

ValueId activate(LayerBuilder& at, ValueId gate, ValueId up) {
  if (at.config.activation == Activation::Silu) return at.add("SwiGLU", {gate, up});
  return at.add("Mul", {at.add("Gelu", {gate}, {{"approximate", std::string("tanh")}}), up});
}

ValueId dense(LayerBuilder& at, ValueId x) {
  const std::int64_t inner = at.config.feed_forward, hidden = at.config.hidden;
  ValueId gate = kNoValue, up = kNoValue;
  if (at.has("gate_up")) {
    const std::vector<ValueId> parts =
        at.split(at.linear(x, "gate_up", 2 * inner, hidden), {inner, inner});
    gate = parts[0];
    up = parts[1];
  } else {
    gate = at.linear(x, "gate", inner, hidden);
    up = at.linear(x, "up", inner, hidden);
  }
  return at.linear(activate(at, gate, up), "down", hidden, inner);
}

// Experts

struct Choice {
  ValueId experts, weights;  ///< [rows, used]
};

ValueId softmax(LayerBuilder& at, ValueId x) {
  return at.add("Softmax", {x}, {{"axis", std::int64_t{-1}}});
}

/// The largest of each row: values and indices.
std::vector<ValueId> top(LayerBuilder& at, ValueId x) {
  return at.add_multi("TopK", {x, at.ints({at.config.experts.used})}, 2,
                      {{"axis", std::int64_t{-1}}});
}

Choice choose(LayerBuilder& at, ValueId logits) {
  const Experts& experts = at.config.experts;
  if (experts.gating == Gating::TopKSoftmax) {
    const std::vector<ValueId> best = top(at, logits);
    return {best[1], softmax(at, best[0])};
  }
  if (experts.gating == Gating::SoftmaxTopK) {
    const std::vector<ValueId> best = top(at, softmax(at, logits));
    return {best[1], best[0]};
  }
  const ValueId scores = at.add("Sigmoid", {logits});
  ValueId ranking = scores;
  for (const char* part : {"", "bias"}) {  // the names of config.json's and GGUF's files
    if (const auto bias = at.vector("choice", experts.count, part))
      ranking = at.add("Add", {scores, *bias});
  }
  const ValueId chosen = top(at, ranking)[1];
  return {chosen, at.add("GatherElements", {scores, chosen}, {{"axis", std::int64_t{-1}}})};
}

Choice route(LayerBuilder& at, ValueId x) {
  const Experts& experts = at.config.experts;
  Choice choice = choose(at, at.linear(x, "router", experts.count, at.config.hidden));
  if (experts.normalise) {
    choice.weights =
        at.add("Div", {choice.weights, at.add("ReduceSum", {choice.weights, at.ints({-1})})});
  }
  choice.weights = at.scaled(choice.weights, experts.scale);
  return choice;
}

ValueId sparse(LayerBuilder& at, ValueId x) {
  const Experts& experts = at.config.experts;
  const std::int64_t hidden = at.config.hidden, inner = experts.feed_forward;
  const Choice choice = route(at, x);
  std::vector<ValueId> inputs{x, choice.experts, choice.weights};
  inputs.push_back(at.expert_matrices("experts.gate", inner, hidden));
  inputs.push_back(at.expert_matrices("experts.up", inner, hidden));
  inputs.push_back(at.expert_matrices("experts.down", hidden, inner));
  inputs.push_back(at.expert_biases("experts.gate", inner));
  inputs.push_back(at.expert_biases("experts.up", inner));
  inputs.push_back(at.expert_biases("experts.down", hidden));
  while (inputs.back() == kNoValue) inputs.pop_back();
  return at.add("naru.MoE", std::move(inputs),
                {{"alpha", static_cast<float>(experts.alpha)},
                 {"limit", static_cast<float>(experts.limit)},
                 {"up_offset", static_cast<float>(experts.up_offset)}},
                "experts");
}

/// The layer that all rows take beside their experts, where there is one.
ValueId with_shared(LayerBuilder& at, ValueId x, ValueId y) {
  const std::optional<Tensor> up_weight = at.find("shared.up");
  if (!up_weight || up_weight->rank() != 2) return y;
  const std::int64_t inner = up_weight->shape()[0], hidden = at.config.hidden;
  const ValueId gate = at.linear(x, "shared.gate", inner, hidden),
                up = at.linear(x, "shared.up", inner, hidden);
  ValueId shared = at.linear(activate(at, gate, up), "shared.down", hidden, inner);
  if (const std::optional<Tensor> router = at.find("shared.router")) {
    // A vector in GGUF, a matrix of one row elsewhere.
    if (router->numel() != hidden)
      fail(ErrorCode::InvalidModel, "weight shared.router: got {}, expected {} elements",
           to_string(*router), hidden);
    const ValueId weight =
        at.constant("shared.router", dequantize(*router).reshaped({1, hidden}), {1, hidden});
    shared = at.add("Mul", {shared, at.add("Sigmoid", {at.product(x, weight, "shared.router")})});
  }
  return at.add("Add", {y, shared});
}

}  // namespace

ValueId feed_forward(LayerBuilder& at, ValueId x, bool experts) {
  return experts ? with_shared(at, x, sparse(at, x)) : dense(at, x);
}

}  // namespace naru::llm
