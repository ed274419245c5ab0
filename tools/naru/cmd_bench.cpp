// naru bench: measures a suite, verifies and compares reports.
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/diff.h"
#include "benchmarks/report/report.h"
#include "benchmarks/session/session.h"
#include "benchmarks/sut/make_system.h"
#include "graph/fail.h"
#include "tools/naru/commands.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

std::atomic<bool> interrupted = false;
extern "C" void note_interrupt(int) { interrupted.store(true); }

struct BenchCommand {
  std::string suite, out, energy_command, energy_boundary = "estimate";
  std::vector<std::string> devices, systems = {"in-process"};
  double budget_s = 0;
  int threads = 0;
  bool resume = false, no_gate = false;
};

int run_bench(const BenchCommand& command) {
  if (command.suite.empty() || command.out.empty()) {
    std::cerr << "naru: error: bench: give a suite and --out FOLDER\n";
    return kUsage;
  }
  const bench::Systems systems = bench::parse_systems(command.systems, command.threads);
  const bench::Suite suite = bench::parse_suite(bench::suite_text(command.suite), {command.devices, systems.labels});
  bench::SessionOptions options;
  options.folder = command.out;
  options.suite_file = command.suite;
  options.budget_ns = static_cast<std::int64_t>(command.budget_s * 1e9);
  options.resume = command.resume;
  options.threads = command.threads;
  options.energy_command = command.energy_command;
  options.energy_boundary = command.energy_boundary;
  options.stop = &interrupted;
  options.progress = [](const std::string& line) { std::cerr << line << std::endl; };
  options.gate = !command.no_gate;
  interrupted = false;
  std::signal(SIGINT, note_interrupt);
  std::signal(SIGTERM, note_interrupt);
  const bench::SessionOutcome outcome = bench::run_session(suite, systems.make, options);
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

}  // namespace

Command add_bench(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("bench", "Measure a suite; verify and compare reports");
  auto command = std::make_shared<BenchCommand>();
  sub->add_option("suite", command->suite, "Suite: a JSON file, or quick");
  sub->add_option("--out", command->out, "Folder for raw logs and report");
  sub->add_option("--device", command->devices, "Instead of the suite's devices; may be given again; a,b is one list in order of preference");
  sub->add_option("--sut", command->systems, "System under test, [NAME=]KIND[:SETTINGS]; may be given again, every row is then measured on each. Kinds: in-process, "
                                             "synthetic, openai, llama-server, kserve, pipe; settings: JSON, or @FILE")->capture_default_str();
  sub->add_option("--budget", command->budget_s, "Time that it may take, for example 120 or 10m; the ends of every axis come first")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}));
  sub->add_option("--threads", command->threads, "Cores; 0: all")->check(CLI::Range(0, 4096));
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
  return [=] {
    if (verify->parsed()) return run_verify(*folder);
    if (diff->parsed()) return run_diff(*diff_command);
    return run_bench(*command);
  };
}

}  // namespace naru::tool
