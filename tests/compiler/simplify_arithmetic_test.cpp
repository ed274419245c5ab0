// simplify_arithmetic: each rule rewrites what it should, keeps the meaning, and leaves the rest.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_rewrite;

/// Statements between an input %x: f32[n,3] and an output %y.
std::string unary(const std::string& body, const std::string& type = "f32[n,3]") {
  return "input %x: " + type + "\n" + body + "\noutput %y";
}

void rewrites(const std::string& body, const std::string& ops,
              const std::string& type = "f32[n,3]") {
  SCOPED_TRACE(body);
  expect_rewrite(simplify_arithmetic, unary(body, type), ops);
}

TEST(SimplifyArithmetic, NeutralOperationsGo) {
  // The last Neg defines the output, so that the neutral node before it can go.
  rewrites("const %c: f32[] = {0.0}\n %t = Add(%x, %c)\n %y = Abs(%t)", "Abs");
  rewrites("const %c: f32[3] = {0.0, 0.0, 0.0}\n %t = Sub(%x, %c)\n %y = Abs(%t)", "Abs");
  rewrites("const %c: f32[1] = {1.0}\n %t = Mul(%c, %x)\n %y = Abs(%t)", "Abs");
  rewrites("const %c: i64[] = {1}\n %t = Div(%x, %c)\n %y = Abs(%t)", "Abs", "i64[n,3]");
  rewrites("%t = Sum(%x)\n %y = Abs(%t)", "Abs");
}

TEST(SimplifyArithmetic, ANeutralNodeThatDefinesTheOutputGoesToo) {
  rewrites("const %c: f32[] = {0.0}\n %t = Abs(%x)\n %y = Add(%t, %c)", "Abs");
}

TEST(SimplifyArithmetic, ANeutralNodeBetweenInputAndOutputStays) {
  rewrites("const %c: f32[] = {0.0}\n %y = Add(%x, %c)", "Add");
}

TEST(SimplifyArithmetic, ABroadcastIsNotNeutral) {
  rewrites("const %c: f32[2,1,1] = {0.0, 0.0}\n %t = Add(%x, %c)\n %y = Abs(%t)", "Add Abs");
  rewrites("const %c: f32[1,1,1] = {1.0}\n %t = Mul(%x, %c)\n %y = Abs(%t)", "Mul Abs");
}

TEST(SimplifyArithmetic, ConstantsMerge) {
  rewrites(
      "const %a: f32[] = {2.0}\n const %b: f32[3] = {1.0, 3.0, 0.5}\n"
      "%t = Mul(%x, %a)\n %y = Mul(%t, %b)",
      "Mul");
  rewrites(
      "const %a: f32[] = {2.0}\n const %b: f32[] = {3.5}\n %t = Add(%a, %x)\n %y = Sub(%t, %b)",
      "Add");
}

TEST(SimplifyArithmetic, ConstantsDoNotMergeWhereTheyGrowOrOverflow) {
  rewrites(
      "const %a: f32[4,1] = {2.0, 1.0, 3.0, 4.0}\n const %b: f32[3] = {1.0, 3.0, 0.5}\n"
      "%t = Mul(%x, %a)\n %y = Mul(%t, %b)",
      "Mul Mul", "f32[4,3]");
  rewrites(
      "const %a: f32[] = {1e30}\n const %b: f32[] = {1e-36}\n %t = Mul(%x, %a)\n %y = Mul(%t, %b)",
      "Mul");
  rewrites(
      "const %a: f32[] = {1e-30}\n const %b: f32[] = {1e-12}\n %t = Mul(%x, %a)\n %y = Mul(%t, %b)",
      "Mul Mul");
}

TEST(SimplifyArithmetic, AConstantDoesNotMergeThroughAValueThatOthersUse) {
  rewrites("const %a: f32[] = {3.0}\n %t = Mul(%x, %a)\n %u = Mul(%t, %a)\n %y = Add(%t, %u)",
           "Mul Mul Add");
}

TEST(SimplifyArithmetic, ExactDivisionsBecomeProducts) {
  rewrites("const %c: f32[3] = {2.0, 0.25, -8.0}\n %y = Div(%x, %c)", "Mul");
  rewrites("const %c: f32[3] = {2.0, 3.0, 8.0}\n %y = Div(%x, %c)", "Div");
  rewrites("const %c: f32[] = {0.0}\n %y = Div(%x, %c)", "Div");
  rewrites("const %c: i64[] = {2}\n %y = Div(%x, %c)", "Div", "i64[n,3]");
}

TEST(SimplifyArithmetic, PowersBecomeProducts) {
  rewrites("const %c: f32[] = {2.0}\n %y = Pow(%x, %c)", "Mul");
  rewrites("const %c: i64[1] = {3}\n %y = Pow(%x, %c)", "Mul Mul");
  rewrites("const %c: f32[] = {1.0}\n %t = Pow(%x, %c)\n %y = Abs(%t)", "Abs");
  rewrites("const %c: f32[] = {0.5}\n %y = Pow(%x, %c)", "Pow");
}

TEST(SimplifyArithmetic, VariadicBecomesBinary) {
  rewrites("%y = Sum(%x, %x)", "Add");
  rewrites("%a = Abs(%x)\n %b = Exp(%x)\n %y = Sum(%x, %a, %b)", "Abs Exp Add Add");
  rewrites("%a = Abs(%x)\n %b = Neg(%x)\n %y = Max(%a, %b, %x)", "Abs Neg Max Max");
  rewrites("%t = Min(%x)\n %y = Neg(%t)", "Neg");
}

TEST(SimplifyArithmetic, RepeatedOperationsGo) {
  rewrites("%t = Relu(%x)\n %y = Relu(%t)", "Relu");
  rewrites("%t = Abs(%x)\n %y = Abs(%t)", "Abs");
  rewrites("%t = Neg(%x)\n %u = Neg(%t)\n %y = Abs(%u)", "Abs");
  rewrites("%t = Not(%x)\n %u = Not(%t)\n %y = Not(%u)", "Not", "bool[n,3]");
  rewrites("%t = Relu(%x)\n %y = Abs(%t)", "Relu");
  rewrites("%t = Abs(%x)\n %u = Neg(%x)\n %y = Add(%t, %u)", "Abs Sub");
}

TEST(SimplifyArithmetic, ClipsMerge) {
  const std::string bounds =
      "const %l: f32[] = {-1.0}\n const %h: f32[] = {1.5}\n const %z: f32[] = {0.0}\n";
  rewrites(bounds + "%t = Relu(%x)\n %y = Clip(%t, %l, %h)", "Clip");
  rewrites(bounds + "%t = Clip(%x, %l, %h)\n %y = Relu(%t)", "Clip");
  rewrites(bounds + "%t = Clip(%x, %l)\n %y = Clip(%t, _, %h)", "Clip");
  rewrites(bounds + "%y = Clip(%x, %z)", "Relu");
  rewrites(bounds + "%t = Clip(%x)\n %y = Neg(%t)", "Neg");
  // Max and Min keep a NaN, Clip need not.
  rewrites(bounds + "%t = Max(%x, %l)\n %y = Min(%h, %t)", "Max Min");
  rewrites(bounds + "%y = Max(%z, %x)", "Relu");
  rewrites("const %n: f32[] = {-inf}\n %a = Abs(%x) %y = Max(%a, %n)", "Abs");
  // Bounds in the wrong order: the upper one wins, whatever comes first.
  rewrites(bounds + "%t = Relu(%x)\n %y = Clip(%t, %h, %l)", "Relu Clip");
}

TEST(SimplifyArithmetic, AWhereThatIsDecidedGoes) {
  rewrites(
      "const %c: bool[3] = {true, true, true}\n %a = Abs(%x)\n %t = Where(%c, %a, %x)\n %y = "
      "Neg(%t)",
      "Abs Neg");
  rewrites("const %c: bool[3] = {true, false, true}\n %a = Abs(%x)\n %y = Where(%c, %a, %x)",
           "Abs Where");
}

}  // namespace
}  // namespace naru
