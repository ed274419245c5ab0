// Generator: many generated sequences at once from one language model.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "naru/constraint.h"
#include "naru/engine.h"
#include "naru/sampling.h"
#include "naru/tokenizer.h"

namespace naru {

/// How the next tokens are guessed, so that one step checks several of them. What is generated is the
/// same as without: each token is drawn from the model's own logits, and a guess only saves its step.
enum class Speculation : std::uint8_t {
  None,
  Lookup,  ///< what followed when the last tokens stood in the text before
  Draft,   ///< what a smaller model (GeneratorOptions::draft_model) goes on with
};

/// How much a generator may hold at once. What 0 stands for is computed when it opens.
struct GeneratorOptions {
  std::int64_t context = 0;       ///< tokens of the longest sequence; 0: the model's, at most 4096
  int max_sequences = 16;         ///< that run side by side; more wait
  std::int64_t cache_tokens = 0;  ///< of all sequences together; 0: four full contexts, or fewer sequences'
  int step_tokens = 256;          ///< rows of one step: long prompts are cut into such parts
  int max_waiting = 1024;         ///< requests that may wait; more are refused
  /// What a sequence gives does not depend, to the last bit, on what runs beside it or on giving way to it: prompts
  /// are cut at fixed places, nothing is shared or guessed, and what was generated is computed again token by token.
  bool deterministic = false;
  bool share_prefixes = true;     ///< keep finished pages and reuse them for prompts that begin alike
  std::int64_t memory_budget_bytes = 0;  ///< weights and caches; 0: no budget
  std::optional<Model> draft_model;      ///< for Speculation::Draft; has the same tokens
};

/// One token as it was generated.
struct GeneratedToken {
  TokenId id = 0;
  std::string text;       ///< what became readable with it; may be empty within a character
  float logprob = 0;      ///< natural logarithm, before temperature; 0 unless log-probabilities were asked for
  std::vector<std::pair<TokenId, float>> top;  ///< the most probable tokens, when asked for
  std::int64_t time_ns = 0;  ///< std::chrono::steady_clock
};

struct GenerationOptions {
  SamplingParameters sampling{.temperature = 0};  ///< its log_probabilities are `logprobs`
  std::int64_t max_tokens = 0;     ///< 0: up to the context
  std::optional<Grammar> grammar;  ///< what the text must keep to: a grammar or a JSON schema
  std::vector<std::string> stop;   ///< generation ends before the first of these texts
  Speculation speculation = Speculation::None;
  int draft_tokens = 8;            ///< guesses at a time, 1 to 64
  bool ignore_end = false;         ///< go on after the model's end token (fixed-length measurements)
  int logprobs = -1;               ///< top tokens to report with each token; 0: its own only, -1: nothing
  bool prompt_logprobs = false;    ///< also report how probable each token of the prompt was
  int priority = 0;                ///< higher first
  std::optional<std::chrono::steady_clock::time_point> deadline;
  /// Called on the generator's thread for every token; returning false ends the generation.
  std::function<bool(const GeneratedToken&)> on_token;
  /// Called once on the generator's thread when the generation is over, with null or what it failed
  /// with; wait() then returns at once.
  std::function<void(const std::exception_ptr&)> on_end;
};

enum class FinishReason : std::uint8_t {
  End,      ///< the model's end token
  Stop,     ///< a stop text
  Length,   ///< max_tokens
  Context,  ///< the context is full
  Caller,   ///< on_token returned false
};
const char* to_string(FinishReason reason) noexcept;

/// A finished generation. Times are nanoseconds of std::chrono::steady_clock.
struct GenerationResult {
  std::string text;  ///< without a stop text
  std::vector<GeneratedToken> tokens;  ///< the end token included
  FinishReason finish = FinishReason::End;
  /// When asked for: natural logarithms of the probability of each token of the prompt but the first.
  std::vector<float> prompt_logprobs;
  std::int64_t prompt_tokens = 0;
  std::int64_t reused_tokens = 0;  ///< of the prompt, found in the cache
  std::int64_t drafted_tokens = 0;   ///< guesses that were checked
  std::int64_t accepted_tokens = 0;  ///< that were right
  int preemptions = 0;             ///< how often it gave up its cache for others
  std::int64_t arrival_ns = 0;
  std::int64_t start_ns = 0;       ///< first step that worked for it
  std::int64_t end_ns = 0;
};

/// A generation under way. Copies refer to the same one. Thread-safe.
class Generation {
 public:
  /// Blocks until done. @throws Error Cancelled, DeadlineExceeded, or what failed.
  GenerationResult wait();
  bool done() const;
  void cancel();

  struct State;
  explicit Generation(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

/// What a generator holds and has done.
struct GeneratorStats {
  std::int64_t pages = 0;        ///< of the cache
  std::int64_t pages_in_use = 0; ///< by sequences that run
  std::int64_t page_tokens = 0;
  std::int64_t cache_bytes = 0;
  std::int64_t steps = 0;
  std::int64_t rows = 0;         ///< of all steps
  std::int64_t padded_rows = 0;  ///< beside them, to reach a planned size
  std::int64_t preemptions = 0;
  int running = 0;
  int waiting = 0;
};

/// Schedules generation step by step: each step takes one row from every sequence that decodes and
/// fills up with parts of prompts. Thread-safe. Destruction cancels what is under way.
class Generator {
 public:
  /// @throws Error Unsupported when the model is no language model, OutOfMemory with the numbers and
  /// the nearest setting that fits when the plan is over the budget.
  explicit Generator(const Model& model, const GeneratorOptions& options = {});

  /// Queues a generation. @throws Error InvalidArgument for an empty prompt, ids out of range, a
  /// prompt that leaves no room in the context (it is never cut in silence), or sampling parameters
  /// out of range; OutOfMemory when `max_waiting` wait.
  Generation submit(std::vector<TokenId> prompt, GenerationOptions options = {});

  const Tokenizer& tokenizer() const;
  std::int64_t context() const;
  GeneratorStats stats() const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace naru
