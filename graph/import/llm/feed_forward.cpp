// Gated feed-forward layers.
#include "graph/import/llm/feed_forward.h"

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
    const std::vector<ValueId> parts = at.split(at.linear(x, "gate_up", 2 * inner, hidden), {inner, inner});
    gate = parts[0];
    up = parts[1];
  } else {
    gate = at.linear(x, "gate", inner, hidden);
    up = at.linear(x, "up", inner, hidden);
  }
  return at.linear(activate(at, gate, up), "down", hidden, inner);
}

}  // namespace

ValueId feed_forward(LayerBuilder& at, ValueId x, bool experts) {
  if (experts) fail(ErrorCode::Unsupported, "experts: naru does not build them yet");
  return dense(at, x);
}

}  // namespace naru::llm
