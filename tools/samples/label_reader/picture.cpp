// Pictures through stb, and the resampling that the networks need.
#include "picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>

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

namespace label_reader {
namespace {

constexpr std::int64_t kMaxPixels = 100'000'000;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content;
  if (file && std::filesystem::is_regular_file(path)) {
    content.assign(std::istreambuf_iterator<char>(file), {});
  } else {
    file.setstate(std::ios::failbit);
  }
  if (!file) {
    throw naru::Error(naru::ErrorCode::Io, "file '" + path.string() + "': cannot be read");
  }
  return content;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw naru::Error(naru::ErrorCode::InvalidArgument, "picture '" + path.string() + "': " + what);
}

void append(void* content, void* data, int size) {
  static_cast<std::string*>(content)->append(static_cast<const char*>(data),
                                             static_cast<std::size_t>(size));
}

/// For each target position the source positions it takes, and how much of each.
struct Taps {
  int first = 0;
  std::vector<double> weights;
};

std::vector<Taps> make_taps(int source, int target) {
  const double step = static_cast<double>(source) / target;
  const double reach = std::max(1.0, step);
  std::vector<Taps> all(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    const double middle = (i + 0.5) * step - 0.5;
    const int first = std::max(0, static_cast<int>(std::ceil(middle - reach)));
    const int last = std::min(source - 1, static_cast<int>(std::floor(middle + reach)));
    Taps& taps = all[static_cast<std::size_t>(i)];
    taps.first = std::min(first, source - 1);
    double sum = 0;
    for (int j = taps.first; j <= std::max(last, taps.first); ++j) {
      taps.weights.push_back(std::max(1e-6, 1 - std::abs(j - middle) / reach));
      sum += taps.weights.back();
    }
    for (double& weight : taps.weights) weight /= sum;
  }
  return all;
}

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

/// The colour between four pixels; outside the picture its edge goes on.
void sample(const Picture& picture, Point point, std::uint8_t* target) {
  // A quad has its corners on pixel corners, pixels have their values at centres.
  const double x = std::clamp(point.x - 0.5, 0.0, picture.width - 1.0);
  const double y = std::clamp(point.y - 0.5, 0.0, picture.height - 1.0);
  const int x0 = static_cast<int>(x), x1 = std::min(x0 + 1, picture.width - 1);
  const int y0 = static_cast<int>(y), y1 = std::min(y0 + 1, picture.height - 1);
  const double fx = x - x0, fy = y - y0;
  for (int c = 0; c < 3; ++c) {
    const double top = picture.at(x0, y0)[c] * (1 - fx) + picture.at(x1, y0)[c] * fx;
    const double bottom = picture.at(x0, y1)[c] * (1 - fx) + picture.at(x1, y1)[c] * fx;
    target[c] = to_byte(top * (1 - fy) + bottom * fy);
  }
}

void draw_dot(Picture& picture, Point point) {
  constexpr std::array<std::uint8_t, 3> kColour{230, 30, 40};
  for (const auto& [dx, dy] : {std::pair{0, 0}, {1, 0}, {0, 1}, {1, 1}}) {
    const int x = static_cast<int>(std::floor(point.x)) + dx;
    const int y = static_cast<int>(std::floor(point.y)) + dy;
    if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) continue;
    std::copy(kColour.begin(), kColour.end(), picture.at(x, y));
  }
}

}  // namespace

Picture::Picture(int picture_width, int picture_height)
    : width(picture_width),
      height(picture_height),
      rgb(3 * static_cast<std::size_t>(picture_width) * static_cast<std::size_t>(picture_height)) {}

Picture read_picture(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  if (content.size() > INT32_MAX) refuse(path, "it is larger than 2 GiB");
  const auto* bytes = reinterpret_cast<const stbi_uc*>(content.data());
  const int size = static_cast<int>(content.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes, size, &width, &height, &channels) == 0) {
    refuse(path, std::string(stbi_failure_reason()) + ", expected a PNG or JPEG");
  }
  if (static_cast<std::int64_t>(width) * height > kMaxPixels) {
    refuse(path, "got " + std::to_string(width) + "x" + std::to_string(height) +
                     ", expected at most " + std::to_string(kMaxPixels) + " pixels");
  }
  stbi_uc* pixels = stbi_load_from_memory(bytes, size, &width, &height, &channels, 3);
  if (pixels == nullptr) refuse(path, stbi_failure_reason());
  Picture picture(width, height);
  std::copy_n(pixels, picture.rgb.size(), picture.rgb.begin());
  stbi_image_free(pixels);
  return picture;
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  std::string content;
  const int done = stbi_write_png_to_func(append, &content, picture.width, picture.height, 3,
                                          picture.rgb.data(), picture.width * 3);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (done == 0 || !file) {
    throw naru::Error(naru::ErrorCode::Io, "file '" + path.string() + "': cannot be written");
  }
}

Picture resized(const Picture& picture, int width, int height) {
  const std::vector<Taps> columns = make_taps(picture.width, width);
  const std::vector<Taps> rows = make_taps(picture.height, height);
  // First across, in f32, then down.
  const std::size_t row_values = 3 * static_cast<std::size_t>(width);
  std::vector<float> across(row_values * static_cast<std::size_t>(picture.height));
  for (int y = 0; y < picture.height; ++y) {
    float* target = across.data() + static_cast<std::size_t>(y) * row_values;
    for (const Taps& taps : columns) {
      double sum[3] = {0, 0, 0};
      const std::uint8_t* source = picture.at(taps.first, y);
      for (const double weight : taps.weights) {
        for (double& s : sum) s += weight * *source++;
      }
      for (const double s : sum) *target++ = static_cast<float>(s);
    }
  }
  Picture result(width, height);
  std::vector<double> sums(row_values);
  for (int y = 0; y < height; ++y) {
    const Taps& taps = rows[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0.0);
    const float* source = across.data() + static_cast<std::size_t>(taps.first) * row_values;
    for (const double weight : taps.weights) {
      for (double& s : sums) s += weight * *source++;
    }
    std::transform(sums.begin(), sums.end(), result.at(0, y), to_byte);
  }
  return result;
}

Picture cut_out(const Picture& picture, const Quad& quad) {
  Picture result(std::max(1, static_cast<int>(std::lround(width_of(quad)))),
                 std::max(1, static_cast<int>(std::lround(height_of(quad)))));
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      sample(picture, point_at(quad, (x + 0.5) / result.width, (y + 0.5) / result.height),
             result.at(x, y));
    }
  }
  return result;
}

void draw_frame(Picture& picture, const Quad& quad) {
  for (std::size_t i = 0; i < quad.size(); ++i) {
    const Point from = quad[i], to = quad[(i + 1) % quad.size()];
    const int steps = 1 + static_cast<int>(std::hypot(to.x - from.x, to.y - from.y));
    for (int step = 0; step <= steps; ++step) {
      const double t = static_cast<double>(step) / steps;
      draw_dot(picture, {from.x + (to.x - from.x) * t, from.y + (to.y - from.y) * t});
    }
  }
}

naru::Tensor to_tensor(std::span<const Picture> pictures, int width, const Normalisation& scale) {
  const int height = pictures.front().height;
  naru::Tensor tensor(naru::DType::F32,
                      {static_cast<std::int64_t>(pictures.size()), 3, height, width});
  const std::span<float> values = tensor.as_mutable<float>();
  std::fill(values.begin(), values.end(), 0.0F);
  float* row = values.data();
  for (const Picture& picture : pictures) {
    for (const int channel : {2, 1, 0}) {
      const float factor = 1 / (255 * scale.deviation[channel]);
      const float shift = scale.mean[channel] / scale.deviation[channel];
      for (int y = 0; y < height; ++y, row += width) {
        for (int x = 0; x < std::min(width, picture.width); ++x) {
          row[x] = static_cast<float>(picture.at(x, y)[channel]) * factor - shift;
        }
      }
    }
  }
  return tensor;
}

}  // namespace label_reader
