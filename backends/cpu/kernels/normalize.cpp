// Normalisations: batch normalisation as a scale and a shift per channel, layer and RMS
// normalisation by rows.
#include <cmath>

#include "backends/cpu/chain.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce_loops.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

std::string refuses_f32(const NodeView& view, std::size_t inputs) {
  for (std::size_t i = 0; i < inputs && i < view.input_count(); ++i) {
    if (!view.has_input(i)) continue;
    const DType dtype = view.dtype(i);
    if (dtype != DType::Undefined && dtype != DType::F32) return "element type " + std::string(to_string(dtype));
  }
  return "";
}

std::string refuses_batch(const NodeView& view) {
  if (view.node.attr_int_or("training_mode", 0) != 0) return "training mode";
  for (std::size_t i = 1; i < 5; ++i) {
    if (view.constant(i) == nullptr) return "statistics that are not constant";
  }
  const DType dtype = view.dtype(0);
  if (dtype != DType::Undefined && !is_chain_type(dtype)) return "element type " + std::string(to_string(dtype));
  if (view.rank(0) >= 0 && view.rank(0) < 2) return "rank below 2";
  return "";
}

/// A per-channel constant in the channel blocks of `layout`, and how a chain walks it.
ChainOperand channel_literal(Lowering& lowering, const std::vector<float>& values, const Layout& layout) {
  std::vector<std::int64_t> dims(layout.shape.dims().size(), 1);
  dims[1] = layout.shape[1];
  Layout own{DType::F32, Shape(dims), layout.block};
  Tensor padded(DType::F32, Shape{own.physical_elements()});
  std::fill(padded.as_mutable<float>().begin(), padded.as_mutable<float>().end(), 0.0f);
  std::copy(values.begin(), values.end(), padded.as_mutable<float>().begin());
  Rep rep = lowering.literal(std::move(padded));
  rep.layout = own;
  return {rep, {DType::F32, broadcast_strides(own, layout)}};
}

bool lower_batch(Lowering& lowering) {
  const std::vector<double> scale = to_wide<double>(*lowering.constant(1));
  const std::vector<double> shift = to_wide<double>(*lowering.constant(2));
  const std::vector<double> mean = to_wide<double>(*lowering.constant(3));
  const std::vector<double> variance = to_wide<double>(*lowering.constant(4));
  const double epsilon = lowering.node().attr_float_or("epsilon", 1e-5f);
  std::vector<float> multiply;
  std::vector<float> add;
  for (std::size_t c = 0; c < scale.size(); ++c) {
    const double factor = scale[c] / std::sqrt(variance[c] + epsilon);
    multiply.push_back(static_cast<float>(factor));
    add.push_back(static_cast<float>(shift[c] - mean[c] * factor));
  }
  const Rep input = lowering.input(0);
  Rep output;
  if (lowering.dies(input) && !lowering.is_fragment_output(0)) {
    output = input;
    lowering.set_output(0, output);
  } else {
    output = lowering.output(0, input.layout);
  }
  emit_chain(lowering, "batch normalisation", {{Ew::Mul, 0, 0, 1}, {Ew::Add, 0, 0, 2}},
             {chain_operand(input), channel_literal(lowering, multiply, input.layout),
              channel_literal(lowering, add, input.layout)},
             output);
  return true;
}

/// Rows of the dimensions from `axis` on.
struct Rows {
  std::int64_t count = 1;
  std::int64_t length = 1;
};

Rows rows_of(const Shape& shape, std::int64_t axis) {
  if (axis < 0) axis += shape.rank();
  return {shape.numel(0, axis), shape.numel(axis, shape.rank())};
}

std::string refuses_layer(const NodeView& view) {
  for (std::size_t i = 1; i < view.input_count(); ++i) {
    if (!view.has_input(i) || !view.type(i).shape || !view.type(0).shape) continue;
    const std::int64_t axis = view.node.attr_int_or("axis", -1);
    const auto& x = *view.type(0).shape;
    const auto& w = *view.type(i).shape;
    const auto first = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(x.size()) : axis);
    if (w.size() != x.size() - first) return "a scale that is broadcast";
    for (std::size_t d = 0; d < w.size(); ++d) {
      if (w[d].is_known() && x[first + d].is_known() && !(w[d] == x[first + d])) return "a scale that is broadcast";
    }
  }
  return refuses_f32(view, view.input_count());
}

void scale_row(float* y, std::int64_t count, const float* scale, const float* shift) {
  if (scale != nullptr) ew_loop(Ew::Mul)(y, y, scale, count, 0, 0);
  if (shift != nullptr) ew_loop(Ew::Add)(y, y, shift, count, 0, 0);
}

bool lower_rows(Lowering& lowering, bool centred) {
  const Rows rows = rows_of(lowering.shape(0), lowering.node().attr_int_or("axis", -1));
  const float epsilon = lowering.node().attr_float_or("epsilon", 1e-5f);
  const bool has_scale = lowering.has_input(1);
  const bool has_shift = lowering.has_input(2);
  std::vector<Operand> operands = {Lowering::reads(lowering.plain(0))};
  if (has_scale) operands.push_back(Lowering::reads(lowering.plain(1)));
  if (has_shift) operands.push_back(Lowering::reads(lowering.plain(2)));
  const std::size_t first_output = operands.size();
  operands.push_back(Lowering::writes(lowering.output(0)));
  const bool has_mean = centred && lowering.has_output(1);
  const bool has_deviation = centred && lowering.has_output(2);
  if (has_mean) operands.push_back(Lowering::writes(lowering.output(1)));
  if (has_deviation) operands.push_back(Lowering::writes(lowering.output(2)));
  const RowLoops& loops = row_loops();
  lowering.emit(centred ? "layer normalisation" : "rms normalisation", to_string(lowering.output_layout(0)),
                std::move(operands), [=](std::byte* const* p) {
                  const auto* x = reinterpret_cast<const float*>(p[0]);
                  const auto* scale = has_scale ? reinterpret_cast<const float*>(p[1]) : nullptr;
                  const auto* shift = has_shift ? reinterpret_cast<const float*>(p[1 + (has_scale ? 1 : 0)]) : nullptr;
                  auto* y = reinterpret_cast<float*>(p[first_output]);
                  auto* means = has_mean ? reinterpret_cast<float*>(p[first_output + 1]) : nullptr;
                  auto* deviations = has_deviation ? reinterpret_cast<float*>(p[first_output + (has_mean ? 2 : 1)]) : nullptr;
                  parallel_ranges(rows.count, static_cast<double>(rows.length) * 0.5,
                                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t r = begin; r < end; ++r) {
                      float* row = y + r * rows.length;
                      float mean = 0;
                      float inverse = 0;
                      if (centred) {
                        loops.normalize(x + r * rows.length, row, rows.length, epsilon, &mean, &inverse);
                      } else {
                        loops.rms_normalize(x + r * rows.length, row, rows.length, epsilon);
                      }
                      scale_row(row, rows.length, scale, shift);
                      if (means != nullptr) means[r] = mean;
                      if (deviations != nullptr) deviations[r] = inverse;
                    }
                  });
                });
  return true;
}

bool lower_layer(Lowering& lowering) { return lower_rows(lowering, true); }
bool lower_rms(Lowering& lowering) { return lower_rows(lowering, false); }

}  // namespace

void add_normalize_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"BatchNormalization", "element-wise tiles", refuses_batch, lower_batch});
  table.push_back({"LayerNormalization", "rows", refuses_layer, lower_layer});
  table.push_back({"RMSNormalization", "rows", refuses_layer, lower_rms});
}

}  // namespace naru::cpu
