// BMP and PNG by stb.
#include <climits>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_BMP
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <cstring>

#include "graph/ops/image/picture.h"

namespace naru {
namespace {

constexpr std::byte kPngStart{0x89};

/// The most pixels that the bytes can tell: one bit each; PNG's after inflating, which makes at most
/// 1032 bytes of one (zlib, "Technical Details"). A header that claims more is refused before any work.
std::int64_t most_pixels(Encoded bytes) {
  const bool png = bytes.front() == kPngStart;
  return static_cast<std::int64_t>(bytes.size()) * 8 * (png ? 1032 : 1);
}

/// Whether all chunks of a PNG, to the last, lie within it: stb allocates what a chunk claims before it reads. What
/// follows the last, IEND, is not the picture's.
bool has_whole_chunks(Encoded bytes) {
  constexpr std::size_t kSignature = 8, kAround = 12;  // length, type and checksum around a chunk's data
  for (std::size_t at = kSignature; at + kAround <= bytes.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(bytes[at + i]);
    if (length > bytes.size() - at - kAround) return false;
    if (std::memcmp(bytes.data() + at + 4, "IEND", 4) == 0) return true;
    at += kAround + length;
  }
  return false;
}

}  // namespace

std::optional<Picture> decode_plain(Encoded bytes) {
  if (bytes.empty() || bytes.size() > INT_MAX) return std::nullopt;
  if (bytes.front() == kPngStart && !has_whole_chunks(bytes)) return std::nullopt;
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const auto size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &channels) == 0) return std::nullopt;
  if (std::int64_t{width} * height > most_pixels(bytes)) return std::nullopt;
  std::optional<Picture> picture = blank_picture(width, height, bytes);
  if (!picture) return std::nullopt;
  stbi_uc* pixels = stbi_load_from_memory(data, size, &width, &height, &channels, 3);
  if (pixels == nullptr) return std::nullopt;
  std::copy_n(pixels, picture->rgb.size(), picture->rgb.begin());
  stbi_image_free(pixels);
  return picture;
}

}  // namespace naru
