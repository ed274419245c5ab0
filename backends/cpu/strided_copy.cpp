// Strided copies: axes are merged and ordered for the target, planes that swap their axes go by tiles.
#include "backends/cpu/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

/// Side of the tiles of a transposed plane: both sides stay in L1.
constexpr std::int64_t kTileSide = 32;

template <typename T>
void copy_plane(const std::byte* from_bytes, std::byte* to_bytes, CopyAxis rows, CopyAxis columns) {
  const T* from = reinterpret_cast<const T*>(from_bytes);
  T* to = reinterpret_cast<T*>(to_bytes);
  if (columns.from_stride == 0) {
    for (std::int64_t r = 0; r < rows.size; ++r) {
      T* line = to + r * rows.to_stride;
      const T value = from[r * rows.from_stride];
      for (std::int64_t c = 0; c < columns.size; ++c) line[c * columns.to_stride] = value;
    }
    return;
  }
  if (rows.from_stride == 1) {
    for (std::int64_t r0 = 0; r0 < rows.size; r0 += kTileSide) {
      const std::int64_t r1 = std::min(rows.size, r0 + kTileSide);
      for (std::int64_t c0 = 0; c0 < columns.size; c0 += kTileSide) {
        const std::int64_t c1 = std::min(columns.size, c0 + kTileSide);
        for (std::int64_t r = r0; r < r1; ++r) {
          for (std::int64_t c = c0; c < c1; ++c) {
            to[r * rows.to_stride + c * columns.to_stride] = from[r + c * columns.from_stride];
          }
        }
      }
    }
    return;
  }
  for (std::int64_t r = 0; r < rows.size; ++r) {
    const T* source = from + r * rows.from_stride;
    T* line = to + r * rows.to_stride;
    for (std::int64_t c = 0; c < columns.size; ++c) line[c * columns.to_stride] = source[c * columns.from_stride];
  }
}

/// Merges an axis into the one outside of it when both strides continue.
void merge(std::vector<CopyAxis>& axes) {
  std::vector<CopyAxis> merged;
  for (const CopyAxis& axis : axes) {
    if (axis.size == 1) continue;
    if (!merged.empty() && merged.back().from_stride == axis.from_stride * axis.size &&
        merged.back().to_stride == axis.to_stride * axis.size) {
      merged.back() = {merged.back().size * axis.size, axis.from_stride, axis.to_stride};
    } else {
      merged.push_back(axis);
    }
  }
  axes = std::move(merged);
}

void copy_run(const std::byte* from, std::byte* to, std::int64_t bytes) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

StridedCopy::StridedCopy(std::vector<CopyAxis> axes, std::int64_t element_bytes,
                         std::int64_t from_offset, std::int64_t to_offset)
    : element_bytes_(element_bytes), from_offset_(from_offset), to_offset_(to_offset) {
  std::stable_sort(axes.begin(), axes.end(), [](const CopyAxis& a, const CopyAxis& b) {
    return a.to_stride > b.to_stride;
  });
  merge(axes);
  columns_ = axes.empty() ? CopyAxis{1, 1, 1} : axes.back();
  if (!axes.empty()) axes.pop_back();
  // The plane's other axis: the one that is contiguous in the source, else the next.
  rows_ = CopyAxis{1, 0, 0};
  if (!axes.empty()) {
    auto chosen = std::find_if(axes.begin(), axes.end(),
                               [](const CopyAxis& axis) { return axis.from_stride == 1; });
    if (chosen == axes.end() || columns_.from_stride == 1) chosen = axes.end() - 1;
    rows_ = *chosen;
    axes.erase(chosen);
  }
  outer_ = std::move(axes);
  for (const CopyAxis& axis : outer_) outer_count_ *= axis.size;
}

bool StridedCopy::is_contiguous() const {
  return outer_.empty() && rows_.size == 1 && columns_.from_stride == 1 && columns_.to_stride == 1;
}

void StridedCopy::copy_inner(const std::byte* from, std::byte* to) const {
  if (columns_.from_stride == 1 && columns_.to_stride == 1) {
    const std::int64_t bytes = columns_.size * element_bytes_;
    for (std::int64_t r = 0; r < rows_.size; ++r) {
      copy_run(from + r * rows_.from_stride * element_bytes_, to + r * rows_.to_stride * element_bytes_, bytes);
    }
    return;
  }
  switch (element_bytes_) {
    case 1: return copy_plane<std::uint8_t>(from, to, rows_, columns_);
    case 2: return copy_plane<std::uint16_t>(from, to, rows_, columns_);
    case 4: return copy_plane<std::uint32_t>(from, to, rows_, columns_);
    case 8: return copy_plane<std::uint64_t>(from, to, rows_, columns_);
    default:
      for (std::int64_t r = 0; r < rows_.size; ++r) {
        for (std::int64_t c = 0; c < columns_.size; ++c) {
          copy_run(from + (r * rows_.from_stride + c * columns_.from_stride) * element_bytes_,
                   to + (r * rows_.to_stride + c * columns_.to_stride) * element_bytes_, element_bytes_);
        }
      }
  }
}

void StridedCopy::operator()(const std::byte* from, std::byte* to) const {
  from += from_offset_ * element_bytes_;
  to += to_offset_ * element_bytes_;
  const double bytes = static_cast<double>(rows_.size * columns_.size * element_bytes_);
  if (outer_count_ == 1) {
    // Share out the rows, or the one run, of a single plane.
    const bool by_rows = rows_.size > 1;
    const CopyAxis& shared = by_rows ? rows_ : columns_;
    parallel_ranges(shared.size, bytes * 0.15 / static_cast<double>(shared.size),
                    [&](std::int64_t begin, std::int64_t end) {
                      StridedCopy part = *this;
                      (by_rows ? part.rows_ : part.columns_).size = end - begin;
                      part.copy_inner(from + begin * shared.from_stride * element_bytes_,
                                      to + begin * shared.to_stride * element_bytes_);
                    });
    return;
  }
  parallel_ranges(outer_count_, bytes * 0.15, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t rest = i;
      std::int64_t source = 0;
      std::int64_t target = 0;
      for (std::size_t a = outer_.size(); a-- > 0;) {
        const std::int64_t at = rest % outer_[a].size;
        rest /= outer_[a].size;
        source += at * outer_[a].from_stride;
        target += at * outer_[a].to_stride;
      }
      copy_inner(from + source * element_bytes_, to + target * element_bytes_);
    }
  });
}

TableCopy::TableCopy(std::vector<std::vector<std::int64_t>> tables, std::int64_t chunk_bytes)
    : outer_(std::move(tables)), chunk_bytes_(chunk_bytes) {
  // A last axis that walks whole chunks in order becomes part of the chunk.
  while (!outer_.empty()) {
    const std::vector<std::int64_t>& last = outer_.back();
    bool in_order = true;
    for (std::size_t i = 0; i < last.size(); ++i) in_order &= last[i] == static_cast<std::int64_t>(i);
    if (!in_order) break;
    const auto size = static_cast<std::int64_t>(last.size());
    bool divides = true;
    for (std::size_t a = 0; a + 1 < outer_.size(); ++a) {
      for (const std::int64_t offset : outer_[a]) divides &= offset % size == 0;
    }
    if (!divides) break;
    for (std::size_t a = 0; a + 1 < outer_.size(); ++a) {
      for (std::int64_t& offset : outer_[a]) offset /= size;
    }
    chunk_bytes_ *= size;
    outer_.pop_back();
  }
  if (outer_.empty()) {
    inner_ = {0};
  } else {
    inner_ = std::move(outer_.back());
    outer_.pop_back();
  }
  for (const auto& table : outer_) outer_count_ *= static_cast<std::int64_t>(table.size());
}

namespace {

template <typename T>
void copy_chunks(const std::byte* from, std::byte* to, const std::vector<std::int64_t>& table) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (std::size_t i = 0; i < table.size(); ++i) target[i] = source[table[i]];
}

struct Chunk32 {
  std::uint64_t words[4];
};
struct Chunk64 {
  std::uint64_t words[8];
};

void copy_table_row(const std::byte* from, std::byte* to, const std::vector<std::int64_t>& table,
                    std::int64_t chunk_bytes) {
  switch (chunk_bytes) {
    case 1: return copy_chunks<std::uint8_t>(from, to, table);
    case 2: return copy_chunks<std::uint16_t>(from, to, table);
    case 4: return copy_chunks<std::uint32_t>(from, to, table);
    case 8: return copy_chunks<std::uint64_t>(from, to, table);
    case 32: return copy_chunks<Chunk32>(from, to, table);
    case 64: return copy_chunks<Chunk64>(from, to, table);
    default:
      for (std::size_t i = 0; i < table.size(); ++i) {
        copy_run(from + table[i] * chunk_bytes, to + static_cast<std::int64_t>(i) * chunk_bytes, chunk_bytes);
      }
  }
}

}  // namespace

void TableCopy::operator()(const std::byte* from, std::byte* to) const {
  const std::int64_t row_bytes = static_cast<std::int64_t>(inner_.size()) * chunk_bytes_;
  parallel_ranges(outer_count_, static_cast<double>(row_bytes) * 0.15, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t rest = i;
      std::int64_t source = 0;
      for (std::size_t a = outer_.size(); a-- > 0;) {
        const auto size = static_cast<std::int64_t>(outer_[a].size());
        source += outer_[a][static_cast<std::size_t>(rest % size)];
        rest /= size;
      }
      copy_table_row(from + source * chunk_bytes_, to + i * row_bytes, inner_, chunk_bytes_);
    }
  });
}

}  // namespace naru::cpu
