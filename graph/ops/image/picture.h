// Pictures out of encoded bytes: one decoder per format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace naru {

/// 8-bit RGB, row-major, three bytes a pixel.
struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> rgb;
};

using Encoded = std::span<const std::byte>;

/// A picture of width x height; nullopt when that is no size, more than 64 megapixels, or far more than the
/// bytes that it is encoded in can tell.
std::optional<Picture> blank_picture(std::int64_t width, std::int64_t height, Encoded from);

// Each returns nullopt for bytes of another format and for broken ones.
std::optional<Picture> decode_jpeg(Encoded bytes);
std::optional<Picture> decode_jpeg2000(Encoded bytes);
/// BMP and PNG.
std::optional<Picture> decode_plain(Encoded bytes);
/// Binary PGM and PPM; other greatest values than 255 are scaled to it.
std::optional<Picture> decode_pnm(Encoded bytes);
std::optional<Picture> decode_tiff(Encoded bytes);
std::optional<Picture> decode_webp(Encoded bytes);

/// By the format that the first bytes tell.
std::optional<Picture> decode_picture(Encoded bytes);

}  // namespace naru
