// Sampler: each step against numbers made with NumPy, the drawing against its distribution, bounds.
#include "naru/sampling.h"

#include <chrono>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "naru/error.h"

namespace naru {
namespace {

constexpr float kLogits[] = {2.0F, -1.0F, 0.5F, 3.0F, 1.5F, 0.0F, -2.0F, 2.5F};

std::vector<TokenProbability> distribution(const SamplingParameters& parameters,
                                           const TokenMask* mask = nullptr) {
  return Sampler(parameters, std::size(kLogits)).distribution(kLogits, mask);
}

void expect(const std::vector<TokenProbability>& got,
            const std::vector<TokenProbability>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].id, expected[i].id) << i;
    EXPECT_NEAR(got[i].probability, expected[i].probability, 1e-6) << i;
  }
}

// Expected numbers: e = np.exp(logits / t); sort; cut; e / e.sum().
TEST(Sampler, CutsLikeNumpy) {
  expect(distribution({.top_k = 3}), {{3, 0.50648039}, {7, 0.30719589}, {0, 0.18632372}});
  expect(distribution({.temperature = 0.5, .top_k = 2}), {{3, 0.73105858}, {7, 0.26894142}});
  expect(distribution({.top_p = 0.6}), {{3, 0.62245933}, {7, 0.37754067}});
  expect(distribution({.min_p = 0.3}), {{3, 0.50648039}, {7, 0.30719589}, {0, 0.18632372}});
  expect(distribution({.typical_p = 0.3}), {{7, 0.62245933}, {0, 0.37754067}});
  expect(distribution({.temperature = 0}), {{3, 1.0}});
}

TEST(Sampler, PenalisesWhatCame) {
  Sampler sampler(
      {.top_k = 2, .repetition_penalty = 2.0, .presence_penalty = 0.25, .frequency_penalty = 0.5},
      8);
  for (const TokenId id : {3, 3, 7}) sampler.accept(id);
  // 3: 3/2 - 0.25 - 2*0.5 = 0.25; 7: 2.5/2 - 0.75 = 0.5; so 0 (2.0) and 4 (1.5) lead.
  expect(sampler.distribution(kLogits), {{0, 0.62245933}, {4, 0.37754067}});
  Sampler windowed({.top_k = 1, .repetition_penalty = 50.0, .penalty_window = 2}, 8);
  for (const TokenId id : {3, 1, 1}) windowed.accept(id);
  expect(windowed.distribution(kLogits), {{3, 1.0}});
}

TEST(Sampler, ObeysBiasAndMask) {
  expect(distribution({.temperature = 0, .logit_bias = {{6, 100.0}}}), {{6, 1.0}});
  TokenMask mask(8);
  mask.allow(1);
  mask.allow(5);
  expect(distribution({}, &mask), {{5, 0.73105858}, {1, 0.26894142}});
  const TokenMask none(8);
  EXPECT_THROW(distribution({}, &none), Error);
}

TEST(Sampler, DrawsTheDistribution) {
  for (const SamplingParameters& parameters :
       {SamplingParameters{}, SamplingParameters{.temperature = 1.7, .top_p = 0.9, .seed = 5},
        SamplingParameters{.top_k = 4, .min_p = 0.05, .seed = 9}}) {
    Sampler sampler(parameters, 8);
    const std::vector<TokenProbability> expected = sampler.distribution(kLogits);
    constexpr int kDraws = 100'000;
    std::vector<int> counts(8);
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sampler.sample(kLogits).id)];
    double chi_square = 0;
    int drawn = 0;
    for (const TokenProbability& token : expected) {
      const double mean = token.probability * kDraws;
      const int count = counts[static_cast<std::size_t>(token.id)];
      chi_square += (count - mean) * (count - mean) / mean;
      drawn += count;
    }
    EXPECT_EQ(drawn, kDraws);
    EXPECT_LT(chi_square, 29.9);  // 7 degrees of freedom: exceeded once in ten thousand
  }
}

TEST(Sampler, RepeatsItselfWithTheSameSeed) {
  // xoshiro256** after splitmix64(42): published algorithms, computed with Python's integers.
  RandomSource random(42);
  EXPECT_EQ(random.next(), 1546998764402558742ULL);
  EXPECT_EQ(random.next(), 6990951692964543102ULL);
  Sampler a({.seed = 3}, 8), b({.seed = 3}, 8), c({.seed = 4}, 8);
  std::string first, second, third;
  for (int i = 0; i < 50; ++i) {
    first += std::to_string(a.sample(kLogits).id);
    second += std::to_string(b.sample(kLogits).id);
    third += std::to_string(c.sample(kLogits).id);
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, third);
}

TEST(Sampler, ReportsTheModelsLogProbabilities) {
  Sampler sampler({.temperature = 0, .logit_bias = {{1, 100.0}}, .log_probabilities = 2}, 8);
  const SampledToken token = sampler.sample(kLogits);
  EXPECT_EQ(token.id, 1);
  EXPECT_NEAR(token.log_probability, -4.8563139, 1e-5);
  ASSERT_EQ(token.top.size(), 2U);
  EXPECT_EQ(token.top[0].id, 3);
  EXPECT_NEAR(token.top[0].log_probability, -0.8563139, 1e-5);
}

TEST(Sampler, RefusesParametersOutOfRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const SamplingParameters& parameters :
       {SamplingParameters{.temperature = -1}, SamplingParameters{.temperature = nan},
        SamplingParameters{.temperature = 1e18}, SamplingParameters{.top_k = -1},
        SamplingParameters{.top_p = 0}, SamplingParameters{.top_p = 1.5},
        SamplingParameters{.min_p = -0.1}, SamplingParameters{.typical_p = nan},
        SamplingParameters{.repetition_penalty = 0}, SamplingParameters{.presence_penalty = 1e18},
        SamplingParameters{.frequency_penalty = nan}, SamplingParameters{.penalty_window = -1},
        SamplingParameters{.logit_bias = {{8, 1.0}}}, SamplingParameters{.logit_bias = {{-1, 1.0}}},
        SamplingParameters{.logit_bias = {{1, nan}}},
        SamplingParameters{.log_probabilities = 5000}}) {
    EXPECT_THROW(Sampler(parameters, 8), Error);
  }
  Sampler sampler({}, 8);
  EXPECT_THROW(sampler.accept(8), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>(7)), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>(8, std::numeric_limits<float>::quiet_NaN())),
               Error);
  EXPECT_THROW(sampler.sample(std::vector<float>(8, -std::numeric_limits<float>::infinity())),
               Error);
}

TEST(Sampler, IsFastForLargeVocabularies) {
  constexpr std::int64_t kVocabulary = 150'000;
  RandomSource random(1);
  std::vector<float> logits;
  for (std::int64_t i = 0; i < kVocabulary; ++i)
    logits.push_back(static_cast<float>(random.uniform() * 20));
  Sampler sampler({.temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05}, kVocabulary);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) sampler.sample(logits);
  const std::chrono::duration<double, std::milli> each =
      (std::chrono::steady_clock::now() - begin) / 20;
  EXPECT_LT(each.count(), 100.0);  // about 1 ms; a sort of all takes ten times that
  RecordProperty("ms_per_token", std::to_string(each.count()));
}

TEST(StopStrings, FindsThemAcrossTokens) {
  StopStrings stops({"</end>", "\n\n"});
  EXPECT_EQ(stops.push("text <"), "text ");
  EXPECT_EQ(stops.push("/b> <"), "</b> ");
  EXPECT_EQ(stops.push("/en"), "");
  EXPECT_EQ(stops.push("d> more"), "");
  EXPECT_TRUE(stops.stopped());
  EXPECT_EQ(stops.found(), 0);
  EXPECT_EQ(stops.push("x"), "");
  EXPECT_EQ(stops.finish(), "");
  StopStrings waiting({"stop"});
  EXPECT_EQ(waiting.push("sto"), "");
  EXPECT_EQ(waiting.finish(), "sto");
  StopStrings first({"bc", "ab"});
  EXPECT_EQ(first.push("xabc"), "x");
  EXPECT_EQ(first.found(), 1);
  EXPECT_THROW(StopStrings({""}), Error);
  EXPECT_THROW(StopStrings(std::vector<std::string>(65, "x")), Error);
}

}  // namespace
}  // namespace naru
