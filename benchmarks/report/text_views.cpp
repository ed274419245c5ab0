// The plain views: CSV, Markdown, JUnit.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"
#include "benchmarks/report/markup.h"
#include "benchmarks/report/view.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

/// A CSV cell (RFC 4180); a leading sign of a formula is disarmed.
std::string cell(std::string text) {
  if (!text.empty() && std::string("=+-@").find(text.front()) != std::string::npos) text.insert(0, "'");
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string plain(const std::optional<double>& value) { return value ? fmt::format("{:.9g}", *value) : ""; }

std::vector<std::string> statistics_of(const Json& metric) {
  std::vector<std::string> names = {"mean"};
  if (!metric.contains("mean")) return names;
  for (const PercentileFloor& floor : kPercentileFloors) names.push_back(floor.name);
  return names;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (std::string text : cells) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    line += " " + text + " |";
  }
  return line + "\n";
}

std::string markdown_table(const Json& report, const std::string& kind, Language language) {
  const std::vector<const Json*> rows = rows_of_kind(report, kind);
  if (rows.empty()) return "";
  const std::vector<Column> columns = summary_columns(report, kind == "generate");
  std::vector<std::string> heads = {word("model", language), word("device", language), word("work", language), word("load", language)};
  for (const Column& column : columns) heads.push_back(column_title(column, language));
  for (const char* key : {"gate", "status", "reasons"}) heads.push_back(word(key, language));
  std::string text = std::string("\n## ") + word(kind == "generate" ? "language_models" : "networks", language) + "\n\n" + markdown_row(heads);
  text += markdown_row(std::vector<std::string>(heads.size(), "---"));
  for (const Json* row : rows) {
    std::vector<std::string> cells = {model_text(*row), device_text(*row), work_text(*row, language), load_text(*row)};
    for (const Column& column : columns) {
      const Figure figure = headline_allowed(*row) ? figure_of(*row, column.metric, column.statistic) : Figure{};
      cells.push_back(figure_text(figure, shown_unit(find_metric(column.metric)->unit).factor));
    }
    cells.push_back(gate_text(*row, language));
    cells.push_back(word(row->at("status").get<std::string>().c_str(), language));
    cells.push_back(reasons_text(*row, language));
    text += markdown_row(cells);
  }
  return text;
}

}  // namespace

std::string render_csv(const Json& report) {
  std::string text = "row,model,system,device,kind,work,load,boundary,status,gate,metric,statistic,unit,estimate,low,high\n";
  for (const Json& row : report.at("rows")) {
    const Json& condition = row.at("condition");
    const std::string head = cell(row.at("id")) + "," + cell(model_text(row)) + "," + cell(condition.at("system")) + "," + cell(condition.at("device")) + "," +
                             cell(condition.at("kind")) + "," + cell(work_text(row, Language::English)) + "," + cell(load_text(row)) + "," +
                             cell(condition.at("boundary")) + "," + cell(row.at("status")) + "," + cell(gate_text(row, Language::English));
    if (row.at("metrics").empty()) text += head + ",,,,,,\n";
    for (const MetricInfo& metric : all_metrics()) {
      const auto found = row.at("metrics").find(metric.id);
      if (found == row.at("metrics").end()) continue;
      for (const std::string& statistic : statistics_of(*found)) {
        const Figure figure = figure_of(row, metric.id, statistic);
        if (!figure.estimate) continue;
        text += head + "," + metric.id + "," + statistic + "," + metric.unit + "," + plain(figure.estimate) + "," + plain(figure.low) + "," + plain(figure.high) + "\n";
      }
    }
  }
  return text;
}

std::string render_markdown(const Json& report, Language language) {
  std::string text = "# " + report.at("title")[static_cast<std::size_t>(language)].get<std::string>() + "\n\n" + word("subtitle", language) + ", " +
                     report.at("metrics_def").get<std::string>() + ". " + report.at("system").at("host").at("cpu").get<std::string>() + ". " +
                     report.at("time").get<std::string>() + "\n";
  if (!report.at("complete").get<bool>()) text += std::string("\n**") + word("partial", language) + "**\n";
  text += std::string("\n") + word("interval_note", language) + "\n";
  text += markdown_table(report, "generate", language) + markdown_table(report, "infer", language);
  return text + "\n" + word("root", language) + ": " + report.at("evidence_root").get<std::string>() + "\n";
}

std::string render_junit(const Json& report) {
  std::string cases;
  int failures = 0, skipped = 0;
  for (const Json& row : report.at("rows")) {
    const std::string status = row.at("status"), reasons = escape(reasons_text(row, Language::English));
    std::string name = model_text(row) + " " + device_text(row) + " " +
                       work_text(row, Language::English) + " " + load_text(row);
    cases += "  <testcase classname=\"" + escape(report.at("suite")) + "\" name=\"" + escape(name) + "\">";
    if (status == "skipped") {
      ++skipped;
      cases += "<skipped message=\"" + reasons + "\"/>";
    } else if (status != "valid") {
      ++failures;
      cases += "<failure type=\"" + status + "\" message=\"" + reasons + "\"/>";
    }
    cases += "</testcase>\n";
  }
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n{}</testsuite>\n",
                     escape(report.at("suite")), report.at("rows").size(), failures, skipped, cases);
}

}  // namespace naru::bench
