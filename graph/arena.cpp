// The memory planner: best fit, largest block first; in time order for very long plans.
#include "graph/arena.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "graph/checked.h"

namespace naru {
namespace {

/// Above this many blocks the quadratic planner gives way to the one in time order.
constexpr std::size_t kMaxQuadratic = 6000;

struct Block {
  std::int64_t size = 0;
  std::int32_t first = 0;
  std::int32_t last = 0;
  std::int64_t offset = 0;

  bool overlaps(const Block& other) const { return first <= other.last && other.first <= last; }
};

/// Requests as blocks: one per alias group, one per other request; `of_request` maps back.
struct Blocks {
  std::vector<Block> blocks;
  std::vector<std::size_t> of_request;
};

Blocks merge_groups(std::span<const ArenaRequest> requests) {
  Blocks result;
  std::map<std::int32_t, std::size_t> groups;
  for (const ArenaRequest& request : requests) {
    const std::int64_t size = CheckedSize(request.size_bytes).align_up(kArenaAlignment).value();
    const Block block{size, request.first_step, request.last_step, 0};
    if (request.alias_group >= 0) {
      const auto [found, fresh] = groups.emplace(request.alias_group, result.blocks.size());
      if (!fresh) {
        Block& shared = result.blocks[found->second];
        shared.size = std::max(shared.size, block.size);
        shared.first = std::min(shared.first, block.first);
        shared.last = std::max(shared.last, block.last);
        result.of_request.push_back(found->second);
        continue;
      }
    }
    result.of_request.push_back(result.blocks.size());
    result.blocks.push_back(block);
  }
  return result;
}

/// The smallest gap between `taken` (by offset) that holds `size`; the end when none does.
std::int64_t best_gap(const std::vector<Block>& taken, std::int64_t size) {
  std::int64_t end = 0;
  std::int64_t best = -1;
  std::int64_t best_size = 0;
  for (const Block& block : taken) {
    const std::int64_t gap = block.offset - end;
    if (gap >= size && (best < 0 || gap < best_size)) {
      best = end;
      best_size = gap;
    }
    end = std::max(end, checked_add(block.offset, block.size));
  }
  return best >= 0 ? best : end;
}

void place_largest_first(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return blocks[a].size > blocks[b].size;
  });
  std::vector<Block> placed;  // by offset
  std::vector<Block> conflicts;
  for (const std::size_t index : order) {
    Block& block = blocks[index];
    conflicts.clear();
    std::copy_if(placed.begin(), placed.end(), std::back_inserter(conflicts),
                 [&](const Block& other) { return other.overlaps(block); });
    block.offset = best_gap(conflicts, block.size);
    const auto by_offset = [](const Block& a, const Block& b) { return a.offset < b.offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), block, by_offset), block);
  }
}

/// Free ranges of the arena by offset, merged with their neighbours.
class FreeRanges {
 public:
  std::int64_t take(std::int64_t size) {
    auto best = ranges_.end();
    for (auto range = ranges_.begin(); range != ranges_.end(); ++range) {
      if (range->second >= size && (best == ranges_.end() || range->second < best->second)) {
        best = range;
      }
    }
    if (best == ranges_.end()) {
      const std::int64_t offset = end_;
      end_ = checked_add(end_, size);
      return offset;
    }
    const std::int64_t offset = best->first;
    const std::int64_t rest = best->second - size;
    ranges_.erase(best);
    if (rest > 0) ranges_.emplace(offset + size, rest);
    return offset;
  }

  void give(std::int64_t offset, std::int64_t size) {
    if (size == 0) return;
    auto next = ranges_.lower_bound(offset);
    if (next != ranges_.end() && next->first == offset + size) {
      size += next->second;
      next = ranges_.erase(next);
    }
    if (next != ranges_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == offset) {
        previous->second += size;
        return;
      }
    }
    ranges_.emplace(offset, size);
  }

 private:
  std::map<std::int64_t, std::int64_t> ranges_;
  std::int64_t end_ = 0;
};

void place_in_time_order(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return blocks[a].first < blocks[b].first;
  });
  std::multimap<std::int32_t, std::size_t> alive;  // by last step
  FreeRanges free;
  for (const std::size_t index : order) {
    Block& block = blocks[index];
    while (!alive.empty() && alive.begin()->first < block.first) {
      const Block& dead = blocks[alive.begin()->second];
      free.give(dead.offset, dead.size);
      alive.erase(alive.begin());
    }
    block.offset = free.take(block.size);
    alive.emplace(block.last, index);
  }
}

}  // namespace

ArenaPlan plan_arena(std::span<const ArenaRequest> requests) {
  Blocks merged = merge_groups(requests);
  if (merged.blocks.size() <= kMaxQuadratic) {
    place_largest_first(merged.blocks);
  } else {
    place_in_time_order(merged.blocks);
  }
  ArenaPlan plan;
  for (const Block& block : merged.blocks) {
    plan.total_bytes = std::max(plan.total_bytes, checked_add(block.offset, block.size));
  }
  for (const std::size_t index : merged.of_request) plan.offsets.push_back(merged.blocks[index].offset);
  return plan;
}

std::int64_t arena_lower_bound(std::span<const ArenaRequest> requests) {
  std::map<std::int32_t, std::int64_t> changes;
  for (const Block& block : merge_groups(requests).blocks) {
    changes[block.first] += block.size;
    changes[block.last + 1] -= block.size;
  }
  std::int64_t alive = 0;
  std::int64_t most = 0;
  for (const auto& [step, change] : changes) {
    alive = checked_add(alive, change);
    most = std::max(most, alive);
  }
  return most;
}

}  // namespace naru
