// Finds lines of text.
#include "detect.h"

#include <algorithm>
#include <cmath>

namespace label_reader {
namespace {

/// The network halves its input five times.
constexpr int kStride = 32;
/// From this height by width on a box holds text that runs down or up (PaddleOCR).
constexpr double kTall = 1.5;

struct Size {
  int width;
  int height;
};

int to_stride(double side) {
  return std::max(kStride, static_cast<int>(std::lround(side / kStride)) * kStride);
}

Size network_size(const Picture& picture, const DetectOptions& options) {
  const double longest = std::max(picture.width, picture.height);
  const double scale = std::min(1.0, options.longest_side / longest);
  return {to_stride(picture.width * scale), to_stride(picture.height * scale)};
}

/// Connected groups of text pixels, one at a time.
class Components {
 public:
  Components(std::span<const float> map, int width, int height, float threshold)
      : width_(width), height_(height), text_(map.size()) {
    std::transform(map.begin(), map.end(), text_.begin(),
                   [&](float value) { return value > threshold ? kText : kNone; });
  }

  /// The pixels on the border of the next group; empty when there are no more.
  std::vector<Point> next() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == kText) return follow(at_);
    }
    return {};
  }

 private:
  enum State : unsigned char { kNone, kText, kSeen };

  std::vector<Point> follow(std::size_t start) {
    std::vector<Point> border;
    std::vector<std::size_t> open{start};
    text_[start] = kSeen;
    while (!open.empty()) {
      const std::size_t pixel = open.back();
      open.pop_back();
      const int x = static_cast<int>(pixel % static_cast<std::size_t>(width_));
      const int y = static_cast<int>(pixel / static_cast<std::size_t>(width_));
      int neighbours = 0;
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) neighbours += visit(x + dx, y + dy, open) ? 1 : 0;
      }
      constexpr int kInside = 9;
      if (neighbours < kInside) border.push_back({x + 0.5, y + 0.5});
    }
    return border;
  }

  /// Whether the pixel is text; queues it when it is new.
  bool visit(int x, int y, std::vector<std::size_t>& open) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return false;
    const std::size_t pixel = static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
                              static_cast<std::size_t>(x);
    if (text_[pixel] == kText) {
      text_[pixel] = kSeen;
      open.push_back(pixel);
    }
    return text_[pixel] == kSeen;
  }

  int width_;
  int height_;
  std::vector<State> text_;
  std::size_t at_ = 0;
};

/// Mean probability of the pixels whose centres lie in the box.
double score(std::span<const float> map, int width, int height, const Quad& box) {
  const auto [left, right] = std::minmax({box[0].x, box[1].x, box[2].x, box[3].x});
  const auto [top, bottom] = std::minmax({box[0].y, box[1].y, box[2].y, box[3].y});
  double sum = 0;
  int count = 0;
  for (int y = std::max(0, static_cast<int>(top)); y < std::min<double>(height, bottom); ++y) {
    for (int x = std::max(0, static_cast<int>(left)); x < std::min<double>(width, right); ++x) {
      if (!contains(box, {x + 0.5, y + 0.5})) continue;
      sum += map[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                 static_cast<std::size_t>(x)];
      ++count;
    }
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

std::vector<Quad> boxes_of_map(std::span<const float> map, int width, int height,
                               const DetectOptions& options) {
  std::vector<Quad> boxes;
  Components components(map, width, height, options.pixel_threshold);
  for (auto border = components.next(); !border.empty(); border = components.next()) {
    const Quad box = smallest_rectangle(border);
    const double along = width_of(box), across = height_of(box);
    if (std::min(along, across) < options.least_side) continue;
    if (score(map, width, height, box) < options.box_threshold) continue;
    boxes.push_back(grown(box, along * across * options.unclip_ratio / (2 * (along + across))));
  }
  return boxes;
}

std::vector<Quad> detect(const Picture& picture, Network& network, const DetectOptions& options) {
  const Size size = network_size(picture, options);
  const Picture input = resized(picture, size.width, size.height);
  const naru::Tensor output = network.run(to_tensor({&input, 1}, size.width, kImageNet));
  const naru::Shape expected{1, 1, size.height, size.width};
  if (output.shape() != expected) {
    throw naru::Error(naru::ErrorCode::InvalidModel, "detection: got a map of shape " +
                                                         to_string(output.shape()) + ", expected " +
                                                         to_string(expected));
  }
  std::vector<Quad> boxes = boxes_of_map(output.as<float>(), size.width, size.height, options);
  for (Quad& box : boxes) {
    for (Point& corner : box) {
      corner.x *= static_cast<double>(picture.width) / size.width;
      corner.y *= static_cast<double>(picture.height) / size.height;
    }
    if (height_of(box) >= kTall * width_of(box)) box = turned(box, 1);
  }
  return boxes;
}

}  // namespace label_reader
