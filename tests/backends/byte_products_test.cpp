// Products of bytes: every instruction set, and one spelled out for VNNI, against sums in 64 bits.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu {
namespace emulated {

constexpr int kStep = 4, kMaxRows = 3;

#include "backends/cpu/lanes_plain.inc"

/// What vpdpbusd does: unsigned times signed bytes, four to a lane.
inline Ints dot(Ints sum, const Ints& x, const Ints& w) {
  std::uint8_t a[64];
  std::int8_t b[64];
  std::memcpy(a, &x, sizeof(a));
  std::memcpy(b, &w, sizeof(b));
  for (int i = 0; i < 64; ++i) sum.lanes[i / 4] += a[i] * b[i];
  return sum;
}

#include "backends/cpu/integer/loops.inc"

const ByteLoops kLoops = {"emulated", nullptr, kStep, kMaxRows, dot_some};

}  // namespace emulated

namespace {

std::vector<const ByteLoops*> runnable_loops() {
  std::vector<const ByteLoops*> result = {&emulated::kLoops};
  for (const ByteLoops* loops : all_byte_loops()) {
    if (loops->present()) result.push_back(loops);
  }
  return result;
}

std::int64_t value_of(std::uint8_t stored, bool is_signed) { return is_signed ? static_cast<std::int8_t>(stored) : stored; }

struct Sizes {
  std::int64_t rows, depth, columns;
};

void expect_exact(const ByteLoops& loops, const Sizes& sizes, bool x_signed, bool w_signed, bool extremes) {
  std::mt19937 random(static_cast<unsigned>(sizes.depth * 4 + x_signed * 2 + w_signed));
  const auto byte = [&] { return static_cast<std::uint8_t>(extremes ? (random() % 2 != 0 ? 255 : random() % 2 * 128) : random()); };
  std::vector<std::uint8_t> x(static_cast<std::size_t>(sizes.rows * sizes.depth)), w(static_cast<std::size_t>(sizes.depth * sizes.columns));
  for (auto& value : x) value = byte();
  for (auto& value : w) value = byte();
  const auto x_zero = static_cast<std::int32_t>(value_of(byte(), x_signed));
  std::vector<std::int32_t> w_zero;
  for (std::int64_t n = 0; n < sizes.columns; ++n) w_zero.push_back(static_cast<std::int32_t>(value_of(byte(), w_signed)));

  // Weights lie column by column, as those of convolutions do.
  const ByteProduct product({sizes.depth, sizes.columns, 1, sizes.depth, w_signed}, x_signed, loops);
  std::vector<std::byte> packed(static_cast<std::size_t>(product.packed_bytes())), codes(static_cast<std::size_t>(sizes.rows * product.row_bytes()));
  product.pack(reinterpret_cast<const std::byte*>(w.data()), packed.data());
  std::vector<std::int32_t> row_sums;
  for (std::int64_t r = 0; r < sizes.rows; ++r) {
    row_sums.push_back(product.encode_row(x.data() + r * sizes.depth, codes.data() + r * product.row_bytes()));
  }
  std::int64_t taken = 0;
  product.multiply(packed.data(), {x_zero, w_zero}, codes.data(), row_sums.data(), sizes.rows, 0, product.groups(),
                   [&](std::int64_t row, int rows, std::int64_t column, int columns, const std::int32_t* sums) {
                     for (int r = 0; r < rows; ++r) {
                       for (int c = 0; c < columns; ++c, ++taken) {
                         std::int64_t sum = 0;
                         for (std::int64_t k = 0; k < sizes.depth; ++k) {
                           sum += (value_of(x[static_cast<std::size_t>((row + r) * sizes.depth + k)], x_signed) - x_zero) *
                                  (value_of(w[static_cast<std::size_t>((column + c) * sizes.depth + k)], w_signed) -
                                   w_zero[static_cast<std::size_t>(column + c)]);
                         }
                         ASSERT_EQ(sums[r * kByteColumns + c], sum) << loops.name << " row " << row + r << " column " << column + c;
                       }
                     }
                   });
  EXPECT_EQ(taken, sizes.rows * sizes.columns);
}

TEST(ByteProducts, AreExactOnEveryInstructionSet) {
  for (const ByteLoops* loops : runnable_loops()) {
    for (const Sizes& sizes : {Sizes{1, 1, 1}, {5, 3, 17}, {13, 64, 16}, {29, 147, 33}, {2, kMaxByteDepth, 3}}) {
      for (const bool x_signed : {false, true}) {
        for (const bool w_signed : {false, true}) {
          for (const bool extremes : {false, true}) expect_exact(*loops, sizes, x_signed, w_signed, extremes);
        }
      }
    }
  }
}

}  // namespace
}  // namespace naru::cpu
