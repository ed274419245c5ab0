// Attention by a recurrent state, and the causal convolution that goes with it.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

constexpr std::size_t kQuery = 0, kKey = 1, kValue = 2, kState = 3, kDecay = 4, kBeta = 5;

/// Copies a state in or out of its working memory in f32; zeros where `from` is none.
void copy_state(Lowering& lowering, const Rep* from, const Rep& to) {
  Call call(lowering, from == nullptr ? "zero_state" : "copy_state");
  const Buffer y = call.write(to);
  std::optional<Buffer> x;
  if (from != nullptr) x = call.read(*from);
  const Expr i = call.points({to.numel()})[0];
  call.store(y, i, x ? cast(call.load(*x, i), y.element) : literal(y.element, 0));
  call.launch(naru::to_string(to.shape));
}

/// One item per column of a head's state: columns never meet.
void lower_linear_attention(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep query = lowering.input(kQuery);
  const std::int64_t heads = node.attr_int("q_num_heads");
  const std::int64_t kv_heads = node.attr_int("kv_num_heads");
  const std::int64_t batch = query.shape[0];
  const std::int64_t length = query.shape[1];
  const std::int64_t key_size = query.shape[2] / heads;
  const std::int64_t value_size = lowering.shape(kValue)[2] / kv_heads;
  const bool decays = lowering.has_input(kDecay);
  const bool per_key = decays && lowering.shape(kDecay)[2] != kv_heads;
  const bool delta = lowering.has_input(kBeta);
  const Rep state = lowering.scratch(DType::F32, Shape{batch, kv_heads, key_size, value_size});
  std::optional<Rep> past;
  if (lowering.has_input(kState)) past = lowering.input(kState);
  copy_state(lowering, past ? &*past : nullptr, state);

  Call call(lowering, fmt::format("linear_attention{}{}", decays ? (per_key ? "_decay_key" : "_decay") : "", delta ? "_delta" : ""));
  const Buffer q = call.read(query);
  const Buffer k = call.in(kKey);
  const Buffer v = call.in(kValue);
  const Buffer s = call.write(state);
  const Buffer y = call.out(0);
  std::optional<Buffer> decay, beta;
  if (decays) decay = call.in(kDecay);
  if (delta) beta = call.in(kBeta);
  const Expr beta_count = call.size(delta ? lowering.shape(kBeta)[2] : 1);
  const Expr keys = call.size(key_size);
  const Expr tokens = call.size(length);
  const Expr sharing = call.size(heads / kv_heads);
  const double stated = node.attr_float("scale");
  const Expr scale = call.real(Element::F32, stated != 0 ? stated : 1 / std::sqrt(static_cast<double>(key_size)));
  const std::vector<std::int64_t> extents = {batch, kv_heads, value_size};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr own = call.let((at[0] * shape[1] + at[1]) * keys * shape[2] + at[2]);
  const auto slot = [&](const Expr& d) { return call.let(own + d * shape[2]); };
  call.loop(tokens, [&](const Expr& t) {
    const Expr token = call.let(at[0] * tokens + t);
    const Expr head = call.let(token * shape[1] + at[1]);
    const auto key = [&](const Expr& d) { return call.load(k, head * keys + d); };
    if (decays) {
      call.loop(keys, [&](const Expr& d) {
        const Expr rate = call.load(*decay, per_key ? head * keys + d : head);
        const Expr place = slot(d);
        call.store(s, place, call.load(s, place) * apply(Op::Exp, {rate}));
      });
    }
    Expr written = call.load(v, head * shape[2] + at[2]);
    if (delta) {
      // The delta rule writes only what the state does not yet say of this key.
      const Variable known = call.var(literal(Element::F32, 0));
      call.loop(keys, [&](const Expr& d) { call.set(known, multiply_add(call.load(s, slot(d)), key(d), known)); });
      const Expr rate = call.load(*beta, token * beta_count + min(at[1], beta_count - 1));
      written = call.let(rate * (written - known));
    }
    call.loop(keys, [&](const Expr& d) {
      const Expr place = slot(d);
      call.store(s, place, multiply_add(key(d), written, call.load(s, place)));
    });
    call.loop(sharing, [&](const Expr& r) {
      const Expr reader = call.let(token * (shape[1] * sharing) + at[1] * sharing + r);
      const Variable total = call.var(literal(Element::F32, 0));
      call.loop(keys, [&](const Expr& d) {
        call.set(total, multiply_add(call.load(q, reader * keys + d), call.load(s, slot(d)), total));
      });
      call.store(y, reader * shape[2] + at[2], Expr(total) * scale);
    });
  });
  call.launch(naru::to_string(query.shape));
  if (lowering.has_output(1)) copy_state(lowering, &state, lowering.output(1));
}

void lower_causal_conv(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  const std::int64_t kernel_size = lowering.shape(1)[2];
  const bool silu = lowering.node().attr_string("activation") != "none";
  const bool has_past = lowering.has_input(3);
  const std::vector<std::int64_t> extents = {shape[0], shape[1], shape[2]};
  // Element `i` of the past and then the input of a row.
  const auto line = [&](Call& call, Buffer x, const std::optional<Buffer>& past, const Expr& row, const Expr& length,
                        const Expr& before, const Expr& i) {
    const Expr from_input = i >= before;
    const Expr own = call.load(x, row * length + max(min(i - before, length - 1), 0));
    if (!past) return call.let(select(from_input, own, literal(Element::F32, 0)));
    return call.let(select(from_input, own, call.load(*past, row * before + max(min(i, before - 1), 0))));
  };
  {
    Call call(lowering, fmt::format("causal_conv{}{}{}", silu ? "_silu" : "", has_past ? "_past" : "", lowering.has_input(2) ? "_bias" : ""));
    const Buffer x = call.in(0);
    const Buffer w = call.in(1);
    const Buffer y = call.out(0);
    std::optional<Buffer> past, bias;
    if (has_past && kernel_size > 1) past = call.in(3);
    if (lowering.has_input(2)) bias = call.in(2);
    const Expr taps = call.size(kernel_size);
    const Expr before = call.size(kernel_size - 1);
    const std::vector<Expr> box = sizes(call, extents);
    const auto at = call.points(box, extents);
    const Expr row = call.let(at[0] * box[1] + at[1]);
    const Variable sum = call.var(bias ? call.load(*bias, at[1]) : literal(Element::F32, 0));
    call.loop(taps, [&](const Expr& k) {
      call.set(sum, multiply_add(call.load(w, at[1] * taps + k), line(call, x, past, row, box[2], before, call.let(at[2] + k)), sum));
    });
    const Expr value = sum;
    call.store(y, row * box[2] + at[2], silu ? value / (apply(Op::Exp, {-value}) + 1) : value);
    call.launch(naru::to_string(shape));
  }
  if (!lowering.has_output(1)) return;
  if (lowering.output(1).numel() == 0) return;
  Call call(lowering, has_past ? "causal_state_past" : "causal_state");
  const Buffer x = call.in(0);
  const Buffer y = call.out(1);
  std::optional<Buffer> past;
  if (has_past) past = call.in(3);
  const Expr length = call.size(shape[2]);
  const std::vector<std::int64_t> kept = {shape[0] * shape[1], kernel_size - 1};
  const std::vector<Expr> box = sizes(call, kept);
  const auto at = call.points(box, kept);
  call.store(y, ravel(at, box), line(call, x, past, at[0], length, box[1], call.let(length + at[1])));
  call.launch(naru::to_string(shape));
}

}  // namespace

void add_linear_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"LinearAttention", "recurrent attention", refuses_types, lower_linear_attention});
  table.push_back({"CausalConvWithState", "causal convolution", refuses_types, lower_causal_conv});
}

}  // namespace naru::kernel
