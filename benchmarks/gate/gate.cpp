// The accuracy gate.
#include "benchmarks/gate/gate.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "benchmarks/sut/in_process.h"
#include "graph/fail.h"
#include "graph/scalar.h"
#include "runtime/generate/language_model.h"

namespace naru::bench {
namespace {

// Tokens of it that take part; the text is ours, so that every machine has it.
constexpr std::size_t kGateTokens = 96;
constexpr const char* kGateText =
    "A ferry landing is a place where people wait for the boat that brings them to the other side. In the morning "
    "the river is covered with mist, and the ferryman counts the passengers by the sound of their steps on the "
    "planks. He has crossed the river more than ten thousand times, and he knows that the water is never the same. "
    "When the bridge was built, nobody thought that the landing would be used again; but the road floods every "
    "spring, and then the old boat is pulled out of the reeds. 나루는 배가 건너다니는 곳이다.";

EngineOptions engine_options(const std::vector<std::string>& devices, int threads) {
  EngineOptions options;
  options.devices = devices;
  options.threads = threads;
  return options;
}

struct OutputDifference {
  double worst = 0;  ///< |a - b| over what the tolerance allows
  double absolute = 0;
};

void compare(const Tensor& actual, const Tensor& expected, const SuiteModel& limits, OutputDifference& difference) {
  const std::vector<double> a = to_wide<double>(actual), b = to_wide<double>(expected);
  if (a.size() != b.size()) fail(ErrorCode::OutOfTolerance, "gate: got {} elements, expected {}", a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - b[i]);
    const double ratio = error / (limits.absolute + limits.relative * std::abs(b[i]));
    difference.absolute = std::max(difference.absolute, error);
    difference.worst = std::max(difference.worst, std::isnan(error) ? INFINITY : ratio);
  }
}

nlohmann::json gate_outputs(const Condition& condition, const std::string& path, int threads) {
  Engine device(engine_options(device_list(condition.device), threads)), reference(engine_options({"reference"}, threads));
  const Model model = device.load(path);
  const std::vector<Datum> inputs = random_inputs(model, at_batch(condition.model.inputs, 1), 1);
  const std::vector<Datum> actual = model.create_session().run(inputs);
  const std::vector<Datum> expected = reference.load(path).create_session().run(inputs);
  OutputDifference difference;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].is_tensor()) compare(actual[i].tensor, expected[i].tensor, condition.model, difference);
  }
  return {{"passed", difference.worst <= 1}, {"reference", "interpreter, f32 with wide sums"},
          {"largest_absolute", difference.absolute},
          {"error_over_tolerance", std::isfinite(difference.worst) ? nlohmann::json(difference.worst) : nlohmann::json("inf")},
          {"relative", condition.model.relative}, {"absolute", condition.model.absolute}};
}

/// Log-probabilities after every token of the gate's text, teacher-forced in one step.
struct Forced {
  std::vector<TokenId> tokens;
  std::vector<double> log_probabilities;  ///< [tokens, vocabulary]
  std::size_t vocabulary = 0;
  const double* row(std::size_t i) const { return log_probabilities.data() + i * vocabulary; }
};

Forced force(const std::string& path, const EngineOptions& options, const std::string& kv_type) {
  Engine engine(options);
  ModelOptions model_options;
  model_options.kv_type = dtype_from_string(kv_type).value_or(DType::F16);
  GeneratorOptions generator_options;
  generator_options.context = 2 * kGateTokens;
  generator_options.max_sequences = 1;
  LanguageModel model(engine.load(path, model_options), generator_options);
  Forced forced;
  forced.tokens = model.tokenizer().encode(kGateText);
  forced.tokens.resize(std::min(forced.tokens.size(), kGateTokens));
  Sequence sequence;
  sequence.tokens = forced.tokens;
  sequence.prompt_tokens = static_cast<std::int64_t>(forced.tokens.size());
  const std::int64_t page = model.cache().page_tokens;
  for (std::int64_t i = 0; i * page < sequence.prompt_tokens; ++i) sequence.pages.push_back(static_cast<PageId>(i));
  const std::vector<StepPart> parts = {{&sequence, sequence.prompt_tokens, true}};
  const std::vector<std::int64_t> wanted = {sequence.prompt_tokens};
  const Tensor logits = model.run(step_inputs(parts, wanted, model.step_shape()));
  forced.vocabulary = static_cast<std::size_t>(model.vocab());
  const std::span<const float> values = logits.as<float>();
  for (std::size_t i = 0; i < forced.tokens.size(); ++i) {
    const std::span<const float> row = values.subspan(i * forced.vocabulary, forced.vocabulary);
    const double top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float logit : row) sum += std::exp(logit - top);
    for (const float logit : row) forced.log_probabilities.push_back(logit - top - std::log(sum));
  }
  return forced;
}

nlohmann::json gate_tokens(const Condition& condition, const std::string& path, int threads) {
  EngineOptions exact = engine_options({"cpu"}, threads);
  exact.exact = true;
  exact.optimisation = 0;
  const Forced expected = force(path, exact, "f32");
  const Forced actual = force(path, engine_options(device_list(condition.device), threads), condition.model.kv);
  double same = 0, divergence = 0, actual_nll = 0, expected_nll = 0;
  const std::size_t rows = expected.tokens.size() - 1;
  for (std::size_t i = 0; i < rows; ++i) {
    const double *p = expected.row(i), *q = actual.row(i);
    same += std::max_element(p, p + expected.vocabulary) - p == std::max_element(q, q + actual.vocabulary) - q ? 1 : 0;
    for (std::size_t v = 0; v < expected.vocabulary; ++v) divergence += std::exp(p[v]) * (p[v] - q[v]);
    const auto next = static_cast<std::size_t>(expected.tokens[i + 1]);
    actual_nll -= q[next];
    expected_nll -= p[next];
  }
  const auto count = static_cast<double>(rows);
  const SuiteModel& limits = condition.model;
  const double ratio = std::exp((actual_nll - expected_nll) / count);
  const bool passed = same / count >= limits.top1 && divergence / count <= limits.kl && ratio <= limits.perplexity_ratio;
  return {{"passed", passed}, {"reference", "cpu, f32 activations and f32 cache, unfused"}, {"tokens", rows},
          {"top1", same / count}, {"kl", divergence / count}, {"perplexity", std::exp(actual_nll / count)},
          {"perplexity_ratio", ratio}, {"limits", {{"top1", limits.top1}, {"kl", limits.kl}, {"perplexity_ratio", limits.perplexity_ratio}}}};
}

}  // namespace

nlohmann::json run_gate(const Condition& condition, const std::string& model_path, int threads) {
  return condition.model.generates ? gate_tokens(condition, model_path, threads) : gate_outputs(condition, model_path, threads);
}

}  // namespace naru::bench
