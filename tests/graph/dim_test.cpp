// Dim: normal form, division, text round trip.
#include "graph/dim.h"

#include <gtest/gtest.h>

#include "naru/error.h"

namespace naru {
namespace {

TEST(Dim, NormalFormMakesEqualSumsEqual) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  EXPECT_EQ(n + m, m + n);
  EXPECT_EQ(n * 2 + n, n * 3);
  EXPECT_EQ(n - n, Dim(0));
  EXPECT_EQ((n + 1) * (m + 2), n * m + n * 2 + m + 2);
  EXPECT_EQ(max(n, m), max(m, n));
  EXPECT_EQ(min(n, 5), min(5, n));
}

TEST(Dim, FloorDivisionSplitsOffExactTerms) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(floor_div(n * 4, 2), n * 2);
  EXPECT_EQ(floor_div(n * 2 + 3, 2), n + 1);
  EXPECT_EQ(floor_div(n * 6 * Dim::symbol("m"), n * 3), Dim::symbol("m") * 2);
  EXPECT_EQ(floor_div(Dim(-7), Dim(2)), Dim(-4));
  EXPECT_EQ(ceil_div(Dim(7), Dim(2)), Dim(4));
}

TEST(Dim, LowerBoundHoldsForAllDimensions) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ((n * 2 + 1).lower_bound(), 1);
  EXPECT_EQ(Dim(-3).lower_bound(), -3);
  EXPECT_EQ((-n).lower_bound(), std::nullopt);
  EXPECT_EQ(max(n - 4, Dim(0)).lower_bound(), 0);
  EXPECT_EQ(floor_div(n + 7, 4).lower_bound(), 1);
  EXPECT_EQ(floor_div(n - 1, 2).lower_bound(), -1);
  EXPECT_EQ((floor_div(n - 1, 2) * n).lower_bound(), std::nullopt);
}

TEST(Dim, TextRoundTrips) {
  const Dim n = Dim::symbol("n");
  const Dim dim = floor_div(n + 3, 4) * 2 - max(n, Dim::symbol("m")) + 7;
  EXPECT_EQ(Dim::parse(dim.to_string()), dim);
}

TEST(Dim, SubstitutionEvaluates) {
  const Dim dim = floor_div(Dim::symbol("n") + 3, 4) * 2 - 1;
  const Dim value = dim.substitute([](const std::string&) { return std::optional<Dim>(9); });
  EXPECT_EQ(value, Dim(5));
}

TEST(Dim, KnowsWhatCannotBeNegative) {
  const Dim n = Dim::symbol("n");
  for (const Dim& dim : {n, n * 3 + 1, max(n - 1, 0), floor_div(n + 1, 2), Dim(0)}) {
    EXPECT_TRUE(dim.is_nonnegative()) << dim.to_string();
  }
  for (const Dim& dim : {n - 1, Dim(-1), min(n - 1, n * 2), floor_div(n - 1, 2)}) {
    EXPECT_FALSE(dim.is_nonnegative()) << dim.to_string();
  }
}

TEST(Dim, RejectsBadTextAndZeroDivision) {
  for (const char* text :
       {"", "1+", "(1", "floordiv(1)", "1 2", "99999999999999999999", "floordiv(1,0)"}) {
    EXPECT_THROW(Dim::parse(text), Error) << text;
  }
}

}  // namespace
}  // namespace naru
