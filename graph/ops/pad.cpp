// Pad and CenterCropPad: elements added or removed at both ends of axes.
#include <algorithm>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

enum class PadMode { Constant, Reflect, Edge, Wrap };

PadMode pad_mode(const Node& node) {
  const std::string& mode = node.attr_string("mode");
  if (mode == "constant") return PadMode::Constant;
  if (mode == "reflect") return PadMode::Reflect;
  if (mode == "edge") return PadMode::Edge;
  if (mode == "wrap") return PadMode::Wrap;
  fail(ErrorCode::InvalidModel, "{}: mode: got '{}', expected constant, reflect, edge or wrap",
       node.label(), mode);
}

std::optional<std::vector<std::int64_t>> pad_axes(const InferContext& ctx, std::int64_t rank) {
  if (ctx.has_input(3)) return axes_value(ctx, 3, rank);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < rank; ++i) all.push_back(i);
  return all;
}

Dim padded(const InferContext& ctx, const Dim& size, const Dim& before, const Dim& after) {
  const Dim result = size + before + after;
  ctx.require(!result.is_known() || result.value() >= 0,
              "pads: got {} and {} for a dimension of {}, expected to remove at most all of it",
              before.to_string(), after.to_string(), size.to_string());
  const auto adds = [](const Dim& pad) { return pad.is_known() && pad.value() > 0; };
  ctx.require(pad_mode(ctx.node) == PadMode::Constant || !(size == Dim(0)) ||
                  (!adds(before) && !adds(after)),
              "pads: got more than 0 for an empty dimension, expected mode constant there");
  return result;
}

void infer_pad(InferContext& ctx) {
  pad_mode(ctx.node);
  require_rank(ctx, 1, 1, 1);
  if (ctx.has_input(2)) {
    ctx.require(ctx.dtype(2) == ctx.dtype(0) || ctx.dtype(2) == DType::Undefined ||
                    ctx.dtype(0) == DType::Undefined,
                "constant_value: got element type {}, expected {}", to_string(ctx.dtype(2)),
                to_string(ctx.dtype(0)));
  }
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const auto rank = static_cast<std::int64_t>(shape->size());
  const auto pads = dims_value(ctx, 1);
  const auto axes = pad_axes(ctx, rank);
  if (!pads || !axes) return ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, rank));
  ctx.require(pads->size() == 2 * axes->size(), "pads: got {} values, expected {}", pads->size(),
              2 * axes->size());
  SymShape result = *shape;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    Dim& dim = result[static_cast<std::size_t>((*axes)[i])];
    dim = padded(ctx, dim, (*pads)[i], (*pads)[i + axes->size()]);
  }
  ctx.set_output(0, ctx.dtype(0), std::move(result));
}

/// One axis: what is kept of the input, and how many elements come before and after it.
struct AxisPad {
  std::int64_t first = 0;   ///< of the input
  std::int64_t kept = 0;
  std::int64_t before = 0;  ///< added, >= 0
  std::int64_t total = 0;   ///< of the output
};

/// Negative pads remove first; what is added then sees the rest only.
AxisPad axis_pad(std::int64_t size, std::int64_t before, std::int64_t after) {
  AxisPad pad;
  const auto removed = [&](std::int64_t count) { return count >= 0 ? 0 : count < -size ? size : -count; };
  pad.first = removed(before);
  const std::int64_t end = size - removed(after);
  pad.kept = std::max<std::int64_t>(0, end - pad.first);
  pad.before = std::max<std::int64_t>(0, before);
  pad.total = size + before + after;
  return pad;
}

std::vector<AxisPad> axis_pads(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  const std::vector<std::int64_t> pads = to_i64_vector(ctx.input(1));
  std::vector<AxisPad> result;
  for (std::int64_t size : shape) result.push_back(axis_pad(size, 0, 0));
  const auto axes = ctx.has_input(3) ? to_i64_vector(ctx.input(3)) : std::vector<std::int64_t>{};
  const std::size_t count = pads.size() / 2;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t axis = ctx.has_input(3) ? ctx.normalize_axis(axes[i], shape.rank())
                                               : static_cast<std::int64_t>(i);
    result[static_cast<std::size_t>(axis)] = axis_pad(shape[axis], pads[i], pads[count + i]);
  }
  return result;
}

/// Copies what is kept into its place.
void copy_kept(Tensor& out, const Tensor& data, const std::vector<AxisPad>& pads) {
  StridedView to = dense_view(out), from = dense_view(data);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < pads.size(); ++i) {
    // A pad can be negative at one end and larger than the rest at the other.
    const std::int64_t at = std::min(pads[i].before, pads[i].total);
    const std::int64_t count = std::min(pads[i].kept, pads[i].total - at);
    to.offset += at * to.strides[i];
    from.offset += pads[i].first * from.strides[i];
    kept.push_back(count);
  }
  copy_strided(out, to, data, from, kept);
}

/// Where the element at `at` of the padded axis comes from, counted from the first kept one.
std::int64_t source_index(PadMode mode, std::int64_t at, std::int64_t kept) {
  if (mode == PadMode::Edge) return std::clamp<std::int64_t>(at, 0, kept - 1);
  if (mode == PadMode::Wrap) return (at % kept + kept) % kept;
  if (kept == 1) return 0;
  const std::int64_t period = 2 * (kept - 1);
  const std::int64_t phase = (at % period + period) % period;
  return phase < kept ? phase : period - phase;
}

/// Fills the padding axis by axis, from the innermost: each copies slabs already complete within.
void fill_axis(Tensor& out, const std::vector<AxisPad>& pads, std::size_t axis, PadMode mode) {
  const AxisPad& pad = pads[axis];
  StridedView view = dense_view(out);
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < pads.size(); ++i) {
    const bool complete = i > axis;
    shape.push_back(i == axis ? 1 : complete ? pads[i].total : pads[i].kept);
    offset += complete || i == axis ? 0 : pads[i].before * view.strides[i];
  }
  for (std::int64_t at = 0; at < pad.total; ++at) {
    if (at >= pad.before && at < pad.before + pad.kept) continue;
    const std::int64_t source = pad.before + source_index(mode, at - pad.before, pad.kept);
    const StridedView to{offset + at * view.strides[axis], view.strides};
    const StridedView from{offset + source * view.strides[axis], view.strides};
    copy_strided(out, to, out, from, shape);
  }
}

void reference_pad(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  const PadMode mode = pad_mode(ctx.node);
  const std::vector<AxisPad> pads = axis_pads(ctx);
  if (mode == PadMode::Constant) {
    if (ctx.has_input(2)) {
      ctx.require(ctx.input(2).numel() == 1, "constant_value: got {} elements, expected one",
                  ctx.input(2).numel());
      fill(out, ctx.input(2));
    } else {
      fill_zero(out);
    }
  }
  if (out.numel() == 0) return;
  copy_kept(out, data, pads);
  if (mode == PadMode::Constant) return;
  for (std::size_t axis = pads.size(); axis-- > 0;) {
    if (pads[axis].total == pads[axis].kept) continue;
    ctx.require(pads[axis].kept > 0, "pads: got an axis with nothing left of {}, expected mode constant",
                to_string(data.shape()));
    fill_axis(out, pads, axis, mode);
  }
}

// CenterCropPad

std::vector<std::int64_t> crop_axes(const Node& node, std::int64_t rank) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < rank; ++i) all.push_back(i);
  return node.attr_ints_or("axes", std::move(all));
}

void infer_center_crop_pad(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  require_rank(ctx, 1, 1, 1);
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const auto rank = static_cast<std::int64_t>(shape->size());
  const auto axes = normalize_axes(ctx, crop_axes(ctx.node, rank), rank);
  const auto target = dims_value(ctx, 1);
  ctx.require(!target || target->size() == axes.size(), "shape: got {} values, expected {}",
              target ? target->size() : 0, axes.size());
  SymShape result = *shape;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Dim dim = target ? (*target)[i] : ctx.fresh_dim();
    ctx.require(!dim.is_known() || dim.value() >= 0, "shape: got {}, expected >= 0", dim.to_string());
    result[static_cast<std::size_t>(axes[i])] = dim;
  }
  ctx.set_output(0, ctx.dtype(0), std::move(result));
}

/// Pads before the input (negative: crops); odd differences put the extra element behind.
std::int64_t shift_before(std::int64_t from, std::int64_t to) {
  return to >= from ? (to - from) / 2 : -((from - to) / 2);
}

void reference_center_crop_pad(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  fill_zero(out);
  StridedView to = dense_view(out), from = dense_view(data);
  std::vector<std::int64_t> shape;
  for (std::int64_t i = 0; i < data.rank(); ++i) {
    const std::int64_t before = shift_before(data.shape()[i], out.shape()[i]);
    const auto axis = static_cast<std::size_t>(i);
    if (before >= 0) to.offset += before * to.strides[axis];
    else from.offset += -before * from.strides[axis];
    shape.push_back(std::min(data.shape()[i], out.shape()[i]));
  }
  copy_strided(out, to, data, from, shape);
}

/// With static shapes a crop is a Pad with negative pads.
bool decompose_center_crop_pad(DecomposeContext& ctx) {
  const Type& in = ctx.type(ctx.input(0));
  const Type& out = ctx.output_type(0);
  if (!in.is_static() || !out.is_static()) return false;
  const std::size_t rank = in.shape->size();
  std::vector<std::int64_t> pads(2 * rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t from = (*in.shape)[i].value(), to = (*out.shape)[i].value();
    pads[i] = shift_before(from, to);
    pads[i + rank] = checked_sub(to - from, pads[i]);
  }
  ctx.set_output(0, ctx.add("Pad", {ctx.input(0), ctx.ints(pads)}));
  return true;
}

}  // namespace

void define_pad(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Pad",
      .domain = "",
      .since_version = 25,
      .doc = "Adds elements at the ends of axes, or removes them where a pad is negative.",
      .source = "ONNX Pad-25; a negative pad removes before the others are added",
      .inputs = {{"data", "any tensor"},
                 {"pads", "i64[2 * axes]: all begins, then all ends", Arity::Required, true},
                 {"constant_value", "scalar; absent: 0, false or \"\"", Arity::Optional},
                 {"axes", "integer[axes]; absent: all", Arity::Optional, true}},
      .outputs = {{"output", "the padded tensor"}},
      .attributes = {{"mode", AttrKind::String, "constant, reflect, edge or wrap", std::string("constant")}},
      .infer = infer_pad,
      .reference = reference_pad,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "CenterCropPad",
      .domain = "",
      .since_version = 18,
      .doc = "Crops or zero-pads around the centre to the given size.",
      .source = "ONNX CenterCropPad-18",
      .inputs = {{"input_data", "any tensor"},
                 {"shape", "integer[axes], sizes of the output", Arity::Required, true}},
      .outputs = {{"output_data", "the cropped or padded tensor"}},
      .attributes = {{"axes", AttrKind::Ints, "axes that shape speaks of; absent: all"}},
      .infer = infer_center_crop_pad,
      .reference = reference_center_crop_pad,
      .cost = copy_cost,
      .decompose = decompose_center_crop_pad,
  });
}

}  // namespace naru
