// LanguageModel: a step graph with its tokenizer, its limits and the memory of its caches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "naru/engine.h"
#include "naru/generate.h"
#include "naru/tokenizer.h"
#include "runtime/event_log.h"
#include "runtime/generate/step_inputs.h"

namespace naru {

/// How much the caches hold.
struct CachePlan {
  std::int64_t page_tokens = 0;
  std::int64_t page_bytes = 0;  ///< of all layers together
  std::int64_t pages = 0;
  std::int64_t spare_pages = 0;  ///< that take the padding of steps
  std::int64_t bytes() const { return (pages + spare_pages) * page_bytes; }
};

/// One session over a model whose states are paged caches. Not thread-safe.
class LanguageModel {
 public:
  /// Sets the caches up. @throws Error Unsupported, InvalidArgument or OutOfMemory as Generator does.
  LanguageModel(const Model& model, const GeneratorOptions& options);

  /// @throws Error InvalidArgument when the prompt is empty, too long, or has ids out of range.
  void check_prompt(std::span<const TokenId> prompt) const;

  /// Runs a step; returns the logits, f32[rows, vocab].
  Tensor run(std::vector<Datum> inputs);

  EventLog& log() const;
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const CachePlan& cache() const { return cache_; }
  const StepShape& step_shape() const { return shape_; }
  std::int64_t vocab() const { return vocab_; }
  std::int64_t context() const { return context_; }

 private:
  void plan_cache(const GeneratorOptions& options);
  void make_caches();

  Model model_;
  Session session_;
  Tokenizer tokenizer_;
  CachePlan cache_;
  StepShape shape_;
  std::int64_t vocab_ = 0;
  std::int64_t context_ = 0;
};

}  // namespace naru
