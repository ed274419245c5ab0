// The accuracy gate: does a device compute what the f32 reference computes?
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "benchmarks/suites/suite.h"

namespace naru::bench {

/// Runs the row's model on its device and on the reference, and compares: outputs within tolerance, or
/// for generating models top-1 agreement, mean KL divergence and perplexity ratio over a fixed text,
/// teacher-forced. Answers {"passed", "reference", figures and limits}.
nlohmann::json run_gate(const Condition& condition, const std::string& model_path, int threads);

}  // namespace naru::bench
