// Builds the trie breadth first from sorted strings, so that the children of a node lie together.
#include "runtime/text/byte_trie.h"

#include <algorithm>

namespace naru::text {
namespace {

/// Sorted strings that share the `depth` bytes which lead to `node`.
struct Group {
  std::uint32_t node;
  std::size_t begin, end, depth;
};

}  // namespace

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries) {
  std::sort(entries.begin(), entries.end());
  for (const auto& entry : entries) values_.push_back(entry.second);
  nodes_.push_back({});
  std::vector<Group> queue = {{kRoot, 0, entries.size(), 0}};
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const Group group = queue[next];
    std::size_t at = group.begin;
    while (at < group.end && entries[at].first.size() == group.depth) ++at;
    nodes_[group.node].first_value = static_cast<std::uint32_t>(group.begin);
    nodes_[group.node].value_count = static_cast<std::uint32_t>(at - group.begin);
    nodes_[group.node].first_child = static_cast<std::uint32_t>(nodes_.size());
    while (at < group.end) {
      const auto byte = static_cast<std::uint8_t>(entries[at].first[group.depth]);
      std::size_t end = at + 1;
      while (end < group.end && static_cast<std::uint8_t>(entries[end].first[group.depth]) == byte)
        ++end;
      queue.push_back({static_cast<std::uint32_t>(nodes_.size()), at, end, group.depth + 1});
      nodes_.push_back({.byte = byte});
      ++nodes_[group.node].child_count;
      at = end;
    }
  }
  roots_.fill(kNone);
  const Node& root = nodes_[kRoot];
  for (std::uint32_t i = 0; i < root.child_count; ++i)
    roots_[nodes_[root.first_child + i].byte] = root.first_child + i;
}

std::uint32_t ByteTrie::child(std::uint32_t index, std::uint8_t byte) const noexcept {
  if (index == kRoot) return nodes_.empty() ? kNone : roots_[byte];
  const Node& node = nodes_[index];
  const auto begin = nodes_.begin() + node.first_child;
  const auto end = begin + node.child_count;
  const auto found =
      std::lower_bound(begin, end, byte, [](const Node& n, std::uint8_t b) { return n.byte < b; });
  return found != end && found->byte == byte ? static_cast<std::uint32_t>(found - nodes_.begin())
                                             : kNone;
}

}  // namespace naru::text
