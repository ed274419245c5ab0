// Identity: passes any value through unchanged.
#include "graph/op_def.h"
#include "graph/ops/families.h"

namespace naru {
namespace {

void infer_identity(InferContext& ctx) {
  ctx.set_output(0, ctx.input(0));
  if (auto value = ctx.symbolic_value(0)) ctx.set_symbolic_value(0, *value);
}

void reference_identity(ReferenceContext& ctx) { ctx.set_output(0, ctx.input_datum(0)); }

}  // namespace

void define_identity(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Identity",
      .domain = "",
      .since_version = 25,
      .doc = "Passes its input through.",
      .source = "ONNX Identity-25",
      .inputs = {{"input", "any value"}},
      .outputs = {{"output", "the same value"}},
      .infer = infer_identity,
      .reference = reference_identity,
  });
}

}  // namespace naru
