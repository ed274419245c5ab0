// WebP by libwebp.
#include <webp/decode.h>

#include "graph/ops/image/picture.h"

namespace naru {

std::optional<Picture> decode_webp(Encoded bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  int width = 0, height = 0;
  if (WebPGetInfo(data, bytes.size(), &width, &height) == 0) return std::nullopt;
  std::optional<Picture> picture = blank_picture(width, height, bytes);
  if (!picture) return std::nullopt;
  if (WebPDecodeRGBInto(data, bytes.size(), picture->rgb.data(), picture->rgb.size(), width * 3) == nullptr) return std::nullopt;
  return picture;
}

}  // namespace naru
