// Drafters: prompt look-up, and a second model with a cache of its own.
#include "runtime/generate/drafter.h"

#include <algorithm>

#include "graph/fail.h"

namespace naru {
namespace {

constexpr std::size_t kLongestMatch = 4, kShortestMatch = 2;
constexpr std::size_t kLookBack = 1 << 16;  // tokens

/// Where the last `size` tokens stood before, latest place first: the index behind them; 0 when nowhere.
std::size_t find_before(std::span<const TokenId> tokens, std::size_t size) {
  const auto last = tokens.last(size);
  const std::size_t oldest = tokens.size() > kLookBack ? tokens.size() - kLookBack : 0;
  for (std::size_t end = tokens.size() - 1; end >= oldest + size; --end) {
    if (tokens[end - 1] == last.back() && std::ranges::equal(tokens.subspan(end - size, size), last)) return end;
  }
  return 0;
}

void expect_same_tokens(const Tokenizer& draft, const Tokenizer& model) {
  const std::int64_t count = model.vocab_size();
  bool same = draft.vocab_size() == count;
  for (std::int64_t id = 0; same && id < count; ++id) {
    same = draft.token_bytes(static_cast<TokenId>(id)) == model.token_bytes(static_cast<TokenId>(id));
  }
  if (!same) {
    fail(ErrorCode::InvalidArgument, "draft model: its {} tokens are not the {} of the model that it drafts for",
         draft.vocab_size(), count);
  }
}

/// The draft model's caches hold every sequence at its longest.
GeneratorOptions draft_options(GeneratorOptions options) {
  options.cache_tokens = options.context * options.max_sequences;
  options.memory_budget_bytes = 0;
  return options;
}

}  // namespace

std::vector<TokenId> look_up(std::span<const TokenId> tokens, std::int64_t most) {
  for (std::size_t size = kLongestMatch; size >= kShortestMatch; --size) {
    if (tokens.size() <= size) continue;
    const std::size_t found = find_before(tokens, size);
    if (found == 0) continue;
    const auto following = tokens.subspan(found);
    const auto taken = following.first(std::min(following.size(), static_cast<std::size_t>(most)));
    return {taken.begin(), taken.end()};
  }
  return {};
}

ModelDrafter::ModelDrafter(const Model& model, const GeneratorOptions& options, const Tokenizer& tokenizer)
    : model_(model, draft_options(options)),
      pool_(model_.cache().pages, model_.cache().page_tokens),
      step_tokens_(options.step_tokens) {
  expect_same_tokens(model_.tokenizer(), tokenizer);
}

/// The draft model's own sequence, cut back to what both have in common and extended to all of `sequence`.
Sequence& ModelDrafter::follow(const Sequence& sequence) {
  Sequence& own = own_[&sequence];
  const auto [mine, theirs] = std::ranges::mismatch(own.tokens, sequence.tokens);
  const auto common = static_cast<std::int64_t>(mine - own.tokens.begin());
  // The last token is computed again, for its logits.
  own.cached = std::min({own.cached, common, static_cast<std::int64_t>(sequence.tokens.size()) - 1});
  own.tokens = sequence.tokens;
  return own;
}

bool ModelDrafter::take_pages(Sequence& own, std::int64_t rows) {
  const std::int64_t size = pool_.page_tokens(), needed = (own.cached + rows + size - 1) / size;
  while (static_cast<std::int64_t>(own.pages.size()) < needed) {
    const std::optional<PageId> page = pool_.allocate();
    if (!page) return false;
    own.pages.push_back(*page);
  }
  return true;
}

/// Rows for those that have not guessed enough.
std::vector<StepPart> ModelDrafter::next_parts(std::span<const DraftRequest> requests) {
  std::vector<StepPart> parts;
  std::int64_t left = step_tokens_;
  for (const DraftRequest& request : requests) {
    Sequence& own = own_.at(request.sequence);
    if (left == 0 || static_cast<std::int64_t>(request.sequence->draft.size()) >= request.most) continue;
    const std::int64_t rows = std::min(own.pending(), left);
    if (static_cast<std::int64_t>(own.tokens.size()) >= model_.context() || !take_pages(own, rows)) continue;
    parts.push_back({&own, rows, rows == own.pending()});
    left -= rows;
  }
  return parts;
}

void ModelDrafter::take_best(const Sequence& own, std::span<const float> logits, std::span<const DraftRequest> requests) {
  const auto best = static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
  for (const DraftRequest& request : requests) {
    Sequence& mine = own_.at(request.sequence);
    if (&mine != &own) continue;
    mine.tokens.push_back(best);
    request.sequence->draft.push_back(best);
  }
}

void ModelDrafter::draft(std::span<const DraftRequest> requests) {
  for (const DraftRequest& request : requests) follow(*request.sequence);
  for (std::vector<StepPart> parts = next_parts(requests); !parts.empty(); parts = next_parts(requests)) {
    std::vector<std::int64_t> wanted;
    for (const StepPart& part : parts) wanted.push_back(part.last ? 1 : 0);
    const Tensor logits = model_.run(step_inputs(parts, wanted, model_.step_shape()));
    std::span<const float> left = logits.as<float>();
    for (const StepPart& part : parts) {
      part.sequence->cached += part.rows;
      if (!part.last) continue;
      take_best(*part.sequence, left.first(static_cast<std::size_t>(model_.vocab())), requests);
      left = left.subspan(static_cast<std::size_t>(model_.vocab()));
    }
  }
}

void ModelDrafter::forget(const Sequence& sequence) {
  const auto found = own_.find(&sequence);
  if (found == own_.end()) return;
  for (const PageId page : found->second.pages) pool_.release(page);
  own_.erase(found);
}

}  // namespace naru
