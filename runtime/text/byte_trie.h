// A trie over byte strings in flat arrays, with the values that end at each node.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace naru::text {

class ByteTrie {
 public:
  struct Node {
    std::uint32_t first_child = 0;
    std::uint32_t first_value = 0;
    std::uint32_t value_count = 0;
    std::uint16_t child_count = 0;
    std::uint8_t byte = 0;  ///< on the edge that leads here
  };

  ByteTrie() = default;
  /// `entries`: byte strings with their values; a string may come more than once.
  explicit ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries);

  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  bool empty() const { return nodes_.empty(); }
  const Node& node(std::uint32_t index) const { return nodes_[index]; }
  std::uint32_t child(std::uint32_t index, std::uint8_t byte) const noexcept;
  /// The values of the strings that end at a node.
  std::span<const std::int32_t> values(std::uint32_t index) const {
    return std::span(values_).subspan(nodes_[index].first_value, nodes_[index].value_count);
  }

 private:
  std::vector<Node> nodes_;
  std::vector<std::int32_t> values_;
  std::array<std::uint32_t, 256> roots_{};  ///< the root's children by byte
};

}  // namespace naru::text
