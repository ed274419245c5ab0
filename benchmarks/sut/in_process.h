// The runtime in this process as system under test: language models and others, on any device list.
#pragma once

#include <memory>

#include "benchmarks/sut/system.h"
#include "naru/engine.h"

namespace naru::bench {

/// Language models by a Generator: continuous batching, no sharing of prefixes.
std::unique_ptr<System> make_in_process_generator(const EngineOptions& options);
/// Other models by one Session per stream; a request is one inference of seeded random inputs.
std::unique_ptr<System> make_in_process_model(const EngineOptions& options);

/// Inputs as specified, else with seeded random values. @throws Error InvalidArgument for a model input
/// whose shape neither the model nor a specification tells.
std::vector<Datum> random_inputs(const Model& model, const std::vector<InputSpec>& specs, std::uint64_t seed);

/// "auto" or "cpu,reference" as a list.
std::vector<std::string> device_list(const std::string& text);

}  // namespace naru::bench
