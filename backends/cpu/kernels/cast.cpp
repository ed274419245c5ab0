// Cast between numbers, in whatever layout the input has.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/chain.h"
#include "backends/cpu/convert_loops.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

bool is_plain_number(DType dtype) {
  switch (dtype) {
    case DType::F32: case DType::I64: case DType::I32: case DType::U8: case DType::I8: case DType::Bool:
      return true;
    default: return false;
  }
}

bool converts(DType from, DType to) {
  if (is_chain_type(from) && is_chain_type(to)) return true;
  return is_plain_number(from) && is_plain_number(to);
}

std::string refuses(const NodeView& view) {
  const DType from = view.dtype(0);
  const DType to = view.output_dtype(0);
  if (from == DType::Undefined || to == DType::Undefined || converts(from, to)) return "";
  return fmt::format("from {} to {}", to_string(from), to_string(to));
}

/// Through double to 64 bits, NaN to 0, clamped; then the low bits, as the reference has it.
std::int64_t truncate(float value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63f) return std::numeric_limits<std::int64_t>::max();
  if (value <= -0x1p63f) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

template <typename To, typename From>
To convert(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From(0);
  } else if constexpr (std::is_same_v<From, float> && !std::is_same_v<To, float>) {
    return static_cast<To>(truncate(value));
  } else if constexpr (std::is_same_v<To, float> && std::is_same_v<From, std::int64_t>) {
    return static_cast<float>(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}

using CastLoop = void (*)(const std::byte* from, std::byte* to, std::int64_t begin, std::int64_t end);

template <typename From, typename To>
void cast_loop(const std::byte* from, std::byte* to, std::int64_t begin, std::int64_t end) {
  const From* x = reinterpret_cast<const From*>(from);
  To* y = reinterpret_cast<To*>(to);
  for (std::int64_t i = begin; i < end; ++i) y[i] = convert<To, From>(x[i]);
}

template <typename From>
CastLoop loop_from(DType to) {
  switch (to) {
    case DType::F32: return cast_loop<From, float>;
    case DType::I64: return cast_loop<From, std::int64_t>;
    case DType::I32: return cast_loop<From, std::int32_t>;
    case DType::U8: return cast_loop<From, std::uint8_t>;
    case DType::I8: return cast_loop<From, std::int8_t>;
    default: return cast_loop<From, bool>;
  }
}

CastLoop loop_of(DType from, DType to) {
  switch (from) {
    case DType::F32: return loop_from<float>(to);
    case DType::I64: return loop_from<std::int64_t>(to);
    case DType::I32: return loop_from<std::int32_t>(to);
    case DType::U8: return loop_from<std::uint8_t>(to);
    case DType::I8: return loop_from<std::int8_t>(to);
    default: return loop_from<bool>(to);
  }
}

bool lower(Lowering& lowering) {
  const DType from = lowering.dtype(0);
  const DType to = lowering.output_layout(0).dtype;
  // Layouts of channel blocks are reordered by oneDNN, which has few element types.
  const Rep input = dnnl_type(to) ? lowering.input(0) : lowering.plain(0);
  if (from == to && lowering.may_view(0)) {
    lowering.set_output(0, input);
    return true;
  }
  const Layout layout{to, input.layout.shape, input.layout.block};
  const Rep output = lowering.output(0, layout);
  const std::int64_t count = layout.physical_elements();
  const bool floats = is_chain_type(from) && is_chain_type(to);
  const CastLoop loop = floats ? nullptr : loop_of(from, to);
  lowering.emit("cast", to_string(input.layout) + " -> " + to_string(layout),
                {Lowering::reads(input), Lowering::writes(output)}, [=](std::byte* const* p) {
                  parallel_ranges(count, 0.5, [&](std::int64_t begin, std::int64_t end) {
                    if (loop != nullptr) return loop(p[0], p[1], begin, end);
                    constexpr std::int64_t kPart = 512;
                    float part[kPart];
                    for (std::int64_t i = begin; i < end; i += kPart) {
                      const std::int64_t size = std::min(kPart, end - i);
                      load_floats(from, p[0], i, size, part);
                      store_floats(to, p[1], i, size, part);
                    }
                  });
                });
  return true;
}

}  // namespace

void add_cast_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Cast", "cast", refuses, lower});
  table.push_back({"CastLike", "cast", refuses, lower});
}

}  // namespace naru::cpu
