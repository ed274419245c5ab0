// StepPlanner: decides which sequences get how many rows of the next step, and who must wait.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "runtime/generate/page_pool.h"
#include "runtime/generate/sequence.h"

namespace naru {

/// The rows of one sequence in a step.
struct StepPart {
  Sequence* sequence = nullptr;
  std::int64_t rows = 0;
  bool last = false;  ///< reaches the sequence's last token: its logits are wanted
  std::int64_t drafted = 0;  ///< of the rows, the last ones, which hold guesses
};

/// Continuous batching over a paged cache (Orca, OSDI 2022; vLLM, SOSP 2023): every running sequence
/// that decodes gets its row, the rest of the step goes to parts of prompts, and sequences start when
/// the cache has room for their prompt. When the cache runs out, the sequence of the lowest priority
/// that came last gives its pages back and starts again later; its prompt then includes what it has
/// generated. Not thread-safe; owns no sequence.
class StepPlanner {
 public:
  struct Limits {
    std::int64_t step_tokens = 256;
    std::int64_t sequences = 16;
    bool share_prefixes = true;
    /// Rows of a sequence do not depend on the other ones: parts of prompts of this many rows, from the first on,
    /// whole or not at all, and single rows of what was generated; 0: what there is room for.
    std::int64_t fixed_rows = 0;
  };
  StepPlanner(PagePool& pool, Limits limits) : pool_(pool), limits_(limits) {}

  void add(Sequence& sequence);
  /// Forgets a sequence and gives its pages back.
  void remove(Sequence& sequence);

  /// Rows for the next step, with their pages taken; empty when there is nothing to do.
  std::vector<StepPart> plan();
  /// Says that the step of `parts` is done: their rows are in the cache. Guesses do not count; the
  /// caller counts those that turned out right.
  void complete(const std::vector<StepPart>& parts);

  std::int64_t running() const { return static_cast<std::int64_t>(running_.size()); }
  std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  std::int64_t preemptions() const { return preemptions_; }

 private:
  bool take_pages(Sequence& sequence, std::int64_t rows);
  std::int64_t rows_for(const Sequence& sequence, std::int64_t left) const;
  bool make_room(Sequence& sequence, std::int64_t rows);
  std::int64_t draft_rows(Sequence& sequence, std::int64_t rows, std::int64_t left);
  void admit();
  void give_back(Sequence& sequence);
  void enqueue(Sequence& sequence);

  PagePool& pool_;
  Limits limits_;
  std::vector<Sequence*> running_;  // in the order of admission
  std::vector<Sequence*> waiting_;  // next first
  std::int64_t preemptions_ = 0;
};

}  // namespace naru
