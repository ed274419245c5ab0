// LanguageModel: reads what the importer noted, plans the caches, runs steps.
#include "runtime/generate/language_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "graph/fail.h"
#include "runtime/engine_impl.h"

namespace naru {
namespace {

constexpr std::int64_t kUsualContext = 4096;
constexpr std::int64_t kUsualFullSequences = 4;

/// An entry of the metadata that the importer of language models writes.
const std::string& entry(const Model& model, const std::string& key) {
  const Graph& graph = *model.impl()->graph;
  const auto found = graph.metadata.find(key);
  if (found == graph.metadata.end()) {
    fail(ErrorCode::Unsupported, "model '{}': it has no '{}', so it is no language model that can generate", graph.name, key);
  }
  return found->second;
}

std::int64_t number(const nlohmann::json& json, const char* key) {
  if (!json.is_object() || !json.contains(key) || !json[key].is_number_integer() || json[key].get<std::int64_t>() < 1) {
    fail(ErrorCode::InvalidModel, "metadata naru.llm: got no positive integer '{}'", key);
  }
  return json[key].get<std::int64_t>();
}

/// The first axis of a cache, its pages, is open.
Shape cache_shape(const Value& state, std::int64_t pages) {
  Shape shape;
  for (const Dim& dim : state.type.shape.value_or(SymShape{})) {
    shape.push_back(shape.rank() == 0 ? pages : dim.is_known() ? dim.value() : 0);
  }
  return shape;
}

std::int64_t rounded_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

LanguageModel::LanguageModel(const Model& model, const GeneratorOptions& options)
    : model_(model), session_(model.create_session()), tokenizer_(Tokenizer::from_json(entry(model, "naru.tokenizer"))) {
  const nlohmann::json facts = nlohmann::json::parse(entry(model, "naru.llm"), nullptr, false);
  vocab_ = number(facts, "vocab");
  cache_.page_tokens = number(facts, "page_tokens");
  const std::int64_t longest = number(facts, "context");
  context_ = options.context > 0 ? options.context : std::min(longest, kUsualContext);
  if (context_ > longest) {
    fail(ErrorCode::InvalidArgument, "context: got {} tokens, the model has at most {}", context_, longest);
  }
  if (options.max_sequences < 1 || options.step_tokens < 1 || options.cache_tokens < 0) {
    fail(ErrorCode::InvalidArgument, "generator: got {} sequences, {} step_tokens and {} cache_tokens, expected at least 1, 1 and 0",
         options.max_sequences, options.step_tokens, options.cache_tokens);
  }
  plan_cache(options);
  make_caches();
}

void LanguageModel::plan_cache(const GeneratorOptions& options) {
  const Graph& graph = *model_.impl()->graph;
  for (const State& state : graph.states) {
    if (state.kind != StateKind::KvPages) {
      fail(ErrorCode::Unsupported, "state '{}': expected a paged cache", state.name);
    }
    const Value& value = graph.value(state.input);
    cache_.page_bytes += storage_bytes(value.type.dtype, cache_shape(value, 1).numel());
  }
  const std::int64_t sequences = std::min<std::int64_t>(options.max_sequences, kUsualFullSequences);
  const std::int64_t tokens = options.cache_tokens > 0 ? std::max(options.cache_tokens, context_) : context_ * sequences;
  cache_.pages = rounded_up(tokens, cache_.page_tokens) / cache_.page_tokens;
  const std::int64_t spare = padding_pages(options.step_tokens, cache_.page_tokens);
  const std::int64_t per_sequence = rounded_up(context_, cache_.page_tokens) / cache_.page_tokens;
  // Devices split the attention of few sequences among their cores, and sums then depend on how many there are.
  const std::int64_t always_enough = 4 * static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  const std::int64_t places = options.deterministic ? std::max<std::int64_t>(options.max_sequences, always_enough) : options.max_sequences;
  shape_ = {places, std::max(per_sequence, spare), cache_.pages, spare};
  cache_.spare_pages = spare;

  const std::int64_t weights = model_.impl()->constants_bytes, budget = options.memory_budget_bytes;
  if (budget == 0 || weights + cache_.bytes() <= budget) return;
  const std::int64_t fitting = cache_.page_bytes > 0 ? std::max<std::int64_t>(0, budget - weights) / cache_.page_bytes : 0;
  fail(ErrorCode::OutOfMemory,
       "memory: weights of {} bytes and caches of {} ({} tokens of {} bytes) are over the budget of {}; {}", weights,
       cache_.bytes(), cache_.pages * cache_.page_tokens, cache_.page_bytes / cache_.page_tokens, budget,
       fitting > 0 ? fmt::format("a context of {} tokens for one sequence fits", fitting * cache_.page_tokens)
                   : std::string("the weights alone leave no room"));
}

void LanguageModel::make_caches() {
  const Graph& graph = *model_.impl()->graph;
  for (const State& state : graph.states) {
    const Value& value = graph.value(state.input);
    // Left as it is: no position is read before it is written, and untouched memory takes none.
    session_.set_state(state.name, Datum(Tensor(value.type.dtype, cache_shape(value, cache_.pages + cache_.spare_pages))));
  }
}

void LanguageModel::check_prompt(std::span<const TokenId> prompt) const {
  const auto tokens = static_cast<std::int64_t>(prompt.size());
  if (tokens == 0) fail(ErrorCode::InvalidArgument, "prompt: got no token, expected at least one");
  if (tokens >= context_) {
    fail(ErrorCode::InvalidArgument, "prompt: got {} tokens, the context of {} holds at most {} and one generated token",
         tokens, context_, context_ - 1);
  }
  for (const TokenId id : prompt) {
    if (id < 0 || id >= vocab_) fail(ErrorCode::InvalidArgument, "prompt: got token {}, the model has {}", id, vocab_);
  }
}

EventLog& LanguageModel::log() const { return model_.impl()->engine->log; }

Tensor LanguageModel::run(std::vector<Datum> inputs) { return session_.run(std::move(inputs)).front().tensor; }

}  // namespace naru
