// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#include "tests/onnx/engine_executor.h"

#include <algorithm>

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
    engine_.clear_log();
    std::vector<Datum> outputs = model.create_session().run(values);
    note_host_steps(model.placement(values));
    return outputs;
  }

  std::vector<std::string> on_host() const override { return on_host_; }

 private:
  /// What the host ran, in plans made at run time and in sub-graphs too; `rows` know why.
  void note_host_steps(const std::vector<PlacementRow>& rows) {
    on_host_.clear();
    const EventLog::Snapshot log = engine_.impl()->log.snapshot();
    for (const LogRecord& record : log.records) {
      if (record.kind != EventKind::Step || record.device >= 0) continue;
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const PlacementRow& r) { return r.node == log.strings[record.name]; });
      const std::string reason = row == rows.end() ? "in a plan made at run time" : row->reason;
      on_host_.push_back(log.strings[record.op] + ": " + reason);
    }
  }

  static Graph reloaded(const Graph& graph) {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(naru_bytes(graph));
    return load_naru(*bytes, bytes, {.verify_hashes = true});
  }

  static EngineOptions options_for(const std::string& id, EngineMode mode) {
    EngineOptions options;
    options.devices = {id};
    if (mode == EngineMode::Loaded) options.optimisation = 0;
    options.strict = mode == EngineMode::Strict;
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
