// naru.PagedAttention: rows find their places, go into the caches, and attend with a running softmax.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/walk.h"
#include "graph/ops/attention.h"

namespace naru::kernel {
namespace {

constexpr std::size_t kQ = 0, kK = 1, kV = 2, kKeys = 3, kValues = 4, kStarts = 5, kLengths = 6, kPages = 7, kSinks = 8;

/// The sizes of the caches and of the table of pages.
struct Paging {
  std::int64_t pages, page, kv_heads, sequences, per_sequence;

  explicit Paging(const Lowering& lowering)
      : pages(lowering.shape(kKeys)[0]),
        page(lowering.shape(kKeys)[1]),
        kv_heads(lowering.shape(kKeys)[2]),
        sequences(lowering.shape(kPages)[0]),
        per_sequence(lowering.shape(kPages)[1]) {}
};

/// A number from data, held to [0, limit).
Expr checked(Call& call, const Expr& value, const Expr& limit, const char* message) {
  call.require(value >= 0 && value < limit, message);
  return call.let(max(min(value, limit - 1), 0));
}

/// What is known of each row: its sequence, its position there, and its slot in the caches.
constexpr int kRowNumbers = 3;

Rep emit_rows(Lowering& lowering, const Paging& paging) {
  const std::int64_t count = lowering.shape(kQ)[0];
  const Rep numbers = lowering.scratch(DType::I32, Shape{count, kRowNumbers});
  Call call(lowering, "paged_rows");
  const Buffer starts = call.in(kStarts);
  const Buffer lengths = call.in(kLengths);
  const Buffer pages = call.in(kPages);
  const Buffer y = call.write(numbers);
  const Expr sequences = call.size(paging.sequences);
  const Expr per_sequence = call.size(paging.per_sequence);
  const Expr page_count = call.size(paging.pages);
  const Expr page = call.size(paging.page);
  const Expr row = call.points({count})[0];
  const Variable passed = call.var(Expr(0));
  call.loop(sequences, [&](const Expr& s) {
    call.when(row >= call.load(starts, s + 1), [&] { call.set(passed, Expr(passed) + 1); });
  });
  const Expr sequence = checked(call, passed, sequences, "rows behind the last sequence");
  const Expr place = call.load(lengths, sequence) - call.load(starts, sequence + 1) + row;
  const Expr position = checked(call, call.let(place), per_sequence * page, "a position beyond a sequence's pages");
  const Expr entry = call.load(pages, sequence * per_sequence + min(position / page, per_sequence - 1));
  const Expr own = checked(call, entry, page_count, "a page out of range");
  const Expr to = call.let(row * kRowNumbers);
  call.store(y, to, sequence);
  call.store(y, to + 1, position);
  call.store(y, to + 2, own * page + position % page);
  call.launch(naru::to_string(numbers.shape));
  return numbers;
}

/// Writes the rows of keys or values to their slots.
Rep emit_store(Lowering& lowering, const Paging& paging, const Rep& numbers, std::size_t rows, std::size_t output, std::size_t cache) {
  const Rep input = lowering.input(rows);
  const Rep target = lowering.updated_output(output, cache);
  Call call(lowering, "paged_store");
  const Buffer x = call.read(input);
  const Buffer places = call.read(numbers);
  const Buffer y = call.write(target);
  const Expr slots = call.size(paging.pages * paging.page);
  const std::vector<std::int64_t> extents = input.shape.dims();
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr slot = call.let(max(min(call.load(places, at[0] * kRowNumbers + 2), slots - 1), 0));
  call.store(y, slot * shape[1] + at[1], cast(call.load(x, ravel(at, shape)), y.element));
  call.launch(naru::to_string(input.shape));
  return target;
}

/// The most lanes in which a head can be read.
std::int32_t lanes_for(const Target& target, std::int64_t key_size, std::int64_t value_size) {
  std::int32_t lanes = target.vector_lanes > 1 ? 16 : 1;
  while (key_size % lanes != 0 || value_size % lanes != 0) lanes /= 2;
  return lanes;
}

/// One item per row and head. Sizes of heads are literals, so that a compiler keeps the sums in registers.
void emit_attention(Lowering& lowering, const Paging& paging, const Rep& numbers, const Rep& keys, const Rep& values) {
  const Node& node = lowering.node();
  const std::int64_t heads = node.attr_int("heads");
  const auto key_size = static_cast<std::int32_t>(keys.shape[3]);
  const auto value_size = static_cast<std::int32_t>(values.shape[3]);
  const std::int32_t lanes = lanes_for(lowering.target(), key_size, value_size);
  const bool causal = node.attr_int("causal") != 0;
  const std::int64_t window = node.attr_int("window");
  const double cap = static_cast<double>(node.attr_float("softcap"));
  const std::int64_t rows = lowering.shape(kQ)[0];
  Call call(lowering, fmt::format("paged_attention_{}x{}", key_size, value_size));
  if (lowering.target().vector_lanes > 1) call.limit_group(1);
  const Buffer q = call.in(kQ);
  const Buffer k = call.read(keys);
  const Buffer v = call.read(values);
  const Buffer places = call.read(numbers);
  const Buffer pages = call.in(kPages);
  const Buffer y = call.out(0);
  const Array sums = call.array(Element::F32, value_size, false);
  const Array query = call.array(Element::F32, key_size, false);
  const Expr scale = call.real(Element::F32, attention_scale(node, key_size));
  const Expr page = call.size(paging.page);
  const Expr page_count = call.size(paging.pages);
  const Expr per_sequence = call.size(paging.per_sequence);
  const Expr kv_heads = call.size(paging.kv_heads);
  const Expr sharing = call.size(heads / paging.kv_heads);
  const Expr sequences = call.size(paging.sequences);
  const std::vector<std::int64_t> extents = {rows, heads};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr numbers_at = call.let(at[0] * kRowNumbers);
  const Expr sequence = call.let(max(min(call.load(places, numbers_at), sequences - 1), 0));
  const Expr position = call.let(max(min(call.load(places, numbers_at + 1), per_sequence * page - 1), 0));
  const Expr length = causal ? position + 1 : call.let(max(min(call.load(call.in(kLengths), sequence), per_sequence * page), 0));
  const Expr first = window > 0 ? call.let(max(position - call.size(window - 1), 0)) : Expr(0);
  const Expr kv_head = call.let(at[1] / sharing);
  const Expr own = call.let(ravel(at, shape));
  const auto each = [&](std::int32_t size, const std::function<void(const Expr&)>& body) { call.loop(0, size, lanes, body); };
  const auto real = [](double value) { return literal(Element::F32, value); };

  each(key_size, [&](const Expr& i) { call.store(query, i, call.load(q, own * key_size + i, lanes) * scale); });
  each(value_size, [&](const Expr& i) { call.store(sums, i, splat(real(0), lanes)); });
  const bool sinks = lowering.has_input(kSinks);
  const Variable largest = call.var(sinks ? call.load(call.in(kSinks), at[1]) : real(-INFINITY));
  const Variable total = call.var(real(sinks ? 1 : 0));
  call.loop(first, length, 1, [&](const Expr& j) {
    const Expr entry = call.load(pages, sequence * per_sequence + min(j / page, per_sequence - 1));
    const Expr slot = max(min(entry, page_count - 1), 0) * page + j % page;
    const Expr head = call.let(slot * kv_heads + kv_head);
    const Variable products = call.var(splat(real(0), lanes));
    each(key_size, [&](const Expr& i) {
      call.set(products, multiply_add(call.load(query, i, lanes), call.load(k, head * key_size + i, lanes), products));
    });
    Expr score = call.lane_sum(products);
    if (cap != 0) score = call.let(apply(Op::Tanh, {score / real(cap)}) * real(cap));
    // A new maximum scales down what was summed before.
    const Variable shrink = call.var(real(1));
    call.when(score > largest, [&] {
      call.set(shrink, apply(Op::Exp, {Expr(largest) - score}));
      call.set(largest, score);
      call.set(total, Expr(total) * shrink);
    });
    const Expr weight = call.let(apply(Op::Exp, {score - largest}));
    call.set(total, Expr(total) + weight);
    each(value_size, [&](const Expr& i) {
      const Expr before = call.load(sums, i, lanes) * shrink;
      call.store(sums, i, multiply_add(weight, call.load(v, head * value_size + i, lanes), before));
    });
  });
  const Expr share = call.let(real(1) / total);
  each(value_size, [&](const Expr& i) { call.store(y, own * value_size + i, call.load(sums, i, lanes) * share); });
  call.launch(naru::to_string(lowering.shape(kQ)) + " over " + naru::to_string(keys.shape));
}

void lower_paged_attention(Lowering& lowering) {
  const Paging paging(lowering);
  const Rep numbers = emit_rows(lowering, paging);
  const Rep keys = emit_store(lowering, paging, numbers, kK, 1, kKeys);
  const Rep values = emit_store(lowering, paging, numbers, kV, 2, kValues);
  emit_attention(lowering, paging, numbers, keys, values);
}

std::string refuses_paged_attention(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  if (!view.has_output(0) || !view.has_output(1) || !view.has_output(2)) return "caches that are not kept";
  const DType dtype = view.dtype(kQ);
  return dtype == DType::Undefined || dtype == DType::F32 ? "" : "queries of type " + std::string(naru::to_string(dtype));
}

}  // namespace

void add_paged_attention_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"naru.PagedAttention", "paged attention", refuses_paged_attention, lower_paged_attention});
}

}  // namespace naru::kernel
