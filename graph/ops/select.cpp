// Where and Clip: choosing between values.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/op_def.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/symbolic.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// Where

constexpr TypeSet kWhereTypes =
    kNumbers | kBool | TypeSet{DType::String, DType::Complex64, DType::Complex128};

void infer_where(InferContext& ctx) {
  require_type(ctx, 0, kBool);
  infer_broadcast(ctx, 0, 3, require_common_type(ctx, 1, 3, kWhereTypes));
  propagate_elements(ctx, [](std::span<const Dim> inputs) -> std::optional<Dim> {
    if (inputs[1] == inputs[2]) return inputs[1];
    if (!inputs[0].is_known()) return std::nullopt;
    return inputs[inputs[0] == Dim(0) ? 2 : 1];
  });
}

/// Calls `take(output_index, input, input_index)` for each element, input being 1 or 2.
template <typename Take>
void choose(ReferenceContext& ctx, const Shape& shape, Take&& take) {
  const auto condition = ctx.input(0).as<bool>();
  const std::array<const Shape*, 3> shapes = {&ctx.input(0).shape(), &ctx.input(1).shape(),
                                              &ctx.input(2).shape()};
  for_each_broadcast<3>(shape, shapes, [&](std::int64_t at, const auto& from) {
    const bool first = condition[static_cast<std::size_t>(from[0])];
    take(static_cast<std::size_t>(at), first ? 1 : 2, static_cast<std::size_t>(from[first ? 1 : 2]));
  });
}

void reference_where(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  if (output.dtype() == DType::String) {
    const std::span<const std::string> sources[] = {{}, ctx.input(1).strings(), ctx.input(2).strings()};
    const auto result = output.mutable_strings();
    choose(ctx, output.shape(), [&](std::size_t at, int input, std::size_t from) {
      result[at] = sources[input][from];
    });
    return;
  }
  const auto bytes = static_cast<std::size_t>(dtype_info(output.dtype()).block_bytes);
  const std::byte* sources[] = {nullptr, ctx.input(1).data(), ctx.input(2).data()};
  std::byte* result = output.mutable_data();
  choose(ctx, output.shape(), [&](std::size_t at, int input, std::size_t from) {
    std::memcpy(result + at * bytes, sources[input] + from * bytes, bytes);
  });
}

// Clip

void infer_clip(InferContext& ctx) {
  require_common_type(ctx, 0, 3, kNumbers);
  for (std::size_t i = 1; i < 3; ++i) {
    if (!ctx.has_input(i) || ctx.shape(i) == nullptr) continue;
    const auto shape = known_shape(*ctx.shape(i));
    ctx.require(!shape || shape->numel() == 1, "input {}: got shape {}, expected a scalar", i,
                to_string(*ctx.shape(i)));
  }
  ctx.set_output(0, ctx.input(0));
  const bool low = ctx.has_input(1);
  const bool high = ctx.has_input(2);
  propagate_elements(ctx, [=](std::span<const Dim> inputs) -> std::optional<Dim> {
    Dim value = inputs[0];
    if (low) value = max(value, inputs[1]);
    return high ? min(value, inputs[low ? 2 : 1]) : value;
  });
}

/// min(max(x, low), high): a high below low wins, and NaN stays.
template <typename T>
void clip(ReferenceContext& ctx) {
  std::vector<T> values = to_wide<T>(ctx.input(0));
  if (ctx.has_input(1)) {
    const T low = to_wide<T>(ctx.input(1))[0];
    for (T& value : values) value = value < low ? low : value;
  }
  if (ctx.has_input(2)) {
    const T high = to_wide<T>(ctx.input(2))[0];
    for (T& value : values) value = value > high ? high : value;
  }
  from_wide<T>(values, ctx.output(0));
}

void reference_clip(ReferenceContext& ctx) {
  with_wide(ctx.input(0).dtype(), [&](auto wide) { clip<decltype(wide)>(ctx); });
}

bool decompose_clip(DecomposeContext& ctx) {
  ValueId value = ctx.input(0);
  if (ctx.has_input(1)) value = ctx.add("Max", {value, ctx.input(1)});
  if (ctx.has_input(2)) value = ctx.add("Min", {value, ctx.input(2)});
  ctx.set_output(0, value == ctx.input(0) ? ctx.add("Identity", {value}) : value);
  return true;
}

}  // namespace

void define_select(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Where",
      .domain = "",
      .since_version = 16,
      .doc = "X where the condition holds, Y elsewhere.",
      .source = "ONNX Where-16",
      .inputs = {{"condition", "bool"}, {"X", to_string(kWhereTypes)}, {"Y", "as X"}},
      .outputs = {{"output", "as X; all three broadcast"}},
      .infer = infer_where,
      .reference = reference_where,
  });
  ops.push_back({
      .name = "Clip",
      .domain = "",
      .since_version = 13,
      .doc = "min(max(x, min), max).",
      .source = "ONNX Clip-13",
      .inputs = {{"input", to_string(kNumbers)},
                 {"min", "a scalar as the input", Arity::Optional},
                 {"max", "a scalar as the input", Arity::Optional}},
      .outputs = {{"output", "as the input"}},
      .infer = infer_clip,
      .reference = reference_clip,
      .decompose = decompose_clip,
  });
}

}  // namespace naru
