// Drafters guess the tokens that come next, so that one step of the model checks several at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "runtime/generate/language_model.h"
#include "runtime/generate/page_pool.h"
#include "runtime/generate/sequence.h"

namespace naru {

/// A sequence that wants a guess of at most `most` tokens; it goes to Sequence::draft.
struct DraftRequest {
  Sequence* sequence = nullptr;
  std::int64_t most = 0;
};

/// What followed the last place where the text's last tokens stood before; nothing when they are new.
/// Saxena, "Prompt Lookup Decoding", 2023.
std::vector<TokenId> look_up(std::span<const TokenId> tokens, std::int64_t most);

/// Guesses by the greedy continuation of a smaller model, for several sequences at once. Not thread-safe.
class ModelDrafter {
 public:
  /// @throws Error InvalidArgument unless both models have the same tokens.
  ModelDrafter(const Model& model, const GeneratorOptions& options, const Tokenizer& tokenizer);

  void draft(std::span<const DraftRequest> requests);
  /// Gives back what it holds for a sequence that has ended.
  void forget(const Sequence& sequence);

 private:
  Sequence& follow(const Sequence& sequence);
  bool take_pages(Sequence& own, std::int64_t rows);
  std::vector<StepPart> next_parts(std::span<const DraftRequest> requests);
  void take_best(const Sequence& own, std::span<const float> logits, std::span<const DraftRequest> requests);

  LanguageModel model_;
  PagePool pool_;
  std::int64_t step_tokens_;
  std::map<const Sequence*, Sequence> own_;  // by the sequence that they follow
};

/// How many tokens to guess: fewer after wrong guesses, more after right ones.
class DraftLength {
 public:
  explicit DraftLength(std::int64_t most) : most_(most), length_(most) {}
  std::int64_t length() const { return length_; }
  void note(std::int64_t drafted, std::int64_t accepted) {
    if (accepted == drafted) {
      length_ = std::min(most_, 2 * length_);
    } else if (2 * accepted < drafted) {
      length_ = std::max<std::int64_t>(1, length_ / 2);
    }
  }

 private:
  std::int64_t most_, length_;
};

}  // namespace naru
