// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#include "tests/onnx/engine_executor.h"

#include "graph/serialize.h"
#include "runtime/engine_impl.h"

namespace naru {
namespace {

class EngineExecutor final : public CaseExecutor {
 public:
  EngineExecutor(const std::string& id, EngineMode mode) : engine_(options_for(id, mode)), mode_(mode) {}

  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    const Model model = make_model(engine_.impl(), mode_ == EngineMode::Saved ? reloaded(graph) : graph, {});
    const std::vector<Datum> values(inputs.begin(), inputs.end());
    on_host_.clear();
    for (const PlacementRow& row : model.placement(values)) {
      if (row.device == "host") on_host_.push_back(row.op + ": " + row.reason);
    }
    return model.create_session().run(values);
  }

  std::vector<std::string> on_host() const override { return on_host_; }

 private:
  static Graph reloaded(const Graph& graph) {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(naru_bytes(graph));
    return load_naru(*bytes, bytes, {.verify_hashes = true});
  }

  static EngineOptions options_for(const std::string& id, EngineMode mode) {
    EngineOptions options;
    options.devices = {id};
    if (mode == EngineMode::Loaded) options.optimisation = 0;
    return options;
  }

  Engine engine_;
  EngineMode mode_;
  std::vector<std::string> on_host_;
};

}  // namespace

std::unique_ptr<CaseExecutor> make_engine_executor(const std::string& id, EngineMode mode) {
  return std::make_unique<EngineExecutor>(id, mode);
}

}  // namespace naru
