// Comparing two reports row by row, with a verdict and its certainty.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace naru::bench {

enum class Verdict : std::uint8_t { Faster, Slower, Equivalent, Inconclusive, NotComparable };
const char* to_string(Verdict verdict) noexcept;

struct DiffOptions {
  double margin = 0.03;  ///< changes within are equivalent
  double level = 0.05;   ///< of all rows' faster and slower verdicts together (Bonferroni)
};

/// Ratio of means b / a of independent runs, where more is better.
struct Comparison {
  Verdict verdict = Verdict::Inconclusive;
  double ratio = 1, low = 1, high = 1;
  int runs_needed = 0;  ///< of each side, when inconclusive
};
/// Welch's interval on logarithms. @param tests how many comparisons share `level`.
Comparison compare_runs(std::span<const double> a, std::span<const double> b, const DiffOptions& options, std::size_t tests);

struct RowDiff {
  std::string key, metric, why;
  Comparison comparison;
};
/// One entry per row of either report.
std::vector<RowDiff> diff_reports(const nlohmann::json& a, const nlohmann::json& b, const DiffOptions& options);

}  // namespace naru::bench
