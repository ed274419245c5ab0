// Builds the step graph, layer by layer.
#include "graph/import/llm/step_graph.h"

#include <nlohmann/json.hpp>

#include "graph/block/block_format.h"
#include "graph/fail.h"
#include "graph/import/llm/feed_forward.h"
#include "graph/import/llm/layer_builder.h"
#include "graph/onnx_dtype.h"

namespace naru::llm {
namespace {

void check_cache(const Config& config, const CacheOptions& cache) {
  const bool plain =
      cache.kv_type == DType::F32 || cache.kv_type == DType::F16 || cache.kv_type == DType::BF16;
  const bool block = cache.kv_type == DType::Q8_0 || cache.kv_type == DType::Q4_0;
  if (!plain && !block) {
    fail(ErrorCode::InvalidArgument, "KV type: got {}, expected f32, f16, bf16, q8_0 or q4_0",
         to_string(cache.kv_type));
  }
  if (block && config.head_size % dtype_info(cache.kv_type).block_elements != 0) {
    fail(ErrorCode::Unsupported, "KV type {}: got heads of {} elements, expected a multiple of {}",
         to_string(cache.kv_type), config.head_size, dtype_info(cache.kv_type).block_elements);
  }
  if (cache.page_tokens < 1 || cache.page_tokens > 4096) {
    fail(ErrorCode::InvalidArgument, "page: got {} tokens, expected 1 to 4096", cache.page_tokens);
  }
}

/// The whole model over a LayerBuilder's graph.
class ModelBuilder {
 public:
  ModelBuilder(const Config& config, Weights& weights, const CacheOptions& cache)
      : config_(config), cache_(cache), at_(config, weights) {}

  Graph build() {
    Graph& graph = at_.graph;
    graph.name = config_.name.empty() ? config_.architecture : config_.name;
    add_inputs();
    add_rotations();
    ValueId x = embed();
    for (std::size_t i = 0; i < config_.layers.size(); ++i) {
      x = with_context([&] { return "building layer " + std::to_string(i); },
                       [&] { return layer(x, static_cast<std::int64_t>(i)); });
    }
    graph.outputs = {logits(x)};
    return std::move(graph);
  }

 private:
  ValueId index_input(const char* name, SymShape shape) {
    return at_.graph.add_input(name, Type::tensor(DType::I32, std::move(shape)));
  }

  void add_inputs() {
    const auto symbol = [](const char* name) { return Dim::symbol(name); };
    tokens_ = index_input("tokens", {symbol("tokens")});
    positions_ = index_input("positions", {symbol("tokens")});
    starts_ = index_input("sequence_starts", {symbol("sequences") + 1});
    lengths_ = index_input("context_lengths", {symbol("sequences")});
    pages_ = index_input("pages", {symbol("sequences"), symbol("pages_per_sequence")});
    rows_ = index_input("rows", {symbol("rows")});
  }

  /// Cosines and sines of this step's positions, [1, tokens, pairs], once for all layers.
  void add_rotations() {
    const ValueId column = at_.unsqueeze(at_.cast(positions_, DType::F32), {1});
    for (const Rope& rope : config_.ropes) {
      const auto pairs = static_cast<std::int64_t>(rope.inverse_frequencies.size());
      const ValueId frequencies = at_.graph.add_constant(
          "frequencies", Tensor::from<float>({1, pairs}, rope.inverse_frequencies));
      const ValueId angles = at_.add("Mul", {column, frequencies});
      const auto part = [&](const char* function) {
        return at_.unsqueeze(
            at_.scaled(at_.add(function, {angles}), static_cast<double>(rope.magnitude)), {0});
      };
      rotations_.push_back({part("Cos"), part("Sin"), 2 * pairs});
    }
  }

  ValueId embed() {
    const Tensor table = at_.weights.take("embedding");
    const ValueId weight = at_.constant("embedding", table, {config_.vocab, config_.hidden});
    embedding_ = weight;
    ValueId x = at_.add("Gather", {weight, tokens_}, {{"axis", std::int64_t{0}}}, "embedding");
    if (is_block(table.dtype()))
      x = at_.add("naru.Dequantize", {x});
    else if (table.dtype() != DType::F32)
      x = at_.cast(x, DType::F32);
    return at_.scaled(x, config_.embedding_scale);
  }

  ValueId layer(ValueId x, std::int64_t i) {
    at_.enter_layer(i);
    ValueId branch = attention(at_.norm(x, "attention_norm"), i);
    branch = at_.scaled(at_.norm(branch, "attention_post_norm"), config_.residual_scale);
    x = at_.add("Add", {x, branch});
    branch =
        feed_forward(at_, at_.norm(x, "norm"), config_.layers[static_cast<std::size_t>(i)].experts);
    branch = at_.scaled(at_.norm(branch, "post_norm"), config_.residual_scale);
    return at_.add("Add", {x, branch});
  }

  struct Heads {
    ValueId q, k, v;
  };

  Heads project(ValueId x) {
    const std::int64_t q_size = config_.heads * config_.head_size,
                       kv_size = config_.kv_heads * config_.head_size;
    if (at_.has("qkv")) {
      const ValueId all = at_.linear(x, "qkv", q_size + 2 * kv_size, config_.hidden);
      const std::vector<ValueId> parts = at_.split(all, {q_size, kv_size, kv_size});
      return {parts[0], parts[1], parts[2]};
    }
    return {at_.linear(x, "q", q_size, config_.hidden), at_.linear(x, "k", kv_size, config_.hidden),
            at_.linear(x, "v", kv_size, config_.hidden)};
  }

  /// Turns packed heads [tokens, heads * size] by their positions.
  ValueId rotate(ValueId x, std::int64_t heads, int rope) {
    if (rope == Layer::kNoRope) return x;
    const Rotation& rotation = rotations_[static_cast<std::size_t>(rope)];
    const bool all = rotation.dims == config_.head_size;
    const ValueId turned =
        at_.add("RotaryEmbedding", {at_.unsqueeze(x, {0}), rotation.cosines, rotation.sines},
                {{"num_heads", heads},
                 {"interleaved", std::int64_t{config_.interleaved_rope ? 1 : 0}},
                 {"rotary_embedding_dim", all ? std::int64_t{0} : rotation.dims}});
    return at_.add("Squeeze", {turned, at_.ints({0})});
  }

  ValueId attention(ValueId x, std::int64_t i) {
    const Layer& layer = config_.layers[static_cast<std::size_t>(i)];
    Heads heads = project(x);
    heads.q = rotate(at_.head_norm(heads.q, "q_norm", config_.heads), config_.heads, layer.rope);
    heads.k =
        rotate(at_.head_norm(heads.k, "k_norm", config_.kv_heads), config_.kv_heads, layer.rope);
    const ValueId k_cache = add_state("k", i), v_cache = add_state("v", i);
    std::vector<ValueId> inputs{heads.q, heads.k, heads.v,  k_cache,
                                v_cache, starts_, lengths_, pages_};
    if (const std::optional<ValueId> sinks = at_.vector("sinks", config_.heads))
      inputs.push_back(*sinks);
    Attributes attributes{{"heads", config_.heads},
                          {"kv_heads", config_.kv_heads},
                          {"window", layer.window},
                          {"softcap", static_cast<float>(config_.attention_softcap)}};
    if (config_.attention_scale != 0)
      attributes.emplace("scale", static_cast<float>(config_.attention_scale));
    const std::vector<ValueId> outputs = at_.add_multi("naru.PagedAttention", std::move(inputs), 3,
                                                       std::move(attributes), "attention");
    at_.graph.states[at_.graph.states.size() - 2].output = outputs[1];
    at_.graph.states[at_.graph.states.size() - 1].output = outputs[2];
    return at_.linear(outputs[0], "o", config_.hidden, config_.heads * config_.head_size);
  }

  ValueId add_state(const char* kind, std::int64_t i) {
    const std::string name = fmt::format("{}.{}", kind, i);
    const SymShape shape{Dim::symbol("kv_pages"), cache_.page_tokens, config_.kv_heads,
                         config_.head_size};
    const ValueId value = at_.graph.add_value(name, Type::tensor(cache_.kv_type, shape));
    at_.graph.states.push_back({name, StateKind::KvPages, value, kNoValue});
    return value;
  }

  ValueId logits(ValueId x) {
    at_.enter_layer(Weights::kNoLayer);
    x = at_.add("Gather", {x, rows_}, {{"axis", std::int64_t{0}}}, "wanted_rows");
    x = at_.norm(x, "final_norm");
    x = at_.has("head") ? at_.linear(x, "head", config_.vocab, config_.hidden)
                        : at_.product(x, embedding_, "head");
    x = at_.scaled(x, config_.logit_scale);
    if (config_.logit_softcap != 0) {
      x = at_.scaled(at_.add("Tanh", {at_.scaled(x, 1 / config_.logit_softcap)}),
                     config_.logit_softcap);
    }
    return at_.named(x, "logits");
  }

  struct Rotation {
    ValueId cosines, sines;
    std::int64_t dims;
  };

  const Config& config_;
  const CacheOptions& cache_;
  LayerBuilder at_;
  ValueId tokens_ = kNoValue, positions_ = kNoValue, starts_ = kNoValue, lengths_ = kNoValue,
          pages_ = kNoValue, rows_ = kNoValue, embedding_ = kNoValue;
  std::vector<Rotation> rotations_;
};

}  // namespace

Graph build_step_graph(const Config& config, Weights& weights, const CacheOptions& cache) {
  check_cache(config, cache);
  Graph graph = ModelBuilder(config, weights, cache).build();
  graph.metadata["naru.llm"] = llm_metadata(config, cache);
  return graph;
}

std::string llm_metadata(const Config& config, const CacheOptions& cache) {
  nlohmann::json windows = nlohmann::json::array();
  for (const Layer& layer : config.layers) windows.push_back(layer.window);
  return nlohmann::json{
      {"architecture", config.architecture},
      {"layers", config.layers.size()},
      {"hidden", config.hidden},
      {"heads", config.heads},
      {"kv_heads", config.kv_heads},
      {"head_size", config.head_size},
      {"vocab", config.vocab},
      {"context", config.context},
      {"kv_type", to_string(cache.kv_type)},
      {"page_tokens", cache.page_tokens},
      {"windows", windows},
      {"eos_token_ids", config.eos},
      {"bos_token_id", config.bos ? nlohmann::json(*config.bos) : nlohmann::json()}}
      .dump();
}

}  // namespace naru::llm
