// The table of hyper-parameters: naru's name, GGUF's key behind the architecture, names in
// config.json (alternatives separated by '|', members by '/').
#include "graph/import/llm/parameters.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru::llm {
namespace {

using nlohmann::json;

struct Name {
  std::string_view own, gguf, json;
};

constexpr Name kNames[] = {
    {"layers", "block_count", "num_hidden_layers|num_layers"},
    {"draft_layers", "nextn_predict_layers", ""},
    {"hidden", "embedding_length", "hidden_size"},
    {"heads", "attention.head_count", "num_attention_heads"},
    {"kv_heads", "attention.head_count_kv", "num_key_value_heads"},
    {"head_size", "attention.key_length", "head_dim"},
    {"value_size", "attention.value_length", ""},
    {"feed_forward", "feed_forward_length", "intermediate_size"},
    {"context", "context_length", "max_position_embeddings"},
    {"norm_epsilon", "attention.layer_norm_rms_epsilon", "rms_norm_eps|layer_norm_epsilon"},
    {"window", "attention.sliding_window", "sliding_window"},
    {"use_window", "", "use_sliding_window"},
    {"max_window_layers", "", "max_window_layers"},
    {"sliding_layers", "attention.sliding_window_pattern", "layer_types"},
    {"sliding_pattern", "attention.sliding_window_pattern",
     "sliding_window_pattern|_sliding_window_pattern"},
    {"rope_layers", "", "no_rope_layers"},
    {"attention_softcap", "attn_logit_softcapping", "attn_logit_softcapping"},
    {"logit_softcap", "final_logit_softcapping", "final_logit_softcapping"},
    {"query_scalar", "", "query_pre_attn_scalar"},
    {"embedding_scale", "embedding_scale", "embedding_multiplier"},
    {"residual_scale", "residual_scale", "residual_multiplier"},
    {"attention_scale", "attention.scale", "attention_multiplier"},
    {"logit_divisor", "logit_scale", "logits_scaling"},
    {"rope_theta", "rope.freq_base",
     "rope_theta|rope_parameters/rope_theta|rope_parameters/full_attention/rope_theta"},
    {"local_rope_theta", "rope.freq_base_swa",
     "rope_local_base_freq|rope_parameters/sliding_attention/rope_theta"},
    {"rope_dims", "rope.dimension_count", ""},
    {"rope_part", "", "partial_rotary_factor|rope_parameters/partial_rotary_factor"},
    {"rope_kind", "rope.scaling.type",
     "rope_scaling/rope_type|rope_scaling/type|rope_parameters/rope_type|rope_parameters/"
     "full_attention/rope_type"},
    {"rope_factor", "rope.scaling.factor",
     "rope_scaling/factor|rope_parameters/factor|rope_parameters/full_attention/factor"},
    {"rope_context", "rope.scaling.original_context_length",
     "rope_scaling/original_max_position_embeddings|rope_parameters/"
     "original_max_position_embeddings|original_max_position_embeddings"},
    {"rope_low", "", "rope_scaling/low_freq_factor|rope_parameters/low_freq_factor"},
    {"rope_high", "", "rope_scaling/high_freq_factor|rope_parameters/high_freq_factor"},
    {"rope_beta_fast", "rope.scaling.yarn_beta_fast",
     "rope_scaling/beta_fast|rope_parameters/beta_fast"},
    {"rope_beta_slow", "rope.scaling.yarn_beta_slow",
     "rope_scaling/beta_slow|rope_parameters/beta_slow"},
    {"rope_magnitude", "rope.scaling.attn_factor",
     "rope_scaling/attention_factor|rope_parameters/attention_factor"},
    {"rope_truncate", "", "rope_scaling/truncate|rope_parameters/truncate"},
    {"rope_short", "", "rope_scaling/short_factor|rope_parameters/short_factor"},
    {"rope_long", "", "rope_scaling/long_factor|rope_parameters/long_factor"},
    {"experts", "expert_count", "num_experts|num_local_experts"},
    {"experts_used", "expert_used_count", "num_experts_per_tok"},
    {"expert_feed_forward", "expert_feed_forward_length", "moe_intermediate_size"},
    {"expert_normalise", "expert_weights_norm", "norm_topk_prob"},
    {"expert_scale", "expert_weights_scale", "routed_scaling_factor"},
    {"expert_groups", "expert_group_count", "n_group"},
    {"expert_limit", "", "swiglu_limit"},
    {"expert_alpha", "", "swiglu_alpha"},
};

const Name& find_name(std::string_view own) {
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const Name& n) { return n.own == own; });
  NARU_CHECK(found != std::end(kNames), "no hyper-parameter of the name " + std::string(own));
  return *found;
}

[[noreturn]] void fail_kind(std::string_view key, const char* expected) {
  fail(ErrorCode::InvalidModel, "hyper-parameter {}: got another kind of value, expected {}",
       quote_name(key), expected);
}

class GgufParameters final : public Parameters {
 public:
  explicit GgufParameters(const GgufFile& file)
      : file_(file), prefix_(std::string(file.text("general.architecture")) + ".") {}

  bool is_gguf() const override { return true; }

  std::optional<double> number(std::string_view name) const override {
    const GgufValue* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array) {
      if (const auto result = value->number()) return result;
      fail_kind(name, "a number");
    }
    // Some converters write one number per layer; only equal ones are supported.
    const auto first = value->number(0);
    for (std::int64_t i = 0; i < value->count; ++i) {
      if (!first || value->number(i) != first)
        fail_kind(name, "a number, or equal numbers for all layers");
    }
    return first;
  }

  std::optional<std::string> text(std::string_view name) const override {
    const GgufValue* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_array || value->kind != GgufKind::String) fail_kind(name, "a string");
    return std::string(value->strings.front());
  }

  std::optional<std::vector<double>> list(std::string_view name) const override {
    const GgufValue* value = find(name);
    if (value == nullptr || !value->is_array) return std::nullopt;
    std::vector<double> result;
    for (std::int64_t i = 0; i < value->count; ++i) {
      const auto element = value->number(i);
      if (!element) fail_kind(name, "a list of numbers");
      result.push_back(*element);
    }
    return result;
  }

 private:
  const GgufValue* find(std::string_view name) const {
    const std::string_view key = find_name(name).gguf;
    return key.empty() ? nullptr : file_.find(prefix_ + std::string(key));
  }

  const GgufFile& file_;
  std::string prefix_;
};

class JsonParameters final : public Parameters {
 public:
  explicit JsonParameters(const json& config)
      : config_(config.contains("text_config") && config["text_config"].is_object()
                    ? config["text_config"]
                    : config) {}

  bool is_gguf() const override { return false; }

  std::optional<double> number(std::string_view name) const override {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>() ? 1 : 0;
    if (!value->is_number()) fail_kind(name, "a number");
    return value->get<double>();
  }

  std::optional<std::string> text(std::string_view name) const override {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) fail_kind(name, "a string");
    return value->get<std::string>();
  }

  std::optional<std::vector<double>> list(std::string_view name) const override {
    const json* value = find(name);
    if (value == nullptr || !value->is_array()) return std::nullopt;
    std::vector<double> result;
    for (const json& element : *value) {
      if (element.is_string())
        result.push_back(element == "sliding_attention" ? 1 : 0);
      else if (element.is_boolean())
        result.push_back(element.get<bool>() ? 1 : 0);
      else if (element.is_number())
        result.push_back(element.get<double>());
      else
        fail_kind(name, "a list of numbers");
    }
    return result;
  }

 private:
  /// The member that a path names; null when it, or a step to it, is absent or null.
  const json* member(std::string_view path) const {
    const json* at = &config_;
    while (true) {
      const std::size_t slash = path.find('/');
      const auto found = at->is_object() ? at->find(std::string(path.substr(0, slash))) : at->end();
      if (!at->is_object() || found == at->end() || found->is_null()) return nullptr;
      at = &*found;
      if (slash == std::string_view::npos) return at;
      path.remove_prefix(slash + 1);
    }
  }

  const json* find(std::string_view name) const {
    std::string_view paths = find_name(name).json;
    while (!paths.empty()) {
      const std::size_t bar = paths.find('|');
      if (const json* found = member(paths.substr(0, bar))) return found;
      paths = bar == std::string_view::npos ? std::string_view{} : paths.substr(bar + 1);
    }
    return nullptr;
  }

  const json& config_;
};

}  // namespace

std::int64_t Parameters::integer(std::string_view name, std::int64_t low, std::int64_t high) const {
  const std::optional<double> value = number(name);
  if (!value)
    fail(ErrorCode::InvalidModel, "hyper-parameter {}: got nothing, expected a number",
         quote_name(name));
  const bool fits = *value >= static_cast<double>(low) && *value <= static_cast<double>(high);
  if (!fits || *value != std::floor(*value)) {
    fail(ErrorCode::InvalidModel, "hyper-parameter {}: got {}, expected an integer in [{}, {}]",
         quote_name(name), *value, low, high);
  }
  return static_cast<std::int64_t>(*value);
}

std::int64_t Parameters::integer(std::string_view name, std::int64_t low, std::int64_t high,
                                 std::int64_t otherwise) const {
  return number(name) ? integer(name, low, high) : otherwise;
}

std::unique_ptr<Parameters> gguf_parameters(const GgufFile& file) {
  return std::make_unique<GgufParameters>(file);
}
std::unique_ptr<Parameters> json_parameters(const json& config) {
  return std::make_unique<JsonParameters>(config);
}

}  // namespace naru::llm
