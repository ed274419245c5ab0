// Plane geometry of text boxes.
#include "geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace label_reader {
namespace {

Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(Point a, double factor) { return {a.x * factor, a.y * factor}; }
double dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
double cross(Point a, Point b) { return a.x * b.y - a.y * b.x; }
double length(Point a) { return std::hypot(a.x, a.y); }

/// `a` with length 1; the x axis for a vector without direction.
Point unit(Point a) {
  const double size = length(a);
  return size > 0 ? a * (1 / size) : Point{1, 0};
}

/// Adds one half of the hull: the points from first to last that keep turning the same way.
template <typename Iterator>
void add_half(Iterator first, Iterator last, std::vector<Point>& hull) {
  const std::size_t start = hull.size();
  for (; first != last; ++first) {
    while (hull.size() >= start + 2 &&
           cross(hull.back() - hull[hull.size() - 2], *first - hull.back()) <= 0) {
      hull.pop_back();
    }
    hull.push_back(*first);
  }
  hull.pop_back();  // it begins the other half
}

/// The rectangle around `points` with one side along the unit vector `along`.
Quad rectangle_along(const std::vector<Point>& points, Point along) {
  const Point across{-along.y, along.x};
  double low_u = std::numeric_limits<double>::infinity(), high_u = -low_u;
  double low_v = low_u, high_v = -low_u;
  for (const Point p : points) {
    low_u = std::min(low_u, dot(p, along));
    high_u = std::max(high_u, dot(p, along));
    low_v = std::min(low_v, dot(p, across));
    high_v = std::max(high_v, dot(p, across));
  }
  const auto corner = [&](double u, double v) { return along * u + across * v; };
  return {corner(low_u, low_v), corner(high_u, low_v), corner(high_u, high_v),
          corner(low_u, high_v)};
}

/// Up to 45 degrees the upper left corner is the one nearest to the upper left in x + y.
Quad from_upper_left(const Quad& quad) {
  std::size_t first = 0;
  for (std::size_t i = 1; i < quad.size(); ++i) {
    if (quad[i].x + quad[i].y < quad[first].x + quad[first].y) first = i;
  }
  return turned(quad, first);
}

Point centre(const Quad& quad) { return point_at(quad, 0.5, 0.5); }

}  // namespace

std::vector<Point> convex_hull(std::vector<Point> points) {
  // Andrew's monotone chain.
  const auto before = [](Point a, Point b) { return a.x != b.x ? a.x < b.x : a.y < b.y; };
  const auto same = [](Point a, Point b) { return a.x == b.x && a.y == b.y; };
  std::sort(points.begin(), points.end(), before);
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
  if (points.size() < 3) return points;
  std::vector<Point> hull;
  add_half(points.begin(), points.end(), hull);
  add_half(points.rbegin(), points.rend(), hull);
  return hull;
}

Quad smallest_rectangle(const std::vector<Point>& points) {
  // One side of the rectangle of least area lies on an edge of the hull (Freeman and Shapira 1975).
  const std::vector<Point> hull = convex_hull(points);
  Quad best{};
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < hull.size(); ++i) {
    const Point edge = hull[(i + 1) % hull.size()] - hull[i];
    const Quad candidate = rectangle_along(hull, unit(edge));
    const double area = width_of(candidate) * height_of(candidate);
    if (area < least) {
      least = area;
      best = candidate;
    }
  }
  return from_upper_left(best);
}

double width_of(const Quad& quad) { return length(quad[1] - quad[0]); }
double height_of(const Quad& quad) { return length(quad[3] - quad[0]); }

Quad grown(const Quad& quad, double distance) {
  const Point along = unit(quad[1] - quad[0]) * distance;
  const Point across = Point{-along.y, along.x};
  return {quad[0] - along - across, quad[1] + along - across, quad[2] + along + across,
          quad[3] - along + across};
}

Quad turned(const Quad& quad, std::size_t count) {
  Quad result = quad;
  std::rotate(result.begin(), result.begin() + static_cast<std::ptrdiff_t>(count % 4),
              result.end());
  return result;
}

Point point_at(const Quad& quad, double along, double across) {
  return quad[0] + (quad[1] - quad[0]) * along + (quad[3] - quad[0]) * across;
}

bool contains(const Quad& quad, Point point) {
  for (std::size_t i = 0; i < quad.size(); ++i) {
    if (cross(quad[(i + 1) % 4] - quad[i], point - quad[i]) < 0) return false;
  }
  return true;
}

std::vector<std::size_t> reading_order(const std::vector<Quad>& quads) {
  Point direction;
  for (const Quad& quad : quads) direction = direction + (quad[1] - quad[0]);
  const Point along = unit(direction);
  const Point across{-along.y, along.x};
  const auto row = [&](std::size_t i) { return dot(centre(quads[i]), across); };
  const auto column = [&](std::size_t i) { return dot(centre(quads[i]), along); };

  std::vector<std::size_t> order(quads.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return row(a) < row(b); });
  for (auto first = order.begin(); first != order.end();) {
    // A row holds what begins within half the height of its first line.
    const double end = row(*first) + height_of(quads[*first]) / 2;
    const auto last = std::find_if(first, order.end(), [&](std::size_t i) { return row(i) > end; });
    std::stable_sort(first, last,
                     [&](std::size_t a, std::size_t b) { return column(a) < column(b); });
    first = last;
  }
  return order;
}

}  // namespace label_reader
