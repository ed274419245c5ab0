// WinogradPacking: filters transformed and laid out for the products.
#pragma once

#include <cstdint>

#include "backends/cpu/winograd/loops.h"

namespace naru::cpu {

/// Filters [filters, channels, 3, 3] become [panel][plane][channel][column], in panels of `columns` filters, the
/// last one filled up with zeros.
struct WinogradPacking {
  std::int64_t filters = 0, channels = 0;
  int columns = 0;
  bool operator==(const WinogradPacking&) const = default;

  std::int64_t panels() const { return (filters + columns - 1) / columns; }
  std::int64_t panel_floats() const { return kWinogradPlanes * channels * columns; }
  /// @throws Error InvalidModel on overflow.
  std::int64_t packed_bytes() const;
  void pack(const float* filters, float* packed) const;
};

}  // namespace naru::cpu
