// TIFF by libtiff, read from memory.
#include <algorithm>
#include <cstring>
#include <memory>

#include <tiffio.h>

#include "graph/ops/image/picture.h"

namespace naru {
namespace {

/// A file of bytes in memory.
struct Source {
  Encoded bytes;
  std::size_t at = 0;
};

Source& source_of(thandle_t handle) { return *static_cast<Source*>(handle); }

tmsize_t read(thandle_t handle, void* to, tmsize_t count) {
  Source& source = source_of(handle);
  const std::size_t left = source.bytes.size() - std::min(source.at, source.bytes.size());
  const std::size_t taken = std::min(left, static_cast<std::size_t>(std::max<tmsize_t>(count, 0)));
  if (taken > 0) std::memcpy(to, source.bytes.data() + source.at, taken);
  source.at += taken;
  return static_cast<tmsize_t>(taken);
}
tmsize_t refuse_write(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = source_of(handle);
  const toff_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source.at : source.bytes.size();
  source.at = static_cast<std::size_t>(base + offset);
  return source.at;
}
int close(thandle_t) { return 0; }
toff_t size(thandle_t handle) { return source_of(handle).bytes.size(); }

}  // namespace

std::optional<Picture> decode_tiff(Encoded bytes) {
  static const bool silent = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  if (!silent) return std::nullopt;
  Source source{bytes};
  // "m": no mapping, all reads come through read().
  const std::unique_ptr<TIFF, decltype(&TIFFClose)> file(TIFFClientOpen("memory", "rm", &source, read, refuse_write, seek, close, size, nullptr, nullptr), TIFFClose);
  if (file == nullptr) return std::nullopt;
  std::uint32_t width = 0, height = 0;
  TIFFGetField(file.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(file.get(), TIFFTAG_IMAGELENGTH, &height);
  std::optional<Picture> picture = blank_picture(width, height, bytes);
  if (!picture) return std::nullopt;
  std::vector<std::uint32_t> pixels(static_cast<std::size_t>(width) * height);
  if (TIFFReadRGBAImageOriented(file.get(), width, height, pixels.data(), ORIENTATION_TOPLEFT, 1) == 0) return std::nullopt;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    picture->rgb[3 * i] = static_cast<std::uint8_t>(TIFFGetR(pixels[i]));
    picture->rgb[3 * i + 1] = static_cast<std::uint8_t>(TIFFGetG(pixels[i]));
    picture->rgb[3 * i + 2] = static_cast<std::uint8_t>(TIFFGetB(pixels[i]));
  }
  return picture;
}

}  // namespace naru
