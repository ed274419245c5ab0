// The choice of a decoder by the first bytes.
#include "graph/ops/image/picture.h"

#include <algorithm>
#include <string_view>

namespace naru {
namespace {

constexpr std::int64_t kMostPixels = 64'000'000;  // at 4 B per pixel, as decoders work, under 256 MiB

/// What the densest code of all tells: fax G4 has one bit for a row that is like the one above.
constexpr std::size_t kMostPixelsPerByte = 8 * 4096;

struct Format {
  std::string_view magic;
  std::size_t offset;
  std::optional<Picture> (*decode)(Encoded);
};

constexpr Format kFormats[] = {
    {"\xff\xd8\xff", 0, decode_jpeg},
    {"jP  ", 4, decode_jpeg2000},
    {"\xff\x4f\xff\x51", 0, decode_jpeg2000},
    {"WEBP", 8, decode_webp},
    {"P5", 0, decode_pnm},
    {"P6", 0, decode_pnm},
    {"II*", 0, decode_tiff},
    {{"MM\0*", 4}, 0, decode_tiff},
};

bool begins_as(Encoded bytes, const Format& format) {
  if (bytes.size() < format.offset + format.magic.size()) return false;
  const auto* at = reinterpret_cast<const char*>(bytes.data()) + format.offset;
  return std::string_view(at, format.magic.size()) == format.magic;
}

}  // namespace

std::optional<Picture> blank_picture(std::int64_t width, std::int64_t height, Encoded from) {
  if (width < 1 || height < 1 || width > kMostPixels || height > kMostPixels || width * height > kMostPixels) return std::nullopt;
  if (static_cast<std::size_t>(width * height) / kMostPixelsPerByte > from.size()) return std::nullopt;
  return Picture{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3))};
}

std::optional<Picture> decode_picture(Encoded bytes) {
  const auto* format = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return begins_as(bytes, f); });
  return format == std::end(kFormats) ? decode_plain(bytes) : format->decode(bytes);
}

}  // namespace naru
