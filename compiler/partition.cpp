// Partition: estimated seconds of nodes and copies; the best move first, until none is left.
#include "compiler/partition.h"

#include <algorithm>
#include <optional>

#include "graph/fail.h"

namespace naru {
namespace {

constexpr double kStepSeconds = 10e-6;  // of a value's way from step to step
constexpr double kCopySeconds = 10e-6;  // of a copy of nothing
constexpr int kMaxMoves = 256;

class Improver {
 public:
  Improver(const Graph& graph, std::span<Device* const> devices, const Verdicts& verdicts,
           const std::vector<bool>& movable, bool by_cost, std::vector<NodePlacement>& placements)
      : graph_(graph), devices_(devices), verdicts_(verdicts), movable_(movable), by_cost_(by_cost),
        placements_(placements), producer_(graph.values.size(), -1), readers_(graph.values.size()),
        is_output_(graph.values.size(), false) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      for (const ValueId id : graph.nodes[n].outputs) {
        if (id != kNoValue) producer_[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(n);
      }
      for (const auto* ids : {&graph.nodes[n].inputs, &graph.nodes[n].captures}) {
        for (const ValueId id : *ids) {
          if (id != kNoValue) readers_[static_cast<std::size_t>(id)].push_back(n);
        }
      }
    }
    for (const ValueId id : graph.outputs) is_output_[static_cast<std::size_t>(id)] = true;
  }

  void run() {
    for (int moves = 0; moves < kMaxMoves; ++moves) {
      std::optional<Move> best;
      for (const Group& group : group_fragments(graph_, placements_)) {
        for (std::size_t to = 0; group.device != kHost && to < devices_.size(); ++to) {
          const std::optional<Move> move = judge(group, static_cast<int>(to));
          if (move && (!best || move->gain > best->gain)) best = move;
        }
      }
      if (!best) return;
      apply(*best);
    }
  }

 private:
  struct Move {
    std::vector<std::size_t> nodes;
    int from, to;
    double work, other_work, saved;  // seconds: here, there, of copies
    double gain = 0;
  };

  std::optional<Move> judge(const Group& group, int to) {
    if (group.device == to) return std::nullopt;
    Move move{group.nodes, group.device, to, 0, 0, 0};
    for (const std::size_t n : group.nodes) {
      const Verdict& here = verdicts_[static_cast<std::size_t>(group.device)][n];
      const Verdict& there = verdicts_[static_cast<std::size_t>(to)][n];
      if (!movable_[n] || there.tier != Tier::Native || here.seconds <= 0 || there.seconds <= 0) return std::nullopt;
      move.work += here.seconds;
      move.other_work += there.seconds;
    }
    move.saved = copies_around(group.nodes);
    set_device(group.nodes, to);
    move.saved -= copies_around(group.nodes);
    set_device(group.nodes, group.device);
    move.gain = move.work + move.saved - move.other_work;
    const bool allowed = by_cost_ || move.saved > move.work;
    return allowed && move.gain > 0 ? std::optional(std::move(move)) : std::nullopt;
  }

  void apply(const Move& move) {
    set_device(move.nodes, move.to);
    const auto id = [&](int device) { return devices_[static_cast<std::size_t>(device)]->info().id; };
    for (const std::size_t n : move.nodes) {
      placements_[n].reason = fmt::format("{} ({} us here and {} us on {}, where copies cost {} us more)",
                                          verdicts_[static_cast<std::size_t>(move.to)][n].reason, microseconds(move.other_work),
                                          microseconds(move.work), id(move.from), microseconds(move.saved));
    }
  }

  static std::int64_t microseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e6 + 0.5); }

  void set_device(const std::vector<std::size_t>& nodes, int device) {
    for (const std::size_t n : nodes) placements_[n].device = device;
  }

  /// Seconds of the copies of all values that these nodes read or write.
  double copies_around(const std::vector<std::size_t>& nodes) const {
    std::vector<ValueId> values;
    for (const std::size_t n : nodes) {
      for (const auto* ids : {&graph_.nodes[n].inputs, &graph_.nodes[n].captures, &graph_.nodes[n].outputs}) {
        std::copy_if(ids->begin(), ids->end(), std::back_inserter(values), [](ValueId id) { return id != kNoValue; });
      }
    }
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    double seconds = 0;
    for (const ValueId id : values) seconds += copies_of(id);
    return seconds;
  }

  double copies_of(ValueId id) const {
    const auto index = static_cast<std::size_t>(id);
    if (graph_.value(id).is_constant()) return 0;
    const int home = producer_[index] < 0 ? kHost : placements_[static_cast<std::size_t>(producer_[index])].device;
    std::vector<int> targets;
    if (is_output_[index]) targets.push_back(kHost);
    for (const std::size_t reader : readers_[index]) targets.push_back(placements_[reader].device);
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    std::erase(targets, home);
    if (targets.empty()) return 0;
    const Type& type = graph_.value(id).type;
    const double bytes = type.is_static() ? static_cast<double>(storage_bytes(type.dtype, known_shape(*type.shape)->numel())) : 0;
    double seconds = to_host(home, bytes);
    for (const int target : targets) seconds += kStepSeconds + to_host(target, bytes);
    return seconds;
  }

  /// Between a device's memory and the host, either way.
  double to_host(int device, double bytes) const {
    if (device == kHost) return 0;
    const DeviceInfo& info = devices_[static_cast<std::size_t>(device)]->info();
    return info.host_memory ? 0 : kCopySeconds + bytes / info.copy_bytes_per_s;
  }

  const Graph& graph_;
  std::span<Device* const> devices_;
  const Verdicts& verdicts_;
  const std::vector<bool>& movable_;
  bool by_cost_;
  std::vector<NodePlacement>& placements_;
  std::vector<std::int32_t> producer_;              // by value: node, or -1
  std::vector<std::vector<std::size_t>> readers_;   // by value
  std::vector<bool> is_output_;                     // by value
};

}  // namespace

void improve_partition(const Graph& graph, std::span<Device* const> devices, const Verdicts& verdicts,
                       const std::vector<bool>& movable, bool by_cost, std::vector<NodePlacement>& placements) {
  if (devices.size() < 2) return;
  Improver(graph, devices, verdicts, movable, by_cost, placements).run();
}

}  // namespace naru
