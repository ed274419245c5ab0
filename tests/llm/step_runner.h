// Runs a step graph for one sequence on the interpreter, with the caches between steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/evaluate.h"

namespace naru::testing {

class StepRunner {
 public:
  /// `context` positions at most.
  StepRunner(Graph graph, std::int64_t context);

  /// Adds tokens to the sequence and returns the logits [tokens, vocab] of all of them.
  Tensor step(std::span<const std::int32_t> tokens);
  /// The same, of the last one only.
  Tensor step_last(std::span<const std::int32_t> tokens);

 private:
  Tensor run(std::span<const std::int32_t> tokens, std::vector<std::int32_t> rows);

  Graph graph_;
  std::vector<Datum> caches_;
  std::vector<std::int32_t> pages_;
  std::int32_t length_ = 0;
};

}  // namespace naru::testing
