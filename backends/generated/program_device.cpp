// ProgramDevice: verdicts from the kernel table, copies, submission to workers.
#include "backends/generated/program_device.h"

#include <algorithm>
#include <cstring>

#include "compiler/kernel/lowering.h"

namespace naru::generated {
namespace {

/// Seconds from the operator's own cost; 0 when unknown.
double estimate(const kernel::NodeView& view, const Rates& rates) {
  if (view.node.op->cost == nullptr) return 0;
  std::vector<Type> inputs;
  std::vector<Type> outputs;
  for (const ValueId id : view.node.inputs) inputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  for (const ValueId id : view.node.outputs) outputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  for (const auto* types : {&inputs, &outputs}) {
    for (const Type& type : *types) {
      if (type.kind != TypeKind::Unknown && !type.is_static()) return 0;
    }
  }
  const Cost cost = view.node.op->cost(view.node, inputs, outputs);
  return rates.seconds_per_launch + std::max(cost.flops / rates.flops_per_s, cost.bytes / rates.bytes_per_s);
}

}  // namespace

DeviceInfo unavailable_device(std::string id, std::string name, std::string reason) {
  DeviceInfo info;
  info.id = std::move(id);
  info.name = std::move(name);
  info.automatic = false;
  info.available = false;
  info.unavailable_reason = std::move(reason);
  return info;
}

std::vector<Verdict> support_of(const Graph& graph, const kernel::Target& target, const Rates& rates) {
  std::vector<Verdict> verdicts;
  for (const Node& node : graph.nodes) {
    const kernel::NodeView view{graph, node};
    std::string reason;
    const kernel::KernelEntry* entry = kernel::find_kernel(view, target, reason);
    if (entry == nullptr) {
      verdicts.push_back({Tier::None, std::move(reason), 0});
    } else {
      verdicts.push_back({Tier::Native, std::string(entry->kernel), estimate(view, rates)});
    }
  }
  return verdicts;
}

ProgramDevice::ProgramDevice(std::unique_ptr<KernelDevice> device, DeviceInfo info, int workers)
    : info_(std::move(info)),
      device_(std::move(device)),
      target_(device_->target()),
      arenas_(static_cast<std::size_t>(workers)),
      queue_(workers) {}

std::vector<Verdict> ProgramDevice::support(const Graph& graph) const {
  const std::string obstacle = device_->build_obstacle();
  if (obstacle.empty()) return support_of(graph, target_, device_->rates());
  return std::vector<Verdict>(graph.nodes.size(), {Tier::None, obstacle, 0});
}

std::unique_ptr<Buffer> ProgramDevice::allocate(std::int64_t size_bytes) {
  if (device_->host_memory()) return std::make_unique<HostBuffer>(size_bytes);
  return std::make_unique<DeviceBuffer>(*device_, device_->allocate(size_bytes), size_bytes);
}

void ProgramDevice::write(const BufferView& to, const std::byte* from) {
  if (to.size_bytes == 0) return;
  if (std::byte* host = to.buffer->host_data(); host != nullptr) {
    std::memcpy(host + to.offset_bytes, from, static_cast<std::size_t>(to.size_bytes));
  } else {
    device_->write(static_cast<const DeviceBuffer&>(*to.buffer).at(to.offset_bytes), from, to.size_bytes);
  }
}

void ProgramDevice::read(const BufferView& from, std::byte* to) {
  if (from.size_bytes == 0) return;
  if (const std::byte* host = from.buffer->host_data(); host != nullptr) {
    std::memcpy(to, host + from.offset_bytes, static_cast<std::size_t>(from.size_bytes));
  } else {
    device_->read(static_cast<const DeviceBuffer&>(*from.buffer).at(from.offset_bytes), to, from.size_bytes);
  }
}

std::shared_ptr<const Executable> ProgramDevice::compile(std::shared_ptr<const Graph> fragment) {
  kernel::Program program = kernel::Lowering(*fragment, target_).run();
  return std::make_shared<ProgramExecutable>(*device_, constants_, std::move(fragment), std::move(program), arenas_.size());
}

EventPtr ProgramDevice::submit(Submission submission) {
  std::vector<EventPtr> wait = std::move(submission.wait);
  return queue_.submit(std::move(wait), [this, submission = std::move(submission)](int worker) {
    const auto index = static_cast<std::size_t>(worker);
    static_cast<const ProgramExecutable&>(*submission.executable).run(submission, index, arenas_[index]);
  });
}

}  // namespace naru::generated
