// Scaled dot-product attention over dense [batch, heads, length, width], with grouped heads of keys and values.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/npu_sim/kernel.h"

namespace npu {
namespace {

struct Attention {
  std::int64_t batch, heads, kv_heads, queries, keys, width, value_width;
  bool causal;
  float scale;

  explicit Attention(const Call& call)
      : batch(call.integer("batch", 1)), heads(call.integer("heads", 1)), kv_heads(call.integer("kv_heads", 1)),
        queries(call.integer("queries", 1)), keys(call.integer("keys", 1)), width(call.integer("width", 1)),
        value_width(call.integer("value_width", 1)), causal(call.integer("causal", 0, 1) != 0), scale(call.real("scale")) {
    if (heads % kv_heads != 0) throw BadArguments("attention: the heads are no multiple of those of the keys");
    if (scale == 0) scale = 1 / std::sqrt(static_cast<float>(width));
  }
};

/// One query: probabilities over the keys, then the weighted sum of values.
void attend(const Attention& a, const float* query, const float* keys, const float* values, std::int64_t visible, float* to) {
  std::vector<float> scores(static_cast<std::size_t>(visible));
  float most = -std::numeric_limits<float>::infinity();
  for (std::int64_t k = 0; k < visible; ++k) {
    float sum = 0;
    for (std::int64_t i = 0; i < a.width; ++i) sum += query[i] * keys[k * a.width + i];
    scores[static_cast<std::size_t>(k)] = sum * a.scale;
    most = std::max(most, scores[static_cast<std::size_t>(k)]);
  }
  float total = 0;
  for (float& score : scores) total += score = std::exp(score - most);
  for (std::int64_t k = 0; k < visible; ++k) {
    const float share = scores[static_cast<std::size_t>(k)] / total;
    for (std::int64_t i = 0; i < a.value_width; ++i) to[i] += share * values[k * a.value_width + i];
  }
}

Work attention(Call& call) {
  const Attention a(call);
  const std::vector<float> q = call.read("Q", call.type(), count_of({a.batch, a.heads, a.queries, a.width}));
  const std::vector<float> k = call.read("K", call.type(), count_of({a.batch, a.kv_heads, a.keys, a.width}));
  const std::vector<float> v = call.read("V", call.type(), count_of({a.batch, a.kv_heads, a.keys, a.value_width}));
  std::vector<float> y(static_cast<std::size_t>(count_of({a.batch, a.heads, a.queries, a.value_width})));
  for (std::int64_t head = 0; head < a.batch * a.heads; ++head) {
    const std::int64_t shared = head / a.heads * a.kv_heads + head % a.heads / (a.heads / a.kv_heads);
    for (std::int64_t query = 0; query < a.queries; ++query) {
      const std::int64_t visible = a.causal ? std::min(query + 1, a.keys) : a.keys;
      attend(a, q.data() + (head * a.queries + query) * a.width, k.data() + shared * a.keys * a.width,
             v.data() + shared * a.keys * a.value_width, visible, y.data() + (head * a.queries + query) * a.value_width);
    }
  }
  call.write("Y", call.type(), y);
  Work work = work_of(call.chip(), {call.type(), a.batch * a.heads, a.queries, a.keys, a.width + a.value_width});
  work.vector_ops += 4 * a.batch * a.heads * a.queries * a.keys;
  return work;
}

}  // namespace

void add_attention_kernels(std::vector<Kernel>& table) {
  std::vector<Parameter> parameters = {{"Q", Role::Input}, {"K", Role::Input}, {"V", Role::Input}, {"Y", Role::Output}};
  for (const char* name : {"batch", "heads", "kv_heads", "queries", "keys", "width", "value_width", "causal"}) parameters.push_back({name, Role::Int});
  parameters.push_back({"scale", Role::Float});
  add_float_kernels(table, "npu.attention", parameters, attention);
}

}  // namespace npu
