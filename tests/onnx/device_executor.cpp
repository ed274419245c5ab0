// Runs a case node by node on a device, for conformance of its kernels.
#include "tests/onnx/device_executor.h"

#include "backends/registry.h"
#include "graph/evaluate.h"
#include "graph/infer.h"

namespace naru {
namespace {

/// A graph of one node whose inputs are `data`; values that shapes depend on are constants.
struct Fragment {
  Graph graph;
  std::vector<Tensor> feeds;
};

/// Empty where a value is no tensor.
std::unique_ptr<Fragment> fragment_of(const Node& node, std::span<const Datum> data) {
  auto fragment = std::make_unique<Fragment>();
  Node copy = node;
  for (std::size_t i = 0; i < copy.inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    if (!data[i].is_tensor() || !data[i].tensor.defined()) return nullptr;
    const Tensor& tensor = data[i].tensor;
    const std::size_t formal = std::min(i, node.op->inputs.size() - 1);
    if (node.op->inputs[formal].value_needed || tensor.dtype() == DType::String) {
      copy.inputs[i] = fragment->graph.add_constant("", tensor);
    } else {
      copy.inputs[i] = fragment->graph.add_input("", Type::tensor(tensor.dtype(), tensor.shape()));
      fragment->feeds.push_back(tensor);
    }
  }
  for (ValueId& id : copy.outputs) {
    if (id == kNoValue) continue;
    id = fragment->graph.add_value("");
    fragment->graph.outputs.push_back(id);
  }
  fragment->graph.nodes.push_back(std::move(copy));
  infer_types(fragment->graph);
  for (const ValueId id : fragment->graph.outputs) {
    if (!fragment->graph.value(id).type.is_static()) return nullptr;
  }
  return fragment;
}

class DeviceExecutor final : public CaseExecutor {
 public:
  explicit DeviceExecutor(const std::string& id) : device_(open_device(id)) {}

  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    on_host_.clear();
    std::vector<Datum> values(graph.values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (graph.values[i].is_constant()) values[i] = graph.values[i].constant;
    }
    const auto at = [&](ValueId id) -> Datum& { return values[static_cast<std::size_t>(id)]; };
    for (std::size_t i = 0; i < inputs.size(); ++i) at(graph.inputs[i]) = inputs[i];
    const auto gather = [&](const std::vector<ValueId>& ids) {
      std::vector<Datum> data;
      for (const ValueId id : ids) data.push_back(id == kNoValue ? Datum{} : at(id));
      return data;
    };
    for (const Node& node : graph.nodes) {
      std::vector<Datum> results = run_node(node, gather(node.inputs), gather(node.captures));
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i] != kNoValue) at(node.outputs[i]) = std::move(results[i]);
      }
    }
    return gather(graph.outputs);
  }

  std::vector<std::string> on_host() const override { return on_host_; }

 private:
  std::vector<Datum> run_node(const Node& node, const std::vector<Datum>& data, const std::vector<Datum>& captures) {
    if (captures.empty() && !node.op->dynamic_output) {
      const std::unique_ptr<Fragment> fragment = fragment_of(node, data);
      Verdict verdict;
      if (fragment != nullptr) verdict = device_->support(fragment->graph)[0];
      if (verdict.tier == Tier::Native) return run_on_device(node, *fragment);
      on_host_.push_back(node.op->full_name() + ": " + verdict.reason);
    } else {
      on_host_.push_back(node.op->full_name() + ": its output is known only at run time");
    }
    return evaluate_node(node, data, captures);
  }

  std::vector<Datum> run_on_device(const Node& node, const Fragment& fragment) {
    Submission submission;
    submission.executable = device_->compile(std::make_shared<const Graph>(fragment.graph));
    std::vector<std::unique_ptr<Buffer>> buffers;
    const auto view_of = [&](std::int64_t bytes) {
      buffers.push_back(device_->allocate(bytes));
      return BufferView{buffers.back().get(), 0, bytes};
    };
    for (const Tensor& feed : fragment.feeds) {
      submission.inputs.push_back(view_of(feed.size_bytes()));
      device_->write(submission.inputs.back(), feed.data());
    }
    std::vector<Tensor> outputs;
    for (const ValueId id : fragment.graph.outputs) {
      const Type& type = fragment.graph.value(id).type;
      outputs.emplace_back(type.dtype, *known_shape(*type.shape));
      submission.outputs.push_back(view_of(outputs.back().size_bytes()));
    }
    device_->submit(submission)->wait();
    std::vector<Datum> results(node.outputs.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      device_->read(submission.outputs[next], outputs[next].mutable_data());
      results[i] = outputs[next++];
    }
    return results;
  }

  std::unique_ptr<Device> device_;
  std::vector<std::string> on_host_;
};

}  // namespace

std::unique_ptr<CaseExecutor> make_device_executor(const std::string& device) {
  return std::make_unique<DeviceExecutor>(device);
}

}  // namespace naru
