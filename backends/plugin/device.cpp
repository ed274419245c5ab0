// PluginDevice: verdicts, buffers and submissions over a link, faults counted and fenced.
#include "backends/plugin/device.h"

#include <cmath>
#include <cstring>

#include "backends/plugin/direct_link.h"
#include "backends/plugin/executable.h"
#include "backends/plugin/fragment.h"
#include "backends/plugin/worker_link.h"
#include "graph/fail.h"
#include "graph/op_def.h"

namespace naru::plugin {
namespace {

constexpr std::int64_t kArenaAlignment = 4096;  ///< the largest that a plug-in may ask for
constexpr int kMinDepth = 2;                    ///< preparing one submission overlaps another
constexpr int kMaxDepth = 16;

bool is_static(const Graph& graph, const Node& node) {
  const auto known = [&](ValueId id) { return id == kNoValue || graph.value(id).type.is_static(); };
  return std::all_of(node.inputs.begin(), node.inputs.end(), known) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), known);
}

bool has_nan(const Type& type, const std::byte* data, std::int64_t size_bytes) {
  if (type.dtype != DType::F32) return false;
  const auto* values = reinterpret_cast<const float*>(data);
  const std::int64_t count = size_bytes / static_cast<std::int64_t>(sizeof(float));
  bool found = false;
  for (std::int64_t i = 0; i < count; ++i) found |= std::isnan(values[i]);
  return found;
}

Binding bind(const BufferView& view) { return {view.buffer->host_data() + view.offset_bytes, view.size_bytes}; }

}  // namespace

PluginDevice::PluginDevice(Target target, const DeviceOptions& options) : target_(std::move(target)) {
  check_permissions(target_.path);
  info_.id = "plugin:" + target_.path.stem().string();
  info_.name = target_.path.filename().string();
  info_.host_memory = target_.in_process;
  info_.automatic = false;
  if (!target_.in_process) arena_ = std::make_shared<Arena>(kArenaAlignment);
  int depth = std::max(options.streams, kMinDepth);
  try {
    link_ = {open_link(), 1};
    describe(link_.link->facts());
    depth = std::max<int>(depth, static_cast<int>(link_.link->facts().queue_depth));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Device) throw;
    // It stays as a device that takes no node, so that the placement report says why.
    for (std::size_t i = 0; i < Fence::kFaults; ++i) fence_.add_fault(error.message());
    info_.description = error.message();
  }
  queue_ = std::make_unique<HostQueue>(std::min(depth, kMaxDepth));
}

PluginDevice::~PluginDevice() = default;

void PluginDevice::describe(const DeviceFacts& facts) {
  info_.id = "plugin:" + facts.plugin_name;
  info_.name = facts.name;
  info_.description = fmt::format("plug-in {} {}, {} {}, driver {}, {}", facts.plugin_name, facts.plugin_version,
                                  facts.vendor, facts.sku, facts.driver_version.empty() ? "-" : facts.driver_version,
                                  target_.in_process ? "in process" : "in a worker process");
  info_.memory_bytes = static_cast<std::int64_t>(facts.memory_bytes);
  for (const std::string& table : facts.tables) info_.features.push_back(table);
}

std::shared_ptr<Link> PluginDevice::open_link() const {
  if (target_.in_process) return std::make_shared<DirectLink>(Library(target_.path), target_);
  return std::make_shared<WorkerLink>(target_, arena_);
}

NumberedLink PluginDevice::link() const {
  if (const std::string reason = fence_.reason(); !reason.empty()) {
    fail(ErrorCode::Device, "device {}: {}", info_.id, reason);
  }
  const std::lock_guard lock(mutex_);
  if (link_.link == nullptr) {
    try {
      link_ = {open_link(), link_.number + 1};
    } catch (const Error& error) {
      fence_.add_fault(error.message());
      throw;
    }
  }
  return link_;
}

/// A fault ends the link: what a plug-in does after one cannot be relied on.
void PluginDevice::fault(const std::string& text, std::uint64_t link_number) const {
  const std::lock_guard lock(mutex_);
  // One death of a worker fails all that it had under way, and is one fault.
  if (link_.number != link_number || link_.link == nullptr) return;
  fence_.add_fault(text);
  if (target_.in_process) return;
  link_.link->end();
  link_.link.reset();
}

template <typename Body>
auto PluginDevice::guarded(Body&& body) const {
  const NumberedLink open = link();
  try {
    return body(open);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Device) fault(error.message(), open.number);
    throw;
  }
}

std::vector<Verdict> PluginDevice::support(const Graph& graph) const {
  const auto refuse = [&](const std::string& why) {
    return std::vector<Verdict>(graph.nodes.size(), Verdict{Tier::None, why, 0});
  };
  if (graph.nodes.empty()) return {};
  std::vector<Verdict> verdicts;
  try {
    verdicts = guarded([&](const NumberedLink& open) {
      return open.link->support(*question_bytes(graph), graph.nodes.size());
    });
  } catch (const Error& error) {
    return refuse(error.message());
  }
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (node.op->dynamic_output || !is_static(graph, node)) verdicts[i] = {Tier::None, "its shapes are not static", 0};
    if (!node.op->in_place.empty()) verdicts[i] = {Tier::None, "it updates a state in place", 0};
  }
  return verdicts;
}

std::unique_ptr<Buffer> PluginDevice::allocate(std::int64_t size_bytes) {
  if (target_.in_process) return std::make_unique<HostBuffer>(size_bytes);
  return std::make_unique<SharedBuffer>(arena_, size_bytes);
}

void PluginDevice::write(const BufferView& to, const std::byte* from) {
  if (to.size_bytes > 0) std::memcpy(bind(to).data, from, static_cast<std::size_t>(to.size_bytes));
}

void PluginDevice::read(const BufferView& from, std::byte* to) {
  if (from.size_bytes > 0) std::memcpy(to, bind(from).data, static_cast<std::size_t>(from.size_bytes));
}

std::shared_ptr<const Executable> PluginDevice::compile(std::shared_ptr<const Graph> fragment) {
  try {
    return guarded([&](const NumberedLink&) { return std::make_shared<PluginExecutable>(*this, std::move(fragment)); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Unsupported && error.code() != ErrorCode::OutOfMemory) throw;
    // Each node was accepted, the whole is not: no fault, but the work has to go elsewhere.
    throw Error(ErrorCode::Device, error.message());
  }
}

EventPtr PluginDevice::submit(Submission submission) {
  std::vector<EventPtr> wait = std::move(submission.wait);
  return queue_->submit(std::move(wait), [this, submission = std::move(submission)](int) { run(submission); });
}

void PluginDevice::run(const Submission& submission) {
  const auto& executable = static_cast<const PluginExecutable&>(*submission.executable);
  const Graph& graph = executable.graph();
  std::vector<Binding> inputs, outputs;
  for (const BufferView& view : submission.inputs) inputs.push_back(bind(view));
  for (const BufferView& view : submission.outputs) outputs.push_back(bind(view));
  guarded([&](const NumberedLink& open) {
    open.link->submit(executable.id_on(open), inputs, outputs, submission.spans);
    if (target_.in_process) return;
    for (const BufferView& view : submission.outputs) {
      const auto* buffer = dynamic_cast<const SharedBuffer*>(view.buffer);
      if (buffer != nullptr && !buffer->guard_intact()) {
        fail(ErrorCode::Device, "device {}: wrote past the end of an output", info_.id);
      }
    }
    const auto nan = [&](const std::vector<ValueId>& ids, const std::vector<Binding>& ends) {
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (has_nan(graph.value(ids[i]).type, ends[i].data, ends[i].size_bytes)) return true;
      }
      return false;
    };
    if (nan(graph.outputs, outputs) && !nan(graph.inputs, inputs)) {
      fail(ErrorCode::Device, "device {}: returned NaN for inputs without one", info_.id);
    }
  });
}

}  // namespace naru::plugin
