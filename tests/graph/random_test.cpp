// Random operators: NumPy's numbers for a seed, and distributions without one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/scalar.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

TEST(Random, SeededUniformIsThatOfNumpy) {
  // numpy.random.RandomState(7).uniform(-1, 3, 4)
  const Tensor y = run_tensor("RandomUniform", {}, {{"shape", std::vector<std::int64_t>{4}}, {"dtype", std::int64_t{11}},
                                                    {"low", -1.0f}, {"high", 3.0f}, {"seed", 7.0f}});
  const double expected[] = {-0.69476684, 2.11967517, 0.75363693, 1.89386071};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(y.as<double>()[i], expected[i], 1e-8);
}

TEST(Random, SeededNormalIsThatOfNumpy) {
  // numpy.random.RandomState(7).normal(2, 0.5, 5)
  const Tensor y = run_tensor("RandomNormalLike", {Tensor(DType::U8, {5})},
                              {{"dtype", std::int64_t{11}}, {"mean", 2.0f}, {"scale", 0.5f}, {"seed", 7.0f}});
  const double expected[] = {2.84526285, 1.76703131, 2.01641008, 2.20375814, 1.60553849};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(y.as<double>()[i], expected[i], 1e-8);
}

TEST(Random, SeededDropoutIsThatOfNumpy) {
  // numpy.random.RandomState(7).uniform(0, 1, 8) >= 0.5
  Tensor ones(DType::F32, {8});
  for (float& value : ones.as_mutable<float>()) value = 1;
  const auto outputs = run_op("Dropout", {ones, Tensor::scalar(0.5f), Tensor::scalar(true)}, {{"seed", std::int64_t{7}}}, 2);
  EXPECT_EQ(elements<bool>(outputs[1].tensor),
            (std::vector<bool>{false, true, false, true, true, true, true, false}));
  EXPECT_EQ(elements<float>(outputs[0].tensor), (std::vector<float>{0, 2, 0, 2, 2, 2, 2, 0}));
}

TEST(Random, DropoutOutsideTrainingPassesThrough) {
  const auto outputs = run_op("Dropout", {iota({3}), Tensor::scalar(0.9f)}, {}, 2);
  EXPECT_EQ(elements<float>(outputs[0].tensor), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(elements<bool>(outputs[1].tensor), (std::vector<bool>{true, true, true}));
  EXPECT_THROW(run_op("Dropout", {iota({3}), Tensor::scalar(1.0f), Tensor::scalar(true)}), Error);
}

TEST(Random, UnseededRunsDiffer) {
  const Attributes attributes = {{"shape", std::vector<std::int64_t>{8}}};
  EXPECT_NE(elements<float>(run_tensor("RandomNormal", {}, attributes)),
            elements<float>(run_tensor("RandomNormal", {}, attributes)));
  for (const char* op : {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
                         "Multinomial", "Dropout"}) {
    EXPECT_TRUE(op_def(op).nondeterministic) << op;
  }
}

TEST(Random, BernoulliFollowsItsProbabilities) {
  Tensor p(DType::F64, {3, 4000});
  auto values = p.as_mutable<double>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i < 4000 ? 0 : i < 8000 ? 0.3 : 1;
  const auto y = elements<bool>(run_tensor("Bernoulli", {p}, {{"dtype", std::int64_t{9}}, {"seed", 1.0f}}));
  EXPECT_EQ(std::count(y.begin(), y.begin() + 4000, true), 0);
  EXPECT_NEAR(static_cast<double>(std::count(y.begin() + 4000, y.begin() + 8000, true)), 1200, 120);
  EXPECT_EQ(std::count(y.begin() + 8000, y.end(), true), 4000);
  EXPECT_THROW(run_op("Bernoulli", {Tensor::scalar(1.5f)}), Error);
}

TEST(Random, MultinomialFollowsItsLogProbabilities) {
  const float low = -std::numeric_limits<float>::infinity();
  const Tensor logits = Tensor::from<float>({2, 3}, {std::log(1.0f), std::log(3.0f), low, low, 50, low});
  const Tensor y = run_tensor("Multinomial", {logits}, {{"sample_size", std::int64_t{4000}}, {"seed", 3.0f}});
  const auto drawn = elements<std::int32_t>(y);
  EXPECT_NEAR(static_cast<double>(std::count(drawn.begin(), drawn.begin() + 4000, 1)), 3000, 120);
  EXPECT_EQ(std::count(drawn.begin(), drawn.begin() + 4000, 2), 0);
  EXPECT_EQ(std::count(drawn.begin() + 4000, drawn.end(), 1), 4000);
  EXPECT_THROW(run_op("Multinomial", {Tensor::from<float>({1, 1}, {low})}), Error);
}

}  // namespace
}  // namespace naru
