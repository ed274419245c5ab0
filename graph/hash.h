// Content hashes of bytes, tensors and graphs: to find duplicates, to detect damage, to key caches.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace naru {

/// 128 bits of XXH3: chosen because it runs at memory speed and its values are stable by promise.
/// It is no defence against a forger: whoever shares data by hash compares the bytes as well, and
/// caches that others can write to authenticate their entries.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};

/// 32 hexadecimal digits, high half first.
std::string to_string(const Hash128& hash);
std::optional<Hash128> hash_from_string(std::string_view text);

/// Feeds bytes and numbers into one hash; numbers enter as little-endian.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void bytes(const void* data, std::size_t size);
  void number(std::uint64_t value);
  void number(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
  /// The length, then the bytes, so that neighbours cannot run into each other.
  void text(std::string_view text);
  void hash(const Hash128& value);
  Hash128 finish() const;

 private:
  void* state_;
};

Hash128 hash_bytes(std::span<const std::byte> bytes);

/// Hash of element type, shape and elements.
Hash128 content_hash(const Tensor& tensor);

/// Hash of what a graph computes: input types, operators, attributes, constants, edges, outputs and
/// states. Names of graphs, nodes and values, documentation, metadata, the numbering of values and
/// what inference wrote into inner types do not enter it.
Hash128 graph_hash(const Graph& graph);

}  // namespace naru

template <>
struct std::hash<naru::Hash128> {
  std::size_t operator()(const naru::Hash128& value) const noexcept {
    return static_cast<std::size_t>(value.low);
  }
};
