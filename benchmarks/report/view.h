// What all views of a report share: words in two languages, figures as text, headline metrics.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/report/report.h"

namespace naru::bench {

/// A word of the report's language, by key; the table is report/words.def.
const char* word(const char* key, Language language);

/// How a unit is shown: "s" as milliseconds, shares as percent.
struct Shown {
  double factor = 1;
  const char* unit = "";
};
Shown shown_unit(const std::string& unit);

/// The condition of a row in few words: "128+32 tokens", "batch 4"; and its load: "closed 4".
std::string work_text(const nlohmann::json& row, Language language);
std::string load_text(const nlohmann::json& row);
/// The device, after the system where a session has several; the model, marked where its weights are random.
std::string device_text(const nlohmann::json& row);
std::string model_text(const nlohmann::json& row);

/// One figure: metric and statistic ("mean" of a series or the estimate of a scalar, "p50", ...).
struct Figure {
  std::optional<double> estimate, low, high;
};
Figure figure_of(const nlohmann::json& row, const std::string& metric, const std::string& statistic);
/// "12.3", with three significant digits; an en dash for what is absent.
std::string number_text(const std::optional<double>& value, double factor);
std::string figure_text(const Figure& figure, double factor);

/// A column of the summary.
struct Column {
  const char* metric;
  const char* statistic;
};
/// Columns for generating models, and for others: the first two, and those that any row fills.
std::vector<Column> summary_columns(const nlohmann::json& report, bool generates);
std::string column_title(const Column& column, Language language);

/// Rows of one kind, in the order of the suite.
std::vector<const nlohmann::json*> rows_of_kind(const nlohmann::json& report, const std::string& kind);
/// "OOM: does not fit into memory (needs ...)", one per reason.
std::string reasons_text(const nlohmann::json& row, Language language);
/// Whether an audit was made of any row.
bool any_audit(const nlohmann::json& report);
/// A headline figure is blank where the row is not steady or invalid.
bool headline_allowed(const nlohmann::json& row);
/// The figures of a gate, and of a probe, in words.
std::string gate_figures(const nlohmann::json& gate);
std::string peaks_text(const nlohmann::json& peaks);
/// "p99.9" for the statistic "p999".
std::string statistic_title(const std::string& statistic);
std::string gate_text(const nlohmann::json& row, Language language);

}  // namespace naru::bench
