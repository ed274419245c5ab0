// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#include "tests/onnx/engine_executor.h"

#include "runtime/engine_impl.h"

namespace naru {
namespace {

class EngineExecutor final : public CaseExecutor {
 public:
  explicit EngineExecutor(const std::string& id) : engine_(options_for(id)) {}

  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    const Model model = make_model(engine_.impl(), graph, {});
    const std::vector<Datum> values(inputs.begin(), inputs.end());
    on_host_.clear();
    for (const PlacementRow& row : model.placement(values)) {
      if (row.device == "host") on_host_.push_back(row.op + ": " + row.reason);
    }
    return model.create_session().run(values);
  }

  std::vector<std::string> on_host() const override { return on_host_; }

 private:
  static EngineOptions options_for(const std::string& id) {
    EngineOptions options;
    options.devices = {id};
    return options;
  }

  Engine engine_;
  std::vector<std::string> on_host_;
};

}  // namespace

std::unique_ptr<CaseExecutor> make_engine_executor(const std::string& id) {
  return std::make_unique<EngineExecutor>(id);
}

}  // namespace naru
