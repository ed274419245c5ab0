// The list of architectures, the common names of weights and the common numbers.
#include "graph/import/llm/architecture.h"

#include <cmath>
#include <string>

#include "graph/fail.h"
#include "graph/import/llm/rope.h"
#include "graph/model_file.h"
#include "graph/scalar.h"

namespace naru::llm {

#define ARCHITECTURE(name) Architecture architecture_##name();
#include "graph/import/llm/architectures.def"
#undef ARCHITECTURE

namespace {

constexpr WeightName kGgufNames[] = {
    {"embedding", "token_embd"},
    {"final_norm", "output_norm"},
    {"head", "output"},
    {"rope_divisors", "rope_freqs"},
    {"rope_long", "rope_factors_long"},
    {"rope_short", "rope_factors_short"},
    {"attention_norm", "blk.{}.attn_norm"},
    {"q", "blk.{}.attn_q"},
    {"k", "blk.{}.attn_k"},
    {"v", "blk.{}.attn_v"},
    {"qkv", "blk.{}.attn_qkv"},
    {"o", "blk.{}.attn_output"},
    {"q_norm", "blk.{}.attn_q_norm"},
    {"k_norm", "blk.{}.attn_k_norm"},
    {"attention_post_norm", "blk.{}.post_attention_norm"},
    {"norm", "blk.{}.ffn_norm"},
    {"gate", "blk.{}.ffn_gate"},
    {"up", "blk.{}.ffn_up"},
    {"down", "blk.{}.ffn_down"},
    {"post_norm", "blk.{}.post_ffw_norm"},
    {"sinks", "blk.{}.attn_sinks"},
    {"router", "blk.{}.ffn_gate_inp"},
    {"choice", "blk.{}.exp_probs_b"},
    {"experts.gate", "blk.{}.ffn_gate_exps"},
    {"experts.up", "blk.{}.ffn_up_exps"},
    {"experts.down", "blk.{}.ffn_down_exps"},
    {"shared.router", "blk.{}.ffn_gate_inp_shexp"},
    {"shared.gate", "blk.{}.ffn_gate_shexp"},
    {"shared.up", "blk.{}.ffn_up_shexp"},
    {"shared.down", "blk.{}.ffn_down_shexp"},
};

constexpr WeightName kJsonNames[] = {
    {"embedding", "model.embed_tokens"},
    {"final_norm", "model.norm"},
    {"head", "lm_head"},
    {"attention_norm", "model.layers.{}.input_layernorm"},
    {"q", "model.layers.{}.self_attn.q_proj"},
    {"k", "model.layers.{}.self_attn.k_proj"},
    {"v", "model.layers.{}.self_attn.v_proj"},
    {"qkv", "model.layers.{}.self_attn.qkv_proj"},
    {"o", "model.layers.{}.self_attn.o_proj"},
    {"q_norm", "model.layers.{}.self_attn.q_norm"},
    {"k_norm", "model.layers.{}.self_attn.k_norm"},
    {"norm", "model.layers.{}.post_attention_layernorm"},
    {"gate", "model.layers.{}.mlp.gate_proj"},
    {"up", "model.layers.{}.mlp.up_proj"},
    {"gate_up", "model.layers.{}.mlp.gate_up_proj"},
    {"down", "model.layers.{}.mlp.down_proj"},
    {"router", "model.layers.{}.mlp.gate"},
    {"choice", "model.layers.{}.mlp.e_score_correction_bias"},
    {"experts.gate", "model.layers.{}.mlp.experts.{expert}.gate_proj"},
    {"experts.up", "model.layers.{}.mlp.experts.{expert}.up_proj"},
    {"experts.down", "model.layers.{}.mlp.experts.{expert}.down_proj"},
    {"shared.router", "model.layers.{}.mlp.shared_expert_gate"},
    {"shared.gate", "model.layers.{}.mlp.shared_expert.gate_proj"},
    {"shared.up", "model.layers.{}.mlp.shared_expert.up_proj"},
    {"shared.down", "model.layers.{}.mlp.shared_expert.down_proj"},
};

bool has_json_name(const Architecture& architecture, std::string_view name) {
  if (architecture.json_names.empty()) return architecture.name == name;
  for (const std::string_view own : architecture.json_names) {
    if (own == name) return true;
  }
  return false;
}

/// The frequencies' divisors that a file carries as tensors: one for all contexts, or one for those
/// that were trained and one for longer ones.
std::vector<float> rope_divisors(const Parameters& parameters, std::int64_t context,
                                 Weights& weights) {
  const std::optional<Tensor> always = weights.find("rope_divisors");
  const std::optional<Tensor> beyond = weights.find("rope_long"),
                              within = weights.find("rope_short");
  const bool stretched = static_cast<double>(context) > parameters.number("rope_context", 0);
  const std::optional<Tensor>& tensor = always ? always : (stretched ? beyond : within);
  if (!tensor) return {};
  const std::vector<double> wide = to_wide<double>(*tensor);
  return {wide.begin(), wide.end()};
}

/// What the parameters say of experts; layers have them where they have a router.
void read_experts(const Parameters& parameters, Weights& weights, Config& config) {
  Experts& experts = config.experts;
  experts.count = parameters.integer("experts", 0, 1 << 16, 0);
  if (experts.count == 0) return;
  experts.used = parameters.integer("experts_used", 1, experts.count);
  experts.feed_forward = parameters.integer("expert_feed_forward", 1, 1 << 24, config.feed_forward);
  experts.normalise = parameters.number("expert_normalise", 0) != 0;
  experts.scale = parameters.number("expert_scale", 1);
  if (parameters.number("expert_groups", 1) > 1) {
    fail(ErrorCode::Unsupported, "experts: got groups of them, expected one group");
  }
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    config.layers[i].experts = weights.find("router", static_cast<std::int64_t>(i)).has_value();
  }
}

}  // namespace

std::span<const Architecture> architectures() {
  static const std::vector<Architecture> all = {
#define ARCHITECTURE(name) architecture_##name(),
#include "graph/import/llm/architectures.def"
#undef ARCHITECTURE
  };
  return all;
}

const Architecture& find_architecture(std::string_view name, bool gguf) {
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (gguf ? architecture.name == name : has_json_name(architecture, name)) return architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  fail(ErrorCode::Unsupported, "architecture: got {}, expected one of {}", quote_name(name), known);
}

std::int64_t layer_count(const Parameters& parameters) {
  const std::int64_t all = parameters.integer("layers", 1, 1 << 12);
  return all - parameters.integer("draft_layers", 0, all - 1, 0);
}

std::vector<WeightName> weight_names(const Architecture& architecture, bool gguf) {
  const std::span<const WeightName> common =
      gguf ? std::span<const WeightName>(kGgufNames) : kJsonNames;
  std::vector<WeightName> names(common.begin(), common.end());
  const std::vector<WeightName>& own = gguf ? architecture.gguf_weights : architecture.json_weights;
  names.insert(names.end(), own.begin(), own.end());
  return names;
}

Config make_config(const Architecture& architecture, const Parameters& parameters, Weights& weights,
                   std::int64_t context) {
  constexpr std::int64_t kMost = 1 << 24;
  Config config;
  config.architecture = architecture.name;
  config.layers.resize(static_cast<std::size_t>(layer_count(parameters)));
  config.hidden = parameters.integer("hidden", 1, kMost);
  const Tensor embedding = weights.take("embedding");
  config.vocab = embedding.rank() == 2 ? embedding.shape()[0] : 0;
  config.heads = parameters.integer("heads", 1, 1 << 16);
  config.kv_heads = parameters.integer("kv_heads", 1, config.heads, config.heads);
  if (config.heads % config.kv_heads != 0) {
    fail(ErrorCode::InvalidModel, "heads: got {} over {} of keys and values, expected a multiple",
         config.heads, config.kv_heads);
  }
  config.head_size = parameters.integer("head_size", 1, 1 << 16, config.hidden / config.heads);
  config.feed_forward = parameters.integer("feed_forward", 1, kMost, 1);
  config.context = parameters.integer("context", 1, INT64_C(1) << 40);
  if (context > 0) config.context = std::min(config.context, context);
  config.norm_epsilon = parameters.number("norm_epsilon", config.norm_epsilon);
  config.embedding_scale = parameters.number("embedding_scale", 1);
  config.residual_scale = parameters.number("residual_scale", 1);
  config.attention_scale = parameters.number("attention_scale", 0);
  config.attention_softcap = parameters.number("attention_softcap", 0);
  config.logit_softcap = parameters.number("logit_softcap", 0);
  config.logit_scale = 1 / parameters.number("logit_divisor", 1);
  config.interleaved_rope = parameters.is_gguf() && architecture.interleaved_gguf;
  config.ropes.push_back(make_rope(parameters, {config.head_size, config.context,
                                                rope_divisors(parameters, config.context, weights),
                                                architecture.yarn_truncates}));
  read_experts(parameters, weights, config);
  if (architecture.configure != nullptr) architecture.configure(parameters, config);
  return config;
}

std::int64_t window_of(const Parameters& parameters) {
  return parameters.integer("window", 0, INT64_C(1) << 40, 0);
}

void set_windows(const Parameters& parameters, Config& config, std::int64_t pattern) {
  const std::int64_t window = window_of(parameters);
  const std::optional<std::vector<double>> list = parameters.list("sliding_layers");
  if (list && list->size() != config.layers.size()) {
    fail(ErrorCode::InvalidModel, "layers: got the kinds of {}, expected {}", list->size(),
         config.layers.size());
  }
  if (!list) pattern = parameters.integer("sliding_pattern", 0, 1 << 12, pattern);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const bool by_pattern = pattern > 0 && (static_cast<std::int64_t>(i) + 1) % pattern != 0;
    if (list ? (*list)[i] != 0 : by_pattern) config.layers[i].window = window;
  }
}

void set_windows_and_ropes(const Parameters& parameters, Config& config, std::int64_t pattern) {
  if (window_of(parameters) == 0) return;
  set_windows(parameters, config, pattern);
  for (Layer& layer : config.layers) {
    if (layer.window == 0) layer.rope = Layer::kNoRope;
  }
}

}  // namespace naru::llm
