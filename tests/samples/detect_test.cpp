// Boxes from a map of text probabilities.
#include "tools/samples/label_reader/detect.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace label_reader {
namespace {

constexpr int kWidth = 100, kHeight = 60;

struct Map {
  std::vector<float> values = std::vector<float>(kWidth * kHeight, 0.01F);

  void fill(int left, int top, int right, int bottom, float value) {
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) values[static_cast<std::size_t>(y * kWidth + x)] = value;
    }
  }
  std::vector<Quad> boxes() const { return boxes_of_map(values, kWidth, kHeight); }
};

TEST(BoxesOfMap, GrowByAreaOverPerimeter) {
  Map map;
  map.fill(20, 20, 61, 31, 0.9F);
  const std::vector<Quad> boxes = map.boxes();
  ASSERT_EQ(boxes.size(), 1u);
  // Pixel centres span 40 x 10, so each side moves by 400 * 1.5 / 100.
  EXPECT_NEAR(width_of(boxes[0]), 40 + 2 * 6, 1e-6);
  EXPECT_NEAR(height_of(boxes[0]), 10 + 2 * 6, 1e-6);
  EXPECT_NEAR(boxes[0][0].x, 20.5 - 6, 1e-6);
  EXPECT_NEAR(boxes[0][0].y, 20.5 - 6, 1e-6);
}

TEST(BoxesOfMap, PartsLinesAndJoinsDiagonalNeighbours) {
  Map map;
  map.fill(5, 5, 40, 15, 0.9F);
  map.fill(40, 15, 41, 16, 0.9F);  // touches the first at a corner only
  map.fill(41, 5, 70, 16, 0.9F);
  map.fill(5, 40, 70, 50, 0.9F);
  EXPECT_EQ(map.boxes().size(), 2u);
}

TEST(BoxesOfMap, LeavesOutFaintAndTinyGroups) {
  Map map;
  map.fill(5, 5, 60, 15, 0.5F);   // below the box threshold
  map.fill(5, 30, 60, 33, 0.9F);  // thinner than three pixels between centres
  EXPECT_TRUE(map.boxes().empty());
}

TEST(BoxesOfMap, TakesTextThatFillsTheMap) {
  Map map;
  map.fill(0, 0, kWidth, kHeight, 1.0F);
  EXPECT_EQ(map.boxes().size(), 1u);
}

TEST(BoxesOfMap, OfNoTextIsEmpty) { EXPECT_TRUE(Map().boxes().empty()); }

}  // namespace
}  // namespace label_reader
