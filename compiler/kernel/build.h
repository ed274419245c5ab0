// Builder: how kernels are written in C++; expressions by operators, statements by methods.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compiler/kernel/ir.h"

namespace naru::kernel {

/// A handle of an expression. C++ numbers become literals of the other operand's type.
class Expr {
 public:
  Expr() = default;
  Expr(int value) : Expr(static_cast<std::int64_t>(value)) {}  // NOLINT: implicit by intent
  Expr(std::int64_t value);                                    // NOLINT: implicit by intent
  explicit Expr(ExprPtr node) : node_(std::move(node)) {}

  const ExprPtr& node() const { return node_; }
  ValueType type() const { return node_->type; }
  Element element() const { return node_->type.element; }
  bool is_literal() const { return node_->op == Op::Literal; }
  /// The value of an integer literal.
  std::optional<std::int64_t> known() const;

 private:
  ExprPtr node_;
};

/// A number of this element.
Expr literal(Element element, double value);
/// A number of the type of `like`.
inline Expr number(const Expr& like, double value) { return literal(like.element(), value); }

/// Applies an operation; operands get one type: literals that of the others, scalars their lanes.
Expr apply(Op op, std::vector<Expr> operands);

Expr operator+(const Expr& a, const Expr& b);
Expr operator-(const Expr& a, const Expr& b);
Expr operator*(const Expr& a, const Expr& b);
Expr operator/(const Expr& a, const Expr& b);
Expr operator%(const Expr& a, const Expr& b);
Expr operator-(const Expr& a);
Expr operator<(const Expr& a, const Expr& b);
Expr operator<=(const Expr& a, const Expr& b);
Expr operator>(const Expr& a, const Expr& b);
Expr operator>=(const Expr& a, const Expr& b);
Expr operator==(const Expr& a, const Expr& b);
Expr operator!=(const Expr& a, const Expr& b);
Expr operator&&(const Expr& a, const Expr& b);
Expr operator||(const Expr& a, const Expr& b);
Expr operator!(const Expr& a);

Expr select(const Expr& condition, const Expr& yes, const Expr& no);
/// Integers keep their low bits, floats truncate toward zero, bool is value != 0.
Expr cast(const Expr& value, Element element);
/// The same bits seen as another element of equal size.
Expr bit_cast(const Expr& value, Element element);
Expr splat(const Expr& value, int lanes);
/// The smaller and larger of numbers; of floats, with a NaN undefined.
Expr min(const Expr& a, const Expr& b);
Expr max(const Expr& a, const Expr& b);
/// A sum, difference or product that wraps around for integers.
Expr wrapping(Op op, const Expr& a, const Expr& b);
/// a * b + c: of floats rounded once.
Expr multiply_add(const Expr& a, const Expr& b, const Expr& c);

struct Buffer {
  std::int32_t index = -1;
  Element element = Element::F32;
};
struct Array {
  std::int32_t index = -1;
  Element element = Element::F32;
};
struct Variable {
  std::int32_t index = -1;
  ValueType type;
  operator Expr() const;  // NOLINT: a variable is read by naming it
};

/// The value of a scalar argument at one launch.
union ScalarValue {
  std::int64_t integer = 0;
  double real;
};

/// A grid of work items and what belongs to one launch.
struct Grid {
  std::int64_t items[3] = {1, 1, 1};
  std::int32_t group[3] = {1, 1, 1};
};

class Builder {
 public:
  explicit Builder(std::string name);

  // Parameters.
  Buffer buffer(std::string name, Element element, bool written);
  /// A size or stride: an argument, so that one kernel serves every shape.
  Expr size(std::int64_t value);
  /// A float that differs between launches.
  Expr real(Element element, double value);
  Array array(Element element, std::int32_t size, bool shared);

  // The grid.
  /// One item per point of a box of `extents`, outermost first; returns the coordinates. The statements
  /// that follow run only for points inside. Called at most once.
  std::vector<Expr> points(std::span<const Expr> extents, std::span<const std::int64_t> sizes);
  std::vector<Expr> points(const std::vector<std::int64_t>& extents);
  /// The most items of a group that points() makes.
  void limit_group(std::int32_t items) { group_limit_ = items; }
  /// Groups of `group` items in a row: `groups` of them. Returns {group, item of it}.
  std::array<Expr, 2> groups(std::int64_t groups, std::int32_t group);

  // Statements.
  Expr let(const Expr& value);
  /// The sum of the lanes of a vector, by halves.
  Expr lane_sum(Expr value);
  Variable var(const Expr& value);
  void set(const Variable& variable, const Expr& value);
  Expr load(Buffer from, const Expr& at, int lanes = 1);
  void store(Buffer to, const Expr& at, const Expr& value);
  Expr load(Array from, const Expr& at, int lanes = 1);
  void store(Array to, const Expr& at, const Expr& value);
  void loop(const Expr& begin, const Expr& end, std::int32_t step, const std::function<void(Expr)>& body);
  void loop(const Expr& end, const std::function<void(Expr)>& body) { loop(0, end, 1, body); }
  void when(const Expr& condition, const std::function<void()>& body, const std::function<void()>& other = {});
  void barrier();

  // Results.
  Kernel take();
  const std::vector<ScalarValue>& arguments() const { return arguments_; }
  const Grid& grid() const { return grid_; }

 private:
  Block& block() { return *blocks_.back(); }
  std::int32_t add_variable(ValueType type);
  void add(Stmt statement) { block().push_back(std::move(statement)); }
  void nested(Block& into, const std::function<void()>& body);
  void guard(const Expr& condition);
  Expr grid_index(Op op, std::int32_t dimension);

  Kernel kernel_;
  std::vector<Block*> blocks_;
  std::vector<std::unique_ptr<Block>> guarded_;  // blocks of guards, closed by take()
  std::vector<Expr> guards_;
  std::vector<ScalarValue> arguments_;
  Grid grid_;
  std::int32_t group_limit_ = 256;
};

}  // namespace naru::kernel
