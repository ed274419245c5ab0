// Optional values: made, tested and opened.
#include "graph/ops/families.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

void infer_optional(InferContext& ctx) {
  const bool has_type = ctx.node.has("type");
  ctx.require(ctx.has_input(0) || has_type, "input: got neither it nor the attribute type, expected one of them");
  const auto stated = [&] { return std::get<Type>(*ctx.node.find("type")); };
  ctx.set_output(0, Type::optional(ctx.has_input(0) ? ctx.input(0) : stated()));
}

void reference_optional(ReferenceContext& ctx) {
  std::vector<Datum> content;
  if (ctx.has_input(0)) content.push_back(ctx.input_datum(0));
  ctx.set_output(0, Datum::optional(std::move(content)));
}

void infer_optional_get_element(InferContext& ctx) {
  const Type& type = ctx.input(0);
  ctx.set_output(0, type.kind == TypeKind::Optional ? *type.element : type);
}

void reference_optional_get_element(ReferenceContext& ctx) {
  const Datum& datum = ctx.input_datum(0);
  if (datum.kind != Datum::Kind::Optional) return ctx.set_output(0, datum);
  ctx.require(!datum.elements.empty(), "input: got an empty optional, expected a value in it");
  ctx.set_output(0, datum.elements.front());
}

void infer_optional_has_element(InferContext& ctx) { ctx.set_output(0, DType::Bool, SymShape{}); }

void reference_optional_has_element(ReferenceContext& ctx) {
  bool present = ctx.has_input(0);
  if (present) {
    const Datum& datum = ctx.input_datum(0);
    present = datum.kind != Datum::Kind::Optional || !datum.elements.empty();
  }
  ctx.set_output(0, Tensor::scalar(present));
}

}  // namespace

void define_optional(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Optional",
      .domain = "",
      .since_version = 28,
      .doc = "Makes an optional of its input, or an empty one.",
      .source = "ONNX Optional-28",
      .inputs = {{"input", "any value", Arity::Optional}},
      .outputs = {{"output", "optional"}},
      .attributes = {{"type", AttrKind::Type, "element type of an empty optional"}},
      .infer = infer_optional,
      .reference = reference_optional,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "OptionalGetElement",
      .domain = "",
      .since_version = 28,
      .doc = "Gives the value in an optional; any other value passes.",
      .source = "ONNX OptionalGetElement-28; an empty optional is an error",
      .inputs = {{"input", "optional, tensor or sequence"}},
      .outputs = {{"output", "the value"}},
      .infer = infer_optional_get_element,
      .reference = reference_optional_get_element,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "OptionalHasElement",
      .domain = "",
      .since_version = 28,
      .doc = "Tells whether an optional holds a value; any other value counts as one.",
      .source = "ONNX OptionalHasElement-28",
      .inputs = {{"input", "optional, tensor or sequence", Arity::Optional}},
      .outputs = {{"output", "bool scalar"}},
      .infer = infer_optional_has_element,
      .reference = reference_optional_has_element,
      .dynamic_output = true,
  });
}

}  // namespace naru
