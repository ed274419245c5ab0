// Resampling, cutting out, normalisation and files of the label reader's pictures.
#include "tools/samples/label_reader/picture.h"

#include <fstream>

#include <gtest/gtest.h>

namespace label_reader {
namespace {

/// Red grows to the right, green downwards, blue is constant.
Picture ramp(int width, int height) {
  Picture picture(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.at(x, y)[0] = static_cast<std::uint8_t>(x * 4);
      picture.at(x, y)[1] = static_cast<std::uint8_t>(y * 4);
      picture.at(x, y)[2] = 200;
    }
  }
  return picture;
}

TEST(Resized, OfTheSameSizeChangesNothing) {
  const Picture picture = ramp(13, 7);
  EXPECT_EQ(resized(picture, 13, 7).rgb, picture.rgb);
}

TEST(Resized, ShrinkingAveragesInsteadOfSkipping) {
  Picture stripes(64, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 64; x += 2) stripes.at(x, y)[0] = 200;
  }
  const Picture small = resized(stripes, 8, 8);
  for (int x = 1; x < 7; ++x) EXPECT_NEAR(small.at(x, 4)[0], 100, 1);
}

TEST(Resized, HoldsARampAndTinySizes) {
  const Picture large = resized(ramp(32, 32), 64, 64);
  EXPECT_NEAR(large.at(32, 10)[0], 4 * 15.75, 1);
  EXPECT_EQ(resized(ramp(1, 1), 5, 3).at(4, 2)[2], 200);
  EXPECT_EQ(resized(ramp(50, 40), 1, 1).at(0, 0)[2], 200);
}

TEST(CutOut, TakesAnUprightBoxPixelByPixel) {
  const Picture picture = ramp(40, 30);
  const Picture cut = cut_out(picture, {Point{10, 5}, {20, 5}, {20, 12}, {10, 12}});
  ASSERT_EQ(cut.width, 10);
  ASSERT_EQ(cut.height, 7);
  EXPECT_EQ(cut.at(0, 0)[0], picture.at(10, 5)[0]);
  EXPECT_EQ(cut.at(9, 6)[1], picture.at(19, 11)[1]);
}

TEST(CutOut, TurnsWithTheQuadAndStaysInsideThePicture) {
  const Picture picture = ramp(40, 30);
  const Quad quad{Point{10, 5}, {20, 5}, {20, 12}, {10, 12}};
  const Picture upside_down = cut_out(picture, turned(quad, 2));
  EXPECT_EQ(upside_down.at(0, 0)[0], picture.at(19, 11)[0]);
  const Picture beyond = cut_out(picture, {Point{-20, -20}, {5, -20}, {5, 5}, {-20, 5}});
  EXPECT_EQ(beyond.at(0, 0)[0], picture.at(0, 0)[0]);
}

TEST(ToTensor, IsBlueFirstNormalisedAndPaddedWithZeros) {
  Picture narrow(1, 2), wide(3, 2);
  narrow.at(0, 1)[0] = 255;
  wide.at(2, 0)[2] = 255;
  const Picture both[] = {narrow, wide};
  const naru::Tensor tensor = to_tensor(both, 3, kHalf);
  ASSERT_EQ(tensor.shape(), (naru::Shape{2, 3, 2, 3}));
  const auto values = tensor.as<float>();
  EXPECT_FLOAT_EQ(values[0], -1);         // blue of the narrow picture
  EXPECT_FLOAT_EQ(values[1], 0);          // beside it
  EXPECT_FLOAT_EQ(values[2 * 6 + 3], 1);  // its red, second row
  EXPECT_FLOAT_EQ(values[18 + 2], 1);     // blue of the wide picture
  const naru::Tensor imagenet = to_tensor({&wide, 1}, 3, kImageNet);
  EXPECT_NEAR(imagenet.as<float>()[2], (1 - 0.406) / 0.225, 1e-5);
}

TEST(PictureFiles, RoundTripAsPng) {
  const std::string path = testing::TempDir() + "/label_reader_picture.png";
  const Picture picture = ramp(9, 5);
  write_png(path, picture);
  EXPECT_EQ(read_picture(path).rgb, picture.rgb);
}

TEST(PictureFiles, ReportWhatIsWrong) {
  const auto code_of = [](const std::string& path) {
    try {
      read_picture(path);
    } catch (const naru::Error& error) {
      EXPECT_NE(error.message().find(path), std::string::npos);
      return error.code();
    }
    return naru::ErrorCode::Internal;
  };
  const std::string path = testing::TempDir() + "/label_reader_not_a_picture.png";
  std::ofstream(path) << "text";
  EXPECT_EQ(code_of(path), naru::ErrorCode::InvalidArgument);
  EXPECT_EQ(code_of("/nonexistent/picture.png"), naru::ErrorCode::Io);
  EXPECT_EQ(code_of(testing::TempDir()), naru::ErrorCode::Io);
}

}  // namespace
}  // namespace label_reader
