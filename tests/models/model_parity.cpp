// naru_model_parity: runs real models on one device and compares with what ONNX Runtime gave for
// the same inputs (tools/dev/make_goldens.py). A stream's states are carried by the session.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "naru/naru.h"

#include "graph/fail.h"
#include "graph/scalar.h"
#include "tools/io/npy.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/table.h"
#include "tools/naru/tolerance.h"

namespace naru::parity {
namespace {

constexpr int kOutOfTolerance = 6;

struct Options {
  std::filesystem::path goldens;
  std::vector<std::string> only, skip;
  std::filesystem::path gaps;
  tool::DeviceChoice device;
};

/// Name of an input or output -> its file.
using Files = std::map<std::string, std::string>;

struct Step {
  Files inputs, outputs;
};

struct Case {
  std::string name;
  std::filesystem::path folder, model;
  std::vector<Step> steps;
  ModelOptions options;  ///< what a stream carries
};

struct Outcome {
  std::size_t steps = 0;
  double load_seconds = 0;
  double run_seconds = 0;
  double largest_absolute = 0;
  double largest_relative = 0;
  std::string fault;   ///< the first difference beyond the tolerance, or the error
  bool error = false;  ///< it could not be run
};

Files read_files(const nlohmann::json& entries) {
  Files files;
  for (const auto& entry : entries) files[entry.at("name")] = entry.at("file");
  return files;
}

/// An input whose file is an output of the step before is carried.
std::vector<std::pair<std::string, std::string>> carried(const std::vector<Step>& steps) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (steps.size() < 2) return pairs;
  for (const auto& [input, file] : steps[1].inputs) {
    for (const auto& [output, output_file] : steps[0].outputs) {
      if (file == output_file) pairs.emplace_back(input, output);
    }
  }
  return pairs;
}

Case read_case(const std::filesystem::path& folder) {
  const nlohmann::json document = nlohmann::json::parse(io::read_file(folder / "case.json"));
  Case result{folder.filename().string(), folder, document.at("model").get<std::string>(), {}, {}};
  const nlohmann::json single = nlohmann::json::array({document});
  for (const auto& step : document.contains("steps") ? document.at("steps") : single) {
    result.steps.push_back({read_files(step.at("inputs")), read_files(step.at("outputs"))});
  }
  result.options.carry = carried(result.steps);
  return result;
}

bool matches(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

std::vector<Case> read_cases(const Options& options) {
  std::vector<Case> cases;
  for (const auto& entry : std::filesystem::directory_iterator(options.goldens)) {
    const std::string name = entry.path().filename().string();
    if (!std::filesystem::exists(entry.path() / "case.json")) continue;
    if (!options.only.empty() && !matches(name, options.only)) continue;
    if (matches(name, options.skip)) continue;
    cases.push_back(with_context([&] { return "reading case '" + name + "'"; },
                                 [&] { return read_case(entry.path()); }));
  }
  std::sort(cases.begin(), cases.end(),
            [](const Case& a, const Case& b) { return a.name < b.name; });
  return cases;
}

/// The stream's own first states, whatever their batch.
void set_first_states(Session& session, const Case& golden) {
  for (const auto& [input, output] : golden.options.carry) {
    session.set_state(input, io::read_npy(golden.folder / golden.steps[0].inputs.at(input)));
  }
}

std::vector<Datum> inputs_of(const Case& golden, const Step& step, const Model& model) {
  std::vector<Datum> inputs;
  for (const PortInfo& port : model.inputs()) {
    const auto file = step.inputs.find(port.name);
    if (file == step.inputs.end()) {
      fail(ErrorCode::InvalidArgument, "the case has no value for the input '{}'", port.name);
    }
    inputs.emplace_back(io::read_npy(golden.folder / file->second));
  }
  return inputs;
}

void compare_step(const Case& golden, std::size_t number, const Model& model,
                  const std::vector<Datum>& outputs, Outcome& outcome) {
  std::set<std::string> compared;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = model.outputs()[i].name;
    const auto file = golden.steps[number].outputs.find(name);
    if (file == golden.steps[number].outputs.end()) continue;
    compared.insert(name);
    const tool::Difference difference =
        tool::compare_data(outputs[i], io::read_npy(golden.folder / file->second));
    outcome.largest_absolute = std::max(outcome.largest_absolute, difference.largest_absolute);
    outcome.largest_relative = std::max(outcome.largest_relative, difference.largest_relative);
    if (!difference.within && outcome.fault.empty()) {
      outcome.fault = fmt::format("step {}, output '{}': {}", number, name, difference.message);
    }
  }
  if (compared.size() != golden.steps[number].outputs.size()) {
    fail(ErrorCode::InvalidModel, "the model has {} of the {} outputs of the case", compared.size(),
         golden.steps[number].outputs.size());
  }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Outcome run_case(const Case& golden, const EngineOptions& engine_options) {
  Outcome outcome;
  try {
    auto start = std::chrono::steady_clock::now();
    Engine engine(engine_options);
    const Model model = engine.load(golden.model, golden.options);
    Session session = model.create_session();
    set_first_states(session, golden);
    outcome.load_seconds = seconds_since(start);
    for (std::size_t i = 0; i < golden.steps.size(); ++i) {
      std::vector<Datum> inputs = inputs_of(golden, golden.steps[i], model);
      start = std::chrono::steady_clock::now();
      const std::vector<Datum> outputs = session.run(std::move(inputs));
      outcome.run_seconds += seconds_since(start);
      ++outcome.steps;
      compare_step(golden, i, model, outputs, outcome);
    }
  } catch (const Error& error) {
    outcome.error = true;
    outcome.fault = error.what();
  }
  return outcome;
}

/// Known gaps, "<case> <reason>" a line: cases that may be out of tolerance, never ones that fail to run.
std::map<std::string, std::string> read_gaps(const std::filesystem::path& path) {
  std::map<std::string, std::string> gaps;
  if (path.empty()) return gaps;
  std::istringstream lines(io::read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = line.find(' ');
    if (line.empty() || line[0] == '#' || blank == std::string::npos) continue;
    gaps[line.substr(0, blank)] = line.substr(blank + 1);
  }
  return gaps;
}

int run(const Options& options) {
  const std::map<std::string, std::string> gaps = read_gaps(options.gaps);
  const std::vector<Case> cases = read_cases(options);
  if (cases.empty()) {
    fail(ErrorCode::InvalidArgument, "'{}': no case; make them with tools/dev/make_goldens.py",
         options.goldens.string());
  }
  tool::Table table(
      {"case", ">steps", ">load", ">run", ">largest absolute", ">largest relative", "verdict"});
  std::string faults;
  int outside = 0, errors = 0, known = 0;
  for (const Case& golden : cases) {
    const Outcome outcome = run_case(golden, options.device.engine_options());
    std::cerr << golden.name << (outcome.fault.empty() ? ": pass\n" : ": FAIL\n");
    table.add({golden.name, std::to_string(outcome.steps), tool::seconds_text(outcome.load_seconds),
               tool::seconds_text(outcome.run_seconds),
               fmt::format("{:.2e}", outcome.largest_absolute),
               fmt::format("{:.2e}", outcome.largest_relative),
               outcome.error           ? "ERROR"
               : outcome.fault.empty() ? "pass"
               : gaps.contains(golden.name) ? "known gap"
                                            : "FAIL"});
    if (!outcome.fault.empty()) faults += golden.name + ": " + outcome.fault + '\n';
    errors += outcome.error ? 1 : 0;
    if (outcome.error || outcome.fault.empty()) continue;
    ++(gaps.contains(golden.name) ? known : outside);
  }
  table.print(std::cout);
  std::cout << '\n' << faults;
  std::cout << fmt::format(
      "{} cases: {} pass, {} out of tolerance, {} known to be so, {} could not be run\n", cases.size(),
      cases.size() - static_cast<std::size_t>(outside + errors + known), outside, known, errors);
  return errors > 0 ? 1 : outside > 0 ? kOutOfTolerance : 0;
}

int main(int argc, char** argv) {
  CLI::App app("Compares real models on one device with ONNX Runtime.", "naru_model_parity");
  app.footer("Exit codes: 0 all pass, 1 a case could not be run, 2 usage, 6 out of tolerance.");
  Options options;
  options.device.devices = {"cpu"};
  app.add_option("--goldens", options.goldens, "Folder of tools/dev/make_goldens.py")->required();
  app.add_option("--only", options.only, "Cases whose names begin so")->delimiter(',');
  app.add_option("--skip", options.skip, "Cases to leave out, whose names begin so")
      ->delimiter(',');
  app.add_option("--gaps", options.gaps, "File of cases known to be out of tolerance, with reasons");
  options.device.add_to(app);
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "naru_model_parity: error: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace naru::parity

int main(int argc, char** argv) { return naru::parity::main(argc, argv); }
