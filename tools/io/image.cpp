// Pictures through stb.
#include "tools/io/image.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "graph/fail.h"
#include "tools/io/npy.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace naru::io {
namespace {

constexpr std::int64_t kMaxPixels = 100'000'000;

void append(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  const auto* bytes = reinterpret_cast<const stbi_uc*>(content.data());
  const int size = static_cast<int>(std::min<std::size_t>(content.size(), INT32_MAX));
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes, size, &width, &height, &channels) == 0) {
    fail(ErrorCode::InvalidArgument, "picture '{}': {}, expected a PNG or JPEG", path.string(), stbi_failure_reason());
  }
  if (static_cast<std::int64_t>(width) * height > kMaxPixels) {
    fail(ErrorCode::InvalidArgument, "picture '{}': got {}x{}, expected at most {} pixels", path.string(), width,
         height, kMaxPixels);
  }
  stbi_uc* pixels = stbi_load_from_memory(bytes, size, &width, &height, &channels, 3);
  if (pixels == nullptr) {
    fail(ErrorCode::InvalidArgument, "picture '{}': {}", path.string(), stbi_failure_reason());
  }
  Image image{width, height, {pixels, pixels + static_cast<std::ptrdiff_t>(width) * height * 3}};
  stbi_image_free(pixels);
  return image;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  std::string content;
  if (stbi_write_png_to_func(append, &content, image.width, image.height, 3, image.rgb.data(), image.width * 3) == 0) {
    fail(ErrorCode::Io, "picture '{}': encoding failed", path.string());
  }
  write_file(path, std::as_bytes(std::span(content)));
}

Image resize(const Image& image, int width, int height) {
  Image result{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)};
  const double step_x = static_cast<double>(image.width) / width;
  const double step_y = static_cast<double>(image.height) / height;
  for (int y = 0; y < height; ++y) {
    const double sy = std::clamp((y + 0.5) * step_y - 0.5, 0.0, image.height - 1.0);
    const int y0 = static_cast<int>(sy), y1 = std::min(y0 + 1, image.height - 1);
    const double fy = sy - y0;
    for (int x = 0; x < width; ++x) {
      const double sx = std::clamp((x + 0.5) * step_x - 0.5, 0.0, image.width - 1.0);
      const int x0 = static_cast<int>(sx), x1 = std::min(x0 + 1, image.width - 1);
      const double fx = sx - x0;
      for (int c = 0; c < 3; ++c) {
        const double top = image.pixel(x0, y0)[c] * (1 - fx) + image.pixel(x1, y0)[c] * fx;
        const double bottom = image.pixel(x0, y1)[c] * (1 - fx) + image.pixel(x1, y1)[c] * fx;
        result.pixel(x, y)[c] = static_cast<std::uint8_t>(std::lround(top * (1 - fy) + bottom * fy));
      }
    }
  }
  return result;
}

}  // namespace naru::io
