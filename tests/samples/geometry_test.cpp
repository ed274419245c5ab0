// Geometry of text boxes: hull, smallest rectangle, growing, order of reading.
#include "tools/samples/label_reader/geometry.h"

#include <cmath>
#include <numbers>
#include <random>

#include <gtest/gtest.h>

namespace label_reader {
namespace {

constexpr double kNear = 1e-9;

/// A rectangle of which the text runs at `degrees` (clockwise on the screen) from the corner `at`.
Quad rectangle(Point at, double width, double height, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  const Point u{std::cos(angle), std::sin(angle)}, v{-u.y, u.x};
  const auto corner = [&](double a, double b) {
    return Point{at.x + u.x * a + v.x * b, at.y + u.y * a + v.y * b};
  };
  return {corner(0, 0), corner(width, 0), corner(width, height), corner(0, height)};
}

void expect_near(const Quad& actual, const Quad& expected, double tolerance = kNear) {
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(actual[i].x, expected[i].x, tolerance) << "corner " << i;
    EXPECT_NEAR(actual[i].y, expected[i].y, tolerance) << "corner " << i;
  }
}

TEST(ConvexHull, LeavesOutInnerAndCollinearPoints) {
  const auto hull = convex_hull({{0, 0}, {2, 0}, {1, 0}, {2, 2}, {1, 1}, {0, 2}, {0, 2}});
  ASSERT_EQ(hull.size(), 4u);
  double area = 0;  // shoelace formula
  for (std::size_t i = 0; i < 4; ++i) {
    const Point a = hull[i], b = hull[(i + 1) % 4];
    area += (a.x * b.y - b.x * a.y) / 2;
  }
  EXPECT_NEAR(std::abs(area), 4, kNear);
}

TEST(ConvexHull, KeepsFewPoints) {
  EXPECT_EQ(convex_hull({{1, 2}}).size(), 1u);
  EXPECT_EQ(convex_hull({{1, 2}, {1, 2}}).size(), 1u);
  EXPECT_EQ(convex_hull({{1, 2}, {3, 4}}).size(), 2u);
  EXPECT_EQ(convex_hull({{0, 0}, {1, 1}, {2, 2}}).size(), 2u);
}

TEST(SmallestRectangle, FindsRectanglesOfAnyAngleBelow45Degrees) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<double> inside(0, 1);
  for (double degrees = -44; degrees <= 44; degrees += 4) {
    const Quad expected = rectangle({30, 70}, 90, 12, degrees);
    std::vector<Point> points(expected.begin(), expected.end());
    for (int i = 0; i < 50; ++i) {
      points.push_back(point_at(expected, inside(generator), inside(generator)));
    }
    SCOPED_TRACE(degrees);
    expect_near(smallest_rectangle(points), expected, 1e-6);
  }
}

TEST(SmallestRectangle, OfOnePointOrALineHasNoArea) {
  const Quad point = smallest_rectangle({{3, 4}});
  expect_near(point, {Point{3, 4}, {3, 4}, {3, 4}, {3, 4}});
  const Quad line = smallest_rectangle({{0, 0}, {2, 1}, {4, 2}});
  EXPECT_NEAR(std::max(width_of(line), height_of(line)), std::sqrt(20), kNear);
  EXPECT_NEAR(std::min(width_of(line), height_of(line)), 0, kNear);
}

TEST(Grown, MovesEverySideOutwards) {
  const Quad quad = rectangle({10, 20}, 40, 10, 30);
  const Quad large = grown(quad, 5);
  EXPECT_NEAR(width_of(large), 50, kNear);
  EXPECT_NEAR(height_of(large), 20, kNear);
  const Point before = point_at(quad, 0.5, 0.5), after = point_at(large, 0.5, 0.5);
  EXPECT_NEAR(before.x, after.x, kNear);
  EXPECT_NEAR(before.y, after.y, kNear);
}

TEST(Turned, StartsAtAnotherCorner) {
  const Quad quad = rectangle({0, 0}, 40, 10, 0);
  expect_near(turned(quad, 2), {Point{40, 10}, {0, 10}, {0, 0}, {40, 0}});
  expect_near(turned(turned(quad, 1), 3), quad);
  EXPECT_NEAR(width_of(turned(quad, 1)), 10, kNear);
}

TEST(Contains, KnowsInsideFromOutside) {
  const Quad quad = rectangle({10, 10}, 40, 10, -20);
  EXPECT_TRUE(contains(quad, point_at(quad, 0.01, 0.99)));
  EXPECT_FALSE(contains(quad, point_at(quad, -0.01, 0.5)));
  EXPECT_FALSE(contains(quad, point_at(quad, 0.5, 1.01)));
}

/// Boxes of two rows with two lines each, then one line, all at an angle about the origin.
std::vector<Quad> page(double degrees) {
  const auto box = [&](double x, double y) {
    const double angle = degrees * std::numbers::pi / 180;
    const Point at{x * std::cos(angle) - y * std::sin(angle),
                   x * std::sin(angle) + y * std::cos(angle)};
    return rectangle(at, 80, 20, degrees);
  };
  // The second line of a row stands a little higher than the first.
  return {box(0, 60), box(100, 26), box(100, -4), box(0, 30), box(0, 0)};
}

TEST(ReadingOrder, GoesDownRowsAndAlongThemAtAnyAngle) {
  const std::vector<std::size_t> expected{4, 2, 3, 1, 0};
  for (const double degrees : {0.0, 8.0, -8.0, 90.0, 180.0, 270.0}) {
    EXPECT_EQ(reading_order(page(degrees)), expected) << degrees;
  }
  EXPECT_TRUE(reading_order({}).empty());
}

}  // namespace
}  // namespace label_reader
