// LRN in the layout of its input, tile by tile of positions.
#include <algorithm>
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/local_response_loops.h"
#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  if (view.dtype(0) != DType::Undefined && view.dtype(0) != DType::F32) {
    return "element type " + std::string(to_string(view.dtype(0)));
  }
  return view.rank(0) >= 0 && view.rank(0) < 2 ? "rank below 2" : "";
}

/// One image in channel blocks: channel c of position s is at block(c) * spatial * lanes + s * lanes + lane(c).
struct Image {
  std::int64_t channels, spatial, lanes;
  std::int64_t at(std::int64_t channel, std::int64_t position) const {
    return (channel / lanes * spatial + position) * lanes + channel % lanes;
  }
};

/// Normalises positions [begin, begin + count) of one image by way of [channels, tile] scratch.
void normalise_tile(const LocalResponse& rule, const Image& image, std::int64_t begin, std::int64_t count,
                    const float* x, float* y) {
  static thread_local std::vector<float> scratch;
  const std::int64_t elements = image.channels * kResponseTile;
  scratch.resize(static_cast<std::size_t>(2 * elements));
  float* in = scratch.data();
  float* out = in + elements;
  for (std::int64_t c = 0; c < image.channels; ++c) {
    float* row = in + c * kResponseTile;
    for (std::int64_t i = 0; i < count; ++i) row[i] = x[image.at(c, begin + i)];
    std::fill(row + count, row + kResponseTile, 0.0f);
  }
  normalise_responses(rule, image.channels, in, out);
  for (std::int64_t c = 0; c < image.channels; ++c) {
    for (std::int64_t i = 0; i < count; ++i) y[image.at(c, begin + i)] = out[c * kResponseTile + i];
  }
}

bool lower(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Rep result = lowering.output(0, input.layout);
  const Layout& layout = input.layout;
  LocalResponse rule;
  rule.size = node.attr_int("size");
  rule.before = (rule.size - 1) / 2;
  rule.alpha = node.attr_float_or("alpha", 1e-4f);
  rule.beta = node.attr_float_or("beta", 0.75f);
  rule.bias = node.attr_float_or("bias", 1.0f);
  const Image image{layout.shape[1], layout.spatial(), layout.block};
  const std::int64_t images = layout.shape[0];
  const std::int64_t image_elements = layout.channel_blocks() * image.lanes * image.spatial;
  const std::int64_t tiles = (image.spatial + kResponseTile - 1) / kResponseTile;
  const bool padded = image.channels % image.lanes != 0;
  lowering.emit("local response", to_string(layout), {Lowering::reads(input), Lowering::writes(result)},
                [=](std::byte* const* p) {
                  const auto* x = reinterpret_cast<const float*>(p[0]);
                  auto* y = reinterpret_cast<float*>(p[1]);
                  if (padded) std::fill_n(y, images * image_elements, 0.0f);
                  const double cost = static_cast<double>(image.channels * kResponseTile * (rule.size + 4)) * 0.2;
                  parallel_ranges(images * tiles, cost, [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t t = begin; t < end; ++t) {
                      const std::int64_t first = t % tiles * kResponseTile;
                      const std::int64_t base = t / tiles * image_elements;
                      normalise_tile(rule, image, first, std::min(kResponseTile, image.spatial - first), x + base, y + base);
                    }
                  });
                });
  return true;
}

}  // namespace

void add_local_response_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"LRN", "local response", refuses, lower});
}

}  // namespace naru::cpu
