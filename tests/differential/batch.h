// A case whose inputs hold a batch of independent samples, and its execution sample by sample.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tests/differential/graph_builder.h"

namespace naru::fuzz {

using RunGraph = std::function<std::vector<Datum>(const Graph&, std::span<const Datum> inputs)>;

/// The graph for one sample, and the inputs of each. An output is the batch of the samples' outputs,
/// or the same for all of them.
class Batch {
 public:
  Batch(Graph single, std::vector<std::vector<Datum>> samples, std::vector<bool> shared)
      : single_(std::move(single)), samples_(std::move(samples)), shared_(std::move(shared)) {}

  /// Runs every sample with `run` and puts the outputs together as the whole batch gives them.
  std::vector<Datum> run(const RunGraph& run) const;

 private:
  Graph single_;
  std::vector<std::vector<Datum>> samples_;
  std::vector<bool> shared_;  // by output
};

/// The batch that `test` is: when some inputs share a first dimension of 2 or more, and the reference
/// gives the same for the samples one by one as for all of them. Nothing otherwise, and for graphs
/// with bodies.
std::optional<Batch> find_batch(const RandomCase& test);

}  // namespace naru::fuzz
