// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear between f32 and integers of 8 and 32 bits.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/quantise_loops.h"
#include "backends/cpu/zero_points.h"
#include "graph/onnx_dtype.h"

namespace naru::cpu {
namespace {

std::string refuses_types(DType floats, DType integers, bool words) {
  if (floats != DType::Undefined && floats != DType::F32) return "element type " + std::string(to_string(floats));
  const bool known = integers == DType::Undefined || integers == DType::U8 || integers == DType::I8 ||
                     (words && integers == DType::I32);
  return known ? "" : "element type " + std::string(to_string(integers));
}

std::string refuses_scales(const NodeView& view) {
  if (view.dtype(1) != DType::Undefined && view.dtype(1) != DType::F32) {
    return "scales of type " + std::string(to_string(view.dtype(1)));
  }
  return view.node.attr_int("block_size") != 0 ? "scales of blocks" : "";
}

std::string refuses_quantise(const NodeView& view) {
  const std::int64_t precision = view.node.attr_int("precision");
  if (precision != 0 && precision != onnx_code(DType::F32)) return "a division in another type";
  const std::string types = refuses_types(view.dtype(0), view.output_dtype(0), false);
  return types.empty() ? refuses_scales(view) : types;
}

std::string refuses_dequantise(const NodeView& view) {
  const std::string types = refuses_types(view.output_dtype(0), view.dtype(0), true);
  return types.empty() ? refuses_scales(view) : types;
}

/// How scales lie along a tensor seen as [outer, size, inner]; one scale is a size of 1.
struct Spread {
  std::int64_t outer = 1, size = 1, inner = 1;
  bool single = true;
};

Spread spread_of(const Lowering& lowering) {
  const Shape x = lowering.shape(0);
  if (lowering.shape(1).numel() == 1) return {1, 1, x.numel(), true};
  std::int64_t axis = x.rank() == 1 ? 0 : lowering.node().attr_int("axis");
  if (axis < 0) axis += x.rank();
  return {x.numel(0, axis), x[axis], x.numel(axis + 1, x.rank()), false};
}

/// Calls run(offset, count, parameter) for runs of one scale, or each(offset, count) where every
/// element of a row has its own.
template <typename Run, typename Each>
void for_runs(const Spread& spread, const Run& run, const Each& each) {
  constexpr double kCost = 0.5;
  if (spread.single) {
    parallel_ranges(spread.inner, kCost, [&](std::int64_t begin, std::int64_t end) { run(begin, end - begin, std::int64_t{0}); });
  } else if (spread.inner == 1) {
    parallel_ranges(spread.outer, kCost * static_cast<double>(spread.size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) each(i * spread.size, spread.size);
    });
  } else {
    parallel_ranges(spread.outer * spread.size, kCost * static_cast<double>(spread.inner), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) run(i * spread.inner, spread.inner, i % spread.size);
    });
  }
}

ByteRange range_of_type(DType dtype) { return dtype == DType::I8 ? ByteRange{-128, 127} : ByteRange{}; }

/// x, its scale and zero point, and the result, for QuantizeLinear and DequantizeLinear.
struct Parameters {
  Spread spread;
  DType integers;
  bool has_zero;
  std::vector<std::int32_t> zeros(std::byte* const* p) const {
    return zero_points(has_zero ? p[3] : nullptr, integers, spread.size);
  }
};

template <typename Execute>
bool emit(Lowering& lowering, const char* name, DType integers, const Execute& execute) {
  const Parameters parameters{spread_of(lowering), integers, lowering.has_input(2)};
  const Rep output = lowering.output(0);
  std::vector<Operand> operands = {Lowering::reads(lowering.plain(0)), Lowering::reads(lowering.plain(1)), Lowering::writes(output)};
  if (parameters.has_zero) operands.push_back(Lowering::reads(lowering.plain(2)));
  lowering.emit(name, std::string(to_string(lowering.dtype(0))) + " -> " + std::string(to_string(output.layout.dtype)),
                std::move(operands), [parameters, execute](std::byte* const* p) { execute(parameters, p); });
  return true;
}

void quantise(const Parameters& parameters, std::byte* const* p) {
  const auto* x = reinterpret_cast<const float*>(p[0]);
  const auto* scale = reinterpret_cast<const float*>(p[1]);
  auto* y = reinterpret_cast<std::uint8_t*>(p[2]);
  const std::vector<std::int32_t> zero = parameters.zeros(p);
  const ByteRange range = range_of_type(parameters.integers);
  for_runs(
      parameters.spread,
      [&](std::int64_t at, std::int64_t count, std::int64_t i) {
        quantise_run(x + at, count, scale[i], zero[static_cast<std::size_t>(i)], range, y + at);
      },
      [&](std::int64_t at, std::int64_t count) { quantise_each(x + at, count, scale, zero.data(), range, y + at); });
}

template <typename T>
void dequantise(const Parameters& parameters, std::byte* const* p) {
  const auto* x = reinterpret_cast<const T*>(p[0]);
  const auto* scale = reinterpret_cast<const float*>(p[1]);
  auto* y = reinterpret_cast<float*>(p[2]);
  const std::vector<std::int32_t> zero = parameters.zeros(p);
  for_runs(
      parameters.spread,
      [&](std::int64_t at, std::int64_t count, std::int64_t i) {
        dequantise_run(x + at, count, scale[i], zero[static_cast<std::size_t>(i)], y + at);
      },
      [&](std::int64_t at, std::int64_t count) { dequantise_each(x + at, count, scale, zero.data(), y + at); });
}

bool lower_quantise(Lowering& lowering) {
  return emit(lowering, "quantise", lowering.output_layout(0).dtype, quantise);
}

bool lower_dequantise(Lowering& lowering) {
  const DType dtype = lowering.dtype(0);
  const auto execute = dtype == DType::U8 ? dequantise<std::uint8_t> : dtype == DType::I8 ? dequantise<std::int8_t> : dequantise<std::int32_t>;
  return emit(lowering, "dequantise", dtype, execute);
}

std::string refuses_dynamic(const NodeView&) { return ""; }

/// Single precision throughout, as the operator's function body says.
bool lower_dynamic(Lowering& lowering) {
  const std::int64_t count = lowering.shape(0).numel();
  std::vector<Operand> operands = {Lowering::reads(lowering.plain(0)), Lowering::writes(lowering.output(0))};
  const bool has_scale = lowering.has_output(1), has_zero = lowering.has_output(2);
  if (has_scale) operands.push_back(Lowering::writes(lowering.output(1)));
  if (has_zero) operands.push_back(Lowering::writes(lowering.output(2)));
  lowering.emit("quantise dynamically", to_string(lowering.plain(0).layout), std::move(operands), [=](std::byte* const* p) {
    const auto* x = reinterpret_cast<const float*>(p[0]);
    const FloatRange range = range_of(x, count);
    const float scale = (range.high == range.low ? 1.0f : range.high - range.low) / 255.0f;
    const float offset = -range.low / scale;  // NaN where the operands have no range
    const auto zero = static_cast<std::int32_t>(offset > 0 ? std::nearbyint(std::min(offset, 255.0f)) : 0.0f);
    auto* y = reinterpret_cast<std::uint8_t*>(p[1]);
    parallel_ranges(count, 0.5, [&](std::int64_t begin, std::int64_t end) {
      quantise_run(x + begin, end - begin, scale, zero, ByteRange{}, y + begin);
    });
    if (has_scale) *reinterpret_cast<float*>(p[2]) = scale;
    if (has_zero) *reinterpret_cast<std::uint8_t*>(p[has_scale ? 3 : 2]) = static_cast<std::uint8_t>(zero);
  });
  return true;
}

}  // namespace

void add_quantise_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"QuantizeLinear", "quantise", refuses_quantise, lower_quantise});
  table.push_back({"DequantizeLinear", "dequantise", refuses_dequantise, lower_dequantise});
  table.push_back({"DynamicQuantizeLinear", "quantise dynamically", refuses_dynamic, lower_dynamic});
}

}  // namespace naru::cpu
