// naru bench verify, diff, import, calibrate and schema: what needs no system under test.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/diff.h"
#include "benchmarks/analyse/row.h"
#include "benchmarks/calibrate/calibrate.h"
#include "benchmarks/foreign/foreign.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/report/report.h"
#include "benchmarks/report/view.h"
#include "benchmarks/suites/builtin.h"
#include "graph/fail.h"
#include "tools/naru/bench_commands.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

int run_verify(const std::string& folder) {
  const std::vector<std::string> problems = bench::verify_report(folder);
  for (const std::string& problem : problems) std::cout << "wrong: " << problem << '\n';
  if (!problems.empty()) return kInvalid;
  std::cout << "verified: every figure follows from the raw logs, and every byte is as hashed\n";
  return kDone;
}

struct ImportCommand {
  std::vector<std::string> files;
  bool json = false;
};

int run_import(const ImportCommand& command) {
  Table table({"tool", "model", "condition", "metric", "statistic", ">value", "formula"});
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& file : command.files) {
    const std::vector<bench::ForeignRow> rows = with_context([&] { return "reading '" + file + "'"; }, [&] { return bench::read_foreign(bench::read_file(file)); });
    for (const bench::ForeignRow& row : rows) {
      for (const bench::ForeignFigure& figure : row.figures) {
        const bench::MetricInfo* metric = bench::find_metric(figure.metric);
        const bench::Shown shown = bench::shown_unit(metric == nullptr ? "-" : metric->unit);
        const std::string value = fmt::format("{:.4g}{}{}", figure.value * shown.factor, *shown.unit == 0 ? "" : " ", shown.unit);
        table.add({row.tool, row.model, row.condition, figure.metric, figure.statistic, value, figure.formula.empty() ? "as kpm-1" : figure.formula});
        list.push_back({{"file", file}, {"tool", row.tool}, {"model", row.model}, {"condition", row.condition}, {"metric", figure.metric}, {"statistic", figure.statistic},
                        {"value", figure.value}, {"unit", metric == nullptr ? "" : metric->unit}, {"formula", figure.formula}, {"as_kpm_1", figure.formula.empty()}});
      }
    }
  }
  if (command.json) std::cout << list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  else table.print(std::cout);
  return kDone;
}

struct DiffCommand {
  std::string a, b;
  bench::DiffOptions options;
  bool json = false;
};

int run_diff(const DiffCommand& command) {
  const nlohmann::json a = bench::build_report(command.a), b = bench::build_report(command.b);
  nlohmann::json list = nlohmann::json::array();
  Table table({"row", "metric", ">ratio", ">95 % interval", "verdict"});
  bool slower = false;
  for (const bench::RowDiff& row : bench::diff_reports(a, b, command.options)) {
    const bench::Comparison& c = row.comparison;
    const bool compared = c.verdict != bench::Verdict::NotComparable;
    std::string verdict = to_string(c.verdict);
    if (c.runs_needed > 0) verdict += fmt::format(", about {} runs needed", c.runs_needed);
    if (!row.why.empty()) verdict += ": " + row.why;
    table.add({row.key.substr(0, row.key.find("|parallel")), row.metric, compared ? fmt::format("{:.4f}", c.ratio) : "-", compared ? fmt::format("{:.4f} to {:.4f}", c.low, c.high) : "-", verdict});
    list.push_back({{"key", row.key}, {"metric", row.metric}, {"verdict", to_string(c.verdict)}, {"ratio", c.ratio}, {"low", c.low}, {"high", c.high}, {"runs_needed", c.runs_needed}, {"why", row.why}});
    slower |= c.verdict == bench::Verdict::Slower;
  }
  if (command.json) std::cout << list.dump(2) << '\n';
  else table.print(std::cout);
  return slower ? kOutOfTolerance : kDone;
}

struct CalibrateCommand {
  std::vector<int> in_flight = {1, 16, 64, 256};
  double seconds = 6;
  int trials = 300;
  bool json = false;
};

nlohmann::json harness_rows(const CalibrateCommand& command, bool& holds) {
  nlohmann::json rows = nlohmann::json::array();
  for (const bench::CalibrationRow& row : bench::calibrate_harness(command.in_flight, command.seconds)) {
    holds &= row.holds();
    rows.push_back({{"in_flight", row.in_flight}, {"metric", row.metric}, {"truth", row.truth}, {"measured", row.measured}, {"allowed", row.allowed}, {"unit", row.unit}, {"holds", row.holds()}});
  }
  return rows;
}

void print_calibration(const nlohmann::json& result) {
  Table harness({">in flight", "metric", ">truth", ">measured", ">difference", ">allowed", "unit", "holds"});
  for (const nlohmann::json& row : result.at("harness")) {
    const double truth = row.at("truth"), measured = row.at("measured");
    harness.add({row.at("in_flight").dump(), row.at("metric"), fmt::format("{:.6g}", truth), fmt::format("{:.6g}", measured), fmt::format("{:+.2g}", measured - truth),
                 fmt::format("{:.2g}", row.at("allowed").get<double>()), row.at("unit"), row.at("holds").get<bool>() ? "yes" : "NO"});
  }
  harness.print(std::cout);
  std::cout << "\nA closed loop hides a stall (1 ms of service, 200 ms each 500th time, 450 arrivals/s):\n";
  Table stall({">percentile", ">closed loop [ms]", ">scheduled arrivals [ms]"});
  for (const nlohmann::json& row : result.at("stall")) stall.add({fmt::format("{:g}", row.at("p").get<double>()), fmt::format("{:.1f}", row.at("closed_ms").get<double>()), fmt::format("{:.1f}", row.at("open_ms").get<double>())});
  stall.print(std::cout);
  std::cout << "\nHow often 95 % intervals of the p99 hold the truth (M/M/1, runs of 2000 requests):\n";
  Table coverage({">load", ">taken as independent", ">t over 5 runs"});
  for (const nlohmann::json& row : result.at("coverage")) coverage.add({fmt::format("{:g}", row.at("load").get<double>()), fmt::format("{:.2f}", row.at("independent").get<double>()), fmt::format("{:.2f}", row.at("runs").get<double>())});
  coverage.print(std::cout);
}

int run_calibrate(const CalibrateCommand& command) {
  bool holds = true;
  nlohmann::json result = {{"harness", harness_rows(command, holds)}, {"stall", nlohmann::json::array()}, {"coverage", nlohmann::json::array()}};
  for (const bench::StallRow& row : bench::closed_loop_hides_a_stall()) result["stall"].push_back({{"p", row.percentile}, {"closed_ms", row.closed_ms}, {"open_ms", row.open_ms}});
  for (const bench::CoverageRow& row : bench::interval_coverage(command.trials)) result["coverage"].push_back({{"load", row.load}, {"independent", row.independent}, {"runs", row.runs}});
  if (command.json) std::cout << result.dump(2) << '\n';
  else print_calibration(result);
  return holds ? kDone : kOutOfTolerance;
}

}  // namespace

Subcommand add_bench_verify(CLI::App& bench) {
  auto folder = std::make_shared<std::string>();
  CLI::App* app = bench.add_subcommand("verify", "Recompute every figure from the raw logs and check every hash");
  app->add_option("folder", *folder, "Folder of a report")->required();
  return {app, [folder] { return run_verify(*folder); }};
}

Subcommand add_bench_diff(CLI::App& bench) {
  auto command = std::make_shared<DiffCommand>();
  CLI::App* app = bench.add_subcommand("diff", "Compare two reports; exit code 6 when a row became slower");
  app->add_option("a", command->a, "Folder of the first report")->required();
  app->add_option("b", command->b, "Folder of the second")->required();
  app->add_option("--margin", command->options.margin, "Changes within are equivalent")->check(CLI::Range(0.0001, 1.0))->capture_default_str();
  app->add_flag("--json", command->json, "Print JSON");
  return {app, [command] { return run_diff(*command); }};
}

Subcommand add_bench_import(CLI::App& bench) {
  auto command = std::make_shared<ImportCommand>();
  CLI::App* app = bench.add_subcommand("import", "Show result files of vllm bench serve, AIPerf, llama-bench and GuideLLM in our names, with their formulas");
  app->add_option("files", command->files, "Result files")->required();
  app->add_flag("--json", command->json, "Print JSON");
  return {app, [command] { return run_import(*command); }};
}

Subcommand add_bench_calibrate(CLI::App& bench) {
  auto command = std::make_shared<CalibrateCommand>();
  CLI::App* app = bench.add_subcommand("calibrate", "Measure a system of known truth, and show what other methods hide; exit code 6 when the harness errs");
  app->add_option("--in-flight", command->in_flight, "Requests in flight")->check(CLI::Range(1, 4096))->capture_default_str();
  app->add_option("--seconds", command->seconds, "Length of each loop")->check(CLI::Range(1.0, 3600.0))->capture_default_str();
  app->add_option("--trials", command->trials, "Queues behind each share of the last table")->check(CLI::Range(1, 100000))->capture_default_str();
  app->add_flag("--json", command->json, "Print JSON");
  return {app, [command] { return run_calibrate(*command); }};
}

Subcommand add_bench_schema(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("schema", "Print the JSON schema of suite files");
  return {app, [] {
            std::cout << bench::kSuiteSchema;
            return static_cast<int>(kDone);
          }};
}

}  // namespace naru::tool
