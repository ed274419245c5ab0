// The memory planner: lifetimes of blocks in, offsets in one arena out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace naru {

/// Alignment of every block of an arena.
inline constexpr std::int64_t kArenaAlignment = 64;

/// A block of memory that must hold its content over steps [first_step, last_step], both included.
struct ArenaRequest {
  std::int64_t size_bytes = 0;
  std::int32_t first_step = 0;
  std::int32_t last_step = 0;
  /// Requests of one group >= 0 get the same offset and count as one block over all their steps: a
  /// step that writes its result over its operand puts both into one group.
  std::int32_t alias_group = -1;
};

struct ArenaPlan {
  std::vector<std::int64_t> offsets;  ///< one per request, multiples of kArenaAlignment
  std::int64_t total_bytes = 0;
};

/// Places blocks so that no two of overlapping lifetimes overlap in memory.
/// @throws Error InvalidModel on size overflow.
ArenaPlan plan_arena(std::span<const ArenaRequest> requests);

/// The most bytes alive at one step: no plan can be smaller.
std::int64_t arena_lower_bound(std::span<const ArenaRequest> requests);

}  // namespace naru
