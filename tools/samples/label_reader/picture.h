// Pictures: reading, writing, resampling, cutting out a text box, drawing a frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "naru/naru.h"

#include "geometry.h"

namespace label_reader {

/// 8-bit RGB, row-major.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;

  Picture() = default;
  Picture(int picture_width, int picture_height);
  std::uint8_t* at(int x, int y) { return rgb.data() + offset(x, y); }
  const std::uint8_t* at(int x, int y) const { return rgb.data() + offset(x, y); }

 private:
  std::size_t offset(int x, int y) const {
    return 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                static_cast<std::size_t>(x));
  }
};

/// Reads a PNG or JPEG of at most 100 megapixels.
/// @throws naru::Error Io when the file cannot be read, InvalidArgument when it is no such picture.
Picture read_picture(const std::filesystem::path& path);
/// @throws naru::Error Io.
void write_png(const std::filesystem::path& path, const Picture& picture);

/// Resamples with a triangle filter that widens when shrinking, so that thin strokes survive.
Picture resized(const Picture& picture, int width, int height);

/// What the quad covers, upright, in the resolution of the picture; at least one pixel each way.
Picture cut_out(const Picture& picture, const Quad& quad);

void draw_frame(Picture& picture, const Quad& quad);

/// How pixel values become network inputs: (value / 255 - mean) / deviation, per channel RGB.
struct Normalisation {
  float mean[3];
  float deviation[3];
};
inline constexpr Normalisation kImageNet{{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};
inline constexpr Normalisation kHalf{{0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}};

/// Pictures of one height as f32 [count, 3, height, width], blue first. Narrower pictures are
/// padded with zeros on the right.
naru::Tensor to_tensor(std::span<const Picture> pictures, int width, const Normalisation& scale);

}  // namespace label_reader
