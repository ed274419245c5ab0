// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#include "tests/onnx/engine_executor.h"

#include "runtime/engine_impl.h"

namespace naru {
namespace {

class EngineExecutor final : public CaseExecutor {
 public:
  explicit EngineExecutor(const std::string& id) : engine_(options_for(id)) {}

  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    Session session = make_model(engine_.impl(), graph, {}).create_session();
    return session.run({inputs.begin(), inputs.end()});
  }

 private:
  static EngineOptions options_for(const std::string& id) {
    EngineOptions options;
    options.devices = {id};
    return options;
  }

  Engine engine_;
};

}  // namespace

std::unique_ptr<CaseExecutor> make_engine_executor(const std::string& id) {
  return std::make_unique<EngineExecutor>(id);
}

}  // namespace naru
