// The cpu backend: oneDNN primitives with blocked layouts kept across the graph, and own kernels.
#include <unistd.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <thread>

#include "backends/backend.h"
#include "backends/cpu/executable.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/widen.h"
#include "backends/host_queue.h"
#include "graph/fail.h"

namespace naru {
namespace cpu {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos && colon + 2 <= line.size()) {
      return line.substr(colon + 2);
    }
  }
  return "CPU";
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> sets;
#if defined(__x86_64__)
  const auto add = [&](bool present, const char* name) {
    if (present) sets.emplace_back(name);
  };
  add(__builtin_cpu_supports("avx2") != 0, "avx2");
  add(__builtin_cpu_supports("fma") != 0, "fma");
  add(__builtin_cpu_supports("avx512f") != 0, "avx512f");
  add(__builtin_cpu_supports("avx512vnni") != 0, "avx512_vnni");
  add(__builtin_cpu_supports("avx512bf16") != 0, "avx512_bf16");
#endif
  return sets;
}

DeviceInfo describe_device() {
  const dnnl_version_t& version = *dnnl_version();
  DeviceInfo info;
  info.id = "cpu:0";
  info.name = processor_name();
  info.features = instruction_sets();
  info.description = fmt::format("{} cores, oneDNN {}.{}.{}", usable_cores(), version.major,
                                 version.minor, version.patch);
  for (const std::string& feature : info.features) info.description += ", " + feature;
  info.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  info.host_memory = true;
  return info;
}

class CpuDevice final : public Device {
 public:
  CpuDevice(DeviceInfo info, const DeviceOptions& options)
      : info_(std::move(info)),
        streams_(std::max(options.streams, 1)),
        threads_(options.threads > 0 ? options.threads : std::max(usable_cores() / streams_, 1)),
        exact_(options.exact),
        arenas_(static_cast<std::size_t>(streams_)),
        queue_(streams_, [threads = threads_](int) { set_team_size(threads); }) {
    for (int i = 0; i < streams_; ++i) teams_.emplace_back(threads_);
  }

  const DeviceInfo& info() const override { return info_; }
  std::vector<Verdict> support(const Graph& graph) const override;

  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override {
    return std::make_unique<HostBuffer>(size_bytes);
  }
  void write(const BufferView& to, const std::byte* from) override {
    if (to.size_bytes == 0) return;
    std::memcpy(to.buffer->host_data() + to.offset_bytes, from, static_cast<std::size_t>(to.size_bytes));
  }
  void read(const BufferView& from, std::byte* to) override {
    if (from.size_bytes == 0) return;
    std::memcpy(to, from.buffer->host_data() + from.offset_bytes, static_cast<std::size_t>(from.size_bytes));
  }

  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override {
    // Primitives split their work for the team that will run them, which is a worker's and not this one.
    const TeamSize team(threads_);
    Widened widened = widen(std::move(fragment), widened_);
    Plan plan = Lowering(*widened.graph, packed_, {.exact = exact_}).run();
    return std::make_shared<CpuExecutable>(std::move(widened), std::move(plan), streams_);
  }

  EventPtr submit(Submission submission) override {
    std::vector<EventPtr> wait = std::move(submission.wait);
    return queue_.submit(std::move(wait), [this, submission = std::move(submission)](int worker) {
      const auto& executable = static_cast<const CpuExecutable&>(*submission.executable);
      executable.run(submission, worker, arenas_[static_cast<std::size_t>(worker)], teams_[static_cast<std::size_t>(worker)]);
    });
  }

 private:
  double estimate(const NodeView& view, Tier tier) const;

  DeviceInfo info_;
  int streams_;
  int threads_;
  bool exact_;
  PackedCache packed_;
  WidenedConstants widened_;
  std::vector<WorkerArena> arenas_;
  std::deque<ThreadTeam> teams_;  // by worker
  HostQueue queue_;  // last: its threads use the rest
};

/// Seconds from the operator's own cost and rates that a current core reaches; 0 when unknown.
double CpuDevice::estimate(const NodeView& view, Tier tier) const {
  if (view.node.op->cost == nullptr) return 0;
  std::vector<Type> inputs;
  std::vector<Type> outputs;
  for (ValueId id : view.node.inputs) inputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  for (ValueId id : view.node.outputs) outputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  const auto known = [](const Type& type) { return type.kind == TypeKind::Unknown || type.is_static(); };
  if (!std::all_of(inputs.begin(), inputs.end(), known) ||
      !std::all_of(outputs.begin(), outputs.end(), known)) {
    return 0;
  }
  const Cost cost = view.node.op->cost(view.node, inputs, outputs);
  constexpr double kCoreFlops = 4e10;
  constexpr double kBytes = 1e10;
  constexpr double kOverhead = 3e-6;
  constexpr double kGenericFlops = 2e8;
  if (tier == Tier::Generic) return kOverhead + cost.flops / kGenericFlops + cost.bytes / (kBytes / 10);
  return kOverhead + std::max(cost.flops / (kCoreFlops * threads_), cost.bytes / kBytes);
}

std::vector<Verdict> CpuDevice::support(const Graph& graph) const {
  std::vector<Verdict> verdicts;
  for (const Node& node : graph.nodes) {
    NodeView view{graph, node};
    Verdict verdict;
    std::string refusals;
    if (std::string reason = refuses_generic(view); !reason.empty()) {
      verdicts.push_back({Tier::None, std::move(reason), 0});
      continue;
    }
    view.widened = view.has_input(0) && is_widened(node.op->full_name(), view.type(0).dtype);
    for (const KernelEntry& entry : kernels_for(node.op->full_name())) {
      const std::string reason = entry.refuses != nullptr ? entry.refuses(view) : std::string();
      if (reason.empty()) {
        verdict = {Tier::Native, std::string(entry.kernel), 0};
        break;
      }
      refusals += fmt::format("{}{}: {}", refusals.empty() ? "" : "; ", entry.kernel, reason);
    }
    if (verdict.tier == Tier::None) {
      verdict = {Tier::Generic, refusals.empty() ? "reference meaning" : "reference meaning (" + refusals + ")", 0};
    }
    verdict.seconds = estimate(view, verdict.tier);
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

class CpuBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }
  std::vector<DeviceInfo> devices() const override { return {describe_device()}; }
  std::unique_ptr<Device> open(int, const DeviceOptions& options) const override {
    return with_dnnl("opening the cpu", [&] {
      engine();
      return std::make_unique<CpuDevice>(describe_device(), options);
    });
  }
};

}  // namespace
}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<cpu::CpuBackend>(); }

}  // namespace naru
