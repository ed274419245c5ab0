// Block formats: against values that the package gguf decoded, and back.
#include "graph/block/block_format.h"

#include <cmath>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "naru/error.h"

namespace naru {
namespace {

struct Golden {
  DType format = DType::Undefined;
  std::int64_t blocks = 0;
  std::vector<char> bytes;
  std::vector<float> values;
};

std::vector<Golden> read_goldens() {
  std::ifstream file(NARU_TEST_DATA "/block_formats.bin", std::ios::binary);
  std::vector<Golden> goldens;
  char name[17] = {};
  std::int32_t sizes[3];
  while (file.read(name, 16) && file.read(reinterpret_cast<char*>(sizes), sizeof sizes)) {
    Golden golden;
    golden.format = dtype_from_string(name).value();
    EXPECT_EQ(dtype_info(golden.format).block_bytes, sizes[1]) << name;
    EXPECT_EQ(dtype_info(golden.format).block_elements, sizes[2]) << name;
    golden.blocks = sizes[0];
    golden.bytes.resize(static_cast<std::size_t>(sizes[0] * sizes[1]));
    golden.values.resize(static_cast<std::size_t>(sizes[0] * sizes[2]));
    file.read(golden.bytes.data(), static_cast<std::streamsize>(golden.bytes.size()));
    file.read(reinterpret_cast<char*>(golden.values.data()),
              static_cast<std::streamsize>(golden.values.size() * sizeof(float)));
    goldens.push_back(std::move(golden));
  }
  return goldens;
}

TEST(BlockFormat, DecodesAsThePeerDoes) {
  const std::vector<Golden> goldens = read_goldens();
  EXPECT_EQ(goldens.size(), 23u);
  for (const Golden& golden : goldens) {
    std::vector<float> got(golden.values.size());
    dequantize_blocks(golden.format, reinterpret_cast<const std::byte*>(golden.bytes.data()),
                      golden.blocks, got.data());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const float want = golden.values[i];
      ASSERT_NEAR(got[i], want, 1e-6f * std::fabs(want) + 1e-9f)
          << to_string(golden.format) << " element " << i;
    }
  }
}

/// 1024 values, the first block all zero.
Tensor waves() {
  Tensor tensor(DType::F32, {2, 512});
  std::span<float> values = tensor.as_mutable<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = i < 256 ? 0.0f : std::sin(static_cast<float>(i) * 0.7f) * 0.1f + 0.02f;
  }
  return tensor;
}

TEST(BlockFormat, EncodesWithinHalfAStep) {
  for (const DTypeInfo& info : all_dtypes()) {
    if (!can_quantize(info.dtype)) continue;
    const Tensor x = waves();
    const Tensor y = dequantize(quantize(x, info.dtype));
    const double bits = 8.0 * info.block_bytes / info.block_elements;
    const double step = 0.24 / std::exp2(std::floor(bits - 0.4));
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_NEAR(y.as<float>()[at], x.as<float>()[at], 1.3 * step)
          << info.name << " element " << i;
    }
  }
}

TEST(BlockFormat, EncodesAsThePeerDoes) {
  for (const Golden& golden : read_goldens()) {
    if (golden.format != DType::Q8_0 && golden.format != DType::Q4_0) continue;
    // Values that are on the grid already come back as the same blocks.
    std::vector<char> got(golden.bytes.size());
    quantize_blocks(golden.format, golden.values.data(), golden.blocks,
                    reinterpret_cast<std::byte*>(got.data()));
    std::vector<float> values(golden.values.size());
    dequantize_blocks(golden.format, reinterpret_cast<const std::byte*>(got.data()), golden.blocks,
                      values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], golden.values[i], 2e-3f * std::fabs(golden.values[i]) + 1e-6f)
          << to_string(golden.format);
    }
  }
}

TEST(BlockFormat, StaysInBoundsForAnyBytes) {
  for (const DTypeInfo& info : all_dtypes()) {
    if (info.kind != DTypeKind::Block) continue;
    for (const int fill : {0x00, 0x7f, 0x80, 0xff, 0x55}) {
      const std::vector<std::byte> bytes(static_cast<std::size_t>(info.block_bytes),
                                         static_cast<std::byte>(fill));
      std::vector<float> values(static_cast<std::size_t>(info.block_elements));
      dequantize_blocks(info.dtype, bytes.data(), 1, values.data());
    }
    if (!can_quantize(info.dtype)) continue;
    for (const float value : {std::nanf(""), INFINITY, -INFINITY, 3e38f}) {
      std::vector<float> values(static_cast<std::size_t>(info.block_elements), value);
      values[3] = -value;
      std::vector<std::byte> bytes(static_cast<std::size_t>(info.block_bytes));
      quantize_blocks(info.dtype, values.data(), 1, bytes.data());
    }
  }
}

TEST(BlockFormat, RefusesPartsOfBlocksAndOtherTypes) {
  EXPECT_THROW(dequantize(Tensor(DType::Q4_0, {2, 16})), Error);
  EXPECT_THROW(dequantize(Tensor(DType::I32, {2})), Error);
  EXPECT_THROW(quantize(Tensor(DType::F32, {2, 16}), DType::Q8_0), Error);
  EXPECT_THROW(quantize(Tensor(DType::F32, {256}), DType::IQ1_S), Error);
}

}  // namespace
}  // namespace naru
