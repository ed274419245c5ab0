// fuse_quantised: which dequantised products become products of integers, and which stay.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_rewrite;

// A sum that lies between two integers of the result may be rounded to either.
constexpr double kOneStep = 1;

TEST(FuseQuantised, ConvolutionWithScalesPerChannelAndBias) {
  expect_rewrite(fuse_quantised, R"(
    input %x: u8[1,2,4,4]
    const %xs: f32[] = {0.05}
    const %xz: u8[] = {120}
    const %w: i8[3,2,1,1] = {10, -20, 127, -128, 3, 50}
    const %ws: f32[3] = {0.01, 0.02, 0.04}
    const %wz: i8[3] = {0, 0, 0}
    const %b: i32[3] = {100, -200, 300}
    const %bs: f32[3] = {0.0005, 0.001, 0.002}
    const %ys: f32[] = {0.03}
    const %yz: u8[] = {100}
    %fx = DequantizeLinear(%x, %xs, %xz)
    %fw = DequantizeLinear(%w, %ws, %wz) {axis=0}
    %fb = DequantizeLinear(%b, %bs) {axis=0}
    %c = Conv(%fx, %fw, %fb) {}
    %y = QuantizeLinear(%c, %ys, %yz)
    output %y)",
                 "QLinearConv", kOneStep);
}

TEST(FuseQuantised, MatMulWithoutZeroPointsOfItsOperands) {
  expect_rewrite(fuse_quantised, R"(
    input %x: i8[3,4]
    const %xs: f32[] = {0.05}
    const %w: i8[4,2] = {10, -20, 127, -128, 3, 50, 7, 9}
    const %ws: f32[2] = {0.01, 0.02}
    const %ys: f32[] = {0.3}
    const %yz: i8[] = {-3}
    %fx = DequantizeLinear(%x, %xs)
    %fw = DequantizeLinear(%w, %ws) {axis=1}
    %c = MatMul(%fx, %fw)
    %y = QuantizeLinear(%c, %ys, %yz)
    output %y)",
                 "QLinearMatMul", kOneStep);
}

TEST(FuseQuantised, ReluGoesWhereSaturationDoesItsWork) {
  const auto model = [](const char* zero) {
    return std::string(R"(
    input %x: u8[3,4]
    const %xs: f32[] = {0.05}
    const %xz: u8[] = {120}
    const %w: i8[4,2] = {10, -20, 127, -128, 3, 50, 7, 9}
    const %ws: f32[] = {0.01}
    const %ys: f32[] = {0.3}
    const %yz: u8[] = {)") + zero + R"(}
    %fx = DequantizeLinear(%x, %xs, %xz)
    %fw = DequantizeLinear(%w, %ws)
    %c = MatMul(%fx, %fw)
    %r = Relu(%c)
    %y = QuantizeLinear(%r, %ys, %yz)
    output %y)";
  };
  expect_rewrite(fuse_quantised, model("0"), "QLinearMatMul", kOneStep);
  expect_rewrite(fuse_quantised, model("5"), "DequantizeLinear DequantizeLinear MatMul Relu QuantizeLinear");
}

TEST(FuseQuantised, KeepsWhatIntegersCannotSay) {
  // A bias of floats, scales along the depth, and a product that is used twice.
  expect_rewrite(fuse_quantised, R"(
    input %x: u8[1,2,4,4]
    const %xs: f32[] = {0.05}
    const %xz: u8[] = {120}
    const %w: i8[3,2,1,1] = {10, -20, 127, -128, 3, 50}
    const %ws: f32[] = {0.01}
    const %b: f32[3] = {0.1, -0.2, 0.3}
    const %ys: f32[] = {0.03}
    const %yz: u8[] = {100}
    %fx = DequantizeLinear(%x, %xs, %xz)
    %fw = DequantizeLinear(%w, %ws)
    %c = Conv(%fx, %fw, %b) {}
    %y = QuantizeLinear(%c, %ys, %yz)
    output %y)",
                 "DequantizeLinear DequantizeLinear Conv QuantizeLinear");
  expect_rewrite(fuse_quantised, R"(
    input %x: i8[3,2]
    const %xs: f32[] = {0.05}
    const %w: i8[2,2] = {10, -20, 127, -128}
    const %ws: f32[2] = {0.01, 0.02}
    const %ys: f32[] = {0.3}
    const %yz: i8[] = {-3}
    %fx = DequantizeLinear(%x, %xs)
    %fw = DequantizeLinear(%w, %ws) {axis=0}
    %c = MatMul(%fx, %fw)
    %y = QuantizeLinear(%c, %ys, %yz)
    output %y)",
                 "DequantizeLinear DequantizeLinear MatMul QuantizeLinear");
  expect_rewrite(fuse_quantised, R"(
    input %x: i8[3,2]
    const %xs: f32[] = {0.05}
    const %w: i8[2,2] = {10, -20, 127, -128}
    const %ys: f32[] = {0.3}
    const %yz: i8[] = {-3}
    %fx = DequantizeLinear(%x, %xs)
    %fw = DequantizeLinear(%w, %xs)
    %c = MatMul(%fx, %fw)
    %y = QuantizeLinear(%c, %ys, %yz)
    output %y
    output %c)",
                 "DequantizeLinear DequantizeLinear MatMul QuantizeLinear");
}

}  // namespace
}  // namespace naru
