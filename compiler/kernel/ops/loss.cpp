// Losses over class scores.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

/// Scores as [batch, classes, inner].
struct Scores {
  std::int64_t batch, classes, inner;
  explicit Scores(const Shape& s) : batch(s[0]), classes(s[1]), inner(s.numel(2, s.rank())) {}
};

/// Loss and weight of each sample, [samples] each.
void emit_samples(Lowering& lowering, const Rep& logs, const Rep& losses, const Rep& weights) {
  const Node& node = lowering.node();
  const Scores scores(lowering.shape(0));
  const bool ignores = node.has("ignore_index");
  const bool weighted = lowering.has_input(2);
  Call call(lowering, fmt::format("nll{}{}", ignores ? "_ignore" : "", weighted ? "_weighted" : ""));
  const Buffer x = call.read(logs);
  const Buffer labels = call.in(1);
  const Buffer loss = call.write(losses);
  const Buffer weight = call.write(weights);
  const Expr classes = call.size(scores.classes);
  const Expr ignored = call.size(node.attr_int_or("ignore_index", 0));
  const std::vector<std::int64_t> extents = {scores.batch, scores.inner};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr sample = call.let(ravel(at, shape));
  const Expr label = call.let(cast(call.load(labels, sample), Element::I32));
  const Expr counts = ignores ? call.let(label != ignored) : literal(Element::Bool, 1);
  const Expr fits = label >= 0 && label < classes;
  call.require(ignores ? fits || !counts : fits, "a label out of range");
  const Expr known = call.let(max(min(label, classes - 1), 0));
  Expr own = literal(loss.element, 1);
  if (weighted) own = cast(call.load(call.in(2), known), loss.element);
  own = call.let(select(counts, own, literal(loss.element, 0)));
  const Expr value = cast(call.load(x, (at[0] * classes + known) * shape[1] + at[1]), loss.element);
  call.store(loss, sample, select(counts, -value * own, literal(loss.element, 0)));
  call.store(weight, sample, own);
  call.launch(naru::to_string(lowering.shape(0)));
}

/// The sum, or the mean over the weights.
void emit_total(Lowering& lowering, const Rep& losses, const Rep& weights, bool mean) {
  Call call(lowering, mean ? "loss_mean" : "loss_sum");
  const Buffer loss = call.read(losses);
  const Buffer weight = call.read(weights);
  const Buffer y = call.out(0);
  const Expr count = call.size(losses.numel());
  call.points({1});
  const Variable total = call.var(literal(loss.element, 0));
  const Variable divisor = call.var(literal(loss.element, 0));
  call.loop(count, [&](const Expr& i) {
    call.set(total, Expr(total) + call.load(loss, i));
    if (mean) call.set(divisor, Expr(divisor) + call.load(weight, i));
  });
  call.store(y, 0, cast(mean ? Expr(total) / Expr(divisor) : Expr(total), y.element));
  call.launch(naru::to_string(losses.shape));
}

void emit_loss(Lowering& lowering, const Rep& logs) {
  const std::string reduction = lowering.node().attr_string("reduction");
  const Scores scores(lowering.shape(0));
  const DType wide = lowering.dtype(0) == DType::F64 ? DType::F64 : DType::F32;
  const Shape samples{scores.batch * scores.inner};
  const Rep weights = lowering.scratch(wide, samples);
  const Rep losses = reduction == "none" ? lowering.output(0) : lowering.scratch(wide, samples);
  emit_samples(lowering, logs, losses, weights);
  if (reduction != "none") emit_total(lowering, losses, weights, reduction == "mean");
}

void lower_nll(Lowering& lowering) { emit_loss(lowering, lowering.input(0)); }

void lower_cross_entropy(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Scores scores(input.shape);
  const Rep logs = lowering.has_output(1) ? lowering.output(1) : lowering.scratch(input.dtype, input.shape);
  Call call(lowering, "log_softmax_classes");
  const Buffer x = call.read(input);
  const Buffer y = call.write(logs);
  const Element wide = computed(x.element);
  const Expr classes = call.size(scores.classes);
  const std::vector<std::int64_t> extents = {scores.batch, scores.inner};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr base = call.let(at[0] * classes * shape[1] + at[1]);
  const auto score = [&](const Expr& c) { return call.load(x, base + c * shape[1]); };
  const Variable largest = call.var(literal(wide, -INFINITY));
  call.loop(classes, [&](const Expr& c) { call.set(largest, apply(Op::Max, {largest, score(c)})); });
  const Variable sum = call.var(literal(wide, 0));
  call.loop(classes, [&](const Expr& c) { call.set(sum, Expr(sum) + apply(Op::Exp, {score(c) - largest})); });
  const Expr shift = call.let(Expr(largest) + apply(Op::Log, {sum}));
  call.loop(classes, [&](const Expr& c) { call.store(y, base + c * shape[1], score(c) - shift); });
  call.launch(naru::to_string(input.shape));
  emit_loss(lowering, logs);
}

}  // namespace

void add_loss_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"NegativeLogLikelihoodLoss", "loss", refuses_types, lower_nll});
  table.push_back({"SoftmaxCrossEntropyLoss", "loss", refuses_types, lower_cross_entropy});
}

}  // namespace naru::kernel
