// Generator: many sequences at once give what each gives alone on the interpreter.
#include "naru/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "graph/load.h"
#include "naru/beam_search.h"
#include "naru/error.h"
#include "runtime/engine_impl.h"
#include "runtime/generate/drafter.h"
#include "tests/llm/step_runner.h"

namespace naru {
namespace {

constexpr int kVocab = 48;  // of the tiny model

/// Enough for a model that was never trained; token 2 ends a text.
std::string tiny_tokenizer() {
  std::string tokens, types;
  for (int i = 0; i < kVocab; ++i) {
    const char* comma = i == 0 ? "" : ",";
    tokens += comma + (i == 2 ? std::string("\"<end>\"") : "\"t" + std::to_string(i) + "\"");
    types += std::string(comma) + (i == 2 ? "3" : "1");
  }
  return R"({"type":"gguf","model":"gpt2","pre":"gpt-2","tokens":[)" + tokens + R"(],"token_types":[)" + types +
         R"(],"merges":[],"eos_token_id":2,"bos_token_id":1,"add_bos_token":false})";
}

class GeneratorTest : public ::testing::Test {
 protected:
  static Graph load() {
    return load_model(std::filesystem::path(NARU_TEST_DATA) / "llama", {DType::F32, 8});
  }

  static Model model(const std::string& device) {
    Graph graph = load();
    graph.metadata["naru.tokenizer"] = tiny_tokenizer();
    EngineOptions options;
    options.devices = {device};
    options.threads = 2;
    Engine engine(options);
    return make_model(engine.impl(), std::move(graph), {});
  }

  /// Greedy tokens by the interpreter, one sequence alone.
  static std::vector<TokenId> expected(std::vector<TokenId> next, std::size_t count) {
    testing::StepRunner runner(load(), 128);
    std::vector<TokenId> result;
    while (result.size() < count) {
      const Tensor logits = runner.step_last(next);
      const auto row = logits.as<float>();
      result.push_back(static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
      next = {result.back()};
    }
    return result;
  }

  static std::vector<TokenId> prompt(std::mt19937& random, int size) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < size; ++i) tokens.push_back(static_cast<TokenId>(3 + random() % (kVocab - 3)));
    return tokens;
  }

  static GenerationOptions fixed(std::int64_t count) {
    GenerationOptions options;
    options.max_tokens = count;
    options.ignore_end = true;
    return options;
  }

  static std::vector<TokenId> ids(const GenerationResult& result) {
    std::vector<TokenId> tokens;
    for (const GeneratedToken& token : result.tokens) tokens.push_back(token.id);
    return tokens;
  }
};

/// Prompts of many lengths, some alike, in steps too small for them and a cache too small for all.
TEST_F(GeneratorTest, ManySequencesGiveWhatEachGivesAlone) {
  for (const char* device : {"cpu", "reference"}) {
    std::mt19937 random(5);
    GeneratorOptions options;
    options.context = 64;
    options.max_sequences = 5;
    options.cache_tokens = 96;
    options.step_tokens = 24;
    Generator generator(model(device), options);
    std::vector<std::vector<TokenId>> prompts;
    std::vector<Generation> running;
    const std::vector<TokenId> beginning = prompt(random, 20);
    for (int i = 0; i < 12; ++i) {
      std::vector<TokenId> tokens = i % 3 == 0 ? beginning : std::vector<TokenId>();
      for (const TokenId token : prompt(random, 1 + static_cast<int>(random() % 25))) tokens.push_back(token);
      prompts.push_back(tokens);
      running.push_back(generator.submit(tokens, fixed(10)));
    }
    std::int64_t reused = 0;
    for (std::size_t i = 0; i < running.size(); ++i) {
      const GenerationResult result = running[i].wait();
      EXPECT_EQ(ids(result), expected(prompts[i], 10)) << device << " sequence " << i;
      EXPECT_EQ(result.finish, FinishReason::Length);
      reused += result.reused_tokens;
    }
    EXPECT_GT(reused, 0);
    EXPECT_GT(generator.stats().preemptions, 0) << "the cache was never short: the test shows less than it means to";
    EXPECT_EQ(generator.stats().pages_in_use, 0);
  }
}

TEST_F(GeneratorTest, PromptLogProbabilitiesAreThoseOfTheLogits) {
  std::mt19937 random(2);
  const std::vector<TokenId> tokens = prompt(random, 40);
  GeneratorOptions options;
  options.context = 64;
  options.step_tokens = 7;
  Generator generator(model("cpu"), options);
  GenerationOptions generation = fixed(1);
  generation.prompt_logprobs = true;
  // Twice: what the first left in the cache must not shorten the second.
  generator.submit(tokens, generation).wait();
  const GenerationResult result = generator.submit(tokens, generation).wait();
  ASSERT_EQ(result.prompt_logprobs.size(), tokens.size() - 1);
  testing::StepRunner runner(load(), 128);
  const Tensor logits = runner.step(tokens);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    double sum = 0;
    const auto row = logits.as<float>().subspan(i * kVocab, kVocab);
    for (const float logit : row) sum += std::exp(static_cast<double>(logit));
    EXPECT_NEAR(result.prompt_logprobs[i], row[static_cast<std::size_t>(tokens[i + 1])] - std::log(sum), 1e-4);
  }
}

TEST_F(GeneratorTest, EndsForEachReason) {
  std::mt19937 random(3);
  const std::vector<TokenId> tokens = prompt(random, 6);
  GeneratorOptions options;
  options.context = 16;
  Generator generator(model("cpu"), options);
  EXPECT_EQ(generator.submit(tokens, fixed(0)).wait().finish, FinishReason::Context);
  GenerationOptions stop = fixed(0);
  int seen = 0;
  stop.on_token = [&](const GeneratedToken&) { return ++seen < 3; };
  EXPECT_EQ(generator.submit(tokens, stop).wait().finish, FinishReason::Caller);
  EXPECT_EQ(seen, 3);
  GenerationOptions end = fixed(0);
  end.ignore_end = false;
  end.sampling.logit_bias = {{2, 1000.0f}};
  const GenerationResult ended = generator.submit(tokens, end).wait();
  EXPECT_EQ(ended.finish, FinishReason::End);
  EXPECT_EQ(ids(ended), std::vector<TokenId>{2});
  EXPECT_TRUE(ended.text.empty());
}

TEST_F(GeneratorTest, KeepsToAGrammar) {
  GeneratorOptions options;
  options.context = 32;
  Generator generator(model("cpu"), options);
  GenerationOptions bound;
  bound.grammar = Grammar::from_gbnf(R"(root ::= "t7" ("t8" | "t9"){2} "t7")");
  const GenerationResult result = generator.submit({5, 6}, bound).wait();
  EXPECT_EQ(result.finish, FinishReason::End);
  ASSERT_EQ(result.tokens.size(), 5u) << result.text;
  EXPECT_TRUE(result.text.starts_with("t7t") && result.text.ends_with("t7")) << result.text;
}

TEST_F(GeneratorTest, RefusesBadRequestsAndServesTheNext) {
  GeneratorOptions options;
  options.context = 16;
  Generator generator(model("cpu"), options);
  std::mt19937 random(4);
  EXPECT_THROW(generator.submit({}), Error);
  EXPECT_THROW(generator.submit({kVocab}), Error);
  EXPECT_THROW(generator.submit({-1}), Error);
  EXPECT_THROW(generator.submit(prompt(random, 16)), Error);
  GenerationOptions bad;
  bad.sampling.top_p = 2;
  EXPECT_THROW(generator.submit({5}, bad), Error);
  GenerationOptions late = fixed(4);
  late.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THROW(generator.submit({5}, late).wait(), Error);
  Generation cancelled = generator.submit({5}, fixed(15));
  cancelled.cancel();
  try {
    cancelled.wait();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
  EXPECT_EQ(generator.submit({5}, fixed(3)).wait().tokens.size(), 3u);
}

TEST_F(GeneratorTest, SaysWhatFitsTheBudget) {
  GeneratorOptions options;
  options.context = 256;
  options.memory_budget_bytes = 100 << 10;
  try {
    Generator generator(model("cpu"), options);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    EXPECT_NE(std::string(error.what()).find("fits"), std::string::npos) << error.what();
  }
}

TEST_F(GeneratorTest, AModelOfAnotherKindIsNoLanguageModel) {
  Graph graph;
  graph.outputs = {graph.add_input("x", Type::tensor(DType::F32, {Dim(1)}))};
  Engine engine;
  EXPECT_THROW(Generator(make_model(engine.impl(), std::move(graph), {})), Error);
}

TEST(LookUp, FindsWhatFollowedTheLatestLongestMatch) {
  using Tokens = std::vector<TokenId>;
  EXPECT_EQ(look_up(Tokens{1, 2, 3, 4, 9, 1, 2, 3}, 2), (Tokens{4, 9}));
  EXPECT_EQ(look_up(Tokens{1, 2, 5, 1, 2, 6, 1, 2}, 1), (Tokens{6}));
  EXPECT_EQ(look_up(Tokens{7, 1, 2, 3, 5, 2, 3, 6, 1, 2, 3}, 1), (Tokens{5}));
  EXPECT_EQ(look_up(Tokens{1, 2, 1, 2}, 8), (Tokens{1, 2}));
  EXPECT_EQ(look_up(Tokens{1, 2, 3}, 8), Tokens());
  EXPECT_EQ(look_up(Tokens{1}, 8), Tokens());
}

/// Every token is drawn from the model's own logits with the sequence's own random numbers, so a seed gives
/// the same text with guesses and without: the distributions are the same.
TEST_F(GeneratorTest, SpeculationChangesNothing) {
  GeneratorOptions options;
  options.context = 128;
  options.max_sequences = 4;
  options.cache_tokens = 128;
  options.draft_model = model("cpu");
  Generator generator(model("cpu"), options);
  std::mt19937 random(11);
  std::int64_t accepted = 0;
  for (const double temperature : {0.0, 0.3, 1.0}) {
    for (const Speculation speculation : {Speculation::Lookup, Speculation::Draft}) {
      std::vector<std::pair<Generation, Generation>> pairs;
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const std::vector<TokenId> tokens = prompt(random, 1 + static_cast<int>(seed));
        GenerationOptions plain = fixed(40);
        plain.sampling.temperature = temperature;
        plain.sampling.seed = seed;
        GenerationOptions guessing = plain;
        guessing.speculation = speculation;
        guessing.draft_tokens = 1 + static_cast<int>(seed % 7);
        pairs.emplace_back(generator.submit(tokens, plain), generator.submit(tokens, guessing));
      }
      for (auto& [plain, guessing] : pairs) {
        const GenerationResult result = guessing.wait();
        EXPECT_EQ(ids(plain.wait()), ids(result)) << temperature;
        EXPECT_LE(result.accepted_tokens, result.drafted_tokens);
        accepted += result.accepted_tokens;
      }
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(generator.stats().preemptions, 0);
  EXPECT_EQ(generator.stats().pages_in_use, 0);
}

TEST_F(GeneratorTest, SpeculationStopsWhereItMust) {
  GeneratorOptions options;
  options.context = 32;
  Generator generator(model("cpu"), options);
  for (const std::int64_t most : {1, 2, 7, 1000}) {
    GenerationOptions guessing = fixed(most);
    guessing.speculation = Speculation::Lookup;
    guessing.draft_tokens = 64;
    const GenerationResult result = generator.submit({5, 6, 5, 6, 5, 6}, guessing).wait();
    EXPECT_EQ(static_cast<std::int64_t>(result.tokens.size()), std::min<std::int64_t>(most, 26));
  }
  GenerationOptions wrong = fixed(4);
  wrong.speculation = Speculation::Draft;
  EXPECT_THROW(generator.submit({5}, wrong), Error);
  wrong.draft_tokens = 65;
  EXPECT_THROW(generator.submit({5}, wrong), Error);
}

TEST_F(GeneratorTest, TokensStandInTheEventLog) {
  const Model logged = model("cpu");
  {
    Generator generator(logged, {.context = 64});
    generator.submit({5, 6, 7}, fixed(9)).wait();
  }
  std::int64_t tokens = 0, at = 0;
  for (const LogRecord& record : logged.impl()->engine->log.snapshot().records) {
    if (record.kind != EventKind::Token) continue;
    ++tokens;
    EXPECT_GE(record.start_ns, at);
    at = record.end_ns;
  }
  EXPECT_EQ(tokens, 9);
}

/// With as many beams as there are tokens nothing is pruned within two steps: the best of all pairs.
TEST_F(GeneratorTest, BeamSearchFindsTheBestWhole) {
  GeneratorOptions generator_options;
  generator_options.context = 64;
  Generator generator(model("cpu"), generator_options);
  const std::vector<TokenId> start = {5, 9, 11};
  const auto log_probabilities = [&](std::vector<TokenId> tokens) {
    const Tensor logits = testing::StepRunner(load(), 64).step_last(tokens);
    std::vector<double> row(logits.as<float>().begin(), logits.as<float>().end());
    double sum = 0;
    for (const double x : row) sum += std::exp(x);
    for (double& x : row) x -= std::log(sum);
    return row;
  };
  double best = -1e9;
  std::vector<TokenId> pair;
  const std::vector<double> first = log_probabilities(start);
  for (TokenId a = 0; a < kVocab; ++a) {
    if (a == 2) continue;  // ends the text
    const std::vector<double> second = log_probabilities({5, 9, 11, a});
    for (TokenId b = 0; b < kVocab; ++b) {
      const double sum = first[static_cast<std::size_t>(a)] + second[static_cast<std::size_t>(b)];
      if (sum > best) best = sum, pair = {a, b};
    }
  }
  const std::vector<Beam> beams = beam_search(generator, start, {.beams = kVocab / 2, .max_tokens = 2, .length_penalty = 0});
  const auto longest = std::ranges::find_if(beams, [](const Beam& beam) { return beam.tokens.size() == 2; });
  ASSERT_NE(longest, beams.end());
  EXPECT_EQ(longest->tokens, pair);
  EXPECT_NEAR(longest->logprob, best, 1e-4);
  EXPECT_TRUE(std::ranges::is_sorted(beams, std::ranges::greater(), &Beam::score));
  // One beam is the greedy choice.
  EXPECT_EQ(beam_search(generator, start, {.beams = 1, .max_tokens = 6}).front().tokens.front(), expected(start, 1).front());
  EXPECT_THROW(beam_search(generator, start, {.beams = 0}), Error);
  EXPECT_THROW(beam_search(generator, start, {.max_tokens = 62}), Error);
}

}  // namespace
}  // namespace naru
