// naru.PagedAttention: attention of several sequences over caches of keys and values kept in pages.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/block/block_format.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/attention.h"
#include "graph/ops/dequantize.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::size_t kQ = 0, kK = 1, kV = 2, kKeys = 3, kValues = 4, kStarts = 5, kLengths = 6,
                      kPages = 7, kSinks = 8;
constexpr TypeSet kIndexType{DType::I32};

// Shapes

/// Checks a cache and the new rows of it; returns the size of a head.
Dim check_cache(InferContext& ctx, std::size_t rows, std::size_t cache, std::int64_t kv_heads) {
  const std::string& name = ctx.node.op->inputs[cache].name;
  const DType dtype = ctx.dtype(cache);
  const bool known = dtype == DType::Undefined || kFloats.contains(dtype) || can_quantize(dtype);
  ctx.require(known, "{}: got {}, expected a float or a block format that can be written", name,
              to_string(dtype));
  if (is_block(dtype)) require_whole_blocks(ctx, cache);
  const SymShape* pages = expect_rank(ctx, cache, 4);
  const SymShape* added = expect_rank(ctx, rows, 2);
  if (pages == nullptr)
    return added == nullptr ? ctx.fresh_dim() : floor_div(added->back(), kv_heads);
  expect_equal(ctx, (*pages)[2], Dim(kv_heads), name + ": heads");
  if (added != nullptr) {
    expect_equal(ctx, added->back(), (*pages)[3] * kv_heads,
                 ctx.node.op->inputs[rows].name + ": last axis");
  }
  return (*pages)[3];
}

void infer_paged_attention(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {kQ, kK, kV});
  const std::int64_t heads = ctx.node.attr_int("heads");
  const std::int64_t kv_heads = ctx.node.attr_int("kv_heads");
  ctx.require(kv_heads >= 1 && heads >= 1 && heads % kv_heads == 0,
              "heads: got {} over {} kv_heads, expected a positive multiple", heads, kv_heads);
  ctx.require(ctx.node.attr_int("window") >= 0 && ctx.node.attr_float("softcap") >= 0,
              "window and softcap: got a negative one, expected 0 or more");
  for (const std::size_t i : {kStarts, kLengths, kPages}) expect_type(ctx, i, kIndexType);
  expect_type(ctx, kSinks, {DType::F32});
  expect_vector(ctx, kSinks, Dim(heads));
  const Dim size = check_cache(ctx, kK, kKeys, kv_heads);
  const Dim value_size = check_cache(ctx, kV, kValues, kv_heads);
  const SymShape* q = expect_rank(ctx, kQ, 2);
  if (q != nullptr) {
    expect_equal(ctx, q->back(), size * heads, "q: last axis");
    for (const std::size_t i : {kK, kV}) {
      if (const SymShape* rows = ctx.shape(i)) {
        expect_equal(ctx, rows->front(), q->front(), ctx.node.op->inputs[i].name + ": rows");
      }
    }
  }
  if (ctx.shape(kKeys) != nullptr && ctx.shape(kValues) != nullptr) {
    for (const std::size_t axis : {std::size_t{0}, std::size_t{1}}) {
      expect_equal(ctx, (*ctx.shape(kValues))[axis], (*ctx.shape(kKeys))[axis], "v_cache: pages");
    }
  }
  const SymShape* lengths = expect_rank(ctx, kLengths, 1);
  const SymShape* starts = expect_rank(ctx, kStarts, 1);
  const SymShape* pages = expect_rank(ctx, kPages, 2);
  if (lengths != nullptr && starts != nullptr) {
    expect_equal(ctx, starts->front(), lengths->front() + 1, "sequence_starts: length");
  }
  if (lengths != nullptr && pages != nullptr) {
    expect_equal(ctx, pages->front(), lengths->front(), "pages: rows");
  }
  ctx.set_output(0, dtype, {q != nullptr ? q->front() : ctx.fresh_dim(), value_size * heads});
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    ctx.set_output(i, ctx.input(kKeys + i - 1));
  }
}

// Values

/// A cache [pages, page, kv_heads, size] by position of a sequence.
class Cache {
 public:
  explicit Cache(Tensor tensor) : tensor_(std::move(tensor)), size_(tensor_.shape()[3]) {}

  std::int64_t size() const { return size_; }
  std::int64_t page_size() const { return tensor_.shape()[1]; }
  std::int64_t pages() const { return tensor_.shape()[0]; }
  Tensor& tensor() { return tensor_; }

  void read(std::int64_t slot, std::int64_t head, float* to) const {
    const std::int64_t at = element(slot, head);
    if (is_block(tensor_.dtype())) {
      return dequantize_blocks(tensor_.dtype(), block(at), blocks(), to);
    }
    for (std::int64_t i = 0; i < size_; ++i) {
      to[i] = static_cast<float>(load_f64(tensor_.dtype(), tensor_.data(), at + i));
    }
  }

  void write(std::int64_t slot, std::int64_t head, const float* from) {
    const std::int64_t at = element(slot, head);
    if (is_block(tensor_.dtype())) {
      return quantize_blocks(tensor_.dtype(), from, blocks(), const_cast<std::byte*>(block(at)));
    }
    for (std::int64_t i = 0; i < size_; ++i) {
      store_f64(tensor_.dtype(), tensor_.mutable_data(), at + i, static_cast<double>(from[i]));
    }
  }

 private:
  std::int64_t element(std::int64_t slot, std::int64_t head) const {
    return (slot * tensor_.shape()[2] + head) * size_;
  }
  std::int64_t blocks() const { return size_ / dtype_info(tensor_.dtype()).block_elements; }
  const std::byte* block(std::int64_t element) const {
    const DTypeInfo& info = dtype_info(tensor_.dtype());
    return tensor_.data() + element / info.block_elements * info.block_bytes;
  }

  Tensor tensor_;
  std::int64_t size_;
};

/// One sequence's part of a step.
struct Sequence {
  std::int64_t first_row = 0, rows = 0, length = 0;
  std::vector<std::int64_t> slots;  ///< by position
};

std::vector<Sequence> read_sequences(const ReferenceContext& ctx, const Cache& cache,
                                     std::int64_t total_rows) {
  const std::vector<std::int64_t> starts = to_i64_vector(ctx.input(kStarts));
  const std::vector<std::int64_t> lengths = to_i64_vector(ctx.input(kLengths));
  const std::vector<std::int64_t> pages = to_i64_vector(ctx.input(kPages));
  const std::int64_t per_sequence = ctx.input(kPages).shape()[1];
  ctx.require(starts.front() == 0 && starts.back() == total_rows,
              "sequence_starts: got {} to {}, expected 0 to {}", starts.front(), starts.back(),
              total_rows);
  std::vector<Sequence> sequences;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    Sequence sequence{starts[s], starts[s + 1] - starts[s], lengths[s], {}};
    ctx.require(sequence.rows >= 0 && sequence.rows <= sequence.length,
                "sequence {}: got {} rows of {} tokens, expected 0 to all of them", s,
                sequence.rows, sequence.length);
    ctx.require(sequence.length <= per_sequence * cache.page_size(),
                "sequence {}: got {} tokens, expected at most {} pages of {}", s, sequence.length,
                per_sequence, cache.page_size());
    for (std::int64_t position = 0; position < sequence.length; ++position) {
      const std::int64_t page = pages[s * static_cast<std::size_t>(per_sequence) +
                                      static_cast<std::size_t>(position / cache.page_size())];
      ctx.require(page >= 0 && page < cache.pages(), "pages: got {}, expected [0, {})", page,
                  cache.pages());
      sequence.slots.push_back(page * cache.page_size() + position % cache.page_size());
    }
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

/// Writes this step's rows, [total rows, kv_heads * size], to their places.
void store_rows(const std::vector<Sequence>& sequences, const Tensor& rows, std::int64_t kv_heads,
                Cache& cache) {
  const std::vector<double> wide = to_wide<double>(rows);
  const std::vector<float> values(wide.begin(), wide.end());
  for (const Sequence& sequence : sequences) {
    for (std::int64_t i = 0; i < sequence.rows; ++i) {
      const auto slot =
          sequence.slots[static_cast<std::size_t>(sequence.length - sequence.rows + i)];
      for (std::int64_t h = 0; h < kv_heads; ++h) {
        cache.write(slot, h,
                    values.data() + ((sequence.first_row + i) * kv_heads + h) * cache.size());
      }
    }
  }
}

/// How scores become weights.
struct Rule {
  double scale, softcap;
  std::int64_t window;
  bool causal;

  explicit Rule(const Node& node, std::int64_t size)
      : scale(attention_scale(node, size)),
        softcap(static_cast<double>(node.attr_float("softcap"))),
        window(node.attr_int("window")),
        causal(node.attr_int("causal") != 0) {}

  double score(double product) const {
    const double scaled = product * scale;
    return softcap == 0 ? scaled : softcap * std::tanh(scaled / softcap);
  }
};

/// All keys or values of a sequence for one head, [length, size].
std::vector<double> read_head(const Sequence& sequence, const Cache& cache, std::int64_t head) {
  std::vector<double> values;
  std::vector<float> row(static_cast<std::size_t>(cache.size()));
  for (const std::int64_t slot : sequence.slots) {
    cache.read(slot, head, row.data());
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

/// The weights of positions [first, last) for one query; a sink takes its share and gives nothing.
std::vector<double> weights_of(const double* q, const std::vector<double>& keys, std::int64_t size,
                               std::int64_t first, std::int64_t last, const Rule& rule,
                               const double* sink) {
  std::vector<double> weights;
  for (std::int64_t j = first; j < last; ++j) {
    double product = 0;
    for (std::int64_t d = 0; d < size; ++d)
      product += q[d] * keys[static_cast<std::size_t>(j * size + d)];
    weights.push_back(rule.score(product));
  }
  if (sink != nullptr) weights.push_back(*sink);
  softmax_row(weights.data(), static_cast<std::int64_t>(weights.size()));
  return weights;
}

void reference_paged_attention(ReferenceContext& ctx) {
  const std::int64_t heads = ctx.node.attr_int("heads");
  const std::int64_t kv_heads = ctx.node.attr_int("kv_heads");
  Cache keys(ctx.input(kKeys).clone());
  Cache values(ctx.input(kValues).clone());
  const std::vector<double> q = to_wide<double>(ctx.input(kQ));
  const std::vector<Sequence> sequences = read_sequences(ctx, keys, ctx.input(kQ).shape()[0]);
  store_rows(sequences, ctx.input(kK), kv_heads, keys);
  store_rows(sequences, ctx.input(kV), kv_heads, values);
  const Rule rule(ctx.node, keys.size());
  std::vector<double> sinks;
  if (ctx.has_input(kSinks)) sinks = to_wide<double>(ctx.input(kSinks));
  Tensor& out = ctx.output(0);
  std::vector<double> y(static_cast<std::size_t>(out.numel()), 0.0);
  for (const Sequence& sequence : sequences) {
    for (std::int64_t h = 0; sequence.rows > 0 && h < heads; ++h) {
      const std::int64_t kv_head = h / (heads / kv_heads);
      const std::vector<double> head_keys = read_head(sequence, keys, kv_head);
      const std::vector<double> head_values = read_head(sequence, values, kv_head);
      for (std::int64_t i = 0; i < sequence.rows; ++i) {
        const std::int64_t position = sequence.length - sequence.rows + i;
        const std::int64_t last = rule.causal ? position + 1 : sequence.length;
        const std::int64_t first =
            rule.window > 0 ? std::max<std::int64_t>(0, position + 1 - rule.window) : 0;
        const std::int64_t at = (sequence.first_row + i) * heads + h;
        const std::vector<double> weights =
            weights_of(q.data() + at * keys.size(), head_keys, keys.size(), first, last, rule,
                       sinks.empty() ? nullptr : &sinks[static_cast<std::size_t>(h)]);
        double* const row = y.data() + at * values.size();
        for (std::int64_t j = first; j < last; ++j) {
          const double weight = weights[static_cast<std::size_t>(j - first)];
          for (std::int64_t d = 0; d < values.size(); ++d) {
            row[d] += weight * head_values[static_cast<std::size_t>(j * values.size() + d)];
          }
        }
      }
    }
  }
  from_wide<double>(y, out);
  ctx.set_output(1, Datum(keys.tensor()));
  ctx.set_output(2, Datum(values.tensor()));
}

// Standard operators

/// Builds the decomposition; rows are the axis of q, positions that of the gathered pages.
class Decomposition {
 public:
  explicit Decomposition(DecomposeContext& ctx)
      : ctx_(ctx),
        heads_(ctx.node.attr_int("heads")),
        kv_heads_(ctx.node.attr_int("kv_heads")),
        page_((*ctx.type(ctx.input(kKeys)).shape)[1].value()),
        dtype_(ctx.type(ctx.input(kQ)).dtype) {}

  void build() {
    find_positions();
    const ValueId keys = update(kK, kKeys, 1);
    const ValueId values = update(kV, kValues, 2);
    const ValueId q =
        ctx_.add("Reshape", {ctx_.input(kQ), ctx_.ints({0, kv_heads_, heads_ / kv_heads_, -1})});
    ValueId scores = ctx_.add("MatMul", {q, sequence_rows(keys, kKeys, {0, 2, 3, 1})});
    scores = ctx_.add("Where", {allowed(), score(scores), ctx_.scalar(dtype_, -INFINITY)});
    const ValueId y =
        ctx_.add("MatMul", {weights(scores), sequence_rows(values, kValues, {0, 2, 1, 3})});
    ctx_.set_output(0, ctx_.add("Reshape", {y, ctx_.ints({0, -1})}));
  }

 private:
  ValueId index(std::size_t i) { return cast(ctx_.input(i), DType::I64); }
  ValueId cast(ValueId value, DType to) {
    return ctx_.add("Cast", {value}, {{"to", onnx_code(to)}});
  }
  ValueId number(std::int64_t value) { return ctx_.constant(Tensor::scalar(value)); }
  ValueId unsqueeze(ValueId value, std::vector<std::int64_t> axes) {
    return ctx_.add("Unsqueeze", {value, ctx_.ints(std::move(axes))});
  }
  /// 0, 1, ... as many as axis `axis` of `like` has.
  ValueId range(ValueId like, std::int64_t axis) {
    const ValueId size = ctx_.add("Gather", {ctx_.add("Shape", {like}), number(axis)});
    return ctx_.add("Range", {number(0), size, number(1)});
  }

  /// Each row's sequence, position and pages.
  void find_positions() {
    const ValueId rows = range(ctx_.input(kQ), 0);
    const ValueId ends =
        ctx_.add("Slice", {index(kStarts), ctx_.ints({1}), ctx_.ints({INT64_MAX}), ctx_.ints({0})});
    const ValueId behind = ctx_.add("GreaterOrEqual", {unsqueeze(rows, {1}), unsqueeze(ends, {0})});
    const ValueId sequence = ctx_.add("ReduceSum", {cast(behind, DType::I64), ctx_.ints({1})},
                                      {{"keepdims", std::int64_t{0}}});
    length_ = ctx_.add("Gather", {index(kLengths), sequence});
    position_ =
        ctx_.add("Add", {ctx_.add("Sub", {length_, ctx_.add("Gather", {ends, sequence})}), rows});
    pages_ = ctx_.add("Gather", {index(kPages), sequence});
    const ValueId column = unsqueeze(ctx_.add("Div", {position_, number(page_)}), {1});
    const ValueId page = ctx_.add("GatherElements", {pages_, column}, {{"axis", std::int64_t{1}}});
    const ValueId slot = unsqueeze(ctx_.add("Mod", {position_, number(page_)}), {1});
    place_ = ctx_.add("Concat", {page, slot}, {{"axis", std::int64_t{1}}});
  }

  /// The cache with this step's rows.
  ValueId update(std::size_t rows, std::size_t cache, std::size_t output) {
    const ValueId split = ctx_.add("Reshape", {ctx_.input(rows), ctx_.ints({0, kv_heads_, -1})});
    const ValueId typed = cast(split, ctx_.type(ctx_.input(cache)).dtype);
    const ValueId updated = ctx_.add("ScatterND", {ctx_.input(cache), place_, typed});
    ctx_.set_output(output, updated);
    return updated;
  }

  /// The positions of each row's sequence, [rows, positions, kv_heads, size] permuted.
  ValueId sequence_rows(ValueId cache, std::size_t input, std::vector<std::int64_t> perm) {
    // Entries behind a sequence's end are not looked at, but must be in range to be gathered.
    const Dim& count = (*ctx_.type(ctx_.input(input)).shape)[0];
    const ValueId last =
        count.is_known()
            ? number(count.value() - 1)
            : ctx_.add("Sub",
                       {ctx_.add("Gather", {ctx_.add("Shape", {cache}), number(0)}), number(1)});
    const ValueId pages = ctx_.add("Max", {ctx_.add("Min", {pages_, last}), number(0)});
    const std::int64_t size = (*ctx_.type(ctx_.input(input)).shape)[3].value();
    const ValueId gathered = ctx_.add("Gather", {cache, pages});
    const ValueId flat = ctx_.add("Reshape", {gathered, ctx_.ints({0, -1, kv_heads_, size})});
    return ctx_.add("Transpose", {cast(flat, dtype_)}, {{"perm", std::move(perm)}});
  }

  ValueId score(ValueId product) {
    const std::int64_t size = (*ctx_.type(ctx_.input(kKeys)).shape)[3].value();
    const double scale = attention_scale(ctx_.node, size);
    const double cap = static_cast<double>(ctx_.node.attr_float("softcap"));
    ValueId scores =
        ctx_.add("Mul", {product, ctx_.scalar(dtype_, cap == 0 ? scale : scale / cap)});
    if (cap != 0) scores = ctx_.add("Mul", {ctx_.add("Tanh", {scores}), ctx_.scalar(dtype_, cap)});
    return scores;
  }

  /// Which positions each row attends to, [rows, 1, 1, positions].
  ValueId allowed() {
    const ValueId last = ctx_.add("Mul", {range(pages_, 1), number(page_)});
    const ValueId grid = ctx_.add(
        "Add", {unsqueeze(last, {1}), ctx_.add("Range", {number(0), number(page_), number(1)})});
    const ValueId at = ctx_.add("Reshape", {grid, ctx_.ints({1, -1})});
    const bool causal = ctx_.node.attr_int("causal") != 0;
    ValueId result = causal ? ctx_.add("LessOrEqual", {at, unsqueeze(position_, {1})})
                            : ctx_.add("Less", {at, unsqueeze(length_, {1})});
    if (const std::int64_t window = ctx_.node.attr_int("window"); window > 0) {
      const ValueId first = ctx_.add("Sub", {position_, number(window)});
      result = ctx_.add("And", {result, ctx_.add("Greater", {at, unsqueeze(first, {1})})});
    }
    return unsqueeze(result, {1, 2});
  }

  ValueId weights(ValueId scores) {
    const auto softmax = [&](ValueId x) {
      return ctx_.add("Softmax", {x}, {{"axis", std::int64_t{-1}}});
    };
    if (!ctx_.has_input(kSinks)) return softmax(scores);
    const ValueId sinks = ctx_.add("Reshape", {cast(ctx_.input(kSinks), dtype_),
                                               ctx_.ints({kv_heads_, heads_ / kv_heads_, 1})});
    const ValueId first =
        ctx_.add("Slice", {scores, ctx_.ints({0}), ctx_.ints({1}), ctx_.ints({3})});
    const ValueId column = ctx_.add("Expand", {sinks, ctx_.add("Shape", {first})});
    const ValueId all = softmax(ctx_.add("Concat", {scores, column}, {{"axis", std::int64_t{3}}}));
    return ctx_.add("Slice", {all, ctx_.ints({0}), ctx_.ints({-1}), ctx_.ints({3})});
  }

  DecomposeContext& ctx_;
  std::int64_t heads_, kv_heads_, page_;
  DType dtype_;
  ValueId length_ = kNoValue, position_ = kNoValue, pages_ = kNoValue, place_ = kNoValue;
};

bool decompose_paged_attention(DecomposeContext& ctx) {
  for (const std::size_t i : {kKeys, kValues}) {
    const Type& cache = ctx.type(ctx.input(i));
    if (!kFloats.contains(cache.dtype) || !cache.shape) return false;
    if (!(*cache.shape)[1].is_known() || !(*cache.shape)[3].is_known()) return false;
  }
  Decomposition(ctx).build();
  return true;
}

/// As if every row attended to all the pages that its sequence may have.
Cost cost_paged_attention(const Node& node, std::span<const Type> inputs,
                          std::span<const Type> outputs) {
  if (!inputs[kPages].is_static() || !inputs[kKeys].is_static() || !inputs[kQ].is_static())
    return {};
  const double positions =
      static_cast<double>((*inputs[kPages].shape)[1].value() * (*inputs[kKeys].shape)[1].value());
  const std::int64_t window = node.attr_int("window");
  const double seen = window > 0 ? std::min(positions, static_cast<double>(window)) : positions;
  const double rows = element_count(inputs[kQ]) + element_count(outputs[0]);
  return {2 * rows * seen, total_bytes(inputs.first(kKeys), outputs.first(1))};
}

}  // namespace

void define_paged_attention(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "PagedAttention",
      .domain = "naru",
      .doc = "Adds this step's keys and values to paged caches and attends to them, for several "
             "sequences. Row i of "
             "the n rows of sequence s stands at position context_lengths[s] - n + i, is written "
             "to slot position % "
             "page of page pages[s][position / page], and attends to the positions of s up to its "
             "own.",
      .source = "naru",
      .inputs = {{"q", "[rows, heads * size], float"},
                 {"k", "[rows, kv_heads * size], as q"},
                 {"v", "[rows, kv_heads * value_size], as q"},
                 {"k_cache",
                  "[pages, page, kv_heads, size], a float or a block format that can be written"},
                 {"v_cache", "[pages, page, kv_heads, value_size], likewise"},
                 {"sequence_starts",
                  "i32[sequences + 1]: where the rows of each begin, then the number of rows"},
                 {"context_lengths", "i32[sequences]: tokens of each after this step"},
                 {"pages",
                  "i32[sequences, most pages]: entries behind a sequence's end have no meaning"},
                 {"sinks", "f32[heads]: a score that takes weight and has no value",
                  Arity::Optional}},
      .outputs = {{"y", "[rows, heads * value_size], as q"},
                  {"k_cache", "with the rows of k"},
                  {"v_cache", "with the rows of v"}},
      .attributes =
          {{"heads", AttrKind::Int, "heads of q", std::nullopt, true},
           {"kv_heads", AttrKind::Int, "heads of k and v, which divides heads", std::nullopt, true},
           {"scale", AttrKind::Float, "factor of q * k; without it, one over the root of the size"},
           {"softcap", AttrKind::Float, "scores become cap * tanh(score / cap); 0: not", 0.0f},
           {"window", AttrKind::Int, "positions seen, the row's own included; 0: all",
            std::int64_t{0}},
           {"causal", AttrKind::Int, "0: rows see what follows them too", std::int64_t{1}}},
      .in_place = {{1, kKeys}, {2, kValues}},
      .infer = infer_paged_attention,
      .reference = reference_paged_attention,
      .cost = cost_paged_attention,
      .decompose = decompose_paged_attention,
  });
}

}  // namespace naru
