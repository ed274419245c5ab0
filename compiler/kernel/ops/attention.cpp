// Attention over cached keys and values, and rotary position embedding.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/walk.h"
#include "graph/ops/attention.h"

namespace naru::kernel {
namespace {

constexpr std::size_t kQ = 0, kK = 1, kV = 2, kMask = 3, kPastKey = 4, kPastValue = 5, kValidLengths = 6;
constexpr std::size_t kPresentKey = 1, kPresentValue = 2, kScores = 3;

/// An operand as [batch, heads, length, size] in memory; heads may lie packed in the last axis.
struct Heads {
  Rep rep;
  std::int64_t batch = 1, heads = 1, length = 1, size = 1;
  std::int64_t batch_stride = 0, head_stride = 0, row_stride = 0;

  Expr base(Call& call, const Expr& b, const Expr& h) const {
    return b * call.size(batch_stride) + h * call.size(head_stride);
  }
};

Heads heads_of(const Rep& rep, std::int64_t packed_heads) {
  const Shape& s = rep.shape;
  if (s.rank() == 4) return {rep, s[0], s[1], s[2], s[3], s[1] * s[2] * s[3], s[2] * s[3], s[3]};
  const std::int64_t size = s[2] / packed_heads;
  return {rep, s[0], packed_heads, s[1], size, s[1] * s[2], size, s[2]};
}

/// Copies the rows of `part` into `all` from row `first` on.
void append(Lowering& lowering, const Heads& part, const Heads& all, std::int64_t first) {
  const std::vector<std::int64_t> extents = {part.batch, part.heads, part.length, part.size};
  if (Shape(extents).numel() == 0) return;
  Call call(lowering, "append_heads");
  const Buffer x = call.read(as_bits(part.rep));
  const Buffer y = call.write(as_bits(all.rep));
  const auto at = call.points(extents);
  const Expr from = part.base(call, at[0], at[1]) + at[2] * call.size(part.row_stride) + at[3];
  const Expr row = at[2] + call.size(first);
  call.store(y, all.base(call, at[0], at[1]) + row * call.size(all.row_stride) + at[3], call.load(x, from));
  call.launch(naru::to_string(part.rep.shape));
}

/// Past and new rows side by side: in the output that wants them, or in scratch.
Heads joined(Lowering& lowering, std::size_t past, const Heads& next, std::size_t present) {
  const bool cached = lowering.has_input(past);
  if (!cached && !lowering.has_output(present)) return next;
  std::int64_t before = 0;
  if (cached) before = lowering.input(past).shape[2];
  const Shape shape{next.batch, next.heads, before + next.length, next.size};
  const Rep rep = lowering.has_output(present) ? lowering.output(present) : lowering.scratch(next.rep.dtype, shape);
  const Heads all = heads_of(rep, 1);
  if (cached) append(lowering, heads_of(lowering.input(past), 1), all, 0);
  append(lowering, next, all, before);
  return all;
}

/// What of attention happens between the two products.
struct Masking {
  bool causal;
  std::int64_t left, right;  ///< window; -1: unbounded
  double cap;
  std::int64_t stage;        ///< which scores are an output

  explicit Masking(const Node& node)
      : causal(node.attr_int("is_causal") != 0),
        left(node.attr_int("left_window_size")),
        right(node.attr_int("right_window_size")),
        cap(node.attr_float("softcap")),
        stage(node.attr_int("qk_matmul_output_mode")) {}
};

/// scores = scale * q k^T
void emit_scores(Lowering& lowering, const Heads& q, const Heads& k, const Rep& scores, double scale) {
  Call call(lowering, "attention_scores");
  const Buffer x = call.read(q.rep);
  const Buffer y = call.read(k.rep);
  const Buffer s = call.write(scores);
  const std::vector<std::int64_t> extents = {q.batch, q.heads, q.length, k.length};
  const Expr sharing = call.size(q.heads / std::max<std::int64_t>(k.heads, 1));
  const Expr factor = call.real(scores.element(), scale);
  const Expr size = call.size(q.size);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr from = call.let(q.base(call, at[0], at[1]) + at[2] * call.size(q.row_stride));
  const Expr with = call.let(k.base(call, at[0], call.let(at[1] / sharing)) + at[3] * call.size(k.row_stride));
  const Variable total = call.var(literal(s.element, 0));
  call.loop(size, [&](const Expr& i) {
    call.set(total, multiply_add(cast(call.load(x, from + i), s.element), cast(call.load(y, with + i), s.element), total));
  });
  call.store(s, ravel(at, shape), Expr(total) * factor);
  call.launch(naru::to_string(scores.shape));
}

/// Masks and softmax, row by row in place.
void emit_softmax(Lowering& lowering, const Heads& q, const Heads& k, const Rep& scores, std::int64_t past_length) {
  const Masking masking(lowering.node());
  const bool kept = lowering.has_output(kScores);
  const bool masked = lowering.has_input(kMask);
  const bool by_length = lowering.has_input(kValidLengths);
  // What is absent leaves no trace in the kernel, so each combination has a name of its own.
  Call call(lowering, fmt::format("attention_softmax{}{}{}{}{}{}", masking.causal ? "_causal" : "", masked ? "_masked" : "",
                                  by_length ? "_lengths" : "", masking.cap > 0 ? "_capped" : "",
                                  masking.left >= 0 || masking.right >= 0 ? "_window" : "",
                                  kept ? fmt::format("_keep{}", masking.stage) : ""));
  const Buffer s = call.write(scores);
  const Element element = s.element;
  const std::vector<std::int64_t> extents = {q.batch, q.heads, q.length};
  const std::vector<Expr> shape = sizes(call, extents);
  const Expr keys = call.size(k.length);
  const auto at = call.points(shape, extents);
  const Expr base = call.let(ravel(at, shape) * keys);
  Expr valid = keys;
  Expr first = call.size(past_length);
  if (by_length) {
    const Expr length = call.load(call.in(kValidLengths), at[0]);
    valid = call.checked_index(length, keys + 1);
    first = call.let(valid - shape[2]);
  }
  const Expr position = call.let(first + at[2]);

  Buffer mask;
  Expr mask_row;
  Expr covered;
  if (masked) {
    const Rep rep = lowering.input(kMask);
    const Shape own = with_rank(rep.shape, 4);
    mask = call.read(rep);
    const std::vector<std::int64_t> strides = broadcast_strides(Shape{own[0], own[1], own[2]}, Shape{own[0], own[1], own[2]});
    mask_row = Expr(0);
    for (std::size_t d = 0; d < 3; ++d) {
      if (strides[d] != 0) mask_row = mask_row + at[d] * call.size(strides[d] * own[3]);
    }
    mask_row = call.let(mask_row);
    // A last axis that is shorter than the keys forbids the rest, even when it is 1.
    covered = call.size(std::min(own[3], k.length));
  }
  const auto keep = [&](std::int64_t stage, const Expr& index, const Expr& value) {
    if (!kept || masking.stage != stage) return;
    const Buffer out = call.out(kScores);
    call.store(out, index, cast(value, out.element));
  };

  const Variable largest = call.var(literal(element, -INFINITY));
  const Variable sees = call.var(literal(Element::I32, 0));
  call.loop(keys, [&](const Expr& j) {
    const Expr index = call.let(base + j);
    Expr value = call.load(s, index);
    keep(0, index, value);
    if (masking.cap > 0) {
      const Expr cap = literal(element, masking.cap);
      value = call.let(cap * apply(Op::Tanh, {value / cap}));
    }
    keep(1, index, value);
    Expr visible = j < valid;
    if (masking.causal) visible = visible && j <= position;
    if (masking.left >= 0) visible = visible && position - j <= static_cast<int>(masking.left);
    if (masking.right >= 0) visible = visible && j - position <= static_cast<int>(masking.right);
    if (masked) visible = visible && j < covered;
    const Variable biased = call.var(literal(element, -INFINITY));
    call.when(visible, [&] {
      if (!masked) {
        call.set(biased, value);
        call.set(sees, Expr(1));
        return;
      }
      const Expr entry = call.load(mask, mask_row + min(j, covered - 1));
      if (mask.element == Element::Bool) {
        call.when(entry, [&] {
          call.set(biased, value);
          call.set(sees, Expr(1));
        });
        return;
      }
      const Expr bias = call.let(cast(entry, element));
      call.set(biased, value + bias);
      call.when(bias != literal(element, -INFINITY), [&] { call.set(sees, Expr(1)); });
    });
    keep(2, index, biased);
    call.store(s, index, biased);
    call.when(Expr(biased) > largest || Expr(biased) != biased, [&] { call.set(largest, biased); });
  });
  const Variable total = call.var(literal(element, 0));
  call.loop(keys, [&](const Expr& j) {
    const Expr index = call.let(base + j);
    const Expr power = call.let(apply(Op::Exp, {call.load(s, index) - largest}));
    call.store(s, index, power);
    call.set(total, Expr(total) + power);
  });
  call.loop(keys, [&](const Expr& j) {
    const Expr index = call.let(base + j);
    // A query that may see no key attends to nothing: its row is zero.
    const Expr weight = call.let(select(Expr(sees) == 0, literal(element, 0), call.load(s, index) / total));
    keep(3, index, weight);
    call.store(s, index, weight);
  });
  call.launch(naru::to_string(scores.shape));
}

/// y = scores v, with heads packed where the queries' are.
void emit_sums(Lowering& lowering, const Heads& q, const Heads& v, const Rep& scores) {
  const Rep output = lowering.output(0);
  const Heads y = heads_of(output, q.heads);
  Call call(lowering, "attention_sums");
  const Buffer s = call.read(scores);
  const Buffer x = call.read(v.rep);
  const Buffer to = call.write(output);
  const std::vector<std::int64_t> extents = {q.batch, q.heads, q.length, v.size};
  const Expr sharing = call.size(q.heads / std::max<std::int64_t>(v.heads, 1));
  const Expr keys = call.size(v.length);
  const std::vector<Expr> shape = sizes(call, extents);
  const Expr row_stride = call.size(v.row_stride);
  const auto at = call.points(shape, extents);
  const Expr weights = call.let(((at[0] * shape[1] + at[1]) * shape[2] + at[2]) * keys);
  const Expr from = call.let(v.base(call, at[0], call.let(at[1] / sharing)) + at[3]);
  const Variable total = call.var(literal(s.element, 0));
  call.loop(keys, [&](const Expr& j) {
    call.set(total, multiply_add(call.load(s, weights + j), cast(call.load(x, from + j * row_stride), s.element), total));
  });
  call.store(to, y.base(call, at[0], at[1]) + at[2] * call.size(y.row_stride) + at[3], cast(total, to.element));
  call.launch(naru::to_string(output.shape));
}

void lower_attention(Lowering& lowering) {
  const Node& node = lowering.node();
  const Heads q = heads_of(lowering.input(kQ), node.attr_int_or("q_num_heads", 1));
  const Heads next_k = heads_of(lowering.input(kK), node.attr_int_or("kv_num_heads", 1));
  const Heads next_v = heads_of(lowering.input(kV), node.attr_int_or("kv_num_heads", 1));
  const std::int64_t past_length = lowering.has_input(kPastKey) ? lowering.input(kPastKey).shape[2] : 0;
  const Heads k = joined(lowering, kPastKey, next_k, kPresentKey);
  const Heads v = joined(lowering, kPastValue, next_v, kPresentValue);
  const DType wide = q.rep.dtype == DType::F64 ? DType::F64 : DType::F32;
  const Rep scores = lowering.scratch(wide, Shape{q.batch, q.heads, q.length, k.length});
  emit_scores(lowering, q, k, scores, attention_scale(node, q.size));
  emit_softmax(lowering, q, k, scores, past_length);
  emit_sums(lowering, q, v, scores);
}

// RotaryEmbedding

void lower_rotary(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Heads x = heads_of(input, node.attr_int_or("num_heads", 1));
  const Heads y = heads_of(lowering.output(0), x.heads);
  const std::int64_t stated = node.attr_int("rotary_embedding_dim");
  const std::int64_t rotated = stated > 0 ? stated : x.size;
  const bool interleaved = node.attr_int("interleaved") != 0;
  const bool indexed = lowering.has_input(3);
  Call call(lowering, fmt::format("rotary{}{}", interleaved ? "_interleaved" : "", indexed ? "_indexed" : ""));
  const Buffer from = call.read(input);
  const Buffer cosines = call.in(1);
  const Buffer sines = call.in(2);
  const Buffer to = call.out(0);
  const Expr half = call.size(rotated / 2);
  const Expr whole = call.size(rotated);
  const Expr length = call.size(x.length);
  const Expr positions = call.size(lowering.shape(1)[0]);
  const auto at = call.points({x.batch, x.heads, x.length, x.size});
  const Expr token = call.let(at[0] * length + at[2]);
  Expr row = token;
  if (indexed) row = call.checked_index(call.load(call.in(3), token), positions);
  const Expr base = call.let(x.base(call, at[0], at[1]) + at[2] * call.size(x.row_stride));
  const Expr i = at[3];
  const Expr own = call.load(from, base + i);
  const Expr inside = i < whole;
  const Expr pair = call.let(interleaved ? i / 2 : select(i < half, i, i - half));
  const Expr angle = call.let(row * half + max(min(pair, half - 1), 0));
  const Expr is_first = call.let(interleaved ? i % 2 == 0 : i < half);
  const Expr other_at = call.let(interleaved ? select(is_first, i + 1, i - 1) : select(is_first, i + half, i - half));
  const Expr other = call.load(from, base + max(min(other_at, call.size(x.size) - 1), 0));
  const Expr c = call.load(cosines, angle);
  const Expr s = call.load(sines, angle);
  const Expr turned = select(is_first, c * own - s * other, s * other + c * own);
  call.store(to, y.base(call, at[0], at[1]) + at[2] * call.size(y.row_stride) + i, select(inside, turned, own));
  call.launch(naru::to_string(input.shape));
}

}  // namespace

void add_attention_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Attention", "attention", refuses_types, lower_attention});
  table.push_back({"RotaryEmbedding", "rotary embedding", refuses_types, lower_rotary});
}

}  // namespace naru::kernel
