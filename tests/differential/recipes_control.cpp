// Recipes of control flow: bodies are small graphs, one of whose inputs may be captured.
#include <memory>

#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

constexpr TypeSet kFloat32{DType::F32};

/// A float computation that keeps the shape and does not grow numbers.
ValueId small_step(GraphBuilder& b, Graph& body, ValueId x, ValueId y) {
  const char* const op = b.choose.of({"Add", "Mul", "Sub", "Max", "Min"});
  const ValueId mixed = body.add_node(op, {x, y}).outputs[0];
  return body.add_node(b.choose.of({"Tanh", "Sigmoid", "Relu", "Neg"}), {mixed}).outputs[0];
}

/// A body of no formal inputs over two captures.
GraphPtr branch(GraphBuilder& b, const Type& type) {
  Graph body;
  const ValueId x = body.add_input("x", type), y = body.add_input("y", type);
  body.outputs = {b.choose.one_in(3) ? body.add_node("Identity", {y}).outputs[0] : small_step(b, body, x, y)};
  return std::make_shared<const Graph>(std::move(body));
}

Type type_of(const GraphBuilder& b, ValueId id) { return Type::tensor(b.dtype(id), b.shape(id)); }

bool if_branches(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kFloat32);
  const ValueId y = b.operand(DType::F32, b.shape(x));
  return b.add(op, {b.operand(DType::Bool, {})}, {{"then_branch", branch(b, type_of(b, x))}, {"else_branch", branch(b, type_of(b, x))}}, 1, {x, y});
}

bool loop(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kFloat32, 0, 3);
  const Type type = type_of(b, x);
  Graph body;
  body.add_input("i", Type::tensor(DType::I64, Shape{}));
  const ValueId condition = body.add_input("condition", Type::tensor(DType::Bool, Shape{}));
  const ValueId state = body.add_input("state", type), captured = body.add_input("captured", type);
  const ValueId next = small_step(b, body, state, captured);
  body.outputs = {body.add_node("Identity", {condition}).outputs[0], next, body.add_node("Abs", {next}).outputs[0]};
  const ValueId count = b.constant(Tensor::scalar<std::int64_t>(b.choose.between(0, 4)));
  return b.add(op, {count, b.constant(Tensor::scalar<bool>(true)), x}, {{"body", std::make_shared<const Graph>(std::move(body))}}, 2, {b.operand(DType::F32, b.shape(x))});
}

bool scan(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kFloat32, 1, 3);
  Shape slice(std::vector<std::int64_t>(b.shape(x).begin() + 1, b.shape(x).end()));
  if (b.shape(x)[0] == 0) return false;
  Graph body;
  const ValueId state = body.add_input("state", Type::tensor(DType::F32, slice)), element = body.add_input("element", Type::tensor(DType::F32, slice));
  const ValueId next = small_step(b, body, state, element);
  body.outputs = {next, body.add_node("Neg", {next}).outputs[0]};
  return b.add(op, {b.operand(DType::F32, slice), x},
               {{"body", std::make_shared<const Graph>(std::move(body))}, {"num_scan_inputs", std::int64_t{1}},
                {"scan_input_directions", std::vector<std::int64_t>{b.choose.between(0, 1)}}, {"scan_output_directions", std::vector<std::int64_t>{b.choose.between(0, 1)}}}, 2);
}

}  // namespace

void add_control_recipes(std::vector<RecipeEntry>& table) {
  table.insert(table.end(), {{"If", if_branches}, {"Loop", loop}, {"Scan", scan}});
}

}  // namespace naru::fuzz
