// Sequence: one generation as the step scheduler sees it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/generate/page_pool.h"

namespace naru {

/// Tokens so far and how many of them the cache holds. A sequence always has tokens that the cache
/// does not hold yet: the rest of its prompt, or the token generated last.
struct Sequence {
  std::vector<TokenId> tokens;
  std::vector<TokenId> draft;  ///< guesses of what follows `tokens`, to be checked by the next step
  std::int64_t prompt_tokens = 0;
  std::int64_t cached = 0;        ///< tokens in the cache
  std::int64_t published = 0;     ///< pages offered for sharing, counted from the first
  std::vector<PageId> pages;
  bool reuse = true;              ///< may begin with pages that others computed
  int priority = 0;
  std::uint64_t arrival = 0;      ///< order of arrival
  int preemptions = 0;

  std::int64_t pending() const { return static_cast<std::int64_t>(tokens.size()) - cached; }
  bool decoding() const { return pending() == 1 && cached >= prompt_tokens; }
};

}  // namespace naru
