// BMP, PNG, PGM and PPM by stb.
#include <climits>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_BMP
#define STBI_ONLY_PNG
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <algorithm>

#include "graph/ops/image/picture.h"

namespace naru {

std::optional<Picture> decode_plain(Encoded bytes) {
  if (bytes.size() > INT_MAX) return std::nullopt;
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const auto size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &channels) == 0) return std::nullopt;
  std::optional<Picture> picture = blank_picture(width, height);
  if (!picture) return std::nullopt;
  stbi_uc* pixels = stbi_load_from_memory(data, size, &width, &height, &channels, 3);
  if (pixels == nullptr) return std::nullopt;
  std::copy_n(pixels, picture->rgb.size(), picture->rgb.begin());
  stbi_image_free(pixels);
  return picture;
}

}  // namespace naru
