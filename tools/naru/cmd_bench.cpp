// naru bench: measures a suite, verifies and compares reports.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/diff.h"
#include "benchmarks/analyse/row.h"
#include "benchmarks/foreign/foreign.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/report/report.h"
#include "benchmarks/report/view.h"
#include "benchmarks/session/session.h"
#include "benchmarks/suites/builtin.h"
#include "benchmarks/sut/make_system.h"
#include "graph/fail.h"
#include "tools/naru/commands.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

std::atomic<bool> interrupted = false;
extern "C" void note_interrupt(int) { interrupted.store(true); }

struct BenchCommand {
  std::string suite, out, synth, energy_command, energy_boundary = "estimate";
  std::vector<std::string> devices, systems = {"in-process"};
  double budget_s = 0;
  int threads = 0;
  bool resume = false, no_gate = false;
};

bench::SessionOptions session_options(const BenchCommand& command) {
  bench::SessionOptions options;
  options.folder = command.out;
  options.suite_file = command.suite;
  options.synth_folder = command.synth;
  options.budget_ns = static_cast<std::int64_t>(command.budget_s * 1e9);
  options.resume = command.resume;
  options.gate = !command.no_gate;
  options.threads = command.threads;
  options.energy_command = command.energy_command;
  options.energy_boundary = command.energy_boundary;
  options.stop = &interrupted;
  options.progress = [](const std::string& line) { std::cerr << line << std::endl; };
  interrupted = false;
  std::signal(SIGINT, note_interrupt);
  std::signal(SIGTERM, note_interrupt);
  return options;
}

int run_bench(const BenchCommand& command) {
  if (command.suite.empty() || command.out.empty()) {
    std::cerr << "naru: error: bench: give a suite and --out FOLDER\n";
    return kUsage;
  }
  const bench::Systems systems = bench::parse_systems(command.systems, command.threads);
  const bench::Suite suite = bench::parse_suite(bench::suite_text(command.suite), {command.devices, systems.labels});
  const bench::SessionOutcome outcome = bench::run_session(suite, systems.make, session_options(command));
  const nlohmann::json report = bench::write_report(command.out);
  std::cout << bench::render_markdown(report, bench::Language::English);
  std::cerr << fmt::format("naru: {} rows measured, {} failed, {} skipped; report in {}\n", outcome.measured, outcome.failed, outcome.skipped, command.out);
  return outcome.interrupted ? kFailed : kDone;
}

int run_verify(const std::string& folder) {
  const std::vector<std::string> problems = bench::verify_report(folder);
  for (const std::string& problem : problems) std::cout << "wrong: " << problem << '\n';
  if (!problems.empty()) return kInvalid;
  std::cout << "verified: every figure follows from the raw logs, and every byte is as hashed\n";
  return kDone;
}

struct AuditCommand {
  BenchCommand bench;
  bool all = false, json = false;
};

/// The systems of a report; those of a single one need no name.
int run_audit(const AuditCommand& command) {
  const bench::Suite suite = bench::suite_of(command.bench.out);
  const bench::Systems systems = bench::parse_systems(command.bench.systems, command.bench.threads);
  for (const bench::Condition& row : suite.rows) {
    const auto same = [&](const bench::SystemLabel& label) { return label.name == row.system.name && label.boundary == row.system.boundary; };
    if (std::none_of(systems.labels.begin(), systems.labels.end(), same)) {
      fail(ErrorCode::InvalidArgument, "--sut: the report has the system '{}' ({}), give it as then", row.system.name, row.system.boundary);
    }
  }
  bench::SessionOptions options = session_options(command.bench);
  bench::audit_session(suite, systems.make, options, command.all);
  const nlohmann::json report = bench::write_report(command.bench.out);
  Table table({"model", "load", "test", "result", "detail"});
  nlohmann::json list = nlohmann::json::array();
  bool failed = false;
  for (const nlohmann::json& row : report.at("rows")) {
    if (!row.contains("audit")) continue;
    for (const nlohmann::json& test : row.at("audit")) {
      const std::string system = row.at("condition").at("system");
      table.add({row.at("condition").at("model").get<std::string>() + (system.empty() ? "" : " on " + system), bench::load_text(row), test.at("test"), test.at("result"), test.at("detail")});
      list.push_back({{"id", row.at("id")}, {"key", row.at("condition").at("key")}, {"test", test.at("test")}, {"result", test.at("result")}, {"detail", test.at("detail")}});
      failed |= test.at("result") == "fail";
    }
  }
  if (command.json) std::cout << list.dump(2) << '\n';
  else table.print(std::cout);
  return failed ? kOutOfTolerance : kDone;
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

void add_systems(CLI::App* app, BenchCommand& command) {
  app->add_option("--sut", command.systems, "System under test, [NAME=]KIND[:SETTINGS]; may be given again, every row is then measured on each. Kinds: in-process, "
                                            "synthetic, openai, llama-server, kserve, pipe; settings: JSON, or @FILE")->capture_default_str();
  app->add_option("--threads", command.threads, "Cores; 0: all")->check(CLI::Range(0, 4096));
}

}  // namespace

Command add_bench(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("bench", "Measure a suite; verify and compare reports");
  auto command = std::make_shared<BenchCommand>();
  sub->add_option("suite", command->suite, "Suite: a JSON file, or quick, edge, llm, peer");
  sub->add_option("--out", command->out, "Folder for raw logs and report");
  sub->add_option("--device", command->devices, "Instead of the suite's devices; may be given again; a,b is one list in order of preference");
  add_systems(sub, *command);
  sub->add_option("--budget", command->budget_s, "Time that it may take, for example 120 or 10m; the ends of every axis come first")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}));
  sub->add_option("--synth", command->synth, "Folder for models with random weights, which are written there where a suite names their shape");
  sub->add_option("--energy-command", command->energy_command, "Program that prints \"joules X\" or \"watts X\"");
  sub->add_option("--energy-boundary", command->energy_boundary, "What that program covers")->check(CLI::IsMember({"wall", "board", "soc", "package", "estimate"}));
  sub->add_flag("--resume", command->resume, "Keep the rows that the folder already holds");
  sub->add_flag("--no-gate", command->no_gate, "Leave the accuracy gates out; no row is then ranked");

  auto folder = std::make_shared<std::string>();
  CLI::App* verify = sub->add_subcommand("verify", "Recompute every figure from the raw logs and check every hash");
  verify->add_option("folder", *folder, "Folder of a report")->required();
  auto diff_command = std::make_shared<DiffCommand>();
  CLI::App* diff = sub->add_subcommand("diff", "Compare two reports; exit code 6 when a row became slower");
  diff->add_option("a", diff_command->a, "Folder of the first report")->required();
  diff->add_option("b", diff_command->b, "Folder of the second")->required();
  diff->add_option("--margin", diff_command->options.margin, "Changes within are equivalent")->check(CLI::Range(0.0001, 1.0))->capture_default_str();
  diff->add_flag("--json", diff_command->json, "Print JSON");
  auto audit_command = std::make_shared<AuditCommand>();
  CLI::App* audit = sub->add_subcommand("audit", "Make the systems of a report do rows again in other ways; exit code 6 when a test fails");
  audit->add_option("folder", audit_command->bench.out, "Folder of a report")->required();
  add_systems(audit, audit_command->bench);
  audit->add_flag("--all", audit_command->all, "Every row, not one per system, model and device");
  audit->add_flag("--json", audit_command->json, "Print JSON");
  auto import_command = std::make_shared<ImportCommand>();
  CLI::App* import = sub->add_subcommand("import", "Show result files of vllm bench serve, AIPerf, llama-bench and GuideLLM in our names, with their formulas");
  import->add_option("files", import_command->files, "Result files")->required();
  import->add_flag("--json", import_command->json, "Print JSON");
  CLI::App* schema = sub->add_subcommand("schema", "Print the JSON schema of suite files");
  return [=] {
    if (schema->parsed()) {
      std::cout << bench::kSuiteSchema;
      return static_cast<int>(kDone);
    }
    if (import->parsed()) return run_import(*import_command);
    if (audit->parsed()) return run_audit(*audit_command);
    if (verify->parsed()) return run_verify(*folder);
    if (diff->parsed()) return run_diff(*diff_command);
    return run_bench(*command);
  };
}

}  // namespace naru::tool
