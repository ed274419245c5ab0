// naru_model_passes: what the pipeline leaves of real models, and that they still compute the same:
// each model at levels 0 and 2, evaluated by the reference on the inputs of
// tools/dev/make_goldens.py.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "naru/error.h"

#include "compiler/pipeline.h"
#include "graph/evaluate.h"
#include "graph/load.h"
#include "graph/scalar.h"
#include "tools/io/npy.h"
#include "tools/naru/table.h"

namespace naru {
namespace {

struct Options {
  std::filesystem::path goldens;
  std::vector<std::string> only, skip;
  bool count_only = false;
};

bool begins_with_one(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

std::vector<std::filesystem::path> cases(const Options& options) {
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(options.goldens)) {
    const std::string name = entry.path().filename().string();
    if (!std::filesystem::exists(entry.path() / "case.json")) continue;
    if (!options.only.empty() && !begins_with_one(name, options.only)) continue;
    if (!begins_with_one(name, options.skip)) result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// The inputs of a case's first step, in the order of the graph's.
std::vector<Datum> read_inputs(const std::filesystem::path& folder, const nlohmann::json& document,
                               const Graph& graph) {
  const nlohmann::json& step = document.contains("steps") ? document.at("steps").at(0) : document;
  std::vector<Datum> inputs;
  for (ValueId id : graph.inputs) {
    for (const auto& entry : step.at("inputs")) {
      if (entry.at("name").get<std::string>() != graph.value(id).name) continue;
      inputs.emplace_back(io::read_npy(folder / entry.at("file").get<std::string>()));
    }
  }
  return inputs;
}

/// The largest difference, relative to the largest value of the output.
double difference(const Tensor& expected, const Tensor& got) {
  if (expected.dtype() != got.dtype() || expected.shape() != got.shape()) return INFINITY;
  const std::vector<double> a = to_wide<double>(expected), b = to_wide<double>(got);
  double largest = 0, scale = 1e-3;
  for (std::size_t i = 0; i < a.size(); ++i) {
    scale = std::max(scale, std::abs(a[i]));
    if (!(a[i] == b[i]))
      largest = std::max(largest, std::isnan(a[i] - b[i]) ? INFINITY : std::abs(a[i] - b[i]));
  }
  return largest / scale;
}

/// Adds the case's row; false when the two levels differ by more than rounding.
bool run_case(const std::filesystem::path& folder, const Options& options, tool::Table& table) {
  const nlohmann::json document = nlohmann::json::parse(io::read_file(folder / "case.json"));
  std::vector<Graph> levels;
  std::vector<std::string> row{folder.filename().string()};
  double milliseconds = 0;
  for (int level : {0, 1, 2}) {
    levels.push_back(load_model(document.at("model").get<std::string>()));
    const auto start = std::chrono::steady_clock::now();
    optimize(levels.back(), generic_pipeline(level), {.verify_each = true});
    milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    row.push_back(std::to_string(count_nodes(levels.back())));
  }
  row.push_back(fmt::format("{:.0f}", milliseconds));
  double largest = 0;
  if (!options.count_only) {
    const std::vector<Datum> inputs = read_inputs(folder, document, levels[0]);
    const std::vector<Datum> expected = evaluate(levels[0], inputs),
                             got = evaluate(levels[2], inputs);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, difference(expected[i].tensor, got[i].tensor));
    }
  }
  row.push_back(options.count_only ? "" : fmt::format("{:.1e}", largest));
  const bool same = largest <= 2e-4;
  row.push_back(options.count_only ? "" : same ? "pass" : "FAIL");
  table.add(std::move(row));
  return same;
}

int run(const Options& options) {
  tool::Table table({"case", ">level 0", ">level 1", ">level 2", ">ms", ">difference", "verdict"});
  bool all = true;
  for (const std::filesystem::path& folder : cases(options)) {
    std::cerr << folder.filename().string() << std::endl;
    all &= with_context([&] { return "running case " + folder.filename().string(); },
                        [&] { return run_case(folder, options, table); });
  }
  table.print(std::cout);
  return all ? 0 : 6;
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) {
  naru::Options options;
  CLI::App app("Compares real models before and after optimisation.");
  app.add_option("--goldens", options.goldens, "Folder of tools/dev/make_goldens.py")->required();
  app.add_option("--only", options.only, "Cases whose names begin so")->delimiter(',');
  app.add_option("--skip", options.skip, "Cases to leave out, whose names begin so")
      ->delimiter(',');
  app.add_flag("--count-only", options.count_only, "Count nodes, evaluate nothing");
  CLI11_PARSE(app, argc, argv);
  try {
    return naru::run(options);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
