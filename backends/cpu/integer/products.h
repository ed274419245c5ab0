// Exact products of matrices of bytes: how weights and rows lie in memory, and the loops over them.
//
// Sum over k of (x[k] - zx) (w[k] - zw) is found from codes x' = x - ox and w' = w - ow that suit the
// machine's instructions: with bytes and a dot-product instruction, x' is unsigned and w' signed;
// elsewhere both are 16-bit integers and the offsets are 0. What the zero points and offsets add is
// a term per column and a term per row, applied to the finished sums. Everything is exact while
// sums fit 32 bits, which kMaxDepth bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace naru::cpu {

/// Columns of weights that lie side by side.
inline constexpr int kByteColumns = 16;
/// 255 * 255 * kMaxByteDepth fits 32 bits with a sign.
inline constexpr std::int64_t kMaxByteDepth = 33000;

/// The loops of one instruction set.
struct ByteLoops {
  const char* name;
  bool (*present)();
  int step;        ///< depths that one lane of 32 bits holds: 4 bytes or 2 16-bit integers
  int max_rows;    ///< of one call
  /// sums[r][c] = sum of codes over `steps` steps, for `rows` rows and 16 columns. Row r is at
  /// rows + r * row_bytes, the columns at weights, 64 bytes a step.
  void (*dot)(const std::byte* weights, std::int64_t steps, const std::byte* rows, std::int64_t row_bytes,
              int count, std::int32_t* sums);
  int code_bytes() const { return 4 / step; }
  /// x' = x - x_offset of the stored number, w' likewise.
  int x_offset(bool is_signed) const { return step == 4 && is_signed ? -128 : 0; }
  int w_offset(bool is_signed) const { return step == 4 && !is_signed ? 128 : 0; }
};

/// The best loops of this machine.
const ByteLoops& byte_loops();

/// A matrix of weights [depth, columns] in memory.
struct ByteMatrix {
  std::int64_t depth = 0, columns = 0;
  std::int64_t depth_stride = 0, column_stride = 0;  ///< in elements
  bool is_signed = false;
  bool operator==(const ByteMatrix&) const = default;
};

/// A product of rows with a packed matrix.
class ByteProduct {
 public:
  explicit ByteProduct(const ByteMatrix& weights, bool x_signed, const ByteLoops& loops = byte_loops());

  std::int64_t packed_bytes() const;
  /// Packs the weights, sums of columns first.
  void pack(const std::byte* weights, std::byte* packed) const;

  std::int64_t row_bytes() const { return steps_ * 4; }
  /// Codes of one element of x.
  int code(std::uint8_t stored) const { return x_signed_ ? static_cast<std::int8_t>(stored) - x_offset_ : stored - x_offset_; }
  /// Writes codes for `count` stored bytes and zeros behind them up to row_bytes(); their sum.
  std::int32_t encode_row(const std::uint8_t* stored, std::byte* codes) const;

  struct Zeros {
    std::int32_t x = 0;
    std::span<const std::int32_t> w;  ///< one, or one per column
  };
  /// Takes sums for rows [0, rows) and columns [first_column, first_column + columns); sums are
  /// [rows][kByteColumns].
  using Take = std::function<void(std::int64_t first_row, int rows, std::int64_t first_column, int columns, const std::int32_t* sums)>;
  /// Multiplies encoded rows with the groups [first_group, last_group) of columns.
  void multiply(const std::byte* packed, const Zeros& zeros, const std::byte* codes, const std::int32_t* row_sums,
                std::int64_t rows, std::int64_t first_group, std::int64_t last_group, const Take& take) const;
  std::int64_t groups() const { return (weights_.columns + kByteColumns - 1) / kByteColumns; }
  const ByteMatrix& weights() const { return weights_; }

 private:
  ByteMatrix weights_;
  bool x_signed_;
  const ByteLoops* loops_;
  int x_offset_, w_offset_;
  std::int64_t steps_;
};

}  // namespace naru::cpu
