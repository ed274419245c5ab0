// RotaryEmbedding in f32.
#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "graph/fail.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  const DType dtype = view.dtype(0);
  return dtype == DType::Undefined || dtype == DType::F32 ? "" : "element type " + std::string(to_string(dtype));
}

/// The heads of X, [batch, length, heads * size] or [batch, heads, length, size].
struct Heads {
  std::int64_t batch = 0, heads = 0, length = 0, size = 0;
  bool packed = false;  ///< the heads of a token lie side by side

  std::int64_t token(std::int64_t row) const {
    return packed ? row / heads : row / length / heads * length + row % length;
  }
};

Heads heads_of(const Shape& shape, std::int64_t count) {
  if (shape.rank() == 4) return {shape[0], shape[1], shape[2], shape[3], false};
  return {shape[0], count, shape[1], shape[2] / count, true};
}

/// Turns the pairs of one head; the elements behind them stay.
void turn(const float* x, const float* cosines, const float* sines, std::int64_t half, bool interleaved, float* y) {
  const std::int64_t step = interleaved ? 2 : 1;
  const std::int64_t partner = interleaved ? 1 : half;
  for (std::int64_t k = 0; k < half; ++k) {
    const float a = x[k * step];
    const float b = x[k * step + partner];
    y[k * step] = cosines[k] * a - sines[k] * b;
    y[k * step + partner] = sines[k] * a + cosines[k] * b;
  }
}

bool lower(Lowering& lowering) {
  const Node& node = lowering.node();
  const Heads heads = heads_of(lowering.shape(0), node.attr_int_or("num_heads", 1));
  const std::int64_t stated = node.attr_int("rotary_embedding_dim");
  const std::int64_t half = (stated > 0 ? stated : heads.size) / 2;
  const bool interleaved = node.attr_int("interleaved") != 0;
  const bool indexed = lowering.has_input(3);
  const std::int64_t positions = lowering.shape(1)[0];
  std::vector<Operand> operands = {Lowering::reads(lowering.plain(0)), Lowering::reads(lowering.plain(1)),
                                   Lowering::reads(lowering.plain(2)), Lowering::writes(lowering.output(0))};
  if (indexed) operands.push_back(Lowering::reads(lowering.plain(3)));
  lowering.emit("rotary embedding", to_string(lowering.output_layout(0)), std::move(operands), [=](std::byte* const* p) {
    const auto* index = indexed ? reinterpret_cast<const std::int64_t*>(p[4]) : nullptr;
    for (std::int64_t t = 0; indexed && t < heads.batch * heads.length; ++t) {
      if (index[t] >= -positions && index[t] < positions) continue;
      fail(ErrorCode::InvalidArgument, "position_ids: got {}, expected [{}, {})", index[t], -positions, positions);
    }
    const auto floats = [&](std::size_t i) { return reinterpret_cast<float*>(p[i]); };
    parallel_ranges(heads.batch * heads.heads * heads.length, static_cast<double>(heads.size) * 0.5,
                    [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        std::int64_t at = heads.token(row);
        if (indexed) at = index[at] < 0 ? index[at] + positions : index[at];
        const float* x = floats(0) + row * heads.size;
        float* y = floats(3) + row * heads.size;
        turn(x, floats(1) + at * half, floats(2) + at * half, half, interleaved, y);
        std::copy(x + 2 * half, x + heads.size, y + 2 * half);
      }
    });
  });
  return true;
}

}  // namespace

void add_rotary_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"RotaryEmbedding", "rotary embedding", refuses, lower});
}

}  // namespace naru::cpu
