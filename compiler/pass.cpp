// Passes: the loop over passes and groups, with checks, timing, log lines and dumps.
#include "compiler/pass.h"

#include <atomic>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>

#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/text.h"
#include "graph/verify.h"

namespace naru {
namespace {

bool run_on_all(const Pass& pass, Graph& graph);

/// Runs the pass on a copy of a sub-graph and stores the copy where it changed. A sub-graph that
/// cannot run with what is known of its inputs stays as it is: it may be a branch that is never
/// taken.
bool run_on_subgraph(const Pass& pass, GraphPtr& graph) {
  Graph copy = *graph;
  try {
    if (!run_on_all(pass, copy)) return false;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::InvalidModel) throw;
    return false;
  }
  graph = std::make_shared<const Graph>(std::move(copy));
  return true;
}

bool run_on_all(const Pass& pass, Graph& graph) {
  bool changed = pass.run(graph);
  for (Node& node : graph.nodes) {
    for (auto& [name, attribute] : node.attributes) {
      if (auto* sub = std::get_if<GraphPtr>(&attribute)) changed |= run_on_subgraph(pass, *sub);
      if (auto* subs = std::get_if<std::vector<GraphPtr>>(&attribute)) {
        for (GraphPtr& sub : *subs) changed |= run_on_subgraph(pass, sub);
      }
    }
  }
  return changed;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Writes the text form of `graph` into `folder`; the file's name tells model, run, order and pass.
void dump(const Graph& graph, const std::string& folder, int run, std::size_t number,
          const std::string& pass) {
  std::string model = graph.name.empty() ? "graph" : graph.name;
  for (char& c : model) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path =
      fmt::format("{}/{}.{:02}.{:03}.{}.txt", folder, model.substr(0, 64), run, number, pass);
  std::ofstream file(path);
  file << print(graph);
  file.close();
  if (!file) fail(ErrorCode::Io, "dump '{}' could not be written", path);
}

/// A number for each run of this process, so that one does not overwrite the dumps of another.
int next_run() {
  static std::atomic<int> runs{0};
  return runs++;
}

/// One call of optimize().
class Run {
 public:
  Run(Graph& graph, const PassOptions& options) : graph_(graph), options_(options) {
    if (options_.dump_dir.empty()) options_.dump_dir = environment("NARU_DUMP");
    if (!options_.log && environment("NARU_LOG").find("compile") != std::string::npos) {
      options_.log = [](const std::string& line) {
        std::fprintf(stderr, "naru: %s\n", line.c_str());
      };
    }
  }

  std::vector<PassRecord> all(const std::vector<Pass>& passes) {
    infer_types(graph_);
    if (!options_.dump_dir.empty()) dump(graph_, options_.dump_dir, run_, 0, "input");
    for (std::size_t first = 0; first < passes.size();) {
      std::size_t last = first + 1;
      while (passes[first].group > 0 && last < passes.size() &&
             passes[last].group == passes[first].group) {
        ++last;
      }
      group(passes, first, last);
      first = last;
    }
    verify(graph_);
    return std::move(records_);
  }

 private:
  void group(const std::vector<Pass>& passes, std::size_t first, std::size_t last) {
    const int rounds = passes[first].group > 0 ? options_.max_rounds : 1;
    bool changed = true;
    for (int round = 0; round < rounds && changed; ++round) {
      changed = false;
      for (std::size_t i = first; i < last; ++i) changed |= one(passes[i], round);
    }
  }

  bool one(const Pass& pass, int round) {
    PassRecord record{pass.name, round, false, count_nodes(graph_), 0, {}};
    const auto start = std::chrono::steady_clock::now();
    with_context([&] { return "running pass " + pass.name; },
                 [&] {
                   record.changed = run_on_all(pass, graph_);
                   if (!record.changed) return;
                   infer_types(graph_);
                   if (options_.verify_each) verify(graph_);
                 });
    record.duration = std::chrono::steady_clock::now() - start;
    record.nodes_after = count_nodes(graph_);
    if (options_.log) options_.log(to_string(record));
    records_.push_back(record);
    if (record.changed && !options_.dump_dir.empty()) {
      dump(graph_, options_.dump_dir, run_, records_.size(), pass.name);
    }
    return record.changed;
  }

  Graph& graph_;
  PassOptions options_;
  int run_ = next_run();
  std::vector<PassRecord> records_;
};

}  // namespace

std::size_t count_nodes(const Graph& graph) {
  std::size_t count = graph.nodes.size();
  for (const Node& node : graph.nodes) {
    for_each_subgraph(node,
                      [&](const std::string&, const Graph& sub) { count += count_nodes(sub); });
  }
  return count;
}

std::string to_string(const PassRecord& record) {
  const double milliseconds = std::chrono::duration<double, std::milli>(record.duration).count();
  return fmt::format("{}: {} -> {} nodes, {:.1f} ms", record.name, record.nodes_before,
                     record.nodes_after, milliseconds);
}

std::vector<PassRecord> optimize(Graph& graph, const std::vector<Pass>& passes,
                                 const PassOptions& options) {
  return with_context([&] { return "optimising graph '" + graph.name + "'"; },
                      [&] { return Run(graph, options).all(passes); });
}

}  // namespace naru
