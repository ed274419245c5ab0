// The order of rows when time is short.
#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "benchmarks/suites/suite.h"

namespace naru::bench {
namespace {

/// Rows measured by their distance from the ends of their axes.
struct Axis {
  std::map<double, std::size_t> rank;
  void add(double value) { rank.emplace(value, 0); }
  void number() {
    std::size_t next = 0;
    for (auto& [value, place] : rank) place = next++;
  }
  std::size_t distance(double value) const { return std::min(rank.at(value), rank.size() - 1 - rank.at(value)); }
};

}  // namespace

std::vector<std::size_t> extremes_first(const std::vector<Condition>& rows) {
  using Group = std::tuple<std::string, std::string, std::string, ScenarioKind>;
  std::map<Group, std::vector<Axis>> axes;
  const auto group = [](const Condition& row) { return Group(row.model.id, row.system.name, row.device, row.scenario.kind); };
  const auto values = [](const Condition& row) {
    return std::vector<double>{static_cast<double>(row.input_tokens), static_cast<double>(row.output_tokens),
                               static_cast<double>(row.batch), row.load()};
  };
  for (const Condition& row : rows) {
    std::vector<Axis>& own = axes[group(row)];
    own.resize(4);
    for (std::size_t i = 0; i < 4; ++i) own[i].add(values(row)[i]);
  }
  for (auto& [key, own] : axes) {
    for (Axis& axis : own) axis.number();
  }
  std::vector<std::size_t> distance;
  for (const Condition& row : rows) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < 4; ++i) sum += axes.at(group(row))[i].distance(values(row)[i]);
    distance.push_back(sum);
  }
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return distance[a] < distance[b]; });
  return order;
}

}  // namespace naru::bench
