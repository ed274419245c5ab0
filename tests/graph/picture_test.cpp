// Encoded pictures: what follows them does not matter, what they claim and do not hold does.
#include "graph/ops/image/picture.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

namespace naru {
namespace {

std::string read_sample(const std::string& name) {
  std::ifstream file(std::filesystem::path(NARU_PICTURES) / name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<Picture> decode(const std::string& bytes) { return decode_picture(std::as_bytes(std::span(bytes.data(), bytes.size()))); }

TEST(Picture, EndsWhereTheFormatSaysThatItEnds) {
  for (const char* name : {"rgb.png", "rgb.bmp", "rgb.ppm"}) {
    const std::string bytes = read_sample(name);
    const std::optional<Picture> alone = decode(bytes), followed = decode(bytes + std::string(64, '\xff'));
    ASSERT_TRUE(alone && followed) << name;
    EXPECT_EQ(alone->rgb, followed->rgb) << name;
  }
}

TEST(Picture, IsRefusedWhenItsHeaderClaimsMoreThanItsBytesHold) {
  for (const char* name : {"huge.bmp", "long_number.ppm", "long_chunk.png"}) EXPECT_FALSE(decode(read_sample(name))) << name;
}

}  // namespace
}  // namespace naru
