// Runs the test cases of the onnx package (tools/dev/make_onnx_cases.py writes them) and compares.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/import/onnx.h"
#include "tests/onnx/case_executor.h"
#include "tests/onnx/case_values.h"
#include "tests/onnx/compare.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage = R"(usage: naru_onnx_suite --cases DIR [options]
  --cases DIR        folder that tools/dev/make_onnx_cases.py wrote (.deps/onnx-cases)
  --suite NAME       only this suite: node, simple, pytorch-operator, pytorch-converted,
                     light, opsets, contrib
  --filter GLOB      only cases whose name matches, for example 'test_conv_*'
  --op NAME          only cases that use this operator
  --executor NAME    how graphs are run (default: interpreter); given several times, one table shows all
  --table            every suite as loaded, with all passes and saved, on reference and cpu
  --gaps FILE        known gaps; a case listed there that passes is an error
  --list-failures    print each failure with its reason, and the unexpected passes
  --list-unsupported print each unsupported case with its reason
  --require-support  an unsupported case that is not listed as a gap is a failure
  --list-host        print each case of which the host ran a node in place of the device
  --least-on-device N  fewer cases that pass wholly on the device are a failure
  --json FILE        write the result of every case
exit code: 0 all cases passed, are unsupported or are known gaps; 1 otherwise; 2 bad usage
)";

struct Options {
  fs::path cases, json, gaps;
  std::string suite, filter = "*", op, least_on_device = "0";
  std::vector<std::string> executors;
  bool list_failures = false, list_unsupported = false, require_support = false, list_host = false;
};

/// As loaded, with all passes, and after a round trip through a container.
const std::vector<std::string> kTableExecutors = {"loaded:reference", "engine:reference", "saved:reference",
                                                  "loaded:cpu",       "engine:cpu",       "saved:cpu"};

enum class Outcome { Passed, Failed, Unsupported };

struct Gap {
  std::string pattern, reason;
  bool used = false;
};

struct Result {
  std::string suite, name, detail;
  Outcome outcome = Outcome::Passed;
  Gap* gap = nullptr;
  double seconds = 0;
  std::vector<std::string> on_host;
};

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == text[t] || pattern[p] == '?')) {
      ++p, ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Options parse_arguments(int count, char** values) {
  Options options;
  const std::map<std::string, bool*> flags = {{"--list-failures", &options.list_failures},
                                              {"--list-unsupported", &options.list_unsupported},
                                              {"--require-support", &options.require_support},
                                              {"--list-host", &options.list_host}};
  const std::map<std::string, std::string*> texts = {{"--suite", &options.suite},
                                                     {"--filter", &options.filter},
                                                     {"--op", &options.op},
                                                     {"--least-on-device", &options.least_on_device}};
  const std::map<std::string, fs::path*> paths = {
      {"--cases", &options.cases}, {"--json", &options.json}, {"--gaps", &options.gaps}};
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--table") {
      options.executors = kTableExecutors;
      continue;
    }
    if (const auto flag = flags.find(name); flag != flags.end()) {
      *flag->second = true;
      continue;
    }
    if (i + 1 == count)
      fail(ErrorCode::InvalidArgument, "{}: unknown, or its value is missing", name);
    if (name == "--executor")
      options.executors.emplace_back(values[++i]);
    else if (const auto text = texts.find(name); text != texts.end())
      *text->second = values[++i];
    else if (const auto path = paths.find(name); path != paths.end())
      *path->second = values[++i];
    else
      fail(ErrorCode::InvalidArgument, "{}: unknown", name);
  }
  if (options.cases.empty()) fail(ErrorCode::InvalidArgument, "--cases: missing");
  if (options.executors.empty()) options.executors.emplace_back("interpreter");
  return options;
}

/// A pattern may end in @executor,executor...: the gap is then one of those executors only.
std::vector<Gap> read_gaps(const fs::path& path, const std::string& executor) {
  std::vector<Gap> gaps;
  if (path.empty()) return gaps;
  std::ifstream file(path);
  if (!file) fail(ErrorCode::Io, "gaps: '{}' cannot be read", path.native());
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos)
      fail(ErrorCode::InvalidArgument, "gaps: '{}' has no reason", line);
    const std::string reason = line.substr(space + 1);
    std::string pattern = line.substr(0, space);
    const std::size_t at = pattern.find('@');
    if (at != std::string::npos) {
      const std::string executors = "," + pattern.substr(at + 1) + ",";
      if (executors.find("," + executor + ",") == std::string::npos) continue;
      pattern.resize(at);
    }
    gaps.push_back({pattern, reason});
  }
  return gaps;
}

/// Null optionals are stored as absent tensors or as empty optionals; both mean "no value".
bool is_absent(const Datum& value) {
  return value.kind == Datum::Kind::Optional ? value.elements.empty()
                                             : value.is_tensor() && !value.tensor.defined();
}

/// What the case's outputs differ in; empty when they agree.
std::string run_data_set(const Graph& graph, const nlohmann::json& record, const fs::path& folder,
                         CaseExecutor& executor) {
  const std::vector<Datum> inputs = read_case_values(folder, "input", record["inputs"]);
  const std::vector<Datum> expected = read_case_values(folder, "output", record["outputs"]);
  const std::vector<Datum> got = executor.run(graph, inputs);
  const CompareOptions options{record["rtol"], record["atol"], record["compare"] == "types"};
  if (got.size() < expected.size())
    return fmt::format("got {} outputs, expected {}", got.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (is_absent(got[i]) && is_absent(expected[i])) continue;
    if (auto text = difference(got[i], expected[i], options))
      return fmt::format("output {}: {}", i, *text);
  }
  return {};
}

Result run_case(const nlohmann::json& record, const Options& options, CaseExecutor& executor) {
  Result result{record["suite"], record["name"], {}};
  const auto start = std::chrono::steady_clock::now();
  const fs::path folder = options.cases / result.suite / result.name;
  try {
    const Graph graph = load_onnx(folder / "model.onnx");
    for (int set = 0; set < record["data_sets"].get<int>() && result.detail.empty(); ++set) {
      result.detail =
          run_data_set(graph, record, folder / fmt::format("test_data_set_{}", set), executor);
    }
    if (!result.detail.empty()) result.outcome = Outcome::Failed;
    result.on_host = executor.on_host();
  } catch (const Error& error) {
    result.outcome =
        error.code() == ErrorCode::Unsupported ? Outcome::Unsupported : Outcome::Failed;
    result.detail = fmt::format("{}: {}", to_string(error.code()), error.what());
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

nlohmann::json read_cases(const Options& options) {
  std::ifstream file(options.cases / "cases.json");
  if (!file) fail(ErrorCode::Io, "cases: '{}' has no cases.json", options.cases.native());
  nlohmann::json selected = nlohmann::json::array();
  for (auto& record : nlohmann::json::parse(file)) {
    if (!options.suite.empty() && record["suite"] != options.suite) continue;
    if (!matches(options.filter, record["name"].get<std::string>())) continue;
    const auto& ops = record["ops"];
    if (!options.op.empty() && std::find(ops.begin(), ops.end(), options.op) == ops.end()) continue;
    selected.push_back(std::move(record));
  }
  return selected;
}

const char* name_of(Outcome outcome) {
  constexpr const char* kNames[] = {"passed", "failed", "unsupported"};
  return kNames[static_cast<std::size_t>(outcome)];
}

/// True for a result that makes the run fail.
bool is_fault(const Result& result, const Options& options) {
  if (result.gap != nullptr) return result.outcome == Outcome::Passed;
  return result.outcome == Outcome::Failed ||
         (result.outcome == Outcome::Unsupported && options.require_support);
}

void print_details(const std::vector<Result>& results, const Options& options) {
  for (const Result& result : results) {
    const bool fault = is_fault(result, options);
    const bool listed = (fault && options.list_failures) ||
                        (result.outcome == Outcome::Unsupported && options.list_unsupported);
    if (!listed) continue;
    const bool unexpected = fault && result.outcome == Outcome::Passed;
    fmt::print("{} {}/{}\n    {}\n", unexpected ? "unexpected pass" : name_of(result.outcome),
               result.suite, result.name,
               unexpected ? "listed as a gap: " + result.gap->reason : result.detail);
  }
}

/// Cases that passed with every node on the device, and those that did not, with the nodes. Returns the number of
/// the first.
int print_host(const std::vector<Result>& results) {
  int whole = 0, mixed = 0;
  for (const Result& result : results) {
    if (result.outcome != Outcome::Passed) continue;
    ++(result.on_host.empty() ? whole : mixed);
    for (const std::string& node : result.on_host) fmt::print("host {}/{}: {}\n", result.suite, result.name, node);
  }
  fmt::print("wholly on the device: {} cases; with nodes on the host: {}\n", whole, mixed);
  return whole;
}

void print_table_head() {
  fmt::print("{:<18} {:<17} {:>6} {:>7} {:>7} {:>14} {:>11} {:>8}\n", "suite", "executor", "cases", "passed", "failed",
             "not supported", "known gaps", "seconds");
}

/// Prints the rows of one executor; returns the number of faults.
int print_table(const std::vector<Result>& results, const Options& options, const std::string& executor) {
  struct Row {
    int total = 0, passed = 0, failed = 0, unsupported = 0, gaps = 0, faults = 0;
    double seconds = 0;
  };
  std::map<std::string, Row> rows;
  for (const Result& result : results) {
    for (Row* row : {&rows[result.suite], &rows["~all"]}) {
      ++row->total;
      row->seconds += result.seconds;
      row->faults += is_fault(result, options) ? 1 : 0;
      if (result.gap != nullptr)
        ++row->gaps;
      else if (result.outcome == Outcome::Passed)
        ++row->passed;
      else if (result.outcome == Outcome::Failed)
        ++row->failed;
      else
        ++row->unsupported;
    }
  }
  for (const auto& [name, row] : rows) {
    fmt::print("{:<18} {:<17} {:>6} {:>7} {:>7} {:>14} {:>11} {:>8.1f}\n", name == "~all" ? "all" : name, executor,
               row.total, row.passed, row.failed, row.unsupported, row.gaps, row.seconds);
  }
  return rows["~all"].faults;
}

void add_json(nlohmann::json& list, const std::vector<Result>& results, const std::string& executor) {
  for (const Result& result : results) {
    list.push_back({{"suite", result.suite},
                    {"executor", executor},
                    {"name", result.name},
                    {"outcome", name_of(result.outcome)},
                    {"gap", result.gap != nullptr},
                    {"detail", result.detail},
                    {"on_host", result.on_host},
                    {"seconds", result.seconds}});
  }
}

/// Runs the selected cases one way; returns the number of faults.
int run_executor(const nlohmann::json& cases, const Options& options, const std::string& name, nlohmann::json& list) {
  std::vector<Gap> gaps = read_gaps(options.gaps, name);
  const auto executor = make_executor(name);
  std::vector<Result> results;
  for (const auto& record : cases) {
    Result result = run_case(record, options, *executor);
    for (Gap& gap : gaps) {
      if (!matches(gap.pattern, result.suite + "/" + result.name)) continue;
      gap.used = true;
      result.gap = &gap;
    }
    results.push_back(std::move(result));
  }
  print_details(results, options);
  const bool too_few = options.list_host && print_host(results) < std::stoi(options.least_on_device);
  int faults = print_table(results, options, name) + (too_few ? 1 : 0);
  if (options.filter == "*" && options.op.empty()) {
    for (const Gap& gap : gaps) {
      const bool of_suite = options.suite.empty() || gap.pattern.starts_with(options.suite + "/");
      if (gap.used || !of_suite) continue;
      fmt::print("gaps: '{}' matches no case\n", gap.pattern);
      ++faults;
    }
  }
  add_json(list, results, name);
  return faults;
}

int run(const Options& options) {
  const nlohmann::json cases = read_cases(options);
  if (cases.empty()) {
    fmt::print("no case was selected\n");
    return 1;
  }
  nlohmann::json list = nlohmann::json::array();
  int faults = 0;
  print_table_head();
  for (const std::string& executor : options.executors) faults += run_executor(cases, options, executor, list);
  if (!options.json.empty()) {
    std::ofstream(options.json) << list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  }
  return faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace naru

int main(int count, char** values) {
  naru::Options options;
  try {
    options = naru::parse_arguments(count, values);
  } catch (const naru::Error& error) {
    fmt::print(stderr, "error: {}\n{}", error.what(), naru::kUsage);
    return 2;
  }
  try {
    return naru::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  }
}
