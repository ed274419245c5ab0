// ByteProduct: packing, and what zero points add to the sums.
#include "backends/cpu/integer/products.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu {
namespace {

void store_code(int code, int code_bytes, std::byte* to) {
  if (code_bytes == 1) {
    *to = static_cast<std::byte>(code);
  } else {
    const auto wide = static_cast<std::int16_t>(code);
    std::memcpy(to, &wide, sizeof(wide));
  }
}

}  // namespace

const ByteLoops& byte_loops() {
  static const ByteLoops& best = [&]() -> const ByteLoops& {
    for (const ByteLoops* loops : all_byte_loops()) {
      if (loops->present()) return *loops;
    }
    return *all_byte_loops().back();
  }();
  return best;
}

std::span<const ByteLoops* const> all_byte_loops() {
  static constexpr const ByteLoops* kAll[] = {
#if NARU_CPU_AVX2
      &avx512_bytes::kLoops, &avxvnni_bytes::kLoops, &avx2_bytes::kLoops,
#endif
      &base_bytes::kLoops};
  return kAll;
}

ByteProduct::ByteProduct(const ByteMatrix& weights, bool x_signed, const ByteLoops& loops)
    : weights_(weights),
      x_signed_(x_signed),
      loops_(&loops),
      x_offset_(loops.x_offset(x_signed)),
      w_offset_(loops.w_offset(weights.is_signed)),
      steps_((weights.depth + loops.step - 1) / loops.step) {}

std::int64_t ByteProduct::packed_bytes() const {
  return groups() * kByteColumns * static_cast<std::int64_t>(sizeof(std::int32_t)) + groups() * steps_ * 64;
}

void ByteProduct::pack(const std::byte* weights, std::byte* packed) const {
  auto* sums = reinterpret_cast<std::int32_t*>(packed);
  std::byte* to = packed + groups() * kByteColumns * 4;
  std::memset(packed, 0, static_cast<std::size_t>(packed_bytes()));
  const int step = loops_->step, bytes = loops_->code_bytes();
  for (std::int64_t n = 0; n < weights_.columns; ++n) {
    const std::byte* column = weights + n * weights_.column_stride;
    std::byte* group = to + n / kByteColumns * steps_ * 64 + n % kByteColumns * 4;
    std::int32_t sum = 0;
    for (std::int64_t k = 0; k < weights_.depth; ++k) {
      const auto stored = std::to_integer<std::uint8_t>(column[k * weights_.depth_stride]);
      const int value = weights_.is_signed ? static_cast<std::int8_t>(stored) : stored;
      sum += value - w_offset_;
      store_code(value - w_offset_, bytes, group + k / step * 64 + k % step * bytes);
    }
    sums[n] = sum;
  }
}

std::int32_t ByteProduct::encode_row(const std::uint8_t* stored, std::byte* codes) const {
  std::int32_t sum = 0;
  const std::int64_t depth = weights_.depth;
  if (loops_->code_bytes() == 1) {
    const std::uint8_t flip = x_offset_ == 0 ? 0 : 0x80;
    for (std::int64_t k = 0; k < depth; ++k) {
      const auto code = static_cast<std::uint8_t>(stored[k] ^ flip);
      codes[k] = static_cast<std::byte>(code);
      sum += code;
    }
  } else {
    auto* wide = reinterpret_cast<std::int16_t*>(codes);
    for (std::int64_t k = 0; k < depth; ++k) {
      wide[k] = static_cast<std::int16_t>(code(stored[k]));
      sum += wide[k];
    }
  }
  const std::int64_t used = depth * loops_->code_bytes();
  std::memset(codes + used, 0, static_cast<std::size_t>(row_bytes() - used));
  return sum;
}

void ByteProduct::multiply(const std::byte* packed, const Zeros& zeros, const std::byte* codes,
                           const std::int32_t* row_sums, std::int64_t rows, std::int64_t first_group,
                           std::int64_t last_group, const Take& take) const {
  const auto* column_sums = reinterpret_cast<const std::int32_t*>(packed);
  const std::byte* groups_at = packed + groups() * kByteColumns * 4;
  // Terms may wrap; what they add up to fits.
  const auto x_zero = static_cast<std::uint32_t>(zeros.x - x_offset_);
  std::vector<std::int32_t> sums(static_cast<std::size_t>(loops_->max_rows * kByteColumns));
  for (std::int64_t g = first_group; g < last_group; ++g) {
    const std::int64_t first = g * kByteColumns;
    const int columns = static_cast<int>(std::min<std::int64_t>(kByteColumns, weights_.columns - first));
    std::uint32_t w_zero[kByteColumns] = {}, term[kByteColumns] = {};
    for (int c = 0; c < columns; ++c) {
      const std::int32_t zero = zeros.w[zeros.w.size() == 1 ? 0 : static_cast<std::size_t>(first + c)];
      w_zero[c] = static_cast<std::uint32_t>(zero - w_offset_);
      const auto column_sum = static_cast<std::uint32_t>(column_sums[first + c]);
      term[c] = x_zero * (static_cast<std::uint32_t>(weights_.depth) * w_zero[c] - column_sum);
    }
    for (std::int64_t r = 0; r < rows; r += loops_->max_rows) {
      const int count = static_cast<int>(std::min<std::int64_t>(loops_->max_rows, rows - r));
      loops_->dot(groups_at + g * steps_ * 64, steps_, codes + r * row_bytes(), row_bytes(), count, sums.data());
      for (int i = 0; i < count; ++i) {
        std::int32_t* at = sums.data() + i * kByteColumns;
        const auto row_sum = static_cast<std::uint32_t>(row_sums[r + i]);
        for (int c = 0; c < kByteColumns; ++c) {
          at[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(at[c]) + term[c] - w_zero[c] * row_sum);
        }
      }
      take(r, count, first, columns, sums.data());
    }
  }
}

}  // namespace naru::cpu
