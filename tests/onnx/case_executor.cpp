// The executors that the ONNX suite knows.
#include "tests/onnx/case_executor.h"

#include "compiler/decompose.h"
#include "compiler/pipeline.h"
#include "graph/evaluate.h"
#include "graph/fail.h"
#include "tests/onnx/device_executor.h"
#include "tests/onnx/engine_executor.h"

namespace naru {
namespace {

/// The oracle: every operator's reference meaning.
class Interpreter final : public CaseExecutor {
 public:
  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    return evaluate(graph, inputs);
  }
};

/// The oracle on the graph that the passes leave.
class Optimised : public CaseExecutor {
 public:
  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    Graph copy = graph;
    optimize(copy, generic_pipeline(2), {.verify_each = true});
    return evaluate(copy, inputs);
  }
};

/// As above with the inputs as constants, so that folding computes what it can.
class Folded final : public CaseExecutor {
 public:
  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    Graph copy = graph;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_tensor() || !inputs[i].tensor.defined()) continue;
      const ValueId input = copy.inputs[i];
      copy.replace_uses(input, copy.add_constant("bound " + copy.value(input).name, inputs[i].tensor));
    }
    optimize(copy, generic_pipeline(2), {.verify_each = true});
    return evaluate(copy, inputs);
  }
};

/// The oracle after every node with a decomposition was replaced by it, and its parts again.
class Decomposed final : public CaseExecutor {
 public:
  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    Graph copy = graph;
    constexpr int kMaxSteps = 1000;
    for (std::size_t n = 0, steps = 0; n < copy.nodes.size();) {
      if (!decompose_node(copy, n)) {
        ++n;
      } else if (++steps > kMaxSteps) {
        fail(ErrorCode::Internal, "{}: its decomposition does not end", copy.nodes[n].label());
      }
    }
    return evaluate(copy, inputs);
  }
};

}  // namespace

std::unique_ptr<CaseExecutor> make_executor(std::string_view name) {
  if (name == "interpreter") return std::make_unique<Interpreter>();
  if (name == "optimised") return std::make_unique<Optimised>();
  if (name == "folded") return std::make_unique<Folded>();
  if (name == "decomposed") return std::make_unique<Decomposed>();
  if (constexpr std::string_view kDevice = "device:"; name.starts_with(kDevice)) {
    return make_device_executor(std::string(name.substr(kDevice.size())));
  }
  constexpr std::pair<std::string_view, EngineMode> kModes[] = {
      {"engine:", EngineMode::Optimised}, {"loaded:", EngineMode::Loaded}, {"saved:", EngineMode::Saved},
      {"strict:", EngineMode::Strict}};
  for (const auto& [prefix, mode] : kModes) {
    if (name.starts_with(prefix)) return make_engine_executor(std::string(name.substr(prefix.size())), mode);
  }
  fail(ErrorCode::InvalidArgument,
       "executor: got '{}', expected interpreter, optimised, folded, decomposed, or one of device, engine, loaded, saved and strict with :<id>", name);
}

}  // namespace naru
