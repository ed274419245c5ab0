// fuse_composites: the forms in which models write operators out, and near misses.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "compiler/pipeline.h"
#include "graph/op_def.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

/// What the real pipeline runs before it: canonical forms.
const std::vector<Pass> kPasses = {{"simplify_arithmetic", simplify_arithmetic},
                                   {"eliminate_common", eliminate_common},
                                   {"fuse_composites", fuse_composites, 1},
                                   {"eliminate_dead", eliminate_dead, 1}};

constexpr const char* kNumbers = R"(
  const %half: f32[] = {0.5} const %one: f32[1] = {1.0} const %two: f32[] = {2.0} const %three: f32[] = {3.0}
  const %six: f32[] = {6.0} const %zero: f32[] = {0.0} const %sixth: f32[] = {0.16666667}
  const %root2: f32[] = {1.4142135} const %inv: f32[] = {0.70710677} const %alpha: f32[] = {1.702}
  const %c: f32[] = {0.044715} const %r: f32[] = {0.7978846} const %eps: f32[] = {1e-5} const %last: i64[1] = {-1}
  const %scale: f32[5] = {1.0, 2.0, 3.0, 4.0, 5.0} const %bias: f32[1,5] = {5.0, 4.0, 3.0, 2.0, 1.0}
)";

void fuses(const std::string& body, const std::string& ops,
           const std::string& type = "f32[n,3,5]") {
  SCOPED_TRACE(body);
  testing::expect_rewrite(kPasses, "input %x: " + type + "\n" + kNumbers + body + "\noutput %y",
                          ops, 1e-5);
}

TEST(FuseComposites, HardActivations) {
  const std::string clip = "%a = Add(%three, %x) %k = Clip(%a, %zero, %six)\n";
  fuses(clip + "%y = Div(%k, %six)", "HardSigmoid");
  fuses(clip + "%y = Mul(%sixth, %k)", "HardSigmoid");
  fuses(clip + "%m = Mul(%x, %k) %y = Div(%m, %six)", "HardSwish");
  fuses(clip + "%m = Mul(%k, %x) %y = Mul(%m, %sixth)", "HardSwish");
  fuses(clip + "%m = Div(%k, %six) %y = Mul(%m, %x)", "HardSwish");
  fuses("%h = HardSigmoid(%x) {alpha=0.16666667, beta=0.5} %y = Mul(%h, %x)", "HardSwish");
  fuses("%m = Mul(%x, %alpha) %a = Add(%m, %half) %y = Clip(%a, %zero, %one)", "HardSigmoid");
}

TEST(FuseComposites, HardActivationsWithOtherNumbersStay) {
  fuses("%h = HardSigmoid(%x) %y = Mul(%h, %x)", "HardSigmoid Mul");
  fuses("%a = Add(%two, %x) %k = Clip(%a, %zero, %six) %y = Div(%k, %six)", "Add Clip Div");
  fuses("%a = Add(%x, %three) %k = Clip(%a, %zero, %six) %m = Mul(%a, %k) %y = Div(%m, %six)",
        "Add Clip Mul Div");
}

TEST(FuseComposites, SmoothActivations) {
  fuses("%s = Sigmoid(%x) %y = Mul(%s, %x)", "Swish");
  fuses("%m = Mul(%x, %alpha) %s = Sigmoid(%m) %y = Mul(%x, %s)", "Swish");
  fuses("%n = Neg(%x) %e = Exp(%n) %a = Add(%one, %e) %y = Div(%x, %a)", "Swish");
  fuses("%n = Neg(%x) %e = Exp(%n) %a = Add(%e, %one) %y = Div(%one, %a)", "Sigmoid");
  fuses("%p = Softplus(%x) %t = Tanh(%p) %y = Mul(%x, %t)", "Mish");
  fuses("%m = Mul(%half, %x) %y = Max(%x, %m)", "LeakyRelu");
  fuses("%m = Mul(%two, %x) %y = Max(%x, %m)", "Mul Max");
}

TEST(FuseComposites, Gelu) {
  fuses("%d = Div(%x, %root2) %e = Erf(%d) %a = Add(%e, %one) %m = Mul(%x, %a) %y = Mul(%m, %half)",
        "Gelu");
  fuses("%d = Mul(%x, %inv) %e = Erf(%d) %a = Add(%one, %e) %m = Mul(%a, %half) %y = Mul(%m, %x)",
        "Gelu");
  fuses("%d = Div(%x, %root2) %e = Erf(%d) %a = Add(%e, %one) %m = Mul(%x, %half) %y = Mul(%m, %a)",
        "Gelu");
  const std::string inner =
      "%p = Pow(%x, %three) %q = Mul(%p, %c) %s = Add(%x, %q) %u = Mul(%s, %r) %t = Tanh(%u) %a = "
      "Add(%t, %one)\n";
  fuses(inner + "%m = Mul(%x, %a) %y = Mul(%half, %m)", "Gelu");
  fuses(inner + "%m = Mul(%x, %half) %y = Mul(%m, %a)", "Gelu");
  fuses("%d = Div(%x, %two) %e = Erf(%d) %a = Add(%e, %one) %m = Mul(%x, %a) %y = Mul(%m, %half)",
        "Mul Erf Add Mul Mul");
}

TEST(FuseComposites, AnInnerValueThatOthersUseStays) {
  fuses("%s = Sigmoid(%x) %m = Mul(%s, %x) %y = Add(%m, %s)", "Sigmoid Mul Add");
  fuses("%s = Sigmoid(%x) %y = Mul(%s, %x)\noutput %s", "Sigmoid Mul");
}

const std::string kCentred =
    "%m = ReduceMean(%x, %last) %d = Sub(%x, %m) %p = Pow(%d, %two) %v = ReduceMean(%p, %last) %w "
    "= Add(%v, %eps) %q = Sqrt(%w)\n";

TEST(FuseComposites, LayerNormalization) {
  fuses(kCentred + "%y = Div(%d, %q)", "LayerNormalization");
  fuses(kCentred + "%n = Div(%d, %q) %k = Mul(%n, %scale) %y = Add(%k, %bias)",
        "LayerNormalization");
  fuses(kCentred + "%i = Reciprocal(%q) %n = Mul(%d, %i) %k = Mul(%scale, %n) %y = Add(%bias, %k)",
        "LayerNormalization");
  // Two subtractions, as some exporters write it.
  fuses(
      "%m = ReduceMean(%x, %last) %d = Sub(%x, %m) %d2 = Sub(%x, %m) %p = Mul(%d, %d) %v = "
      "ReduceMean(%p, %last)"
      "%w = Add(%v, %eps) %q = Sqrt(%w) %y = Div(%d2, %q)",
      "LayerNormalization");
}

TEST(FuseComposites, LayerNormalizationWithTheVarianceOfSquares) {
  const std::string moments =
      "const %n: f32[] = {0.2} const %axis: i64[1] = {2}\n %a = ReduceSum(%x, %axis) %m = Mul(%a, "
      "%n) %p = Mul(%x, %x)"
      "%b = ReduceSum(%p, %axis) %q = Mul(%b, %n) %mm = Mul(%m, %m) %v = Sub(%q, %mm) %z = Max(%v, "
      "%zero)"
      "%w = Add(%z, %eps) %root = Sqrt(%w) %d = Sub(%x, %m)\n";
  fuses(moments + "%i = Reciprocal(%root) %y = Mul(%d, %i)", "LayerNormalization");
  fuses(
      moments + "%i = Reciprocal(%root) %k = Mul(%i, %scale) %u = Mul(%d, %k) %y = Add(%u, %bias)",
      "LayerNormalization");
  fuses(moments + "%y = Div(%d, %root)", "LayerNormalization");
}

TEST(FuseComposites, MeansOfSums) {
  fuses("const %n: f32[] = {5.0} %s = ReduceSum(%x, %last) %y = Div(%s, %n)", "ReduceMean");
  fuses("const %n: f32[] = {4.0} %s = ReduceSum(%x, %last) %y = Div(%s, %n)", "ReduceSum Mul");
}

TEST(FuseComposites, LayerNormalizationOverOtherAxesStays) {
  fuses(
      "const %first: i64[1] = {1}\n %m = ReduceMean(%x, %first) %d = Sub(%x, %m) %p = Mul(%d, %d) "
      "%v = ReduceMean(%p, %first)"
      "%w = Add(%v, %eps) %q = Sqrt(%w) %y = Div(%d, %q)",
      "ReduceMean Sub Mul ReduceMean Add Sqrt Div");
  fuses(
      "const %first: i64[1] = {1}\n %m = ReduceMean(%x, %last) %d = Sub(%x, %m) %p = Mul(%d, %d) "
      "%v = ReduceMean(%p, %first)"
      "%w = Add(%v, %eps) %q = Sqrt(%w) %y = Div(%d, %q)",
      "ReduceMean Sub Mul ReduceMean Add Sqrt Div");
}

TEST(FuseComposites, AScaleAcrossOtherDimensionsStaysBehindTheNormalization) {
  fuses(kCentred + "const %rows: f32[3,1] = {1.0, 2.0, 3.0}\n %n = Div(%d, %q) %y = Mul(%n, %rows)",
        "LayerNormalization Mul");
}

TEST(FuseComposites, RmsNormalization) {
  const std::string root =
      "%p = Mul(%x, %x) %v = ReduceMean(%p, %last) %w = Add(%v, %eps) %q = Sqrt(%w)\n";
  fuses(root + "%n = Div(%x, %q) %y = Mul(%n, %scale)", "RMSNormalization");
  fuses(root + "%i = Div(%one, %q) %n = Mul(%x, %i) %y = Mul(%scale, %n)", "RMSNormalization");
}

TEST(FuseComposites, Softmax) {
  fuses(
      "%h = ReduceMax(%x, %last) %d = Sub(%x, %h) %e = Exp(%d) %s = ReduceSum(%e, %last) %y = "
      "Div(%e, %s)",
      "Softmax");
  fuses("%p = Transpose(%x) {perm=[0, 2, 1]} %s = Softmax(%p) %y = Transpose(%s) {perm=[0, 2, 1]}",
        "Softmax");
  fuses("%p = Transpose(%x) {perm=[2, 0, 1]} %s = Softmax(%p) %y = Transpose(%s) {perm=[2, 0, 1]}",
        "Transpose Softmax Transpose");
}

}  // namespace
}  // namespace naru
