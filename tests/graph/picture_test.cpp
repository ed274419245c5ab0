// Encoded pictures: what follows them does not matter, what they claim and do not hold does.
#include "graph/ops/image/picture.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

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

TEST(Picture, PortableMapsOfAnyDepth) {
  using namespace std::string_literals;
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(decode("P5 2 1 255\n\x07\xff"s).value().rgb, (Bytes{7, 7, 7, 255, 255, 255}));
  EXPECT_EQ(decode("P5\n# two pixels\n2 1\n15\n\x01\x0f"s).value().rgb, (Bytes{17, 17, 17, 255, 255, 255}));
  EXPECT_EQ(decode("P6 1 1 65535 \x80\0\0\x80\xff\xff"s).value().rgb, (Bytes{128, 0, 255}));
  for (const std::string& broken : {"P5 2 1 255\n\x07"s, "P57 4 577 4 4\0\x15"s, "P6 1 1 65535 \x80\0\0\x80\xff"s, "P5 0 1 255 a"s, "P5 1 1 65536 aa"s, "P5 1 1"s, "P5"s,
                                    "P5 4294967297 4294967297 255 a"s}) {
    EXPECT_FALSE(decode(broken)) << broken;
  }
}

}  // namespace
}  // namespace naru
