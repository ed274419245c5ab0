// Widening: kernels that this machine has in f32 only run f16 and bf16 nodes between conversions.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"

namespace naru::cpu {

/// A fragment as it is lowered, and which node of the original each of its nodes stands for.
struct Widened {
  std::shared_ptr<const Graph> graph;
  std::vector<std::int32_t> origin;  ///< by node; empty when the graph is the original
};

/// f32 copies of 16-bit constants, shared by all executables of a device. Thread-safe.
class WidenedConstants {
 public:
  Tensor get(const Tensor& constant);

 private:
  struct Entry {
    std::weak_ptr<const void> source;
    std::weak_ptr<const void> owner;  // of the copy
    std::byte* data = nullptr;
  };
  std::mutex mutex_;
  std::unordered_map<const void*, Entry> entries_;
};

/// Rewrites 16-bit nodes whose kernels exist in f32 only as Cast, the node in f32, Cast back. Results
/// are rounded to 16 bits after each node, as the original's are.
Widened widen(std::shared_ptr<const Graph> fragment, WidenedConstants& constants);

/// True when `op` (a full name) is one that widen() rewrites for this element type on this machine.
bool is_widened(std::string_view op, DType dtype);

}  // namespace naru::cpu
