// Attention and RotaryEmbedding: scaled dot-product attention over cached keys and values.
#include "graph/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/checked.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::size_t kQ = 0, kK = 1, kV = 2, kMask = 3, kPastKey = 4, kPastValue = 5,
                      kValidLengths = 6;
constexpr std::size_t kPresentKey = 1, kPresentValue = 2, kScores = 3;
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Shapes

/// Q, K or V as [batch, heads, length, size].
struct HeadShape {
  Dim batch, heads, length, size;
};

/// Splits a packed last axis into heads. @throws Error InvalidModel when it does not divide.
HeadShape head_shape(InferContext& ctx, std::size_t i, const char* heads_attribute) {
  const SymShape& shape = *ctx.shape(i);
  if (shape.size() == 4) return {shape[0], shape[1], shape[2], shape[3]};
  const std::int64_t heads = ctx.node.attr_int_or(heads_attribute, 0);
  ctx.require(heads >= 1, "{}: got {}, expected 1 or more for packed heads", heads_attribute, heads);
  ctx.require(!shape[2].is_known() || shape[2].value() % heads == 0,
              "{}: got last axis {}, expected a multiple of {} heads", ctx.node.op->inputs[i].name,
              shape[2].to_string(), heads);
  return {shape[0], Dim(heads), shape[1], floor_div(shape[2], heads)};
}

void expect_pairing(const InferContext& ctx) {
  ctx.require(ctx.has_input(kPastKey) == ctx.has_input(kPastValue),
              "past_key and past_value: got one of them, expected both or none");
  ctx.require(!ctx.has_input(kValidLengths) || !ctx.has_input(kPastKey),
              "nonpad_kv_seqlen: got past_key too, expected one of them");
  for (const char* window : {"left_window_size", "right_window_size"}) {
    ctx.require(ctx.node.attr_int(window) >= -1, "{}: got {}, expected -1 or more", window,
                ctx.node.attr_int(window));
  }
  const std::int64_t mode = ctx.node.attr_int("qk_matmul_output_mode");
  ctx.require(mode >= 0 && mode <= 3, "qk_matmul_output_mode: got {}, expected 0 to 3", mode);
}

/// Checks a mask against [batch, heads, queries, keys]; its last axis may be shorter.
void expect_mask(const InferContext& ctx, const SymShape& scores) {
  if (!ctx.has_input(kMask) || ctx.shape(kMask) == nullptr) return;
  const SymShape& mask = *ctx.shape(kMask);
  bool fits = !mask.empty() && mask.size() <= 4;
  for (std::size_t i = 0; fits && i < mask.size(); ++i) {
    const Dim& own = mask[i];
    const Dim& target = scores[4 - mask.size() + i];
    if (!own.is_known() || !target.is_known()) continue;
    const bool last = i + 1 == mask.size();
    fits = own == target || (last ? own.value() <= target.value() : own == Dim(1));
  }
  ctx.require(fits, "attn_mask: got shape {}, expected one that broadcasts to {}", to_string(mask),
              to_string(scores));
}

void infer_attention(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {kQ, kK, kPastKey});
  const DType value_type = expect_common_type(ctx, {kV, kPastValue});
  expect_type(ctx, kMask, kNumbers | kBool);
  expect_type(ctx, kValidLengths, {DType::I64});
  expect_softmax_precision(ctx);
  expect_pairing(ctx);
  const bool known = ctx.shape(kQ) != nullptr && ctx.shape(kK) != nullptr && ctx.shape(kV) != nullptr;
  if (!known) {
    ctx.set_output(0, dtype);
    ctx.set_output(kPresentKey, dtype);
    ctx.set_output(kPresentValue, value_type);
    ctx.set_output(kScores, dtype);
    return;
  }
  const std::size_t rank = ctx.shape(kQ)->size();
  ctx.require(rank == 3 || rank == 4, "Q: got shape {}, expected rank 3 or 4",
              to_string(*ctx.shape(kQ)));
  expect_rank(ctx, kK, rank);
  expect_rank(ctx, kV, rank);
  const HeadShape q = head_shape(ctx, kQ, "q_num_heads");
  const HeadShape k = head_shape(ctx, kK, "kv_num_heads");
  const HeadShape v = head_shape(ctx, kV, "kv_num_heads");
  const Dim batch = expect_equal(ctx, k.batch, expect_equal(ctx, v.batch, q.batch, "V: batch"), "K: batch");
  expect_equal(ctx, v.heads, k.heads, "V: heads");
  expect_equal(ctx, v.length, k.length, "V: length");
  expect_equal(ctx, k.size, q.size, "K: head size");
  const bool divides = !q.heads.is_known() || !k.heads.is_known() ||
                       (k.heads.value() > 0 && q.heads.value() % k.heads.value() == 0);
  ctx.require(divides, "Q: got {} heads, expected a multiple of the {} heads of K",
              q.heads.to_string(), k.heads.to_string());
  Dim total = k.length;
  if (const SymShape* past = expect_rank(ctx, kPastKey, 4)) {
    expect_equal(ctx, (*past)[0], batch, "past_key: batch");
    expect_equal(ctx, (*past)[1], k.heads, "past_key: heads");
    expect_equal(ctx, (*past)[3], k.size, "past_key: head size");
    total = (*past)[2] + k.length;
  } else if (ctx.has_input(kPastKey)) {
    total = ctx.fresh_dim();
  }
  if (const SymShape* past = expect_rank(ctx, kPastValue, 4)) {
    expect_equal(ctx, (*past)[0], batch, "past_value: batch");
    expect_equal(ctx, (*past)[1], k.heads, "past_value: heads");
    expect_equal(ctx, (*past)[3], v.size, "past_value: head size");
    expect_equal(ctx, (*past)[2] + v.length, total, "past_value: length with V");
  }
  expect_vector(ctx, kValidLengths, batch);
  const SymShape scores{batch, q.heads, q.length, total};
  expect_mask(ctx, scores);
  ctx.set_output(0, dtype, rank == 4 ? SymShape{batch, q.heads, q.length, v.size}
                                     : SymShape{batch, q.length, q.heads * v.size});
  ctx.set_output(kPresentKey, dtype, {batch, k.heads, total, k.size});
  ctx.set_output(kPresentValue, value_type, {batch, k.heads, total, v.size});
  ctx.set_output(kScores, dtype, scores);
}

// Values

/// The mask as an addend to the scores: [batch, heads, queries, keys] with its own broadcasting.
class MaskBias {
 public:
  MaskBias(const ReferenceContext& ctx, std::int64_t keys) {
    if (!ctx.has_input(kMask)) return;
    const Tensor& mask = ctx.input(kMask);
    values_ = to_wide<double>(mask);
    if (mask.dtype() == DType::Bool) {
      for (double& value : values_) value = value != 0 ? 0.0 : kMinusInfinity;
    }
    for (std::int64_t i = 0; i < mask.rank(); ++i) {
      dims_[static_cast<std::size_t>(4 - mask.rank() + i)] = mask.shape()[i];
    }
    // A last axis that is shorter than the keys forbids the rest, even when it is 1.
    covered_ = std::min(dims_[3], keys);
    present_ = true;
  }

  double operator()(std::int64_t b, std::int64_t head, std::int64_t query, std::int64_t key) const {
    if (!present_) return 0;
    if (key >= covered_) return kMinusInfinity;
    const std::int64_t row = ((dims_[0] == 1 ? 0 : b) * dims_[1] + (dims_[1] == 1 ? 0 : head)) * dims_[2] +
                             (dims_[2] == 1 ? 0 : query);
    return values_[static_cast<std::size_t>(row * dims_[3] + key)];
  }

 private:
  bool present_ = false;
  std::int64_t covered_ = 0;
  std::int64_t dims_[4] = {1, 1, 1, 1};
  std::vector<double> values_;
};

/// Which keys a query may see by position: causality, the window, and the valid length.
struct Visibility {
  bool causal;
  std::int64_t left, right;  ///< -1: unbounded

  explicit Visibility(const Node& node)
      : causal(node.attr_int("is_causal") != 0),
        left(node.attr_int("left_window_size")),
        right(node.attr_int("right_window_size")) {}

  /// `position` is that of the query among all keys; `valid` of them count.
  bool sees(std::int64_t position, std::int64_t key, std::int64_t valid) const {
    return key < valid && (!causal || key <= position) &&
           (left < 0 || position - key <= left) && (right < 0 || key - position <= right);
  }
};

/// What qk_matmul_output holds.
enum class ScoreStage : std::int64_t { Raw = 0, Capped = 1, Biased = 2, Softmax = 3 };

/// [batch, heads, length, size] of an operand whose heads may be packed in the last axis.
HeadTensor read_heads(const Tensor& tensor, std::int64_t packed_heads) {
  const Shape& shape = tensor.shape();
  HeadTensor result;
  if (shape.rank() == 4) {
    result.batch = shape[0];
    result.heads = shape[1];
    result.length = shape[2];
    result.size = shape[3];
    result.values = to_wide<double>(tensor);
    return result;
  }
  result.batch = shape[0];
  result.heads = packed_heads;
  result.length = shape[1];
  result.size = shape[2] / packed_heads;
  result.values = swap_middle(to_wide<double>(tensor), result.batch, result.length, result.heads,
                              result.size);
  return result;
}

/// Appends `next` to the cached `past` along the length.
HeadTensor appended(const HeadTensor& past, const HeadTensor& next) {
  HeadTensor all = next;
  all.length = past.length + next.length;
  all.values.clear();
  for (std::int64_t i = 0; i < next.batch * next.heads; ++i) {
    for (const HeadTensor* part : {&past, &next}) {
      const double* const from = part->head(i);
      all.values.insert(all.values.end(), from, from + part->length * part->size);
    }
  }
  return all;
}

void reference_attention(ReferenceContext& ctx) {
  const Node& node = ctx.node;
  const HeadTensor q = read_heads(ctx.input(kQ), node.attr_int_or("q_num_heads", 1));
  HeadTensor k = read_heads(ctx.input(kK), node.attr_int_or("kv_num_heads", 1));
  HeadTensor v = read_heads(ctx.input(kV), node.attr_int_or("kv_num_heads", 1));
  std::int64_t past_length = 0;
  if (ctx.has_input(kPastKey)) {
    past_length = ctx.input(kPastKey).shape()[2];
    k = appended(read_heads(ctx.input(kPastKey), 1), k);
    v = appended(read_heads(ctx.input(kPastValue), 1), v);
  }
  const std::int64_t keys = k.length;
  std::vector<std::int64_t> valid(static_cast<std::size_t>(q.batch), keys);
  if (ctx.has_input(kValidLengths)) valid = to_i64_vector(ctx.input(kValidLengths));
  for (std::int64_t length : valid) {
    ctx.require(length >= 0 && length <= keys, "nonpad_kv_seqlen: got {}, expected [0, {}]", length,
                keys);
  }
  const MaskBias mask(ctx, keys);
  const Visibility visibility(node);
  const double scale = attention_scale(node, q.size);
  const double cap = node.attr_float("softcap");
  const auto stage = static_cast<ScoreStage>(node.attr_int("qk_matmul_output_mode"));
  std::vector<double> kept;  // the scores at `stage`, when asked for
  const auto keep = [&](ScoreStage now, const std::vector<double>& scores) {
    if (now == stage && ctx.has_output(kScores)) kept.insert(kept.end(), scores.begin(), scores.end());
  };

  const auto modify = [&](std::int64_t b, std::int64_t head, std::vector<double>& scores) {
    keep(ScoreStage::Raw, scores);
    for (double& score : scores) {
      if (cap > 0) score = cap * std::tanh(score / cap);
    }
    keep(ScoreStage::Capped, scores);
    const std::int64_t count = valid[static_cast<std::size_t>(b)];
    // With a cache kept outside, the queries are the last valid positions.
    const std::int64_t first = ctx.has_input(kValidLengths) ? count - q.length : past_length;
    std::vector<bool> blind(static_cast<std::size_t>(q.length));
    for (std::int64_t i = 0; i < q.length; ++i) {
      double best = kMinusInfinity;
      for (std::int64_t j = 0; j < keys; ++j) {
        const double bias =
            visibility.sees(first + i, j, count) ? mask(b, head, i, j) : kMinusInfinity;
        scores[static_cast<std::size_t>(i * keys + j)] += bias;
        best = std::max(best, bias);
      }
      blind[static_cast<std::size_t>(i)] = best == kMinusInfinity;
    }
    keep(ScoreStage::Biased, scores);
    for (std::int64_t i = 0; i < q.length; ++i) {
      double* const row = scores.data() + i * keys;
      // A query that may see no key attends to nothing: its row is zero.
      if (blind[static_cast<std::size_t>(i)]) {
        std::fill(row, row + keys, 0.0);
      } else {
        softmax_row(row, keys);
      }
    }
    keep(ScoreStage::Softmax, scores);
  };
  std::vector<double> y = attend(q, k, v, scale, modify);
  if (ctx.input(kQ).rank() == 3) y = swap_middle(y, q.batch, q.heads, q.length, v.size);
  from_wide<double>(y, ctx.output(0));
  if (ctx.has_output(kPresentKey)) from_wide<double>(k.values, ctx.output(kPresentKey));
  if (ctx.has_output(kPresentValue)) from_wide<double>(v.values, ctx.output(kPresentValue));
  if (ctx.has_output(kScores)) from_wide<double>(kept, ctx.output(kScores));
}

Cost cost_attention(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  // Each query element meets all keys once, each output element all values once.
  double keys = 0;
  const bool packed = inputs[kK].shape && inputs[kK].shape->size() == 3;
  for (std::size_t i : {kK, kPastKey}) {
    if (!node.has_input(i) || !inputs[i].shape || inputs[i].shape->size() < 3) continue;
    const Dim& length = (*inputs[i].shape)[packed && i == kK ? 1 : 2];
    if (length.is_known()) keys += static_cast<double>(length.value());
  }
  return {2 * keys * (element_count(inputs[kQ]) + element_count(outputs[0])),
          total_bytes(inputs, outputs)};
}

// RotaryEmbedding

void infer_rotary(InferContext& ctx) {
  const DType dtype =
      expect_common_type(ctx, {0, 1, 2}, {DType::F32, DType::F16, DType::BF16});
  expect_type(ctx, 3, {DType::I64});
  const SymShape* x = ctx.shape(0);
  if (x == nullptr) return ctx.set_output(0, dtype);
  ctx.require(x->size() == 3 || x->size() == 4, "X: got shape {}, expected rank 3 or 4",
              to_string(*x));
  const HeadShape heads = head_shape(ctx, 0, "num_heads");
  const std::int64_t stated = ctx.node.attr_int("rotary_embedding_dim");
  ctx.require(stated >= 0 && stated % 2 == 0 &&
                  (!heads.size.is_known() || stated <= heads.size.value()),
              "rotary_embedding_dim: got {}, expected an even number of at most the head size {}",
              stated, heads.size.to_string());
  const Dim rotated = stated > 0 ? Dim(stated) : heads.size;
  ctx.require(!rotated.is_known() || rotated.value() % 2 == 0,
              "X: got head size {}, expected an even one", rotated.to_string());
  const Dim half = floor_div(rotated, 2);
  const bool indexed = ctx.has_input(3);
  for (std::size_t cache : {1, 2}) {
    const SymShape* shape = expect_rank(ctx, cache, indexed ? 2 : 3);
    if (shape == nullptr) continue;
    const std::string name = ctx.node.op->inputs[cache].name;
    expect_equal(ctx, shape->back(), half, name + ": last axis");
    if (indexed) continue;
    expect_equal(ctx, (*shape)[0], heads.batch, name + ": batch");
    expect_equal(ctx, (*shape)[1], heads.length, name + ": length");
  }
  if (indexed && ctx.shape(1) != nullptr && ctx.shape(2) != nullptr) {
    expect_equal(ctx, (*ctx.shape(2))[0], (*ctx.shape(1))[0], "sin_cache: positions");
  }
  if (const SymShape* positions = expect_rank(ctx, 3, 2)) {
    expect_equal(ctx, (*positions)[0], heads.batch, "position_ids: batch");
    expect_equal(ctx, (*positions)[1], heads.length, "position_ids: length");
  }
  ctx.set_output(0, dtype, *x);
}

void reference_rotary(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const bool packed = input.rank() == 3;
  HeadTensor x = read_heads(input, ctx.node.attr_int_or("num_heads", 1));
  const std::vector<double> cosines = to_wide<double>(ctx.input(1));
  const std::vector<double> sines = to_wide<double>(ctx.input(2));
  const std::int64_t stated = ctx.node.attr_int("rotary_embedding_dim");
  const std::int64_t half = (stated > 0 ? stated : x.size) / 2;
  const bool interleaved = ctx.node.attr_int("interleaved") != 0;
  std::vector<std::int64_t> positions;
  if (ctx.has_input(3)) positions = to_i64_vector(ctx.input(3));
  for (std::int64_t i = 0; i < x.batch * x.heads * x.length; ++i) {
    const std::int64_t t = i % x.length;
    const std::int64_t token = i / x.length / x.heads * x.length + t;
    std::int64_t row = token;
    if (ctx.has_input(3)) {
      row = wrap_index(ctx, "position_ids", positions[static_cast<std::size_t>(token)],
                       ctx.input(1).shape()[0]);
    }
    double* const values = x.values.data() + i * x.size;
    for (std::int64_t k = 0; k < half; ++k) {
      const auto at = static_cast<std::size_t>(row * half + k);
      double& first = values[interleaved ? 2 * k : k];
      double& second = values[interleaved ? 2 * k + 1 : half + k];
      const double a = first;
      const double b = second;
      first = cosines[at] * a - sines[at] * b;
      second = sines[at] * a + cosines[at] * b;
    }
  }
  if (packed) x.values = swap_middle(x.values, x.batch, x.heads, x.length, x.size);
  from_wide<double>(x.values, ctx.output(0));
}

}  // namespace

std::vector<double> swap_middle(const std::vector<double>& values, std::int64_t outer,
                                std::int64_t a, std::int64_t b, std::int64_t inner) {
  std::vector<double> result(values.size());
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < a; ++i) {
      for (std::int64_t k = 0; k < b; ++k) {
        std::copy_n(values.begin() + ((o * a + i) * b + k) * inner, inner,
                    result.begin() + ((o * b + k) * a + i) * inner);
      }
    }
  }
  return result;
}

void softmax_row(double* row, std::int64_t count) {
  double shift = kMinusInfinity;
  for (std::int64_t i = 0; i < count; ++i) {
    if (row[i] > shift || std::isnan(row[i])) shift = row[i];
  }
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += row[i] = std::exp(row[i] - shift);
  for (std::int64_t i = 0; i < count; ++i) row[i] /= sum;
}

double attention_scale(const Node& node, std::int64_t head_size) {
  const Attribute* stated = node.find("scale");
  return stated != nullptr ? node.attr_float("scale")
                           : 1 / std::sqrt(static_cast<double>(head_size));
}

void expect_softmax_precision(const InferContext& ctx) {
  const std::int64_t code = ctx.node.attr_int_or("softmax_precision", onnx_code(DType::F32));
  const std::optional<DType> dtype = find_onnx_dtype(code);
  ctx.require(dtype && kFloats.contains(*dtype), "softmax_precision: got {}, expected that of {}",
              code, to_string(kFloats));
}

std::vector<double> attend(
    const HeadTensor& q, const HeadTensor& k, const HeadTensor& v, double scale,
    const std::function<void(std::int64_t batch, std::int64_t head, std::vector<double>& scores)>&
        modify) {
  const std::int64_t sharing = k.heads == 0 ? 1 : q.heads / k.heads;
  std::vector<double> y(static_cast<std::size_t>(
                            checked_mul(q.batch * q.heads, checked_mul(q.length, v.size))),
                        0.0);
  std::vector<double> scores;
  for (std::int64_t i = 0; i < q.batch * q.heads; ++i) {
    const std::int64_t b = i / q.heads;
    const std::int64_t shared = b * k.heads + i % q.heads / sharing;
    const std::vector<double> turned = transposed(
        std::vector<double>(k.head(shared), k.head(shared) + k.length * k.size), k.length, k.size);
    scores.assign(static_cast<std::size_t>(checked_mul(q.length, k.length)), 0.0);
    add_product(q.head(i), turned.data(), scores.data(), q.length, q.size, k.length);
    for (double& score : scores) score *= scale;
    modify(b, i % q.heads, scores);
    add_product(scores.data(), v.head(shared), y.data() + i * q.length * v.size, q.length, k.length,
                v.size);
  }
  return y;
}

void define_attention(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Attention",
      .since_version = 25,
      .doc = "Scaled dot-product attention with shared key heads, cache, mask and window.",
      .source = "ONNX Attention-25",
      .inputs = {{"Q", "[batch, heads, queries, size] or [batch, queries, heads * size]"},
                 {"K", "[batch, kv heads, keys, size] or [batch, keys, kv heads * size]"},
                 {"V", "as K, of a size of its own"},
                 {"attn_mask", "broadcasts to [batch, heads, queries, keys]: bool, or an addend",
                  Arity::Optional},
                 {"past_key", "[batch, kv heads, past, size], before K", Arity::Optional},
                 {"past_value", "[batch, kv heads, past, v size], before V", Arity::Optional},
                 {"nonpad_kv_seqlen", "[batch], i64: keys that count", Arity::Optional}},
      .outputs = {{"Y", "the form of Q, with V's size"},
                  {"present_key", "[batch, kv heads, past + keys, size]", Arity::Optional},
                  {"present_value", "[batch, kv heads, past + keys, v size]", Arity::Optional},
                  {"qk_matmul_output", "[batch, heads, queries, past + keys]", Arity::Optional}},
      .attributes =
          {{"is_causal", AttrKind::Int, "1: no key after its query's position is seen",
            std::int64_t{0}},
           {"kv_num_heads", AttrKind::Int, "heads of packed K and V"},
           {"left_window_size", AttrKind::Int, "keys seen before the query; -1: all",
            std::int64_t{-1}},
           {"q_num_heads", AttrKind::Int, "heads of packed Q"},
           {"qk_matmul_output_mode", AttrKind::Int,
            "output 3 holds: 0 the products, 1 after softcap, 2 with the mask, 3 after softmax",
            std::int64_t{0}},
           {"right_window_size", AttrKind::Int, "keys seen after the query; -1: all",
            std::int64_t{-1}},
           {"scale", AttrKind::Float, "factor of the products; 1/sqrt(size) when absent"},
           {"softcap", AttrKind::Float, "bounds the scores by tanh; 0: no bound", 0.0f},
           {"softmax_precision", AttrKind::Int, "ONNX number of the softmax's type"}},
      .infer = infer_attention,
      .reference = reference_attention,
      .cost = cost_attention,
  });
  ops.push_back({
      .name = "RotaryEmbedding",
      .since_version = 23,
      .doc = "Rotates pairs of elements of each head by angles that depend on the position.",
      .source = "ONNX RotaryEmbedding-23",
      .inputs = {{"X", "[batch, heads, length, size] or [batch, length, heads * size]"},
                 {"cos_cache", "[positions, size / 2], or [batch, length, size / 2] without ids"},
                 {"sin_cache", "as cos_cache"},
                 {"position_ids", "[batch, length], i64", Arity::Optional}},
      .outputs = {{"Y", "the shape of X"}},
      .attributes = {{"interleaved", AttrKind::Int, "1: pairs are neighbours, not halves",
                      std::int64_t{0}},
                     {"num_heads", AttrKind::Int, "heads of packed X"},
                     {"rotary_embedding_dim", AttrKind::Int, "elements rotated; 0: all",
                      std::int64_t{0}}},
      .infer = infer_rotary,
      .reference = reference_rotary,
      .cost = cost_per_input_element<3>,
  });
}

}  // namespace naru
