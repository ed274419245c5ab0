// LSTM, GRU and RNN: one launch per step and direction, each item one element of the state.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/chain.h"
#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

constexpr std::size_t kX = 0, kW = 1, kR = 2, kB = 3, kLengths = 4, kInitialH = 5, kInitialC = 6, kPeepholes = 7;

struct CellRow {
  std::string_view op;
  std::int64_t gates;
  std::vector<std::string> activations;
};

const std::vector<CellRow>& cells() {
  static const std::vector<CellRow> rows = {
      {"LSTM", 4, {"Sigmoid", "Tanh", "Tanh"}}, {"GRU", 3, {"Sigmoid", "Tanh"}}, {"RNN", 1, {"Tanh"}}};
  return rows;
}

const CellRow& cell_of(const Node& node) {
  return *std::find_if(cells().begin(), cells().end(), [&](const CellRow& row) { return row.op == node.op->name; });
}

/// The functions by direction, the defaults where none are named.
std::vector<std::string> activations_of(const Node& node) {
  if (node.attributes.contains("activations")) return node.attr_strings("activations");
  const std::vector<std::string>& own = cell_of(node).activations;
  std::vector<std::string> names = own;
  names.insert(names.end(), own.begin(), own.end());
  return names;
}

/// Sizes of one call and where things stand in memory.
struct Sizes {
  std::int64_t length, batch, features, hidden, gates, directions;
  bool batch_first;

  explicit Sizes(const Lowering& lowering) {
    const Shape x = lowering.shape(kX);
    batch_first = lowering.node().attr_int("layout") == 1;
    length = x[batch_first ? 1 : 0];
    batch = x[batch_first ? 0 : 1];
    features = x[2];
    hidden = lowering.shape(kR)[2];
    gates = cell_of(lowering.node()).gates;
    directions = lowering.shape(kR)[0];
  }
  std::int64_t batch_stride() const { return batch_first ? length * features : features; }
  std::int64_t step_stride() const { return batch_first ? features : batch * features; }
};

/// A state of one direction, [batch, hidden], between its working memory and an input or output.
void move_state(Lowering& lowering, const Sizes& s, std::int64_t direction, const Rep* outside, const Rep& inside, bool in) {
  Call call(lowering, outside == nullptr ? "zero_cell" : in ? "load_cell" : "store_cell");
  const std::vector<std::int64_t> extents = {s.batch, s.hidden};
  std::optional<Buffer> far;
  if (outside != nullptr) far = in ? call.read(*outside) : call.write(*outside);
  const Buffer near = in ? call.write(inside) : call.read(inside);
  const Expr first = call.size(direction * s.hidden * (s.batch_first ? 1 : s.batch));
  const Expr stride = call.size(s.batch_first ? s.directions * s.hidden : s.hidden);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr own = call.let(ravel(at, shape));
  if (!far) {
    call.store(near, own, literal(near.element, 0));
  } else {
    const Expr other = call.let(first + at[0] * stride + at[1]);
    if (in) call.store(near, own, call.load(*far, other));
    else call.store(*far, other, call.load(near, own));
  }
  call.launch();
}

/// States before and after a step; the LSTM has a second one.
struct States {
  Rep h, c;
};

/// Builds one step of one direction.
class Step {
 public:
  Step(Lowering& lowering, const Sizes& s, std::int64_t direction, std::int64_t step, bool reverse, std::string name)
      : lowering_(lowering), s_(s), direction_(direction), step_(step), reverse_(reverse), call_(lowering, std::move(name)) {}

  Call& call() { return call_; }

  /// Binds operands and makes the grid: one item per [batch, hidden].
  void begin(const Rep& h_before) {
    x_ = call_.in(kX);
    w_ = call_.in(kW);
    r_ = call_.in(kR);
    h_ = call_.read(h_before);
    if (lowering_.has_input(kB)) bias_ = call_.in(kB);
    if (lowering_.has_input(kLengths)) lengths_ = call_.in(kLengths);
    features_ = call_.size(s_.features);
    hidden_ = call_.size(s_.hidden);
    const Expr batch = call_.size(s_.batch);
    const auto at = call_.points(std::vector<Expr>{batch, hidden_}, std::vector<std::int64_t>{s_.batch, s_.hidden});
    b_ = at[0];
    i_ = at[1];
    own_ = call_.let(b_ * hidden_ + i_);
    const Expr step = call_.size(step_);
    const Expr length = call_.size(s_.length);
    Expr valid = length;
    if (lengths_) valid = call_.checked_index(call_.load(*lengths_, b_), length + 1);
    live_ = call_.let(step < valid);
    t_ = reverse_ ? call_.let(max(select(live_, valid - 1 - step, step), 0)) : step;
    t_ = call_.let(min(t_, length - 1));
    x_at_ = call_.let(b_ * call_.size(s_.batch_stride()) + t_ * call_.size(s_.step_stride()));
    lines_ = call_.size(s_.gates * s_.hidden * direction_);
  }

  /// x W^T + Wb of gate `g`, and h R^T + Rb; `h` gives the state's elements.
  Expr from_x(int g) {
    const Expr row = call_.let(lines_ + hidden_ * g + i_);
    const Variable total = call_.var(bias(g, false));
    call_.loop(features_, [&](const Expr& f) {
      call_.set(total, multiply_add(call_.load(x_, x_at_ + f), call_.load(w_, row * features_ + f), total));
    });
    return total;
  }
  Expr from_h(int g) { return from_h(g, h_); }
  Expr from_h(int g, Buffer h) {
    const Expr row = call_.let(lines_ + hidden_ * g + i_);
    const Variable total = call_.var(bias(g, true));
    call_.loop(hidden_, [&](const Expr& k) {
      call_.set(total, multiply_add(call_.load(h, b_ * hidden_ + k), call_.load(r_, row * hidden_ + k), total));
    });
    return total;
  }
  Expr gate(int g) { return call_.let(from_x(g) + from_h(g)); }

  Expr activate(std::size_t function, const Expr& value) {
    const Node& node = lowering_.node();
    Expr x = value;
    if (node.has("clip")) {
      const Expr bound = literal(value.element(), std::abs(node.attr_float("clip")));
      x = apply(Op::Max, {apply(Op::Min, {x, bound}), -bound});
    }
    return apply_element(call_, activations_of(node)[static_cast<std::size_t>(direction_) * cell_of(node).activations.size() + function], {x});
  }

  Expr peephole(int which, const Expr& c) {
    if (!lowering_.has_input(kPeepholes)) return literal(c.element(), 0);
    const Buffer p = call_.in(kPeepholes);
    return call_.let(call_.load(p, call_.size(direction_ * 3 * s_.hidden) + hidden_ * which + i_) * c);
  }

  /// Writes the new state, or the old one of a finished sequence, and the output of the step.
  void finish(const Rep& h_after, const Expr& h_new) {
    const Expr before = call_.load(h_, own_);
    call_.store(call_.write(h_after), own_, select(live_, h_new, before));
    if (!lowering_.has_output(0)) return;
    const Buffer y = call_.out(0);
    const std::int64_t rows = s_.batch_first ? 1 : s_.batch;
    // [length, directions, batch, hidden], or [batch, length, directions, hidden].
    const Expr row = s_.batch_first ? (b_ * call_.size(s_.length) + t_) * call_.size(s_.directions) + call_.size(direction_)
                                    : (t_ * call_.size(s_.directions) + call_.size(direction_)) * call_.size(rows) + b_;
    call_.store(y, row * hidden_ + i_, select(live_, h_new, literal(h_new.element(), 0)));
  }

  const Expr& own() const { return own_; }
  const Expr& live() const { return live_; }
  Buffer h() const { return h_; }

 private:
  Expr bias(int g, bool recurrent) {
    if (!bias_) return literal(x_.element, 0);
    const std::int64_t first = direction_ * 2 * s_.gates * s_.hidden + (recurrent ? s_.gates * s_.hidden : 0);
    return call_.load(*bias_, call_.size(first) + hidden_ * g + i_);
  }

  Lowering& lowering_;
  const Sizes& s_;
  std::int64_t direction_, step_;
  bool reverse_;
  Call call_;
  Buffer x_, w_, r_, h_;
  std::optional<Buffer> bias_, lengths_;
  Expr features_, hidden_, b_, i_, own_, live_, t_, x_at_, lines_;
};

void lstm_step(Lowering& lowering, Step& step, const States& before, const States& after) {
  step.begin(before.h);
  Call& call = step.call();
  const Buffer cell = call.read(before.c);
  const Expr c_before = call.load(cell, step.own());
  const Expr in = step.activate(0, call.let(step.gate(0) + step.peephole(0, c_before)));
  const bool coupled = lowering.node().attr_int("input_forget") != 0;
  const Expr forget = coupled ? call.let(number(in, 1) - in) : step.activate(0, call.let(step.gate(2) + step.peephole(2, c_before)));
  const Expr c = call.let(forget * c_before + in * step.activate(1, step.gate(3)));
  const Expr out = step.activate(0, call.let(step.gate(1) + step.peephole(1, c)));
  call.store(call.write(after.c), step.own(), select(step.live(), c, c_before));
  step.finish(after.h, call.let(out * step.activate(2, c)));
  call.launch();
}

void rnn_step(Lowering&, Step& step, const States& before, const States& after) {
  step.begin(before.h);
  step.finish(after.h, step.activate(0, step.gate(0)));
  step.call().launch();
}

void gru_step(Lowering&, Step& step, const States& before, const States& after, const Rep* reset) {
  step.begin(before.h);
  Call& call = step.call();
  const Expr h = call.load(step.h(), step.own());
  const Expr update = step.activate(0, step.gate(0));
  const Expr candidate = reset == nullptr ? call.let(step.activate(0, step.gate(1)) * step.from_h(2))
                                          : step.from_h(2, call.read(*reset));
  const Expr fresh = step.activate(1, call.let(step.from_x(2) + candidate));
  step.finish(after.h, call.let((number(update, 1) - update) * fresh + update * h));
  call.launch();
}

/// reset * h, which a GRU multiplies by R before the candidate's activation.
void gru_reset(Step& step, const States& before, const Rep& reset) {
  step.begin(before.h);
  Call& call = step.call();
  const Expr gate = step.activate(0, step.gate(1));
  call.store(call.write(reset), step.own(), gate * call.load(step.h(), step.own()));
  call.launch();
}

void lower_recurrent(Lowering& lowering) {
  const Node& node = lowering.node();
  const CellRow& cell = cell_of(node);
  const Sizes s(lowering);
  const Shape shape{s.batch, s.hidden};
  const DType dtype = lowering.dtype(kX);
  const bool has_cell = cell.op == "LSTM";
  const bool linear_first = cell.op == "GRU" && node.attr_int("linear_before_reset") != 0;
  for (std::int64_t direction = 0; direction < s.directions; ++direction) {
    const bool reverse = direction == 1 || node.attr_string("direction") == "reverse";
    States states[2];
    for (States& state : states) {
      state.h = lowering.scratch(dtype, shape);
      if (has_cell) state.c = lowering.scratch(dtype, shape);
    }
    const auto load = [&](std::size_t input, const Rep& to) {
      std::optional<Rep> initial;
      if (lowering.has_input(input)) initial = lowering.input(input);
      move_state(lowering, s, direction, initial ? &*initial : nullptr, to, true);
    };
    load(kInitialH, states[0].h);
    if (has_cell) load(kInitialC, states[0].c);
    for (std::int64_t t = 0; t < s.length; ++t) {
      const States& before = states[t % 2];
      const States& after = states[(t + 1) % 2];
      const std::string name = fmt::format("{}{}", cell.op, reverse ? "_reverse" : "");
      if (cell.op == "GRU" && !linear_first) {
        const Rep reset = lowering.scratch(dtype, shape);
        Step first(lowering, s, direction, t, reverse, name + "_reset");
        gru_reset(first, before, reset);
        Step step(lowering, s, direction, t, reverse, name);
        gru_step(lowering, step, before, after, &reset);
        continue;
      }
      Step step(lowering, s, direction, t, reverse, name);
      if (has_cell) lstm_step(lowering, step, before, after);
      else if (cell.op == "GRU") gru_step(lowering, step, before, after, nullptr);
      else rnn_step(lowering, step, before, after);
    }
    const States& last = states[s.length % 2];
    for (const auto& [output, state] : {std::pair{std::size_t{1}, &last.h}, std::pair{std::size_t{2}, &last.c}}) {
      if (!lowering.has_output(output)) continue;
      const Rep to = lowering.output(output);
      move_state(lowering, s, direction, &to, *state, false);
    }
  }
}

std::string refuses_recurrent(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  for (const std::string& name : activations_of(view.node)) {
    const ElementOp* op = find_element_op(name);
    if (op == nullptr || op->alpha != nullptr) return "activation " + name;
  }
  if (view.dtype(0) == DType::F16 || view.dtype(0) == DType::BF16) return "a 16-bit state";
  return "";
}

}  // namespace

void add_recurrent_kernels(std::vector<KernelEntry>& table) {
  for (const CellRow& cell : cells()) table.push_back({cell.op, "recurrent steps", refuses_recurrent, lower_recurrent});
}

}  // namespace naru::kernel
