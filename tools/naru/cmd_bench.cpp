// naru bench: measures a suite, and audits a report.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/report/report.h"
#include "benchmarks/report/view.h"
#include "benchmarks/session/session.h"
#include "benchmarks/sut/make_system.h"
#include "graph/fail.h"
#include "tools/naru/bench_commands.h"
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

void add_systems(CLI::App* app, BenchCommand& command) {
  app->add_option("--sut", command.systems, "System under test, [NAME=]KIND[:SETTINGS]; may be given again, every row is then measured on each. Kinds: in-process, "
                                            "synthetic, openai, llama-server, kserve, pipe; settings: JSON, or @FILE")->capture_default_str();
  app->add_option("--threads", command.threads, "Cores; 0: all")->check(CLI::Range(0, 4096));
}

Subcommand add_audit(CLI::App& bench) {
  auto command = std::make_shared<AuditCommand>();
  CLI::App* app = bench.add_subcommand("audit", "Make the systems of a report do rows again in other ways; exit code 6 when a test fails");
  app->add_option("folder", command->bench.out, "Folder of a report")->required();
  add_systems(app, command->bench);
  app->add_flag("--all", command->all, "Every row, not one per system, model and device");
  app->add_flag("--json", command->json, "Print JSON");
  return {app, [command] { return run_audit(*command); }};
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

  std::vector<Subcommand> others = {add_audit(*sub)};
  for (Subcommand (*add)(CLI::App&) : {add_bench_verify, add_bench_diff, add_bench_import, add_bench_calibrate, add_bench_schema}) others.push_back(add(*sub));
  return [command, others] {
    for (const Subcommand& other : others) {
      if (other.app->parsed()) return other.run();
    }
    return run_bench(*command);
  };
}

}  // namespace naru::tool
