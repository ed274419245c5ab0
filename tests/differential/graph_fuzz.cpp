// Runs random graphs in every way that must give what the reference gives, and reduces what differs.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "graph/fail.h"
#include "graph/text.h"
#include "tests/differential/coverage.h"
#include "tests/differential/faults.h"
#include "tests/differential/peer_case.h"
#include "tests/differential/random_case.h"
#include "tests/differential/shrink.h"
#include "tests/differential/ways.h"

namespace naru::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage = R"(usage: naru_graph_fuzz [options]
  --graphs N     how many random graphs (default 1000)
  --seed S       the seed of the first; the others follow (default 1)
  --device ID    an engine on this device must agree with the reference; may be given several times
  --out DIR      writes each difference there, reduced to a few nodes
  --peer DIR     instead: writes graphs and single nodes as ONNX files with what is expected, for peer_fuzz.py
  --faults       instead: counts the seeded faults that the oracle finds within the graphs
  --print        prints each graph
  --missing N    prints N pairs of operators that were not met
exit code: 0 nothing differs (with --faults: at least 95 % found); 1 otherwise; 2 bad usage
)";

constexpr int kRuns = 3;
constexpr double kFaultsToFind = 0.95;

struct Options {
  std::uint64_t graphs = 1000, seed = 1;
  std::vector<std::string> devices;
  fs::path out, peer;
  std::uint64_t missing = 0;
  bool faults = false, print = false;
};

Options parse_arguments(int count, char** values) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--faults" || name == "--print") {
      (name == "--faults" ? options.faults : options.print) = true;
      continue;
    }
    if (i + 1 == count) fail(ErrorCode::InvalidArgument, "{}: unknown, or its value is missing", name);
    const std::string value = values[++i];
    if (name == "--graphs") options.graphs = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--seed") options.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--missing") options.missing = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--device") options.devices.push_back(value);
    else if (name == "--out") options.out = value;
    else if (name == "--peer") options.peer = value;
    else fail(ErrorCode::InvalidArgument, "{}: unknown", name);
  }
  return options;
}

/// One difference: says where, and reduces it.
void report(const RandomCase& test, const Way& way, std::uint64_t seed, const std::string& what, const Options& options) {
  std::printf("seed %llu, %s: %s\n", static_cast<unsigned long long>(seed), way.name.c_str(), what.c_str());
  const RandomCase small = shrink(test, [&](const RandomCase& candidate) {
    try {
      return judge(candidate, way, expect(candidate, kRuns, 1)).difference.has_value();
    } catch (const Error&) {
      return false;
    }
  });
  const auto why = judge(small, way, expect(small, kRuns, 1)).difference;
  std::printf("%s  %s\n", print(small.graph).c_str(), why.value_or("").c_str());
  if (options.out.empty()) return;
  std::string name = fmt::format("{}_{}", way.name, seed);
  for (char& letter : name) letter = letter == ':' ? '_' : letter;
  std::printf("  written to %s\n", write_case(small, options.out, name).c_str());
}

int fuzz(const Options& options) {
  const std::vector<Way> ways = all_ways(options.devices);
  std::map<std::string, std::uint64_t> applied, failures;
  PairCoverage coverage;
  std::uint64_t nodes = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t seed = options.seed; seed < options.seed + options.graphs; ++seed) {
    const RandomCase test = random_case(seed);
    if (options.print) std::printf("%s", print(test.graph).c_str());
    coverage.add(test.graph);
    nodes += test.graph.nodes.size();
    const std::vector<Expected> expected = expect(test, kRuns, seed);
    for (const Way& way : ways) {
      const Verdict verdict = judge(test, way, expected);
      if (verdict.applies) ++applied[way.name];
      if (!verdict.difference) continue;
      ++failures[way.name];
      report(test, way, seed, *verdict.difference, options);
      std::fflush(stdout);
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%llu graphs, %llu nodes, %.1f s; pairs of operators: %zu of %zu (%.1f %%)\n",
              static_cast<unsigned long long>(options.graphs), static_cast<unsigned long long>(nodes), seconds, coverage.met(), coverage.possible(),
              100.0 * static_cast<double>(coverage.met()) / static_cast<double>(coverage.possible()));
  for (const std::string& pair : coverage.missing(options.missing)) std::printf("  not met: %s\n", pair.c_str());
  std::printf("%-20s %10s %12s\n", "way", "graphs", "differences");
  std::uint64_t all = 0;
  for (const Way& way : ways) {
    std::printf("%-20s %10llu %12llu\n", way.name.c_str(), static_cast<unsigned long long>(applied[way.name]),
                static_cast<unsigned long long>(failures[way.name]));
    all += failures[way.name];
  }
  return all == 0 ? 0 : 1;
}

/// Writes `<seed>`, the graph, and `<seed>.<index>`, each of its nodes alone.
int write_for_peer(const Options& options) {
  std::uint64_t graphs = 0, nodes = 0;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.graphs; ++seed) {
    const RandomCase test = random_case(seed);
    graphs += write_peer_case(test, expect(test, kRuns, seed), options.peer / fmt::format("{}", seed)) ? 1 : 0;
    const std::vector<Datum> values = interpret(test.graph, test.inputs);
    for (std::size_t i = 0; i < test.graph.nodes.size(); ++i) {
      const RandomCase node = node_case(test, values, i);
      nodes += write_peer_case(node, expect(node, kRuns, seed), options.peer / fmt::format("{}.{}", seed, i)) ? 1 : 0;
    }
  }
  std::printf("%llu of %llu graphs and %llu nodes written to %s\n", static_cast<unsigned long long>(graphs),
              static_cast<unsigned long long>(options.graphs), static_cast<unsigned long long>(nodes), options.peer.c_str());
  return 0;
}

/// True when executing with the fault is seen to differ; `acted` when it changed anything at all.
bool finds(const RandomCase& test, const Fault& fault, std::span<const Expected> expected, bool& acted) {
  try {
    return mismatch(run_faulty(test, fault, acted), expected, Match::Spread).has_value() && acted;
  } catch (const Error&) {
    return true;
  }
}

int count_faults(const Options& options) {
  const auto all = faults();
  std::vector<std::uint64_t> found(all.size(), 0), tried(all.size(), 0);
  for (std::uint64_t seed = options.seed; seed < options.seed + options.graphs; ++seed) {
    const RandomCase test = random_case(seed);
    std::vector<Expected> expected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (found[i] != 0 || !all[i].concerns(test.graph)) continue;
      if (expected.empty()) expected = expect(test, kRuns, seed);
      bool acted = false;
      const bool seen = finds(test, all[i], expected, acted);
      if (acted || seen) ++tried[i];
      if (seen) found[i] = tried[i];
    }
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (found[i] != 0) ++count;
    std::printf("%-45s %s %llu graphs\n", std::string(all[i].name).c_str(), found[i] != 0 ? "found in" : "MISSED in",
                static_cast<unsigned long long>(found[i] != 0 ? found[i] : tried[i]));
  }
  const ComparatorScore comparators = score_comparators();
  for (const std::string& name : comparators.missed) std::printf("%-45s MISSED\n", name.c_str());
  const std::size_t seeded = all.size() + comparators.seeded, sum = count + comparators.found;
  std::printf("faults found: %zu of %zu in kernels and passes, %zu of %zu in comparisons, %.1f %%\n", count, all.size(), comparators.found,
              comparators.seeded, 100.0 * static_cast<double>(sum) / static_cast<double>(seeded));
  return static_cast<double>(sum) >= kFaultsToFind * static_cast<double>(seeded) ? 0 : 1;
}

}  // namespace
}  // namespace naru::fuzz

int main(int count, char** values) {
  naru::fuzz::Options options;
  try {
    options = naru::fuzz::parse_arguments(count, values);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), naru::fuzz::kUsage);
    return 2;
  }
  try {
    if (!options.peer.empty()) return naru::fuzz::write_for_peer(options);
    return options.faults ? naru::fuzz::count_faults(options) : naru::fuzz::fuzz(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
