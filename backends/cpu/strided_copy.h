// Copies between boxes of memory with strides: all data movement but look-ups goes through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace naru::cpu {

/// One axis of a copied box; strides in elements, 0 repeats and negative walks back.
struct CopyAxis {
  std::int64_t size = 1;
  std::int64_t from_stride = 0;
  std::int64_t to_stride = 0;
};

/// Copies a box element by element; offsets in elements. Source and target do not overlap.
class StridedCopy {
 public:
  StridedCopy(std::vector<CopyAxis> axes, std::int64_t element_bytes, std::int64_t from_offset = 0,
              std::int64_t to_offset = 0);
  void operator()(const std::byte* from, std::byte* to) const;

  /// True when it is one run of bytes.
  bool is_contiguous() const;

 private:
  void copy_inner(const std::byte* from, std::byte* to) const;

  std::vector<CopyAxis> outer_;  // outermost first
  CopyAxis rows_;                // of the inner plane
  CopyAxis columns_;
  std::int64_t outer_count_ = 1;
  std::int64_t element_bytes_ = 1;
  std::int64_t from_offset_ = 0;
  std::int64_t to_offset_ = 0;
};

/// Copies chunks through one table of source chunk offsets per axis: to[i, j, ...] =
/// from[t0[i] + t1[j] + ...]. The target is dense. Tables must stay inside the source.
class TableCopy {
 public:
  TableCopy(std::vector<std::vector<std::int64_t>> tables, std::int64_t chunk_bytes);
  void operator()(const std::byte* from, std::byte* to) const;

 private:
  std::vector<std::vector<std::int64_t>> outer_;
  std::vector<std::int64_t> inner_;
  std::int64_t outer_count_ = 1;
  std::int64_t chunk_bytes_ = 1;
};

}  // namespace naru::cpu
