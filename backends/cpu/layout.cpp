// Layout: sizes and equality in memory.
#include "backends/cpu/layout.h"

#include "graph/checked.h"

namespace naru::cpu {

std::int64_t Layout::physical_elements() const {
  if (is_plain()) return shape.numel();
  return checked_mul(checked_mul(shape[0], checked_mul(channel_blocks(), block)), spatial());
}

std::int64_t Layout::size_bytes() const { return storage_bytes(dtype, physical_elements()); }

bool Layout::same_bytes(const Layout& other) const {
  if (dtype != other.dtype || shape != other.shape) return false;
  if (block == other.block) return true;
  if (is_padded() || other.is_padded()) return false;
  // With one position or one channel block there is nothing to interleave.
  const auto interleaved = [](const Layout& layout) {
    return !layout.is_plain() && layout.spatial() != 1;
  };
  if (!interleaved(*this) && !interleaved(other)) return true;
  return !is_plain() && !other.is_plain() && channel_blocks() == 1 && other.channel_blocks() == 1;
}

std::string to_string(const Layout& layout) {
  std::string text = std::string(to_string(layout.dtype)) + to_string(layout.shape);
  return layout.is_plain() ? text : text + " x" + std::to_string(layout.block);
}

Shape with_rank(const Shape& shape, std::int64_t rank) {
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank - shape.rank()), 1);
  dims.insert(dims.end(), shape.begin(), shape.end());
  return Shape(std::move(dims));
}

}  // namespace naru::cpu
