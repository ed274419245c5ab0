// Builder: literals and folding, operand types, statements.
#include "compiler/kernel/build.h"

#include <algorithm>
#include <cmath>

#include "graph/fail.h"

namespace naru::kernel {
namespace {

Expr make(ExprNode node) { return Expr(std::make_shared<const ExprNode>(std::move(node))); }

Expr retyped(const Expr& value, Element element) {
  const ExprNode& node = *value.node();
  return literal(element, is_float(node.type.element) ? node.real : static_cast<double>(node.integer));
}

/// Gives operands [first, ...) one type.
void unify(std::vector<Expr>& operands, std::size_t first) {
  const auto typed = std::find_if(operands.begin() + static_cast<std::ptrdiff_t>(first), operands.end(),
                                  [](const Expr& e) { return !e.is_literal(); });
  const Element element = typed != operands.end() ? typed->element() : operands.back().element();
  int lanes = 1;
  for (const Expr& operand : operands) lanes = std::max(lanes, operand.type().lanes);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    Expr& operand = operands[i];
    if (i >= first && operand.element() != element) {
      NARU_CHECK(operand.is_literal(), "kernel: operands of types " + to_string(operand.type()) + " and " +
                                           std::string(to_string(element)));
      operand = retyped(operand, element);
    }
    if (operand.type().lanes != lanes) operand = splat(operand, lanes);
  }
}

bool gives_bool(Op op) {
  return op == Op::Less || op == Op::LessEqual || op == Op::Equal || op == Op::NotEqual || op == Op::And ||
         op == Op::Or || op == Op::Not;
}

/// Folds index arithmetic, so that kernels read well.
std::optional<Expr> fold(Op op, const std::vector<Expr>& operands) {
  if (operands.size() != 2 || is_float(operands[0].element()) || operands[0].type().lanes != 1) return std::nullopt;
  const auto a = operands[0].known();
  const auto b = operands[1].known();
  if (a && b && operands[0].element() == Element::I32) {
    switch (op) {
      case Op::Add: return Expr(*a + *b);
      case Op::Sub: return Expr(*a - *b);
      case Op::Mul: return Expr(*a * *b);
      case Op::Min: return Expr(std::min(*a, *b));
      case Op::Max: return Expr(std::max(*a, *b));
      default: break;
    }
  }
  switch (op) {
    case Op::Add:
      if (a == 0) return operands[1];
      [[fallthrough]];
    case Op::Sub:
      if (b == 0) return operands[0];
      break;
    case Op::Mul:
      if (a == 1) return operands[1];
      if (b == 1 || a == 0) return operands[0];
      if (b == 0) return operands[1];
      break;
    case Op::Div:
      if (b == 1) return operands[0];
      break;
    default: break;
  }
  return std::nullopt;
}

}  // namespace

Expr::Expr(std::int64_t value) {
  ExprNode node;
  node.integer = value;
  node_ = std::make_shared<const ExprNode>(std::move(node));
}

std::optional<std::int64_t> Expr::known() const {
  if (!is_literal() || is_float(node_->type.element)) return std::nullopt;
  return node_->integer;
}

Expr literal(Element element, double value) {
  ExprNode node;
  node.type.element = computed(element);
  if (is_float(element)) {
    node.real = element == Element::F64 ? value : static_cast<double>(static_cast<float>(value));
  } else {
    node.integer = static_cast<std::int64_t>(value);
  }
  return make(std::move(node));
}

Expr apply(Op op, std::vector<Expr> operands) {
  NARU_CHECK(static_cast<int>(operands.size()) == info_of(op).operands, "kernel: operand count");
  unify(operands, op == Op::Select ? 1 : 0);
  if (auto folded = fold(op, operands)) return *folded;
  ExprNode node;
  node.op = op;
  node.type = operands.back().type();
  if (gives_bool(op)) node.type.element = Element::Bool;
  for (const Expr& operand : operands) node.operands.push_back(operand.node());
  return make(std::move(node));
}

Expr operator+(const Expr& a, const Expr& b) { return apply(Op::Add, {a, b}); }
Expr operator-(const Expr& a, const Expr& b) { return apply(Op::Sub, {a, b}); }
Expr operator*(const Expr& a, const Expr& b) { return apply(Op::Mul, {a, b}); }
Expr operator/(const Expr& a, const Expr& b) { return apply(Op::Div, {a, b}); }
Expr operator%(const Expr& a, const Expr& b) { return apply(Op::Rem, {a, b}); }
Expr operator-(const Expr& a) { return apply(Op::Neg, {a}); }
Expr operator<(const Expr& a, const Expr& b) { return apply(Op::Less, {a, b}); }
Expr operator<=(const Expr& a, const Expr& b) { return apply(Op::LessEqual, {a, b}); }
Expr operator>(const Expr& a, const Expr& b) { return apply(Op::Less, {b, a}); }
Expr operator>=(const Expr& a, const Expr& b) { return apply(Op::LessEqual, {b, a}); }
Expr operator==(const Expr& a, const Expr& b) { return apply(Op::Equal, {a, b}); }
Expr operator!=(const Expr& a, const Expr& b) { return apply(Op::NotEqual, {a, b}); }
Expr operator&&(const Expr& a, const Expr& b) { return apply(Op::And, {a, b}); }
Expr operator||(const Expr& a, const Expr& b) { return apply(Op::Or, {a, b}); }
Expr operator!(const Expr& a) { return apply(Op::Not, {a}); }

Expr select(const Expr& condition, const Expr& yes, const Expr& no) {
  return apply(Op::Select, {condition, yes, no});
}

Expr cast(const Expr& value, Element element) {
  const Element to = computed(element);
  if (value.element() == to) return value;
  if (value.is_literal()) return retyped(value, to);
  if (to == Element::Bool) return value != number(value, 0);
  ExprNode node;
  node.op = Op::Cast;
  node.type = {to, value.type().lanes};
  node.operands = {value.node()};
  return make(std::move(node));
}

Expr bit_cast(const Expr& value, Element element) {
  if (value.element() == element) return value;
  NARU_CHECK(size_of(value.element()) == size_of(element), "kernel: bit cast between sizes");
  ExprNode node;
  node.op = Op::BitCast;
  node.type = {element, value.type().lanes};
  node.operands = {value.node()};
  return make(std::move(node));
}

Expr splat(const Expr& value, int lanes) {
  if (value.type().lanes == lanes) return value;
  ExprNode node;
  node.op = Op::Splat;
  node.type = {value.element(), lanes};
  node.operands = {value.node()};
  return make(std::move(node));
}

Expr min(const Expr& a, const Expr& b) { return apply(Op::Min, {a, b}); }
Expr max(const Expr& a, const Expr& b) { return apply(Op::Max, {a, b}); }

Expr wrapping(Op op, const Expr& a, const Expr& b) {
  const Expr& typed = a.is_literal() ? b : a;
  if (!is_signed(typed.element())) return apply(op, {a, b});
  // Signed overflow has no meaning in C; the bits are those of the unsigned operation.
  const Element element = typed.element();
  const Element bits = static_cast<Element>(static_cast<int>(element) + 4);
  return bit_cast(apply(op, {bit_cast(cast(a, element), bits), bit_cast(cast(b, element), bits)}), element);
}

Expr multiply_add(const Expr& a, const Expr& b, const Expr& c) {
  if (is_float(c.element())) return apply(Op::Fma, {a, b, c});
  return wrapping(Op::Add, wrapping(Op::Mul, a, b), c);
}

Variable::operator Expr() const {
  ExprNode node;
  node.op = Op::Variable;
  node.type = type;
  node.index = index;
  return make(std::move(node));
}

Builder::Builder(std::string name) {
  kernel_.name = std::move(name);
  blocks_.push_back(&kernel_.body);
}

Buffer Builder::buffer(std::string name, Element element, bool written) {
  kernel_.buffers.push_back({std::move(name), element, written});
  return {static_cast<std::int32_t>(kernel_.buffers.size() - 1), element};
}

Expr Builder::size(std::int64_t value) {
  ExprNode node;
  node.op = Op::Argument;
  node.index = static_cast<std::int32_t>(arguments_.size());
  kernel_.scalars.push_back({"s" + std::to_string(node.index), Element::I32});
  arguments_.push_back({.integer = value});
  return make(std::move(node));
}

Expr Builder::real(Element element, double value) {
  ExprNode node;
  node.op = Op::Argument;
  node.type.element = computed(element);
  node.index = static_cast<std::int32_t>(arguments_.size());
  kernel_.scalars.push_back({"s" + std::to_string(node.index), node.type.element});
  arguments_.push_back({.real = value});
  return make(std::move(node));
}

Array Builder::array(Element element, std::int32_t size, bool shared) {
  kernel_.arrays.push_back({element, size, shared});
  return {static_cast<std::int32_t>(kernel_.arrays.size() - 1), element};
}

Expr Builder::grid_index(Op op, std::int32_t dimension) {
  ExprNode node;
  node.op = op;
  node.index = dimension;
  return make(std::move(node));
}

void Builder::guard(const Expr& condition) {
  guards_.push_back(condition);
  guarded_.push_back(std::make_unique<Block>());
  blocks_.push_back(guarded_.back().get());
}

std::vector<Expr> Builder::points(const std::vector<std::int64_t>& extents) {
  std::vector<Expr> sizes;
  for (const std::int64_t extent : extents) sizes.push_back(size(extent));
  return points(sizes, extents);
}

std::vector<Expr> Builder::points(std::span<const Expr> extents, std::span<const std::int64_t> sizes) {
  const std::size_t rank = extents.size();
  std::vector<Expr> at(rank);
  // The last two dimensions are the grid's first two; all before them share the third.
  std::int32_t left = group_limit_;
  for (std::size_t d = 0; d < std::min<std::size_t>(rank, 3); ++d) {
    std::int64_t items = 1;
    for (std::size_t i = d < 2 ? rank - 1 - d : 0; i < rank - d; ++i) items *= sizes[i];
    std::int32_t group = 1;
    while (d < 2 && group < left && group < items) group *= 2;
    left /= group;
    grid_.items[d] = (items + group - 1) / group * group;
    grid_.group[d] = group;
  }
  std::vector<Expr> indices;
  Expr inside;
  for (std::size_t d = 0; d < std::min<std::size_t>(rank, 2); ++d) {
    const Expr index = let(grid_index(Op::GlobalId, static_cast<std::int32_t>(d)));
    at[rank - 1 - d] = index;
    const Expr bounded = index < extents[rank - 1 - d];
    inside = d == 0 ? bounded : inside && bounded;
  }
  if (rank > 0) guard(inside);
  if (rank > 2) {
    Expr rest = let(grid_index(Op::GlobalId, 2));
    for (std::size_t d = rank - 2; d-- > 0;) {
      at[d] = d == 0 ? rest : let(rest % extents[d]);
      if (d > 0) rest = let(rest / extents[d]);
    }
  }
  return at;
}

std::array<Expr, 2> Builder::groups(std::int64_t groups, std::int32_t group) {
  kernel_.group[0] = group;
  grid_.items[0] = groups * group;
  grid_.group[0] = group;
  return {let(grid_index(Op::GroupId, 0)), let(grid_index(Op::LocalId, 0))};
}

std::int32_t Builder::add_variable(ValueType type) {
  kernel_.variables.push_back(type);
  return static_cast<std::int32_t>(kernel_.variables.size() - 1);
}

Expr Builder::let(const Expr& value) {
  const Op op = value.node()->op;
  if (op == Op::Literal || op == Op::Argument || op == Op::Variable) return value;
  Stmt statement{Stmt::Kind::Let};
  statement.index = add_variable(value.type());
  statement.value = value.node();
  const Variable variable{statement.index, value.type()};
  add(std::move(statement));
  return variable;
}

Expr Builder::lane_sum(Expr value) {
  while (value.type().lanes > 1) {
    value = let(value);
    std::vector<Expr> halves;
    for (const Op op : {Op::LowHalf, Op::HighHalf}) {
      ExprNode node;
      node.op = op;
      node.type = {value.element(), value.type().lanes / 2};
      node.operands = {value.node()};
      halves.push_back(make(std::move(node)));
    }
    value = halves[0] + halves[1];
  }
  return let(value);
}

Variable Builder::var(const Expr& value) {
  Stmt statement{Stmt::Kind::Var};
  statement.index = add_variable(value.type());
  statement.value = value.node();
  const Variable variable{statement.index, value.type()};
  add(std::move(statement));
  return variable;
}

void Builder::set(const Variable& variable, const Expr& value) {
  Expr typed = value.is_literal() ? cast(value, variable.type.element) : value;
  typed = splat(typed, variable.type.lanes);
  NARU_CHECK(typed.type() == variable.type, "kernel: assignment of " + to_string(typed.type()) + " to " +
                                                to_string(variable.type));
  Stmt statement{Stmt::Kind::Assign};
  statement.index = variable.index;
  statement.value = typed.node();
  add(std::move(statement));
}

Expr Builder::load(Buffer from, const Expr& at, int lanes) {
  ExprNode node;
  node.op = Op::Load;
  node.type = {computed(from.element), lanes};
  node.index = from.index;
  node.operands = {at.node()};
  // Loads are statements: what is stored later must not be read in their place.
  return let(make(std::move(node)));
}

void Builder::store(Buffer to, const Expr& at, const Expr& value) {
  Stmt statement{Stmt::Kind::Store};
  statement.index = to.index;
  statement.at = at.node();
  statement.value = (value.is_literal() ? cast(value, to.element) : value).node();
  NARU_CHECK(statement.value->type.element == computed(to.element),
             "kernel " + kernel_.name + ": store of " + to_string(statement.value->type) + " into " +
                 std::string(to_string(to.element)));
  add(std::move(statement));
}

Expr Builder::load(Array from, const Expr& at, int lanes) {
  ExprNode node;
  node.op = Op::ArrayLoad;
  node.type = {from.element, lanes};
  node.index = from.index;
  node.operands = {at.node()};
  return let(make(std::move(node)));
}

void Builder::store(Array to, const Expr& at, const Expr& value) {
  Stmt statement{Stmt::Kind::ArrayStore};
  statement.index = to.index;
  statement.at = at.node();
  statement.value = cast(value, to.element).node();
  add(std::move(statement));
}

void Builder::nested(Block& into, const std::function<void()>& body) {
  blocks_.push_back(&into);
  body();
  blocks_.pop_back();
}

void Builder::loop(const Expr& begin, const Expr& end, std::int32_t step, const std::function<void(Expr)>& body) {
  Stmt statement{Stmt::Kind::For};
  statement.index = add_variable({Element::I32, 1});
  statement.value = begin.node();
  statement.end = end.node();
  statement.step = step;
  nested(statement.body, [&] { body(Variable{statement.index, {Element::I32, 1}}); });
  add(std::move(statement));
}

void Builder::when(const Expr& condition, const std::function<void()>& body, const std::function<void()>& other) {
  Stmt statement{Stmt::Kind::If};
  statement.value = condition.node();
  nested(statement.body, body);
  if (other) nested(statement.other, other);
  add(std::move(statement));
}

void Builder::barrier() { add(Stmt{Stmt::Kind::Barrier}); }

Kernel Builder::take() {
  while (!guarded_.empty()) {
    blocks_.pop_back();
    Stmt statement{Stmt::Kind::If};
    statement.value = guards_.back().node();
    statement.body = std::move(*guarded_.back());
    guarded_.pop_back();
    guards_.pop_back();
    add(std::move(statement));
  }
  return std::move(kernel_);
}

}  // namespace naru::kernel
