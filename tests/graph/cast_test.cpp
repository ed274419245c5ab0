// Casts: text, powers of two, rounding to half precision, bits.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/onnx_dtype.h"
#include "graph/scalar.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

Tensor cast(const Tensor& input, DType to, Attributes attributes = {}) {
  attributes["to"] = onnx_code(to);
  return run_tensor("Cast", {input}, std::move(attributes));
}

std::vector<std::string> texts(const Tensor& tensor) {
  const auto strings = tensor.strings();
  return {strings.begin(), strings.end()};
}

TEST(Cast, ReadsNumbersFromText) {
  const Tensor text = Tensor::from_strings({9}, {"3.14", "1e-5", "1E8", "+INF", "-inf", "NaN", "+2", "1e400", "1e-400"});
  const auto y = elements<float>(cast(text, DType::F32));
  EXPECT_EQ(y[0], 3.14f);
  EXPECT_EQ(y[1], 1e-5f);
  EXPECT_EQ(y[2], 1e8f);
  EXPECT_TRUE(std::isinf(y[3]) && y[3] > 0);
  EXPECT_TRUE(std::isinf(y[4]) && y[4] < 0);
  EXPECT_TRUE(std::isnan(y[5]));
  EXPECT_EQ(y[6], 2);
  EXPECT_TRUE(std::isinf(y[7]));
  EXPECT_EQ(y[8], 0);
  const Tensor whole = Tensor::from_strings({3}, {"9223372036854775807", "-5", "100.5"});
  EXPECT_EQ(elements<std::int64_t>(cast(whole, DType::I64)), (std::vector<std::int64_t>{INT64_MAX, -5, 100}));
  EXPECT_EQ(elements<std::uint64_t>(cast(Tensor::from_strings({1}, {"18446744073709551615"}), DType::U64)),
            (std::vector<std::uint64_t>{UINT64_MAX}));
  EXPECT_EQ(elements<bool>(cast(Tensor::from_strings({4}, {"True", "false", "0", "2"}), DType::Bool)),
            (std::vector<bool>{true, false, false, true}));
}

TEST(Cast, RejectsTextThatIsNoNumber) {
  for (const char* text : {"", "x", "1x", "--1", "+-1", "1 ", "0x10", "infinite"}) {
    EXPECT_THROW(cast(Tensor::from_strings({1}, {text}), DType::F32), Error) << text;
    EXPECT_THROW(cast(Tensor::from_strings({1}, {text}), DType::I32), Error) << text;
  }
}

TEST(Cast, WritesTextThatReadsBack) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from<float>({6}, {314.15926f, 0.1f, -2.5f, infinity, -infinity, std::nanf("")});
  EXPECT_EQ(texts(cast(x, DType::String)), (std::vector<std::string>{"314.15927", "0.1", "-2.5", "INF", "-INF", "NaN"}));
  EXPECT_EQ(texts(cast(cast(x, DType::F16), DType::String))[1], "0.1");
  EXPECT_EQ(texts(cast(ints({-7}), DType::String)), (std::vector<std::string>{"-7"}));
}

TEST(Cast, RoundsToHalfOnce) {
  // Just above the midpoint of 1 and its f16 successor; rounding to f32 first lands on the midpoint.
  const Tensor x = Tensor::from<double>({1}, {1 + 0x1p-11 + 0x1p-40});
  EXPECT_EQ(load_f64(DType::F16, cast(x, DType::F16).data(), 0), 1 + 0x1p-10);
  const Tensor y = Tensor::from<double>({2}, {1 + 0x1p-8 + 0x1p-40, -(1 + 0x1p-8 - 0x1p-40)});
  const Tensor rounded = cast(y, DType::BF16);
  EXPECT_EQ(load_f64(DType::BF16, rounded.data(), 0), 1 + 0x1p-7);
  EXPECT_EQ(load_f64(DType::BF16, rounded.data(), 1), -1);
  const Tensor extremes = Tensor::from<double>({4}, {65519.9, 65520, 1e300, 1e-300});
  const Tensor half = cast(extremes, DType::F16);
  EXPECT_EQ(load_f64(DType::F16, half.data(), 0), 65504);
  EXPECT_TRUE(std::isinf(load_f64(DType::F16, half.data(), 1)));
  EXPECT_TRUE(std::isinf(load_f64(DType::F16, half.data(), 2)));
  EXPECT_EQ(load_f64(DType::F16, half.data(), 3), 0);
}

TEST(Cast, SixBitFloats) {
  // The values of ml_dtypes' float6_e2m3fn and float6_e3m2fn for the codes 0 to 31.
  const std::vector<float> e2m3 = {0,    0.125, 0.25, 0.375, 0.5,  0.625, 0.75, 0.875, 1,   1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875,
                                   2,    2.25,  2.5,  2.75,  3,    3.25,  3.5,  3.75,  4,   4.5,   5,    5.5,   6,   6.5,   7,    7.5};
  const std::vector<float> e3m2 = {0,   0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1,  1.25, 1.5, 1.75,
                                   2,   2.5,    3,     3.5,    4,    5,      6,     7,      8,   10,    12,   14,    16, 20,   24,  28};
  for (const auto& [dtype, values] : {std::pair(DType::F6E2M3, e2m3), std::pair(DType::F6E3M2, e3m2)}) {
    const Tensor x = Tensor::from<float>({32}, std::span(values));
    const Tensor narrow = cast(x, dtype);
    EXPECT_EQ(narrow.size_bytes(), 24);
    for (std::int64_t code = 0; code < 32; ++code) EXPECT_EQ(load_bits(dtype, narrow.data(), code), code);
    EXPECT_EQ(elements<float>(cast(narrow, DType::F32)), values);
  }
  // As ml_dtypes rounds; ONNX's packing of 1, -2.125, 9, -inf, 0.0625.
  const Tensor x = Tensor::from<float>({5}, {1.0f, -2.125f, 9.0f, -std::numeric_limits<float>::infinity(), 0.0625f});
  const Tensor e2 = cast(x, DType::F6E2M3);
  EXPECT_EQ(e2.size_bytes(), 4);
  EXPECT_EQ(elements<float>(cast(e2, DType::F32)), (std::vector<float>{1, -2, 7.5, -7.5, 0}));
  EXPECT_EQ(elements<float>(cast(cast(x, DType::F6E3M2), DType::F32)), (std::vector<float>{1, -2, 8, -28, 0.0625}));
  const std::vector<int> packed = {0x08, 0xfc, 0xfd, 0x00};
  for (std::size_t i = 0; i < packed.size(); ++i) EXPECT_EQ(int(e2.data()[i]), packed[i]) << i;
  const Tensor turned = run_tensor("Slice", {e2, ints({4}), ints({-9}), ints({0}), ints({-1})});
  EXPECT_EQ(elements<float>(cast(turned, DType::F32)), (std::vector<float>{0, -7.5, 7.5, -2, 1}));
}

TEST(Cast, PowersOfTwoRoundAsAsked) {
  const Tensor x = Tensor::from<float>({5}, {1.0f, 1.4f, 1.5f, 0.0f, std::numeric_limits<float>::infinity()});
  const auto bits = [&](const char* mode, std::int64_t saturate) {
    const Tensor y = cast(x, DType::F8E8M0, {{"round_mode", std::string(mode)}, {"saturate", saturate}});
    return std::vector<int>{int(y.data()[0]), int(y.data()[1]), int(y.data()[2]), int(y.data()[3]), int(y.data()[4])};
  };
  EXPECT_EQ(bits("up", 1), (std::vector<int>{127, 128, 128, 0, 254}));
  EXPECT_EQ(bits("down", 1), (std::vector<int>{127, 127, 127, 0, 254}));
  EXPECT_EQ(bits("nearest", 0), (std::vector<int>{127, 127, 128, 255, 255}));
}

TEST(Cast, IntegersKeepTheirLowBits) {
  const Tensor x = Tensor::from<std::int16_t>({3}, {200, -129, 256});
  EXPECT_EQ(elements<std::int8_t>(cast(x, DType::I8)), (std::vector<std::int8_t>{-56, 127, 0}));
  EXPECT_EQ(elements<bool>(cast(x, DType::Bool)), (std::vector<bool>{true, true, true}));
}

TEST(Cast, LikeTakesTheTypeOfTheOther) {
  const Tensor y = run_tensor("CastLike", {iota({3}), ints({1})});
  EXPECT_EQ(elements<std::int64_t>(y), (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(Cast, RejectsUnknownTargets) {
  EXPECT_THROW(run_op("Cast", {iota({1})}, {{"to", std::int64_t{99}}}), Error);
  EXPECT_THROW(run_op("Cast", {iota({1})}, {{"to", std::int64_t{14}}}), Error);
  EXPECT_THROW(run_op("Cast", {iota({1})}, {{"to", std::int64_t{1}}, {"round_mode", std::string("odd")}}), Error);
  EXPECT_THROW(run_op("BitCast", {iota({1})}, {{"to", std::int64_t{7}}}), Error);
}

TEST(Cast, BitCastKeepsBits) {
  const Tensor y = run_tensor("BitCast", {Tensor::from<float>({1}, {1.0f})}, {{"to", onnx_code(DType::U32)}});
  EXPECT_EQ(y.as<std::uint32_t>()[0], 0x3f800000u);
  const Tensor z = run_tensor("BitCast", {Tensor::from<std::uint8_t>({2}, {0, 3})}, {{"to", onnx_code(DType::Bool)}});
  EXPECT_EQ(elements<bool>(z), (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace naru
