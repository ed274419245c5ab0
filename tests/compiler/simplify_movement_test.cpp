// simplify_movement: each rule rewrites what it should, keeps the meaning, and leaves the rest.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_rewrite;

/// Statements between %x and %y; a Neg at either end keeps input and output apart from them.
void rewrites(const std::string& type, const std::string& body, const std::string& ops) {
  SCOPED_TRACE(body);
  expect_rewrite(simplify_movement,
                 "input %in: " + type + "\n%x = Neg(%in)\n" + body + "\n%y = Neg(%t)\noutput %y",
                 "Neg " + ops + (ops.empty() ? "" : " ") + "Neg");
}

TEST(SimplifyMovement, WhatKeepsTheShapeGoes) {
  rewrites("f32[n,3]", "%t = Identity(%x)", "");
  rewrites("f32[n,3]", "const %s: i64[2] = {-1, 3}\n %t = Reshape(%x, %s)", "");
  rewrites("f32[n,3]", "const %s: i64[2] = {1, 1}\n %t = Expand(%x, %s)", "");
  rewrites("f32[n,3]", "%t = Flatten(%x)", "");
  rewrites("f32[n,3]", "%t = Concat(%x) {axis=1}", "");
  rewrites("f32[n,3]", "%t = Cast(%x) {to=1}", "");
  rewrites("f32[n,3]", "const %p: i64[4] = {0, 0, 0, 0}\n %t = Pad(%x, %p)", "");
  rewrites("f32[n,3]", "%t = Transpose(%x) {perm=[0, 1]}", "");
  rewrites("f32[n,1,3]", "const %a: i64[1] = {1}\n %t = ReduceMean(%x, %a)", "");
  rewrites("f32[n,3]",
           "const %b: i64[2] = {0, 0}\n const %e: i64[2] = {9223372036854775807, 3}\n %t = "
           "Slice(%x, %b, %e)",
           "");
}

TEST(SimplifyMovement, WhatOnlyLooksNeutralStays) {
  rewrites("f32[4,3]",
           "const %b: i64[1] = {-1}\n const %e: i64[1] = {-9223372036854775807}\n const %a: i64[1] "
           "= {0}\n"
           "const %s: i64[1] = {-1}\n %t = Slice(%x, %b, %e, %a, %s)",
           "Slice");
  rewrites("f32[4,3]", "const %p: i64[4] = {1, 0, -1, 0}\n %t = Pad(%x, %p)", "Pad");
  rewrites("f32[3,3]", "%t = Transpose(%x)", "Transpose");
  rewrites("f32[n,3]", "const %a: i64[1] = {0}\n %t = ReduceMean(%x, %a)", "ReduceMean");
}

TEST(SimplifyMovement, NeighboursMerge) {
  rewrites("f32[n,4,3]",
           "const %a: i64[3] = {-1, 3, 4}\n const %b: i64[2] = {-1, 6}\n %u = Reshape(%x, %a)\n %t "
           "= Reshape(%u, %b)",
           "Reshape");
  rewrites("f32[2,4,3]",
           "%u = Transpose(%x) {perm=[1, 2, 0]}\n %t = Transpose(%u) {perm=[2, 0, 1]}", "");
  rewrites("f32[2,4,3]", "%u = Transpose(%x)\n %t = Transpose(%u) {perm=[1, 0, 2]}", "Transpose");
  rewrites("f32[n,3]", "const %a: i64[1] = {1}\n %u = Unsqueeze(%x, %a)\n %t = Squeeze(%u, %a)",
           "");
  rewrites("f32[n,1,3]", "const %a: i64[1] = {1}\n %u = Squeeze(%x, %a)\n %t = Unsqueeze(%u, %a)",
           "");
  rewrites("f32[n,1,3]",
           "const %a: i64[1] = {1} const %b: i64[1] = {0}\n %u = Squeeze(%x, %a)\n %t = "
           "Unsqueeze(%u, %b)",
           "Reshape");
  rewrites("f32[n,3]",
           "%a = Neg(%x)\n %u = Concat(%x, %a) {axis=-1}\n %t = Concat(%u, %x) {axis=1}",
           "Neg Concat");
}

TEST(SimplifyMovement, NeighboursThatDifferStay) {
  // A zero copies the dimension of the inner result, which the outer input need not have.
  rewrites("f32[2,4,3]",
           "const %a: i64[3] = {3, 2, 4}\n const %b: i64[2] = {0, 8}\n %u = Reshape(%x, %a)\n %t = "
           "Reshape(%u, %b)",
           "Reshape Reshape");
  rewrites("f32[n,3]", "%a = Neg(%x)\n %u = Concat(%x, %a) {axis=0}\n %t = Concat(%u, %u) {axis=1}",
           "Neg Concat Concat");
}

TEST(SimplifyMovement, ReshapesToComputedShapes) {
  testing::expect_rewrite({{"movement", simplify_movement}, {"dead", eliminate_dead}}, R"(
    input %x: f32[n,4,h,3]
    const %from: i64[1] = {0} const %to: i64[1] = {3} const %rest: i64[2] = {1, 3}
    %s = Shape(%x) %front = Slice(%s, %from, %to) %t = Concat(%front, %rest) {axis=0} %y = Reshape(%x, %t)
    output %y
  )",
                          "Reshape");
  // An empty batch would leave nothing to tell -1 by.
  testing::expect_rewrite({{"movement", simplify_movement}, {"dead", eliminate_dead}}, R"(
    input %x: f32[n,4,h,3]
    const %from: i64[1] = {0} const %to: i64[1] = {2} const %rest: i64[1] = {-1}
    %s = Shape(%x) %front = Slice(%s, %from, %to) %t = Concat(%front, %rest) {axis=0} %y = Reshape(%x, %t)
    output %y
  )",
                          "Shape Slice Concat Reshape");
  // Dimensions that stay where they are may be copied through a merged reshape.
  rewrites("f32[n,4,3]",
           "const %a: i64[3] = {0, 2, 6}\n const %b: i64[2] = {0, 12}\n %u = Reshape(%x, %a)\n %t "
           "= Reshape(%u, %b)",
           "Reshape");
}

TEST(SimplifyMovement, ReductionsKeepTheirDimensions) {
  rewrites("f32[n,4,3]",
           "const %a: i64[1] = {1}\n %u = ReduceMax(%x, %a) {keepdims=0}\n %t = Unsqueeze(%u, %a)",
           "ReduceMax");
  rewrites("f32[n,4,3]",
           "const %a: i64[2] = {-1, 1}\n const %s: i64[3] = {-1, 1, 1}\n %u = ReduceSum(%x, %a) "
           "{keepdims=0}\n %t = Reshape(%u, %s)",
           "ReduceSum");
  rewrites("f32[n,4,3]",
           "const %a: i64[1] = {1} const %z: i64[1] = {0}\n %u = ReduceMax(%x, %a) {keepdims=0}\n "
           "%t = Unsqueeze(%u, %z)",
           "ReduceMax Unsqueeze");
}

TEST(SimplifyMovement, TransposesOfOnesAreReshapes) {
  rewrites("f32[n,1,3]", "%t = Transpose(%x) {perm=[1, 0, 2]}", "Reshape");
  rewrites("f32[1,n,m]", "%t = Transpose(%x) {perm=[1, 0, 2]}", "Transpose");
}

TEST(SimplifyMovement, WideningCastsMerge) {
  rewrites("f32[n,3]", "%u = Cast(%x) {to=11}\n %t = Cast(%u) {to=1}", "");
  rewrites("f32[n,3]", "%u = Cast(%x) {to=10}\n %t = Cast(%u) {to=1}", "Cast Cast");
}

}  // namespace
}  // namespace naru
