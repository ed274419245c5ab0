// fold_affine: scales and shifts around convolutions and matrix products, and where they must stay.
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "graph/text.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

/// "const %name: f32[shape] = {...}" with random values in [low, high).
std::string weights(const std::string& name, const Shape& shape, double low = -1, double high = 1) {
  std::mt19937 random(static_cast<unsigned>(name.size() * 31 + static_cast<unsigned>(name[0])));
  std::uniform_real_distribution<double> real(low, high);
  std::string text;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    text += fmt::format("{}{:.4f}", i == 0 ? "" : ", ", real(random));
  return fmt::format("const %{}: f32{} = {{{}}}\n", name, to_string(shape), text);
}

const std::vector<Pass> kPasses = {{"simplify_arithmetic", simplify_arithmetic, 1},
                                   {"fold_affine", fold_affine, 1},
                                   {"eliminate_dead", eliminate_dead, 1}};

void folds(const std::string& statements, const std::string& ops) {
  SCOPED_TRACE(statements);
  testing::expect_rewrite(kPasses, statements + "\noutput %y", ops, 1e-4);
}

const std::string kConv =
    "input %x: f32[n,4,h,5]\n" + weights("w", {6, 2, 3, 2}) + weights("b", {6});
const std::string kNorm =
    weights("g", {6}) + weights("beta", {6}) + weights("mean", {6}) + weights("var", {6}, 0.1, 2);
const std::string kAttributes = " {group=2, pads=[1, 0, 2, 1], strides=[2, 1]}\n";

TEST(FoldAffine, NormalizationBehindAConvolution) {
  folds(kConv + kNorm + "%c = Conv(%x, %w)" + kAttributes +
            "%y = BatchNormalization(%c, %g, %beta, %mean, %var)",
        "Conv");
  folds(kConv + kNorm + "%c = Conv(%x, %w, %b)" + kAttributes +
            "%y = BatchNormalization(%c, %g, %beta, %mean, %var) {epsilon=0.01}",
        "Conv");
}

TEST(FoldAffine, ConstantChainsBehindAConvolution) {
  const std::string constants =
      weights("s", {}) + weights("t", {1}) + weights("u", {6, 1, 1}) + weights("v", {1, 6, 1, 1});
  folds(kConv + constants + "%c = Conv(%x, %w, %b)" + kAttributes +
            "%p = Mul(%c, %s) %q = Add(%p, %t) %r = Mul(%u, %q) %y = Add(%r, %v)",
        "Conv");
  folds(kConv + constants + "%c = Conv(%x, %w)" + kAttributes + "%p = Sub(%c, %u) %y = Div(%p, %v)",
        "Conv");
}

TEST(FoldAffine, BehindATransposedConvolution) {
  folds("input %x: f32[n,4,h,5]\n" + weights("w", {4, 3, 2, 2}) + kNorm +
            "%c = ConvTranspose(%x, %w) {group=2, strides=[2, 2]} %y = BatchNormalization(%c, %g, "
            "%beta, %mean, %var)",
        "ConvTranspose");
}

TEST(FoldAffine, WhatVariesAlongAnotherAxisStays) {
  folds(
      kConv + weights("k", {5}) + "%c = Conv(%x, %w) {group=2, pads=[1, 0, 1, 1]} %y = Mul(%c, %k)",
      "Conv Mul");
  folds("input %x: f32[1,4,5,5]\n" + weights("w", {6, 2, 3, 2}) + weights("k", {2, 6, 1, 1}) +
            "%c = Conv(%x, %w) {group=2} %y = Add(%c, %k)",
        "Conv Add");
  // One channel that a constant would widen to three.
  folds("input %x: f32[n,2,4]\n" + weights("w", {1, 2, 2}) + weights("k", {3, 1}) +
            "%c = Conv(%x, %w) %y = Mul(%c, %k)",
        "Conv Mul");
}

TEST(FoldAffine, AValueThatOthersUseStays) {
  folds(kConv + weights("s", {}) + "%c = Conv(%x, %w)" + kAttributes +
            "%p = Mul(%c, %s) %y = Add(%p, %c)",
        "Conv Mul Add");
  folds(
      kConv + weights("s", {}) + "%c = Conv(%x, %w)" + kAttributes + "%y = Mul(%c, %s)\noutput %c",
      "Conv Mul");
}

TEST(FoldAffine, BeforeAConvolution) {
  const std::string constants =
      weights("s", {4, 1, 1}) + weights("t", {}) + weights("w1", {6, 2, 1, 2});
  folds(kConv + constants + "%p = Mul(%x, %s) %y = Conv(%p, %w, %b)" + kAttributes, "Conv");
  folds(kConv + constants + "%p = Mul(%x, %s) %q = Add(%p, %t) %y = Conv(%q, %w1) {group=2}",
        "Conv");
  folds("input %x: f32[n,6,h,5]\n" + weights("w", {3, 2, 1, 1}) + kNorm +
            "%p = BatchNormalization(%x, %g, %beta, %mean, %var) %y = Conv(%p, %w) {group=3}",
        "Conv");
  folds("input %x: f32[n,4,h,5]\n" + weights("w", {4, 3, 2, 2}) + constants +
            "%p = Mul(%x, %s) %y = ConvTranspose(%p, %w) {group=2}",
        "ConvTranspose");
}

TEST(FoldAffine, AShiftBeforePaddingStays) {
  folds(kConv + weights("t", {}) + "%p = Add(%x, %t) %y = Conv(%p, %w)" + kAttributes, "Add Conv");
  folds(kConv + weights("t", {}) +
            "%p = Add(%x, %t) %y = Conv(%p, %w) {group=2, auto_pad=\"SAME_UPPER\"}",
        "Add Conv");
  folds("input %x: f32[n,4,h,5]\n" + weights("w", {4, 3, 2, 2}) + weights("t", {}) +
            "%p = Add(%x, %t) %y = ConvTranspose(%p, %w) {group=2}",
        "Add ConvTranspose");
}

TEST(FoldAffine, MatrixProducts) {
  const std::string product = "input %x: f32[n,3,4]\n" + weights("w", {4, 5}) + weights("s", {5}) +
                              weights("t", {1, 5}) + weights("k", {4});
  folds(product + "%m = MatMul(%x, %w) %y = Mul(%m, %s)", "MatMul");
  folds(product + "%m = MatMul(%x, %w) %p = Add(%m, %t) %y = Mul(%p, %s)", "naru.FusedMatMul");
  folds(product + "%p = Mul(%x, %k) %q = Add(%p, %k) %y = MatMul(%q, %w)", "naru.FusedMatMul");
  folds(product + "%p = Add(%x, %k) %y = naru.FusedMatMul(%p, %w, %s) {alpha=0.5}",
        "naru.FusedMatMul");
  folds("input %x: f32[n,4,3]\n" + weights("w", {5, 4}) + weights("k", {4, 1}) + weights("s", {5}) +
            "%p = Mul(%x, %k) %m = naru.FusedMatMul(%p, %w) {transA=1, transB=1} %y = Mul(%m, %s)",
        "naru.FusedMatMul");
}

TEST(FoldAffine, NormalizationWithoutAConvolutionIsAProductAndASum) {
  folds("input %x: f32[n,6,h]\n" + kNorm +
            "%r = Relu(%x) %y = BatchNormalization(%r, %g, %beta, %mean, %var)",
        "Relu Mul Add");
  // Followed by a chain of constants, still one product and one sum.
  folds("input %x: f32[n,6,h]\n" + kNorm + weights("s", {6, 1}) + weights("t", {6, 1}) +
            "%c = BatchNormalization(%x, %g, %beta, %mean, %var) %p = Mul(%c, %s) %y = Add(%p, %t)",
        "Mul Add");
}

TEST(FoldAffine, AConstantBiasOfWeightsKnownOnlyAtRunTime) {
  folds("input %x: f32[n,4,5,5] input %w: f32[6,4,2,2]\n" + weights("t", {6, 1, 1}) +
            "%c = Conv(%x, %w) %y = Add(%c, %t)",
        "Conv");
  folds("input %x: f32[n,4,5,5] input %w: f32[6,4,2,2]\n" + weights("t", {6, 1, 1}) +
            "%c = Conv(%x, %w) %y = Mul(%c, %t)",
        "Conv Mul");
}

}  // namespace
}  // namespace naru
