// Words and figures of the views.
#include "benchmarks/report/view.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/row.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

struct Word {
  const char* key;
  const char* text[2];
};
constexpr Word kWords[] = {
#define WORD(key, english, korean) {#key, {english, korean}},
#include "benchmarks/report/words.def"
#undef WORD
};

std::optional<double> number(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return std::nullopt;
  if (found->is_number()) return found->get<double>();
  return *found == "inf" ? std::optional(static_cast<double>(INFINITY)) : std::nullopt;
}

}  // namespace

const char* word(const char* key, Language language) {
  for (const Word& entry : kWords) {
    if (std::strcmp(entry.key, key) == 0) return entry.text[static_cast<int>(language)];
  }
  fail(ErrorCode::Internal, "report: no word '{}'", key);
}

Shown shown_unit(const std::string& unit) {
  if (unit == "s") return {1e3, "ms"};
  if (unit.empty()) return {100, "%"};
  static const std::vector<std::string> kUnits = {"tokens/s", "requests/s", "samples/s", "requests", "J", "J/token", "W"};
  for (const std::string& known : kUnits) {
    if (unit == known) return {1, known.c_str()};
  }
  return {1, ""};
}

std::string work_text(const nlohmann::json& row, Language language) {
  const nlohmann::json& condition = row.at("condition");
  if (condition.at("kind") == "generate") {
    return fmt::format("{}+{} {}", condition.at("input_tokens").get<int>(), condition.at("output_tokens").get<int>(), word("tokens", language));
  }
  std::string text = fmt::format("{} {}", word("batch", language), condition.at("batch").get<int>());
  if (condition.contains("shapes")) {
    for (const auto& [name, dims] : condition.at("shapes").items()) {
      if (dims.size() < 2) continue;
      text += ", ";
      for (std::size_t i = 1; i < dims.size(); ++i) text += (i == 1 ? "" : "x") + std::to_string(dims[i].get<int>());
    }
  }
  return text;
}

std::string load_text(const nlohmann::json& row) {
  const nlohmann::json& condition = row.at("condition");
  const std::string scenario = condition.at("scenario");
  if (scenario == "poisson") return fmt::format("poisson {}/s", condition.at("rate").get<double>());
  const bool clients = scenario == "closed" || scenario == "sustained";
  return clients ? fmt::format("{} {}", scenario, condition.at("concurrency").get<int>()) : scenario;
}

Figure figure_of(const nlohmann::json& row, const std::string& metric, const std::string& statistic) {
  const nlohmann::json& metrics = row.at("metrics");
  const auto found = metrics.find(metric);
  if (found == metrics.end()) return {};
  const nlohmann::json* json = &*found;
  if (statistic != "mean" || json->contains("mean")) {
    const auto part = json->find(statistic);
    if (part == json->end() || !part->is_object()) return {};
    json = &*part;
  }
  return {number(*json, "estimate"), number(*json, "low"), number(*json, "high")};
}

std::string number_text(const std::optional<double>& value, double factor) {
  if (!value) return "–";
  if (std::isinf(*value)) return "∞";
  const double shown = *value * factor;
  const double size = std::abs(shown);
  const int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return fmt::format("{:.{}f}", shown, decimals);
}

std::string figure_text(const Figure& figure, double factor) {
  std::string text = number_text(figure.estimate, factor);
  if (figure.low && figure.high) text += " ± " + number_text((*figure.high - *figure.low) / 2, factor);
  return text;
}

std::string device_text(const nlohmann::json& row) {
  const std::string system = row.at("condition").at("system"), device = row.at("condition").at("device");
  return system.empty() ? device : system + " · " + device;
}

std::string model_text(const nlohmann::json& row) {
  const nlohmann::json& condition = row.at("condition");
  return condition.at("model").get<std::string>() + (condition.value("synthetic", false) ? " (synth)" : "");
}

std::vector<Column> summary_columns(const nlohmann::json& report, bool generates) {
  static const std::vector<Column> kGenerate = {{"output_tokens_per_s", "mean"}, {"ttft", "mean"}, {"ttft", "p90"}, {"tpot", "mean"}, {"tpot", "p90"},
                                                {"latency", "mean"}, {"goodput", "mean"}, {"capacity", "mean"}, {"cold_start", "mean"}, {"mbu", "mean"}, {"energy_per_token", "mean"}};
  static const std::vector<Column> kInfer = {{"samples_per_s", "mean"}, {"latency", "mean"}, {"latency", "p50"}, {"latency", "p90"},
                                             {"latency", "p99"}, {"goodput", "mean"}, {"capacity", "mean"}, {"cold_start", "mean"}, {"energy_per_request", "mean"}};
  const std::vector<const nlohmann::json*> rows = rows_of_kind(report, generates ? "generate" : "infer");
  std::vector<Column> columns;
  for (const Column& column : generates ? kGenerate : kInfer) {
    const auto shown = [&](const nlohmann::json* row) { return headline_allowed(*row) && figure_of(*row, column.metric, column.statistic).estimate; };
    if (columns.size() < 2 || std::any_of(rows.begin(), rows.end(), shown)) columns.push_back(column);
  }
  return columns;
}

std::string column_title(const Column& column, Language language) {
  const MetricInfo* metric = find_metric(column.metric);
  std::string title = metric->name[static_cast<int>(language)];
  if (std::strcmp(column.statistic, "mean") != 0) title += " " + statistic_title(column.statistic);
  const Shown shown = shown_unit(metric->unit);
  return title + " [" + shown.unit + "]";
}

std::vector<const nlohmann::json*> rows_of_kind(const nlohmann::json& report, const std::string& kind) {
  std::vector<const nlohmann::json*> rows;
  for (const nlohmann::json& row : report.at("rows")) {
    if (row.at("condition").at("kind") == kind) rows.push_back(&row);
  }
  return rows;
}

std::string reasons_text(const nlohmann::json& row, Language language) {
  std::string text;
  for (const nlohmann::json& entry : row.at("reasons")) {
    const std::string code = entry.at("code"), detail = entry.at("detail");
    const Reason reason = reason_from_code(code);
    text += (text.empty() ? "" : "; ") + code + ": " + info_of(reason).text[static_cast<int>(language)];
    if (!detail.empty()) text += " (" + detail + ")";
  }
  return text;
}

bool any_audit(const nlohmann::json& report) {
  const nlohmann::json& rows = report.at("rows");
  return std::any_of(rows.begin(), rows.end(), [](const nlohmann::json& row) { return row.contains("audit") && !row.at("audit").empty(); });
}

bool headline_allowed(const nlohmann::json& row) { return row.at("status") == "valid"; }

std::string gate_figures(const nlohmann::json& gate) {
  std::string out;
  for (const auto& [name, value] : gate.items()) {
    if (name == "passed" || name == "limits") continue;
    out += (out.empty() ? "" : ", ") + name + " ";
    out += value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.is_string() ? value.get<std::string>() : value.dump();
  }
  return out;
}

std::string peaks_text(const nlohmann::json& peaks) {
  if (!peaks.is_object()) return "–";
  return fmt::format("{:.1f} GFLOP/s f32, {:.1f} GOP/s int8, {:.1f} GB/s", peaks.at("flops").get<double>() * 1e-9, peaks.at("int8_ops").get<double>() * 1e-9,
                     peaks.at("bytes_per_s").get<double>() * 1e-9);
}

std::string statistic_title(const std::string& statistic) { return statistic == "p999" ? "p99.9" : statistic; }

std::string gate_text(const nlohmann::json& row, Language language) {
  const nlohmann::json& gate = row.at("gate");
  if (!gate.is_object()) return word("not_run", language);
  return word(gate.value("passed", false) ? "passed" : "failed", language);
}

}  // namespace naru::bench
