// Plane geometry of text boxes: x to the right, y down, in pixels.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace label_reader {

struct Point {
  double x = 0;
  double y = 0;
};

/// A rectangle of any angle: its corners clockwise from the upper left of its text.
using Quad = std::array<Point, 4>;

/// Corners of the convex hull, in order of rotation; collinear points are left out.
std::vector<Point> convex_hull(std::vector<Point> points);

/// The rectangle of least area around `points`, of which there must be one or more. The text is
/// taken to run less than 45 degrees off the horizontal.
Quad smallest_rectangle(const std::vector<Point>& points);

/// Length of the side along the text, and of the one across.
double width_of(const Quad& quad);
double height_of(const Quad& quad);

/// The rectangle with every side moved outwards by `distance`.
Quad grown(const Quad& quad, double distance);

/// The rectangle that starts at another corner: `count` quarter turns clockwise of its text.
Quad turned(const Quad& quad, std::size_t count);

/// The point at fractions `along` and `across` of the sides.
Point point_at(const Quad& quad, double along, double across);

bool contains(const Quad& quad, Point point);

/// Order in which lines are read: top to bottom, lines of one row left to right, as seen upright
/// along the mean direction of the text. Returns indices into `quads`.
std::vector<std::size_t> reading_order(const std::vector<Quad>& quads);

}  // namespace label_reader
