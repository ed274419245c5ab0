// Results of other tools: what their files say, in our names and units, with their formulas beside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace naru::bench {

struct ForeignFigure {
  std::string metric;     ///< an id of metrics.def, or the tool's own name where none means the same
  std::string statistic;  ///< "mean", "p50", ...
  double value = 0;       ///< in the unit of the metric; of an unknown one as the tool gives it
  std::string formula;    ///< the tool's; empty: it is ours
};

/// One condition of one file.
struct ForeignRow {
  std::string tool, model, condition;
  std::vector<ForeignFigure> figures;
};

/// Result files of `vllm bench serve`, AIPerf, llama-bench (JSON and JSONL) and GuideLLM.
/// @throws Error InvalidModel when it is none of them.
std::vector<ForeignRow> read_foreign(std::string_view text);

}  // namespace naru::bench
