// PackedCache: constants in the layouts that kernels want, shared by all executables of a device.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <variant>
#include <vector>

#include "backends/cpu/integer/products.h"
#include "backends/cpu/linear/tiles.h"
#include "backends/cpu/onednn.h"
#include "backends/cpu/winograd/packing.h"
#include "naru/tensor.h"

namespace naru::cpu {

/// A constant as it is packed: `from` describes the tensor's bytes, `to` the packed ones.
struct Packing {
  dnnl::memory::desc from;
  dnnl::memory::desc to;
  float scale = 1;  ///< the packed values are multiplied by it
  bool operator==(const Packing&) const = default;
};

/// A weight packed for the linear kernels.
struct TilePacking {
  const TileFormat* format = nullptr;
  bool operator==(const TilePacking&) const = default;
};

/// Matrices of bytes, one after the other, packed for exact products with rows of x.
struct BytePacking {
  ByteMatrix matrix;
  std::int64_t count = 1;   ///< of matrices
  std::int64_t stride = 0;  ///< from one to the next
  bool x_signed = false;
  bool operator==(const BytePacking&) const = default;

  std::int64_t packed_bytes() const { return count * ByteProduct(matrix, x_signed).packed_bytes(); }
  void pack(const std::byte* from, std::byte* to) const;
};

using Recipe = std::variant<Packing, TilePacking, BytePacking, WinogradPacking>;

/// Thread-safe. An entry lives as long as some executable holds it.
class PackedCache {
 public:
  /// The packed bytes, made on the first call.
  std::shared_ptr<const Tensor> get(const Tensor& constant, const Recipe& recipe);

 private:
  struct Entry {
    Recipe recipe;
    /// The constant's storage: while it lives, its address names it.
    std::weak_ptr<const void> owner;
    std::weak_ptr<const Tensor> packed;
  };
  std::mutex mutex_;
  std::unordered_map<const void*, std::vector<Entry>> entries_;  // by address of the constant
};

}  // namespace naru::cpu
