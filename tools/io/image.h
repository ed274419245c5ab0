// Pictures: PNG and JPEG in, PNG out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

namespace naru::io {

/// An 8-bit RGB picture, row-major, three bytes a pixel.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;

  const std::uint8_t* pixel(int x, int y) const {
    return rgb.data() + (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * 3;
  }
  std::uint8_t* pixel(int x, int y) { return const_cast<std::uint8_t*>(std::as_const(*this).pixel(x, y)); }
};

/// Reads a PNG or JPEG of at most 100 megapixels. @throws Error Io or InvalidArgument.
Image read_image(const std::filesystem::path& path);

/// Writes a PNG; an existing file is replaced whole or not at all. @throws Error Io.
void write_png(const std::filesystem::path& path, const Image& image);

/// Bilinear resize with half-pixel centres.
Image resize(const Image& image, int width, int height);

}  // namespace naru::io
