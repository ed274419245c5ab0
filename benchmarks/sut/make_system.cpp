// Systems under test by name.
#include "benchmarks/sut/make_system.h"

#include <nlohmann/json.hpp>

#include "benchmarks/sut/in_process.h"
#include "benchmarks/sut/synthetic.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

std::unique_ptr<System> make_in_process(const Condition& condition, int threads) {
  EngineOptions options;
  options.devices = device_list(condition.device);
  options.threads = threads;
  return condition.model.generates ? make_in_process_generator(options) : make_in_process_model(options);
}

nlohmann::json parse_settings(const std::string& kind, const std::string& text) {
  nlohmann::json settings = nlohmann::json::parse(text.empty() ? "{}" : text, nullptr, false);
  if (!settings.is_object()) fail(ErrorCode::InvalidArgument, "--sut {}: its settings are no JSON object", kind);
  return settings;
}

}  // namespace

SystemFactory system_factory(const std::string& text, int threads) {
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon), settings = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == "in-process") {
    return [threads](const Condition& condition) { return make_in_process(condition, threads); };
  }
  if (kind == "synthetic") {
    const SyntheticTruth truth = synthetic_truth(parse_settings(kind, settings));
    return [truth](const Condition&) { return make_synthetic(truth); };
  }
  fail(ErrorCode::InvalidArgument, "--sut '{}': expected in-process or synthetic:{{...}}", text);
}

}  // namespace naru::bench
