// TfIdfVectorizer: one item counts the n-grams of one output column in one row.
#include <algorithm>

#include "compiler/kernel/walk.h"
#include "graph/ops/tf_idf.h"

namespace naru::kernel {
namespace {

/// The n-grams in the order of their columns, as arrays.
struct GramTables {
  std::vector<std::int32_t> first;   ///< per column, and one more: where its n-grams begin
  std::vector<std::int32_t> length;  ///< per n-gram
  std::vector<std::int32_t> start;   ///< per n-gram: where its tokens begin
  std::vector<std::int64_t> tokens;

  explicit GramTables(const Grams& grams) {
    std::vector<std::pair<std::int64_t, const std::vector<std::int64_t>*>> order;
    for (const auto& [gram, column] : grams.columns) order.emplace_back(column, &gram);
    std::sort(order.begin(), order.end());
    for (const auto& [column, gram] : order) {
      while (std::ssize(first) <= column) first.push_back(static_cast<std::int32_t>(length.size()));
      length.push_back(static_cast<std::int32_t>(gram->size()));
      start.push_back(static_cast<std::int32_t>(tokens.size()));
      tokens.insert(tokens.end(), gram->begin(), gram->end());
    }
    while (std::ssize(first) <= grams.width) first.push_back(static_cast<std::int32_t>(length.size()));
  }
};

template <typename T>
Buffer table(Lowering& lowering, Call& call, const std::vector<T>& values) {
  return call.read(lowering.literal(Tensor::from<T>(Shape{std::ssize(values)}, std::span<const T>(values))));
}

void lower_tf_idf(Lowering& lowering) {
  const Grams grams = grams_of(lowering.node());
  const GramTables tables(grams);
  const Shape x = lowering.shape(0);
  const std::int64_t rows = x.rank() == 2 ? x[0] : 1;
  const std::int64_t tokens = x.numel() / std::max<std::int64_t>(rows, 1);
  const bool weighs = grams.weighting != Weighting::Tf && lowering.node().has("weights");
  Call call(lowering, fmt::format("tf_idf_{}{}", lowering.node().attr_string("mode"), weighs ? "_weighted" : ""));
  const Buffer from = call.in(0);
  const Buffer first = table(lowering, call, tables.first);
  const Buffer lengths = table(lowering, call, tables.length);
  const Buffer starts = table(lowering, call, tables.start);
  const Buffer pool = table(lowering, call, tables.tokens);
  const Buffer y = call.out(0);
  const Expr size = call.size(tokens);
  const Expr gram_count = call.size(std::ssize(tables.length));
  const Expr pool_size = call.size(std::ssize(tables.tokens));
  const Expr most_steps = call.size(std::min(grams.most_skips, tokens) + 1);
  const std::vector<std::int64_t> extents = {rows, grams.width};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Variable count = call.var(literal(Element::F32, 0));
  const Expr begin = call.let(max(call.load(first, at[1]), 0));
  const Expr end = call.let(min(call.load(first, at[1] + 1), gram_count));
  call.loop(begin, end, 1, [&](const Expr& gram) {
    const Expr length = call.load(lengths, gram);
    const Expr start = call.load(starts, gram);
    const Expr steps = call.let(select(length == 1, Expr(1), most_steps));
    call.loop(1, steps + 1, 1, [&](const Expr& step) {
      call.loop(0, size - (length - 1) * step, 1, [&](const Expr& place) {
        const Variable matches = call.var(Expr(1));
        call.loop(length, [&](const Expr& i) {
          const Expr own = call.load(from, at[0] * size + max(min(place + i * step, size - 1), 0));
          const Expr wanted = call.load(pool, max(min(start + i, pool_size - 1), 0));
          call.when(cast(own, Element::I64) != wanted, [&] { call.set(matches, Expr(0)); });
        });
        call.set(count, Expr(count) + cast(matches, Element::F32));
      });
    });
  });
  Expr value = count;
  if (grams.weighting == Weighting::Idf) value = select(value > 0, number(value, 1), number(value, 0));
  if (weighs) {
    const std::vector<float>& weights = lowering.node().attr_floats("weights");
    value = value * call.load(table(lowering, call, weights), at[1]);
  }
  call.store(y, ravel(at, shape), value);
  call.launch(naru::to_string(x));
}

std::string refuses_tf_idf(const NodeView& view, const Target& target) {
  if (view.node.has("pool_strings")) return "a pool of strings";
  return refuses_types(view, target);
}

}  // namespace

void add_tf_idf_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"TfIdfVectorizer", "counts", refuses_tf_idf, lower_tf_idf});
}

}  // namespace naru::kernel
