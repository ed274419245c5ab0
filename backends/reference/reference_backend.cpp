// The reference backend: evaluates a fragment node by node by the operators' reference meaning.
#include <chrono>
#include <cstring>

#include "backends/backend.h"
#include "backends/host_queue.h"
#include "graph/evaluate.h"
#include "graph/fail.h"

namespace naru {
namespace {

class ReferenceExecutable final : public Executable {
 public:
  explicit ReferenceExecutable(std::shared_ptr<const Graph> fragment) : fragment(std::move(fragment)) {}

  MemoryUse memory() const override {
    // Intermediates are allocated one by one and freed after their last use; the sum is the bound.
    MemoryUse use;
    for (const Node& node : fragment->nodes) {
      for (ValueId id : node.outputs) {
        if (id == kNoValue || !fragment->value(id).type.is_static()) continue;
        const Type& type = fragment->value(id).type;
        use.workspace_bytes += storage_bytes(type.dtype, known_shape(*type.shape)->numel());
      }
    }
    return use;
  }

  std::string describe() const override {
    std::string text;
    for (const Node& node : fragment->nodes) text += node.label() + ": reference\n";
    return text;
  }

  std::shared_ptr<const Graph> fragment;
};

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void run(const Submission& submission) {
  const auto& executable = static_cast<const ReferenceExecutable&>(*submission.executable);
  const Graph& graph = *executable.fragment;
  std::vector<Datum> inputs;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    const BufferView& view = submission.inputs[i];
    inputs.emplace_back(Tensor::wrap(type.dtype, *known_shape(*type.shape),
                                     view.buffer->host_data() + view.offset_bytes, nullptr));
  }
  std::int64_t start = now_ns();
  std::int32_t index = 0;
  const auto observe = [&](const Node&, std::span<const Datum>) {
    const std::int64_t end = now_ns();
    submission.spans->push_back({index++, "reference", start, end});
    start = end;
  };
  const std::vector<Datum> outputs =
      evaluate(graph, inputs, submission.spans != nullptr ? NodeObserver(observe) : NodeObserver());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& tensor = outputs[i].tensor;
    const BufferView& view = submission.outputs[i];
    NARU_CHECK(tensor.size_bytes() == view.size_bytes, "output size of " + to_string(tensor));
    if (tensor.size_bytes() == 0) continue;
    std::memcpy(view.buffer->host_data() + view.offset_bytes, tensor.data(),
                static_cast<std::size_t>(tensor.size_bytes()));
  }
}

class ReferenceDevice final : public Device {
 public:
  ReferenceDevice(DeviceInfo info, const DeviceOptions& options)
      : info_(std::move(info)), queue_(options.streams) {}

  const DeviceInfo& info() const override { return info_; }

  std::vector<Verdict> support(const Graph& graph) const override {
    std::vector<Verdict> verdicts;
    for (const Node& node : graph.nodes) {
      verdicts.push_back(node.op->dynamic_output
                             ? Verdict{Tier::None, "its output is known only at run time", 0}
                             : Verdict{Tier::Native, "reference", 0});
    }
    return verdicts;
  }

  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override {
    return std::make_unique<HostBuffer>(size_bytes);
  }
  void write(const BufferView& to, const std::byte* from) override {
    std::memcpy(to.buffer->host_data() + to.offset_bytes, from, static_cast<std::size_t>(to.size_bytes));
  }
  void read(const BufferView& from, std::byte* to) override {
    std::memcpy(to, from.buffer->host_data() + from.offset_bytes, static_cast<std::size_t>(from.size_bytes));
  }
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override {
    return std::make_shared<ReferenceExecutable>(std::move(fragment));
  }
  EventPtr submit(Submission submission) override {
    std::vector<EventPtr> wait = std::move(submission.wait);
    return queue_.submit(std::move(wait), [submission = std::move(submission)](int) { run(submission); });
  }

 private:
  DeviceInfo info_;
  HostQueue queue_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  std::vector<DeviceInfo> devices() const override {
    DeviceInfo info;
    info.id = "reference:0";
    info.name = "reference interpreter";
    info.description = "plain loops with wide accumulation; the oracle for every other device";
    info.host_memory = true;
    info.automatic = false;
    return {info};
  }
  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    return std::make_unique<ReferenceDevice>(devices()[static_cast<std::size_t>(index)], options);
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace naru
