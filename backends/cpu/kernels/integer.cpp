// Products and convolutions of bytes, exact in 32 bits: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/window.h"
#include "backends/cpu/zero_points.h"

namespace naru::cpu {
namespace {

/// Where an operator has its operands; -1 for what it does not have.
struct IntegerOp {
  std::string_view name;
  bool convolves;
  int x, x_zero, w, w_zero;
  int x_scale = -1, w_scale = -1, y_scale = -1, y_zero = -1, bias = -1;
  bool requantises() const { return y_scale >= 0; }
};

constexpr IntegerOp kOps[] = {
    {"MatMulInteger", false, 0, 2, 1, 3},
    {"ConvInteger", true, 0, 2, 1, 3},
    {"QLinearMatMul", false, 0, 2, 3, 5, 1, 4, 6, 7},
    {"QLinearConv", true, 0, 2, 3, 5, 1, 4, 6, 7, 8},
};

const IntegerOp& op_of(const Node& node) {
  return *std::find_if(std::begin(kOps), std::end(kOps), [&](const IntegerOp& op) { return op.name == node.op->name; });
}

bool is_byte(DType dtype) { return dtype == DType::Undefined || dtype == DType::U8 || dtype == DType::I8; }

std::string refuses(const NodeView& view) {
  const IntegerOp& op = op_of(view.node);
  for (const int i : {op.x, op.w, op.y_zero}) {
    const DType dtype = i < 0 ? DType::U8 : view.dtype(static_cast<std::size_t>(i));
    if (!is_byte(dtype)) return "element type " + std::string(to_string(dtype));
  }
  if (op.requantises()) {
    const DType scale = view.dtype(static_cast<std::size_t>(op.x_scale));
    if (scale != DType::Undefined && scale != DType::F32) return "scales of type " + std::string(to_string(scale));
  }
  const std::int64_t w_rank = view.rank(static_cast<std::size_t>(op.w));
  const std::int64_t x_rank = view.rank(static_cast<std::size_t>(op.x));
  if (!op.convolves && w_rank >= 0 && w_rank != 2) return "weights that are no matrix";
  if (!op.convolves && x_rank == 1) return "a vector";
  if (op.convolves && w_rank >= 0 && (w_rank < 3 || w_rank > 5)) return "rank";
  return "";
}

/// What a row of the product is made of: a row of a matrix, or the window of an output position.
struct Rows {
  std::int64_t per_image = 0;  ///< rows of one image or matrix
  std::int64_t images = 1;
  std::int64_t channels = 1;   ///< of one group; a matrix has one, of `depth` taps side by side
  std::int64_t plane = 0;      ///< elements of a channel
  std::int64_t taps = 1;       ///< of a window
  std::vector<std::int32_t> offsets;  ///< [per_image, taps]: where a tap lies in its plane, -1 in the padding

  /// Gathers row `row`; `x` is the first channel of its image and group, padding holds `zero`.
  void gather(std::int64_t row, const std::uint8_t* x, std::uint8_t zero, std::uint8_t* to) const {
    const std::int32_t* offset = offsets.data() + row * taps;
    for (std::int64_t c = 0; c < channels; ++c, x += plane) {
      for (std::int64_t t = 0; t < taps; ++t) *to++ = offset[t] < 0 ? zero : x[offset[t]];
    }
  }
};

/// The offsets of all windows, of up to three spatial axes.
std::vector<std::int32_t> window_offsets(const Window& window, const Shape& x, const Shape& y) {
  const std::size_t rank = window.kernel.size();
  std::vector<std::int64_t> position(rank, 0), tap(rank, 0);
  const auto advance = [](std::vector<std::int64_t>& index, const auto& limit) {
    for (std::size_t i = index.size(); i-- > 0;) {
      if (++index[i] < limit(i)) return;
      index[i] = 0;
    }
  };
  std::vector<std::int32_t> offsets;
  for (std::int64_t p = 0; p < y.numel(); ++p) {
    for (std::int64_t t = 0; t < Shape(window.kernel).numel(); ++t) {
      std::int64_t offset = 0;
      for (std::size_t i = 0; i < rank; ++i) {
        const auto axis = static_cast<std::int64_t>(i);
        const std::int64_t at = position[i] * window.strides[i] + tap[i] * (window.dilations[i] + 1) - window.begin[i];
        if (at < 0 || at >= x[axis]) offset = -1;
        if (offset >= 0) offset = offset * x[axis] + at;
      }
      offsets.push_back(static_cast<std::int32_t>(offset));
      advance(tap, [&](std::size_t i) { return window.kernel[i]; });
    }
    advance(position, [&](std::size_t i) { return y[static_cast<std::int64_t>(i)]; });
  }
  return offsets;
}

/// The product that a node is: for each group, rows times a matrix.
struct Problem {
  BytePacking packing;
  Rows rows;
  std::int64_t image_stride = 0, group_stride = 0;  ///< of x
  bool columns_first = false;  ///< y is [images, groups, columns, rows], else [rows, columns]
};

Problem matrix_problem(const Lowering& lowering, const IntegerOp& op) {
  const Shape x = lowering.shape(static_cast<std::size_t>(op.x));
  const Shape w = lowering.shape(static_cast<std::size_t>(op.w));
  Problem problem;
  problem.packing.matrix = {w[0], w[1], w[1], 1, lowering.dtype(static_cast<std::size_t>(op.w)) == DType::I8};
  problem.rows.per_image = w[0] == 0 ? 0 : x.numel() / w[0];
  return problem;
}

Problem window_problem(const Lowering& lowering, const IntegerOp& op) {
  const Shape x = lowering.shape(static_cast<std::size_t>(op.x));
  const Shape w = lowering.shape(static_cast<std::size_t>(op.w));
  const Shape y = lowering.output_layout(0).shape;
  const std::int64_t groups = lowering.node().attr_int_or("group", 1);
  const std::int64_t taps = w.numel(2, w.rank());
  const std::int64_t depth = w[1] * taps;
  Problem problem;
  problem.packing.matrix = {depth, w[0] / groups, 1, depth, lowering.dtype(static_cast<std::size_t>(op.w)) == DType::I8};
  problem.packing.count = groups;
  problem.packing.stride = depth * (w[0] / groups);
  Rows& rows = problem.rows;
  rows.per_image = y.numel(2, y.rank());
  rows.images = y[0];
  rows.channels = w[1];
  rows.plane = x.numel(2, x.rank());
  rows.taps = taps;
  const Window window = window_of(lowering.node(), spatial_shape(w), spatial_shape(x), spatial_shape(y));
  rows.offsets = window_offsets(window, spatial_shape(x), spatial_shape(y));
  problem.image_stride = x[1] * rows.plane;
  problem.group_stride = w[1] * rows.plane;
  problem.columns_first = true;
  return problem;
}

/// How sums become bytes: round(sum * factor) + zero, saturated; the factor is single, the product double.
struct Requantise {
  std::vector<float> factors;       ///< one, or one per column of all groups
  std::vector<std::int32_t> bias;   ///< none, or one per column of all groups
  std::int32_t zero = 0, low = 0, high = 255;

  std::uint8_t operator()(std::int32_t sum, std::int64_t column) const {
    const auto c = static_cast<std::size_t>(column);
    const double value = static_cast<double>(sum) + (bias.empty() ? 0.0 : static_cast<double>(bias[c]));
    const double scaled = std::nearbyint(value * static_cast<double>(factors[factors.size() == 1 ? 0 : c])) + zero;
    const double bounded = scaled >= low ? std::min<double>(scaled, high) : low;  // NaN becomes the lowest
    return static_cast<std::uint8_t>(static_cast<std::int32_t>(bounded));
  }
};

/// The operands of one execution, by role, and the product over them.
class IntegerRun {
 public:
  struct Sizes {
    IntegerOp op;
    Problem problem;
    DType x, w, y;
    std::array<std::int64_t, 9> counts{};  ///< elements of each input, 0 for absent ones
    std::array<int, 9> slots{};            ///< its place among the step's operands
    int packed = 0, output = 0;
  };

  IntegerRun(const Sizes& sizes, std::byte* const* operands) : s_(sizes), p_(operands), product_(s_.problem.packing.matrix, s_.problem.packing.x_signed) {
    x_zero_ = zeros_of(s_.op.x_zero, s_.x)[0];
    w_zero_ = zeros_of(s_.op.w_zero, s_.w);
    if (s_.op.requantises()) prepare_requantisation();
  }

  void operator()() const {
    const Rows& rows = s_.problem.rows;
    const std::int64_t tiles = (rows.per_image + kTile - 1) / kTile;
    const std::int64_t units = rows.images * s_.problem.packing.count * tiles;
    // Where there are few tiles of rows, threads share columns.
    const std::int64_t parts = units >= 2 * team_threads() ? 1 : std::clamp<std::int64_t>(product_.groups() / 4, 1, 2 * team_threads());
    const ByteMatrix& matrix = s_.problem.packing.matrix;
    const double cost = static_cast<double>(kTile * matrix.depth * matrix.columns) / static_cast<double>(parts) * 0.02 + 100;
    parallel_ranges(units * parts, cost, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) run_tile(i / parts, tiles, i % parts, parts);
    });
  }

 private:
  static constexpr std::int64_t kTile = 48;

  const std::byte* operand(int input) const { return p_[s_.slots[static_cast<std::size_t>(input)]]; }
  std::int64_t count(int input) const { return input < 0 ? 0 : s_.counts[static_cast<std::size_t>(input)]; }

  std::vector<std::int32_t> zeros_of(int input, DType dtype) const {
    const bool absent = count(input) == 0;
    return zero_points(absent ? nullptr : operand(input), dtype, absent ? 1 : count(input));
  }

  void prepare_requantisation() {
    const auto floats = [&](int input) { return reinterpret_cast<const float*>(operand(input)); };
    const float x_scale = floats(s_.op.x_scale)[0], y_scale = floats(s_.op.y_scale)[0];
    for (std::int64_t i = 0; i < count(s_.op.w_scale); ++i) requantise_.factors.push_back(x_scale * floats(s_.op.w_scale)[i] / y_scale);
    if (count(s_.op.bias) > 0) {
      const auto* bias = reinterpret_cast<const std::int32_t*>(operand(s_.op.bias));
      requantise_.bias.assign(bias, bias + count(s_.op.bias));
    }
    requantise_.zero = zeros_of(s_.op.y_zero, s_.y)[0];
    if (s_.y == DType::I8) requantise_.low = -128, requantise_.high = 127;
  }

  /// Encodes rows [first, first + count) of an image and group.
  void encode(const std::uint8_t* x, std::int64_t first, std::int64_t count, std::byte* codes, std::int32_t* sums) const {
    const Rows& rows = s_.problem.rows;
    const std::int64_t depth = s_.problem.packing.matrix.depth;
    std::vector<std::uint8_t> row(static_cast<std::size_t>(depth));
    for (std::int64_t r = 0; r < count; ++r) {
      const std::uint8_t* stored = x + (first + r) * depth;
      if (!rows.offsets.empty()) {
        rows.gather(first + r, x, static_cast<std::uint8_t>(x_zero_), row.data());
        stored = row.data();
      }
      sums[r] = product_.encode_row(stored, codes + r * product_.row_bytes());
    }
  }

  void run_tile(std::int64_t unit, std::int64_t tiles, std::int64_t part, std::int64_t parts) const {
    const Rows& rows = s_.problem.rows;
    const std::int64_t groups = s_.problem.packing.count, columns = s_.problem.packing.matrix.columns;
    const std::int64_t image = unit / tiles / groups, group = unit / tiles % groups;
    const std::int64_t first = unit % tiles * kTile;
    const std::int64_t count = std::min(kTile, rows.per_image - first);
    const auto* x = reinterpret_cast<const std::uint8_t*>(operand(s_.op.x)) + image * s_.problem.image_stride + group * s_.problem.group_stride;
    std::vector<std::byte> codes(static_cast<std::size_t>(count * product_.row_bytes()));
    std::int32_t sums[kTile];
    encode(x, first, count, codes.data(), sums);
    std::span<const std::int32_t> w_zero = w_zero_;
    if (w_zero.size() > 1) w_zero = w_zero.subspan(static_cast<std::size_t>(group * columns), static_cast<std::size_t>(columns));
    const std::int64_t all = product_.groups();
    const bool turned = s_.problem.columns_first;
    const std::int64_t base = turned ? (image * groups + group) * columns * rows.per_image : 0;
    product_.multiply(p_[s_.packed] + group * product_.packed_bytes(), {x_zero_, w_zero}, codes.data(), sums, count,
                      all * part / parts, all * (part + 1) / parts,
                      [&](std::int64_t row, int some, std::int64_t column, int width, const std::int32_t* products) {
                        for (int r = 0; r < some; ++r) {
                          for (int c = 0; c < width; ++c) {
                            const std::int64_t at = turned ? (column + c) * rows.per_image + first + row + r
                                                           : (first + row + r) * columns + column + c;
                            store(base + at, group * columns + column + c, products[r * kByteColumns + c]);
                          }
                        }
                      });
  }

  void store(std::int64_t at, std::int64_t column, std::int32_t sum) const {
    if (s_.op.requantises()) reinterpret_cast<std::uint8_t*>(p_[s_.output])[at] = requantise_(sum, column);
    else reinterpret_cast<std::int32_t*>(p_[s_.output])[at] = sum;
  }

  const Sizes& s_;
  std::byte* const* p_;
  ByteProduct product_;
  std::int32_t x_zero_ = 0;
  std::vector<std::int32_t> w_zero_;
  Requantise requantise_;
};

/// Parameters are single values; those of the weights may be one per column.
bool parameters_fit(const Lowering& lowering, const IntegerOp& op, std::int64_t columns) {
  const auto elements = [&](int i) {
    return i < 0 || !lowering.has_input(static_cast<std::size_t>(i)) ? 1 : lowering.shape(static_cast<std::size_t>(i)).numel();
  };
  const auto single = [&](int i) { return elements(i) == 1; };
  const auto per_column = [&](int i) { return elements(i) == 1 || elements(i) == columns; };
  return single(op.x_zero) && single(op.x_scale) && single(op.y_scale) && single(op.y_zero) && per_column(op.w_zero) && per_column(op.w_scale);
}

bool lower(Lowering& lowering) {
  IntegerRun::Sizes sizes;
  sizes.op = op_of(lowering.node());
  const auto x = static_cast<std::size_t>(sizes.op.x), w = static_cast<std::size_t>(sizes.op.w);
  if (lowering.shape(x).numel() == 0 || lowering.shape(w).numel() == 0) return false;
  sizes.problem = sizes.op.convolves ? window_problem(lowering, sizes.op) : matrix_problem(lowering, sizes.op);
  BytePacking& packing = sizes.problem.packing;
  if (packing.matrix.depth > kMaxByteDepth || !parameters_fit(lowering, sizes.op, packing.matrix.columns * packing.count)) return false;
  sizes.x = lowering.dtype(x);
  sizes.w = lowering.dtype(w);
  sizes.y = lowering.output_layout(0).dtype;
  packing.x_signed = sizes.x == DType::I8;
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < sizes.counts.size(); ++i) {
    if (!lowering.has_input(i) || i == w) continue;
    sizes.counts[i] = lowering.shape(i).numel();
    sizes.slots[i] = static_cast<int>(operands.size());
    operands.push_back(Lowering::reads(lowering.plain(i)));
  }
  sizes.packed = static_cast<int>(operands.size());
  operands.push_back(Lowering::reads(lowering.packed_bytes(w, packing)));
  sizes.output = static_cast<int>(operands.size());
  operands.push_back(Lowering::writes(lowering.output(0)));
  lowering.emit(std::string("bytes ") + byte_loops().name, std::string(to_string(sizes.x)) + " x " + std::string(to_string(sizes.w)),
                std::move(operands), [sizes](std::byte* const* p) { IntegerRun(sizes, p)(); });
  return true;
}

}  // namespace

void add_integer_kernels(std::vector<KernelEntry>& table) {
  for (const IntegerOp& op : kOps) table.push_back({op.name.data(), "products of bytes", refuses, lower});
}

}  // namespace naru::cpu
