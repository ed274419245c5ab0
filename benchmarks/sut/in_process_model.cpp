// Models that do not generate, in this process.
#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "benchmarks/load/random.h"
#include "benchmarks/sut/in_process.h"
#include "graph/fail.h"
#include "graph/scalar.h"
#include "runtime/engine_impl.h"

namespace naru::bench {
namespace {

/// Threads that each run one inference at a time with a session of their own.
class InProcessModel : public System {
 public:
  explicit InProcessModel(const EngineOptions& options) : options_(options) {}
  ~InProcessModel() override { stop(); }

  nlohmann::json describe() const override {
    return {{"name", "naru"}, {"kind", "in-process"}, {"devices", options_.devices}, {"threads", options_.threads}};
  }

  LoadResult load(const Workload& workload) override {
    stop();
    EngineOptions options = options_;
    options.streams = std::max(1, workload.concurrency);
    engine_.emplace(options);
    model_.emplace(engine_->load(workload.model_path));
    inputs_ = random_inputs(*model_, workload.inputs, workload.seed);
    model_->create_session().run(inputs_);
    LoadResult result;
    for (const Phase& phase : engine_->metrics().cold_start) result.phases.push_back({phase.name, phase.seconds});
    fill_memory(result);
    result.note = placement_note();
    stopping_ = false;
    for (int i = 0; i < options.streams; ++i) threads_.emplace_back([this] { serve(); });
    return result;
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back({request.id, &sink});
    }
    arrived_.notify_one();
  }

  void cancel_all() override {
    std::deque<Waiting> dropped;
    {
      const std::lock_guard lock(mutex_);
      dropped.swap(queue_);
    }
    for (const Waiting& waiting : dropped) waiting.sink->failed(waiting.id, Reason::Interrupted, "cancelled");
  }

 private:
  struct Waiting {
    std::uint32_t id;
    Sink* sink;
  };

  void fill_memory(LoadResult& result) const {
    const MemoryReport memory = model_->memory(inputs_);
    result.bytes_per_unit = static_cast<double>(memory.constants_bytes);
    result.weights_bytes = memory.constants_bytes;
    for (const DeviceMemory& device : memory.devices) {
      result.weights_bytes += device.weights_bytes;
      result.workspace_bytes += device.workspace_bytes;
    }
  }

  /// What ran without a kernel of its own, in words.
  std::string placement_note() const {
    std::map<std::string, int> fallen;
    for (const PlacementRow& row : model_->placement(inputs_)) {
      if (row.tier != "native") ++fallen[row.op + " on " + row.device];
    }
    std::string note;
    for (const auto& [what, count] : fallen) note += fmt::format("{}{}x {}", note.empty() ? "" : ", ", count, what);
    return note;
  }

  void serve() {
    Session session = model_->create_session();
    std::unique_lock lock(mutex_);
    for (;;) {
      arrived_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      const Waiting waiting = queue_.front();
      queue_.pop_front();
      lock.unlock();
      run_one(session, waiting);
      lock.lock();
    }
  }

  void run_one(Session& session, const Waiting& waiting) {
    try {
      session.run(inputs_);
      waiting.sink->complete(waiting.id);
    } catch (...) {
      std::string detail;
      const Reason reason = reason_of_current_error(detail);
      waiting.sink->failed(waiting.id, reason, detail);
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  EngineOptions options_;
  std::optional<Engine> engine_;
  std::optional<Model> model_;
  std::vector<Datum> inputs_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Waiting> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

Shape input_shape(const PortInfo& port, const InputSpec* spec) {
  Shape shape;
  if (spec != nullptr && spec->known_shape) {
    for (const std::int64_t dim : spec->dims) shape.push_back(dim);
    return shape;
  }
  for (const std::string& dim : port.dims) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(dim.data(), dim.data() + dim.size(), value);
    if (error != std::errc{} || end != dim.data() + dim.size()) {
      fail(ErrorCode::InvalidArgument, "input '{}': {} has open dimensions and the suite gives no shape", port.name, port.type);
    }
    shape.push_back(value);
  }
  return shape;
}

}  // namespace

std::unique_ptr<System> make_in_process_model(const EngineOptions& options) {
  return std::make_unique<InProcessModel>(options);
}

std::vector<Datum> random_inputs(const Model& model, const std::vector<InputSpec>& specs, std::uint64_t seed) {
  std::vector<Datum> inputs;
  Random random(seed);
  for (const PortInfo& port : model.inputs()) {
    const auto found = std::find_if(specs.begin(), specs.end(), [&](const InputSpec& spec) { return spec.name == port.name; });
    const InputSpec* spec = found == specs.end() ? nullptr : &*found;
    Tensor tensor(port.dtype, input_shape(port, spec));
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double unit = random.uniform(), drawn = is_float(port.dtype) ? unit : static_cast<double>(static_cast<int>(unit * 10));
      store_f64(port.dtype, tensor.mutable_data(), i, spec != nullptr ? spec->value.value_or(drawn) : drawn);
    }
    inputs.emplace_back(std::move(tensor));
  }
  return inputs;
}

std::vector<std::string> device_list(const std::string& text) {
  std::vector<std::string> devices(1);
  for (const char c : text) {
    if (c == ',') devices.emplace_back();
    else devices.back() += c;
  }
  return devices;
}

}  // namespace naru::bench
