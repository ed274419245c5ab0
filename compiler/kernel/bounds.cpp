// The bounds analysis: intervals of i32 expressions, narrowed by guards.
#include "compiler/kernel/bounds.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "graph/fail.h"

namespace naru::kernel {
namespace {

struct Interval {
  std::int64_t low = 0;
  std::int64_t high = 0;
};

/// Any i32. Intermediate sums of such values are held in i64 and cut back.
constexpr Interval kAny{std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};

Interval cut(Interval value) {
  if (value.low < kAny.low || value.high > kAny.high) return kAny;
  return value;
}

Interval hull(std::initializer_list<std::int64_t> values) { return {std::min(values), std::max(values)}; }

class Analysis {
 public:
  explicit Analysis(const Launch& launch)
      : launch_(launch), kernel_(*launch.kernel), variables_(kernel_.variables.size(), kAny) {}

  void run() { block(kernel_.body); }

 private:
  /// The interval of an i32 expression.
  Interval of(const ExprPtr& e) const {
    if (e->type.element == Element::Bool) return {0, 1};
    if (e->type.element != Element::I32) return kAny;
    switch (e->op) {
      case Op::Literal: return {e->integer, e->integer};
      case Op::Argument: {
        const std::int64_t value = launch_.arguments[static_cast<std::size_t>(e->index)].integer;
        return {value, value};
      }
      case Op::Variable: return variables_[static_cast<std::size_t>(e->index)];
      case Op::GlobalId: return {0, launch_.grid.items[e->index] - 1};
      case Op::LocalId: return {0, launch_.grid.group[e->index] - 1};
      case Op::GroupId: return {0, launch_.grid.items[e->index] / launch_.grid.group[e->index] - 1};
      case Op::Select: {
        const Interval a = of(e->operands[1]);
        const Interval b = of(e->operands[2]);
        return {std::min(a.low, b.low), std::max(a.high, b.high)};
      }
      case Op::Cast: return e->operands[0]->type.element == Element::I64 ? wide(e->operands[0]) : narrow(e->operands[0]);
      default: break;
    }
    if (e->operands.size() == 2) return binary(e->op, of(e->operands[0]), of(e->operands[1]));
    if (e->op == Op::Neg) {
      const Interval a = of(e->operands[0]);
      return cut({-a.high, -a.low});
    }
    return kAny;
  }

  /// What an i64 that was clamped into [0, limit) is after its cast.
  Interval wide(const ExprPtr& e) const {
    switch (e->op) {
      case Op::Literal: return cut({e->integer, e->integer});
      case Op::Cast: return of(e->operands[0]);
      case Op::Variable: return variables_[static_cast<std::size_t>(e->index)];
      case Op::Max: case Op::Min: case Op::Sub: case Op::Add:
        return binary(e->op, wide(e->operands[0]), wide(e->operands[1]));
      default: return kAny;
    }
  }

  static Interval narrow(const ExprPtr& e) {
    switch (e->type.element) {
      case Element::U8: return {0, 255};
      case Element::I8: return {-128, 127};
      case Element::Bool: return {0, 1};
      default: return kAny;
    }
  }

  static Interval binary(Op op, Interval a, Interval b) {
    switch (op) {
      case Op::Add: return cut({a.low + b.low, a.high + b.high});
      case Op::Sub: return cut({a.low - b.high, a.high - b.low});
      case Op::Mul: return cut(hull({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high}));
      case Op::Div:
        if (b.low <= 0) return kAny;
        return hull({a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high});
      case Op::Rem:
        if (b.low <= 0) return kAny;
        return {a.low < 0 ? -(b.high - 1) : 0, a.high < 0 ? 0 : std::min(a.high, b.high - 1)};
      case Op::Min: return {std::min(a.low, b.low), std::min(a.high, b.high)};
      case Op::Max: return {std::max(a.low, b.low), std::max(a.high, b.high)};
      case Op::BitAnd:
        if (a.low >= 0 && b.low >= 0) return {0, std::min(a.high, b.high)};
        return kAny;
      default: return kAny;
    }
  }

  /// Narrows variables by a condition that holds.
  void assume(const ExprPtr& condition) {
    if (condition->op == Op::And) {
      assume(condition->operands[0]);
      assume(condition->operands[1]);
      return;
    }
    if (condition->op != Op::Less && condition->op != Op::LessEqual) return;
    const std::int64_t gap = condition->op == Op::Less ? 1 : 0;
    const ExprPtr& a = condition->operands[0];
    const ExprPtr& b = condition->operands[1];
    const Interval left = of(a);
    const Interval right = of(b);
    if (a->op == Op::Variable) {
      Interval& v = variables_[static_cast<std::size_t>(a->index)];
      v.high = std::min(v.high, right.high - gap);
    }
    if (b->op == Op::Variable) {
      Interval& v = variables_[static_cast<std::size_t>(b->index)];
      v.low = std::max(v.low, left.low + gap);
    }
  }

  /// True when the condition can never hold: its body is dead.
  bool impossible(const ExprPtr& condition) const {
    if (condition->op == Op::And) return impossible(condition->operands[0]) || impossible(condition->operands[1]);
    if (condition->op == Op::Less) return of(condition->operands[0]).low >= of(condition->operands[1]).high;
    if (condition->op == Op::LessEqual) return of(condition->operands[0]).low > of(condition->operands[1]).high;
    return false;
  }

  void block(const Block& statements) {
    for (const Stmt& statement : statements) visit(statement);
  }

  void check_access(std::int32_t index, std::int64_t elements, const ExprPtr& at, int lanes, const char* what) const {
    const Interval range = of(at);
    if (range.low >= 0 && range.high + lanes <= elements) return;
    NARU_CHECK(false, fmt::format("kernel {}: {} {} of {} elements is touched at [{}, {}]", kernel_.name, what, index,
                                  elements, range.low, range.high + lanes - 1));
  }

  void check_loads(const ExprPtr& e) const {
    if (e->op == Op::Load) {
      check_access(e->index, launch_.operands[static_cast<std::size_t>(e->index)].elements, e->operands[0],
                   e->type.lanes, "buffer");
    } else if (e->op == Op::ArrayLoad) {
      check_access(e->index, kernel_.arrays[static_cast<std::size_t>(e->index)].size, e->operands[0], e->type.lanes,
                   "array");
    }
    for (const ExprPtr& operand : e->operands) check_loads(operand);
  }

  void visit(const Stmt& s) {
    if (s.value != nullptr) check_loads(s.value);
    switch (s.kind) {
      case Stmt::Kind::Let:
        variables_[static_cast<std::size_t>(s.index)] = s.value->type.element == Element::I64 ? wide(s.value) : of(s.value);
        return;
      case Stmt::Kind::Var: return;  // changes in ways not followed: any value
      case Stmt::Kind::Assign: return;
      case Stmt::Kind::Store:
        return check_access(s.index, launch_.operands[static_cast<std::size_t>(s.index)].elements, s.at,
                            s.value->type.lanes, "buffer");
      case Stmt::Kind::ArrayStore:
        return check_access(s.index, kernel_.arrays[static_cast<std::size_t>(s.index)].size, s.at, s.value->type.lanes,
                            "array");
      case Stmt::Kind::For: {
        const Interval begin = of(s.value);
        const Interval end = of(s.end);
        if (end.high <= begin.low) return;
        const std::int64_t last = end.high - 1;
        const std::int64_t over = begin.low == begin.high ? (last - begin.low) % s.step : 0;
        variables_[static_cast<std::size_t>(s.index)] = {begin.low, last - over};
        return block(s.body);
      }
      case Stmt::Kind::If: {
        const std::vector<Interval> before = variables_;
        if (!impossible(s.value)) {
          assume(s.value);
          block(s.body);
        }
        variables_ = before;
        block(s.other);
        variables_ = before;
        return;
      }
      case Stmt::Kind::Barrier: return;
    }
  }

  const Launch& launch_;
  const Kernel& kernel_;
  std::vector<Interval> variables_;
};

}  // namespace

void check_bounds(const Launch& launch) { Analysis(launch).run(); }

}  // namespace naru::kernel
