// com.microsoft's attention operators, on top of ONNX's Attention and RotaryEmbedding.
#include "graph/ops/by_parts.h"
#include "graph/ops/families.h"

namespace naru {
namespace {

AttrSpec integer(const char* name, std::int64_t value) { return {name, AttrKind::Int, "", value}; }
AttrSpec required(const char* name) { return {name, AttrKind::Int, "", std::nullopt, true}; }
AttrSpec optional_float(const char* name) { return {name, AttrKind::Float, ""}; }

/// [batch, length, heads * size] to [batch, heads, length, size].
ValueId split_heads(Parts& p, ValueId x, std::int64_t heads) { return p.transpose(p.reshape(x, {0, 0, heads, -1}), {0, 2, 1, 3}); }
ValueId join_heads(Parts& p, ValueId x) { return p.reshape(p.transpose(x, {0, 2, 1, 3}), {0, 0, -1}); }

/// Queries, keys and values with heads split, what came before, and what is added to the scores.
struct Heads {
  ValueId q, k, v;
  ValueId past_key = kNoValue, past_value = kNoValue;
  ValueId bias = kNoValue;
  Attributes attributes = {};
};

/// ONNX's Attention: the result with heads joined, and the keys and values with those before.
std::vector<ValueId> attend(Parts& p, const Heads& heads) {
  Attributes attributes = heads.attributes;
  if (p.node.has("scale") && p.node.attr_float("scale") != 0) attributes["scale"] = p.node.attr_float("scale");
  std::vector<ValueId> results = p.ctx.add_multi("Attention", {heads.q, heads.k, heads.v, heads.bias, heads.past_key, heads.past_value}, 3, std::move(attributes));
  results[0] = join_heads(p, results[0]);
  return results;
}

/// 0 where `keep` is true, else the node's mask_filter_value.
ValueId mask_bias(Parts& p, ValueId keep, DType dtype) {
  return p.add("Where", {keep, p.ctx.scalar(dtype, 0), p.ctx.scalar(dtype, p.node.attr_float("mask_filter_value"))});
}

/// A mask of input `i` as an addend [batch, 1, 1 or queries, keys]: lengths [batch], or flags of
/// rank 2 or 3. kNoValue where the form is not known.
ValueId padding_bias(Parts& p, std::size_t i, ValueId keys_count, DType dtype) {
  const std::optional<std::int64_t> rank = p.rank(i);
  if (rank == 1) {
    const ValueId positions = p.cast(p.count_up(keys_count), p.dtype(i));
    const ValueId keep = p.add("Less", {positions, p.unsqueeze(p.in(i), {1})});
    return mask_bias(p, p.unsqueeze(keep, {1, 2}), dtype);
  }
  if (rank != 2 && rank != 3) return kNoValue;
  const ValueId keep = p.cast(p.in(i), DType::Bool);
  return mask_bias(p, p.unsqueeze(keep, rank == 2 ? std::vector<std::int64_t>{1, 2} : std::vector<std::int64_t>{1}), dtype);
}

ValueId at_index(Parts& p, ValueId x, std::int64_t index) { return p.add("Gather", {x, p.ctx.scalar(DType::I64, static_cast<double>(index))}); }

// Attention and QAttention: one projection makes queries, keys and values

struct AttentionInputs {
  std::size_t mask, past, bias;  ///< `bias`: 0 for none
};

bool self_attention(Parts& p, ValueId projected, const AttentionInputs& inputs, DType dtype) {
  const std::int64_t count = p.node.attr_int("num_heads");
  std::vector<ValueId> inputs_of_split{projected};
  Attributes split{{"axis", std::int64_t{-1}}};
  if (p.node.has("qkv_hidden_sizes")) inputs_of_split.push_back(p.ctx.ints(p.node.attr_ints("qkv_hidden_sizes")));
  else split["num_outputs"] = std::int64_t{3};
  const std::vector<ValueId> qkv = p.ctx.add_multi("Split", std::move(inputs_of_split), 3, std::move(split));
  Heads heads{split_heads(p, qkv[0], count), split_heads(p, qkv[1], count), split_heads(p, qkv[2], count)};
  ValueId keys = p.length(projected, 1);
  if (p.has(inputs.past)) {
    heads.past_key = at_index(p, p.in(inputs.past), 0);
    heads.past_value = at_index(p, p.in(inputs.past), 1);
    keys = p.add("Add", {keys, p.length(p.in(inputs.past), 3)});
  }
  if (p.has(inputs.mask)) {
    heads.bias = padding_bias(p, inputs.mask, keys, dtype);
    if (heads.bias == kNoValue) return false;
  }
  if (inputs.bias != 0) heads.bias = p.sum(heads.bias, p.in(inputs.bias));
  heads.attributes["is_causal"] = p.node.attr_int("unidirectional");
  const std::vector<ValueId> results = attend(p, heads);
  p.set(0, results[0]);
  if (p.wants(1)) p.set(1, p.add("Concat", {p.unsqueeze(results[1], {0}), p.unsqueeze(results[2], {0})}, {{"axis", std::int64_t{0}}}));
  return true;
}

/// Forms of the node that are not read: buffers shared by past and present, rotation.
bool has_shared_or_rotated(const Node& node) {
  return node.attr_int_or("past_present_share_buffer", 0) != 0 || node.attr_int_or("do_rotary", 0) != 0;
}

bool attention(DecomposeContext& ctx) {
  Parts p(ctx);
  if (p.dtype(0) == DType::Undefined || has_shared_or_rotated(p.node) || (p.has(3) && !p.rank(3))) return false;
  const ValueId projected = p.sum(p.add("MatMul", {p.in(0), p.in(1)}), p.in(2));
  return self_attention(p, projected, {3, 4, 5}, p.dtype(0));
}

bool qattention(DecomposeContext& ctx) {
  enum : std::size_t { kInput, kWeight, kBias, kInputScale, kWeightScale, kMask, kInputZero, kWeightZero, kPast };
  Parts p(ctx);
  if (has_shared_or_rotated(p.node) || (p.has(kMask) && !p.rank(kMask))) return false;
  const ValueId product = p.add("MatMulInteger", {p.in(kInput), p.in(kWeight), p.in(kInputZero), p.in(kWeightZero)});
  const ValueId scale = p.add("Mul", {p.in(kInputScale), p.in(kWeightScale)});
  const ValueId projected = p.sum(p.add("Mul", {p.cast(product, DType::F32), scale}), p.in(kBias));
  return self_attention(p, projected, {kMask, kPast, 0}, DType::F32);
}

// MultiHeadAttention: queries, keys and values come apart or packed

/// Slice `index` of `count` along axis 3 of a packed value, without that axis: [batch, length, heads, size].
ValueId packed_part(Parts& p, const std::vector<ValueId>& parts, std::size_t index) {
  return p.transpose(p.squeeze(parts[index], {3}), {0, 2, 1, 3});
}

/// The three operands with heads split; nullopt for a form that is not known.
std::optional<Heads> split_operands(Parts& p) {
  const std::int64_t heads = p.node.attr_int("num_heads");
  if (!p.has(1)) {
    if (p.rank(0) != 5) return std::nullopt;
    const std::vector<ValueId> parts = p.ctx.add_multi("Split", {p.in(0)}, 3, {{"axis", std::int64_t{3}}, {"num_outputs", std::int64_t{3}}});
    return Heads{packed_part(p, parts, 0), packed_part(p, parts, 1), packed_part(p, parts, 2)};
  }
  const ValueId q = split_heads(p, p.in(0), heads);
  if (p.rank(1) == 5) {
    const std::vector<ValueId> parts = p.ctx.add_multi("Split", {p.in(1)}, 2, {{"axis", std::int64_t{3}}, {"num_outputs", std::int64_t{2}}});
    return Heads{q, packed_part(p, parts, 0), packed_part(p, parts, 1)};
  }
  if (p.rank(1) == 4) return Heads{q, p.in(1), p.in(2)};
  return Heads{q, split_heads(p, p.in(1), heads), split_heads(p, p.in(2), heads)};
}

/// Adds the parts of one bias [q + k + v] to the operands: the last is as wide as what is left.
bool add_projection_bias(Parts& p, std::size_t bias, Heads& heads) {
  if (!p.has(bias)) return true;
  const std::optional<std::int64_t> all = p.dim(bias, 0), width = p.dim(0, 2);
  if (!all || !width || p.rank(0) != 3) return false;
  const std::vector<ValueId> parts = p.ctx.add_multi("Split", {p.in(bias), p.ctx.ints({*width, *width, *all - 2 * *width})}, 3, {{"axis", std::int64_t{0}}});
  const std::int64_t count = p.node.attr_int("num_heads");
  ValueId* const operands[] = {&heads.q, &heads.k, &heads.v};
  for (std::size_t i = 0; i < 3; ++i) *operands[i] = p.add("Add", {*operands[i], p.reshape(parts[i], {1, count, 1, -1})});
  return true;
}

bool multi_head_attention(DecomposeContext& ctx) {
  enum : std::size_t { kQuery, kKey, kValue, kBias, kPadding, kScoreBias, kPastKey, kPastValue, kPastLength };
  Parts p(ctx);
  if (p.dtype(kQuery) == DType::Undefined || !p.rank(kQuery) || (p.has(kKey) && !p.rank(kKey)) || p.has(kPastLength) || p.wants(3)) return false;
  std::optional<Heads> heads = split_operands(p);
  if (!heads || !add_projection_bias(p, kBias, *heads)) return false;
  heads->past_key = p.in(kPastKey);
  heads->past_value = p.in(kPastValue);
  if (p.has(kPadding)) {
    ValueId keys = p.length(heads->k, 2);
    if (p.has(kPastKey)) keys = p.add("Add", {keys, p.length(p.in(kPastKey), 2)});
    heads->bias = padding_bias(p, kPadding, keys, p.dtype(kQuery));
    if (heads->bias == kNoValue) return false;
  }
  heads->bias = p.sum(heads->bias, p.in(kScoreBias));
  heads->attributes["is_causal"] = p.node.attr_int("unidirectional");
  const std::vector<ValueId> results = attend(p, *heads);
  for (std::size_t i = 0; i < 3; ++i) p.set(i, results[i]);
  return true;
}

// GroupQueryAttention

enum GroupInput : std::size_t { kQuery, kKey, kValue, kPastKey, kPastValue, kLengths, kTotal, kCos, kSin, kPositions, kScoreBias, kFirstUnread };

/// Options that change the meaning and are not read.
bool has_unread_options(const Parts& p) {
  for (std::size_t i = kFirstUnread; i < p.ctx.input_count(); ++i) {
    if (p.has(i)) return true;
  }
  const Node& node = p.node;
  return node.attr_int("smooth_softmax") > 0 || node.attr_int("qk_output") != 0 || node.attr_int("kv_cache_bit_width") != 0 ||
         node.attr_int("causal") == 0 || node.attr_int("sliding_window_cache") != 0 || p.wants(3);
}

/// Queries and keys turned by their positions: those stated, else on from the keys before.
ValueId rotated(Parts& p, ValueId x) {
  const ValueId length = p.length(x, 2);
  ValueId positions = p.in(kPositions);
  if (positions == kNoValue) {
    positions = p.count_up(length);
    if (p.has(kPastKey)) positions = p.add("Add", {positions, p.length(p.in(kPastKey), 2)});
    const ValueId shape = p.add("Concat", {p.length(x, 0), length}, {{"axis", std::int64_t{0}}});
    positions = p.add("Expand", {positions, shape});
  }
  return p.add("RotaryEmbedding", {x, p.in(kCos), p.in(kSin), positions}, {{"interleaved", p.node.attr_int("rotary_interleaved")}, {"rotary_embedding_dim", std::int64_t{0}}});
}

bool group_query_attention(DecomposeContext& ctx) {
  Parts p(ctx);
  if (p.dtype(kQuery) == DType::Undefined || has_unread_options(p)) return false;
  const std::int64_t heads = p.node.attr_int("num_heads"), groups = p.node.attr_int("kv_num_heads");
  std::vector<ValueId> qkv{p.in(kQuery), p.in(kKey), p.in(kValue)};
  if (!p.has(kKey)) {
    const std::optional<std::int64_t> width = p.dim(kQuery, 2);
    if (!width || heads < 1 || groups < 1) return false;
    const std::int64_t size = *width / (heads + 2 * groups);
    qkv = ctx.add_multi("Split", {p.in(kQuery), ctx.ints({heads * size, groups * size, groups * size})}, 3, {{"axis", std::int64_t{-1}}});
  }
  Heads split{split_heads(p, qkv[0], heads), split_heads(p, qkv[1], groups), split_heads(p, qkv[2], groups), p.in(kPastKey), p.in(kPastValue), p.in(kScoreBias)};
  if (p.node.attr_int("do_rotary") != 0) {
    split.q = rotated(p, split.q);
    split.k = rotated(p, split.k);
  }
  // Keys beyond a sample's length are padding.
  ValueId keys = p.length(split.k, 2);
  if (p.has(kPastKey)) keys = p.add("Add", {keys, p.length(p.in(kPastKey), 2)});
  const ValueId last = p.unsqueeze(p.reshape(p.in(kLengths), {-1}), {1, 2, 3});
  const ValueId keep = p.add("LessOrEqual", {p.cast(p.count_up(keys), DType::I32), last});
  const DType dtype = p.dtype(kQuery);
  split.bias = p.sum(split.bias, p.add("Where", {keep, ctx.scalar(dtype, 0), ctx.scalar(dtype, -65504)}));
  split.attributes = {{"is_causal", std::int64_t{1}}, {"softcap", p.node.attr_float("softcap")}};
  if (const std::int64_t window = p.node.attr_int("local_window_size"); window > 0) split.attributes["left_window_size"] = window - 1;
  const std::vector<ValueId> results = attend(p, split);
  for (std::size_t i = 0; i < 3; ++i) p.set(i, results[i]);
  return true;
}

// RotaryEmbedding

bool rotary_embedding(DecomposeContext& ctx) {
  enum : std::size_t { kInput, kIds, kCosCache, kSinCache };
  Parts p(ctx);
  const std::optional<std::int64_t> rank = p.rank(kInput), ids_rank = p.rank(kIds);
  if (!rank || !ids_rank || p.node.attr_int("is_packed_batching") != 0 || p.node.attr_float("scale") != 1.0f) return false;
  std::int64_t heads = p.node.attr_int("num_heads");
  if (heads == 0 && rank == 3) {
    const std::optional<std::int64_t> width = p.dim(kInput, 2), half = p.dim(kCosCache, 1);
    if (!width || !half || *half == 0) return false;
    heads = *width / (2 * *half);
  }
  ValueId positions = p.in(kIds);
  if (*ids_rank < 2) {
    // One offset: positions count on from it.
    const ValueId length = p.length(p.in(kInput), rank == 3 ? 1 : 2);
    const ValueId shape = p.add("Concat", {p.length(p.in(kInput), 0), length}, {{"axis", std::int64_t{0}}});
    positions = p.add("Expand", {p.add("Add", {p.count_up(length), p.reshape(positions, {1})}), shape});
  }
  Attributes attributes{{"interleaved", p.node.attr_int("interleaved")}, {"rotary_embedding_dim", p.node.attr_int("rotary_embedding_dim")}};
  if (rank == 3) attributes["num_heads"] = heads;
  p.set(0, p.add("RotaryEmbedding", {p.in(kInput), p.in(kCosCache), p.in(kSinCache), positions}, std::move(attributes)));
  return true;
}

std::vector<AttrSpec> attention_specs(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> specs{required("num_heads"), optional_float("scale"), {"mask_filter_value", AttrKind::Float, "", -10000.0f}, integer("unidirectional", 0)};
  specs.insert(specs.end(), more.begin(), more.end());
  return specs;
}

std::vector<AttrSpec> group_specs() {
  return {required("num_heads"), required("kv_num_heads"), optional_float("scale"), {"softcap", AttrKind::Float, "", 0.0f}, integer("local_window_size", -1),
          integer("do_rotary", 0), integer("rotary_interleaved", 0), integer("smooth_softmax", 0), integer("qk_output", 0), integer("causal", 1),
          integer("kv_cache_bit_width", 0), integer("sliding_window_cache", 0), optional_float("qk_norm_epsilon"), optional_float("q_norm_epsilon"),
          optional_float("k_norm_epsilon"), {"k_quant_type", AttrKind::String, "", std::string("NONE")}, {"v_quant_type", AttrKind::String, "", std::string("NONE")}};
}

}  // namespace

void define_contrib_attention(std::vector<OpDef>& ops) {
  ops.push_back(by_parts("Attention", "Projection and multi-head self-attention.",
                         {"input", "weights", "bias?", "mask_index?", "past?", "attention_bias?", "past_sequence_length?"}, {"output", "present?"},
                         attention_specs({{"qkv_hidden_sizes", AttrKind::Ints, ""}, integer("do_rotary", 0), integer("past_present_share_buffer", 0), integer("rotary_embedding_dim", 0)}), attention));
  ops.push_back(by_parts("QAttention", "Projection of integers and multi-head self-attention.",
                         {"input", "weight", "bias", "input_scale", "weight_scale", "mask_index?", "input_zero_point?", "weight_zero_point?", "past?"}, {"output", "present?"},
                         attention_specs({integer("do_rotary", 0), integer("past_present_share_buffer", 0)}), qattention));
  ops.push_back(by_parts("MultiHeadAttention", "Multi-head attention.",
                         {"query", "key?", "value?", "bias?", "key_padding_mask?", "attention_bias?", "past_key?", "past_value?", "past_sequence_length?", "cache_indirection?"},
                         {"output", "present_key?", "present_value?", "qk?"}, attention_specs({}), multi_head_attention));
  ops.push_back(by_parts("GroupQueryAttention", "Causal attention whose heads of keys and values serve several queries.",
                         {"query", "key?", "value?", "past_key?", "past_value?", "seqlens_k", "total_sequence_length", "cos_cache?", "sin_cache?", "position_ids?",
                          "attention_bias?", "head_sink?", "k_scale?", "v_scale?", "q_norm_weight?", "k_norm_weight?", "query_seqlens?"},
                         {"output", "present_key?", "present_value?", "output_qk?"}, group_specs(), group_query_attention));
  ops.push_back(by_parts("RotaryEmbedding", "Rotates pairs of elements of each head by their positions.", {"input", "position_ids", "cos_cache", "sin_cache"}, {"output"},
                         {integer("interleaved", 0), integer("num_heads", 0), integer("rotary_embedding_dim", 0), integer("is_packed_batching", 0), {"scale", AttrKind::Float, "", 1.0f}},
                         rotary_embedding));
}

}  // namespace naru
