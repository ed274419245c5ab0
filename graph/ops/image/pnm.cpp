// Binary PGM and PPM (netpbm's P5 and P6), 8 and 16 bits deep.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "graph/ops/image/picture.h"

namespace naru {
namespace {

/// The header's tokens: numbers between blanks and comments.
class Header {
 public:
  explicit Header(Encoded bytes) : bytes_(bytes) {}

  /// The next number, at most `most`, and the one blank behind it.
  std::optional<std::int64_t> number(std::int64_t most) {
    skip_blanks();
    std::int64_t value = -1;
    for (; at_ < bytes_.size() && here() >= '0' && here() <= '9'; ++at_) {
      value = std::max<std::int64_t>(value, 0) * 10 + (here() - '0');
      if (value > most) return std::nullopt;
    }
    if (value < 1 || at_ == bytes_.size() || !is_blank()) return std::nullopt;
    ++at_;
    return value;
  }
  Encoded rest() const { return bytes_.subspan(at_); }

 private:
  char here() const { return static_cast<char>(bytes_[at_]); }
  bool is_blank() const { return here() == ' ' || (here() >= '\t' && here() <= '\r'); }
  void skip_blanks() {
    for (bool comment = false; at_ < bytes_.size(); ++at_) {
      if (comment ? here() == '\n' || here() == '\r' : here() == '#') {
        comment = !comment;
      } else if (!comment && !is_blank()) {
        return;
      }
    }
  }

  Encoded bytes_;
  std::size_t at_ = 2;  // behind the magic
};

}  // namespace

std::optional<Picture> decode_pnm(Encoded bytes) {
  Header header(bytes);
  const auto width = header.number(INT32_MAX), height = header.number(INT32_MAX), most = header.number(65535);
  if (!width || !height || !most) return std::nullopt;
  const std::size_t channels = bytes[1] == std::byte{'6'} ? 3 : 1, depth = *most > 255 ? 2 : 1;
  const Encoded samples = header.rest();
  // What the bytes can hold first: then no product below overflows.
  const std::size_t pixels = samples.size() / (channels * depth);
  if (static_cast<std::uint64_t>(*width) * static_cast<std::uint64_t>(*height) > pixels) return std::nullopt;
  std::optional<Picture> picture = blank_picture(*width, *height, bytes);
  if (!picture) return std::nullopt;
  for (std::size_t i = 0; i < picture->rgb.size(); ++i) {
    const std::size_t at = (channels == 3 ? i : i / 3) * depth;
    auto value = std::to_integer<std::int64_t>(samples[at]);
    if (depth == 2) value = value << 8 | std::to_integer<std::int64_t>(samples[at + 1]);
    picture->rgb[i] = static_cast<std::uint8_t>((std::min(value, *most) * 255 + *most / 2) / *most);
  }
  return picture;
}

}  // namespace naru
