// StepPlanner: rows for decoding sequences first, then for prompts, within the pages that there are.
#include "runtime/generate/step_planner.h"

#include <algorithm>

namespace naru {
namespace {

/// Whether `a` is served before `b`.
bool before(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->arrival < b->arrival;
}

std::int64_t pages_for(std::int64_t tokens, std::int64_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

}  // namespace

void StepPlanner::enqueue(Sequence& sequence) {
  waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), &sequence, before), &sequence);
}

void StepPlanner::add(Sequence& sequence) { enqueue(sequence); }

void StepPlanner::remove(Sequence& sequence) {
  give_back(sequence);
  std::erase(running_, &sequence);
  std::erase(waiting_, &sequence);
}

void StepPlanner::give_back(Sequence& sequence) {
  // The last page first, so that the beginning, which more prompts share, stays longest.
  while (!sequence.pages.empty()) {
    pool_.release(sequence.pages.back());
    sequence.pages.pop_back();
  }
  sequence.cached = 0;
  sequence.published = 0;
}

/// Takes the pages that `rows` more rows need, all or none.
bool StepPlanner::take_pages(Sequence& sequence, std::int64_t rows) {
  const std::int64_t needed = pages_for(sequence.cached + rows, pool_.page_tokens()) -
                              static_cast<std::int64_t>(sequence.pages.size());
  if (needed > pool_.available()) return false;
  for (std::int64_t i = 0; i < needed; ++i) sequence.pages.push_back(*pool_.allocate());
  return true;
}

/// Takes pages, from sequences that are served after this one where that must be.
bool StepPlanner::make_room(Sequence& sequence, std::int64_t rows) {
  while (!take_pages(sequence, rows)) {
    const auto victim = std::max_element(running_.begin(), running_.end(), before);
    if (victim == running_.end() || !before(&sequence, *victim)) return false;
    Sequence& loser = **victim;
    give_back(loser);
    running_.erase(victim);
    ++loser.preemptions;
    ++preemptions_;
    enqueue(loser);
  }
  return true;
}

/// Guesses that find room beside `rows` more rows without taking it from others.
std::int64_t StepPlanner::draft_rows(Sequence& sequence, std::int64_t rows, std::int64_t left) {
  if (!sequence.decoding()) return 0;
  const std::int64_t wanted = std::min(static_cast<std::int64_t>(sequence.draft.size()), left);
  if (wanted == 0 || take_pages(sequence, rows + wanted)) return wanted;
  const std::int64_t room = static_cast<std::int64_t>(sequence.pages.size()) * pool_.page_tokens();
  return std::min(wanted, room - sequence.cached - rows);
}

/// Starts waiting sequences while there is room for what they have to compute and one token more.
void StepPlanner::admit() {
  while (!waiting_.empty() && running() < limits_.sequences) {
    Sequence& next = *waiting_.front();
    if (limits_.share_prefixes && next.reuse) {
      // The last token is always computed, for its logits.
      next.pages = pool_.share(std::span(next.tokens).first(next.tokens.size() - 1));
      next.cached = static_cast<std::int64_t>(next.pages.size()) * pool_.page_tokens();
      next.published = static_cast<std::int64_t>(next.pages.size());
    }
    const std::int64_t needed = pages_for(static_cast<std::int64_t>(next.tokens.size()) + 1, pool_.page_tokens()) -
                                static_cast<std::int64_t>(next.pages.size());
    // Alone, a sequence may fill the cache to the last token.
    if (needed > pool_.available() && running() > 0) {
      give_back(next);
      return;
    }
    waiting_.erase(waiting_.begin());
    running_.push_back(&next);
  }
}

/// Rows of a sequence that fit into the `left` ones of a step.
std::int64_t StepPlanner::rows_for(const Sequence& sequence, std::int64_t left) const {
  if (limits_.fixed_rows == 0) return std::min(sequence.pending(), left);
  const std::int64_t end = (sequence.cached / limits_.fixed_rows + 1) * limits_.fixed_rows;
  const bool in_prompt = sequence.cached < sequence.prompt_tokens;
  const std::int64_t rows = in_prompt ? std::min(end, sequence.prompt_tokens) - sequence.cached : 1;
  return rows <= left ? rows : 0;
}

std::vector<StepPart> StepPlanner::plan() {
  admit();
  std::vector<Sequence*> order = running_;
  // Those that decode first, else in the order of service.
  std::ranges::sort(order, [](const Sequence* a, const Sequence* b) {
    return a->decoding() != b->decoding() ? a->decoding() : before(a, b);
  });
  std::vector<StepPart> parts;
  std::int64_t left = limits_.step_tokens;
  for (Sequence* sequence : order) {
    // It may have lost its pages to one before it.
    if (left == 0 || std::ranges::find(running_, sequence) == running_.end()) continue;
    const std::int64_t rows = rows_for(*sequence, left);
    if (rows == 0 || !make_room(*sequence, rows)) continue;
    const std::int64_t drafted = draft_rows(*sequence, rows, left - rows);
    parts.push_back({sequence, rows + drafted, rows == sequence->pending(), drafted});
    left -= rows + drafted;
  }
  // A sequence of low priority that decodes may have got rows before one of high priority took its pages.
  std::erase_if(parts, [&](const StepPart& part) { return std::ranges::find(running_, part.sequence) == running_.end(); });
  return parts;
}

void StepPlanner::complete(const std::vector<StepPart>& parts) {
  for (const StepPart& part : parts) {
    Sequence& s = *part.sequence;
    s.cached += part.rows - part.drafted;
    if (!limits_.share_prefixes) continue;
    for (; (s.published + 1) * pool_.page_tokens() <= s.cached; ++s.published) {
      const auto i = static_cast<std::size_t>(s.published);
      const auto step = static_cast<std::size_t>(pool_.page_tokens());
      pool_.publish(s.pages[i], i == 0 ? std::nullopt : std::optional(s.pages[i - 1]),
                    std::span(s.tokens).subspan(i * step, step));
    }
  }
}

}  // namespace naru
