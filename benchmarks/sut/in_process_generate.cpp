// Language models in this process.
#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmarks/sut/in_process.h"
#include "naru/generate.h"
#include "runtime/engine_impl.h"

namespace naru::bench {
namespace {

class InProcessGenerator : public System {
 public:
  explicit InProcessGenerator(const EngineOptions& options) : options_(options) {}

  nlohmann::json describe() const override {
    return {{"name", "naru"}, {"kind", "in-process"}, {"devices", options_.devices}, {"threads", options_.threads},
            {"exact", options_.exact}, {"prefix_cache", false}};
  }

  LoadResult load(const Workload& workload) override {
    generator_.reset();
    engine_.emplace(options_);
    ModelOptions model_options;
    model_options.kv_type = dtype_from_string(workload.kv_type).value_or(DType::F16);
    const Model model = engine_->load(workload.model_path, model_options);
    GeneratorOptions generator_options;
    generator_options.context = workload.context;
    generator_options.max_sequences = workload.concurrency;
    generator_options.share_prefixes = false;
    generator_options.memory_budget_bytes = options_.memory_budget_bytes;
    generator_.emplace(model, generator_options);
    LoadResult result;
    for (const Phase& phase : engine_->metrics().cold_start) result.phases.push_back({phase.name, phase.seconds});
    result.weights_bytes = model.impl()->constants_bytes;
    result.kv_bytes = generator_->stats().cache_bytes;
    result.vocabulary = generator_->tokenizer().vocab_size();
    const double parameters = parameter_count(*model.impl()->graph);
    result.flops_per_unit = 2 * parameters;
    result.bytes_per_unit = static_cast<double>(result.weights_bytes);
    return result;
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    GenerationOptions options;
    options.max_tokens = request.max_tokens;
    options.ignore_end = request.ignore_end;
    options.on_token = [&sink, id = request.id](const GeneratedToken& token) {
      const std::int32_t value = token.id;
      sink.tokens(id, {&value, 1});
      return true;
    };
    options.on_end = [this, &sink, id = request.id](const std::exception_ptr& error) { end(id, error, sink); };
    std::vector<TokenId> prompt(request.prompt.begin(), request.prompt.end());
    const std::lock_guard lock(mutex_);
    running_.insert_or_assign(request.id, generator_->submit(std::move(prompt), std::move(options)));
  }

  void cancel_all() override {
    const std::lock_guard lock(mutex_);
    for (auto& [id, generation] : running_) generation.cancel();
  }

 private:
  /// Elements of all matrices, what a token is multiplied with.
  static double parameter_count(const Graph& graph) {
    double count = 0;
    for (const auto& value : graph.values) {
      if (value.constant.defined() && value.constant.rank() >= 2) count += static_cast<double>(value.constant.numel());
    }
    return count;
  }

  void end(std::uint32_t id, const std::exception_ptr& error, Sink& sink) {
    {
      const std::lock_guard lock(mutex_);
      running_.erase(id);
    }
    if (error == nullptr) {
      sink.complete(id);
      return;
    }
    try {
      std::rethrow_exception(error);
    } catch (...) {
      std::string detail;
      const Reason reason = reason_of_current_error(detail);
      sink.failed(id, reason, detail);
    }
  }

  EngineOptions options_;
  std::optional<Engine> engine_;
  std::mutex mutex_;
  std::map<std::uint32_t, Generation> running_;
  std::optional<Generator> generator_;  // last: its thread uses everything above
};

}  // namespace

std::unique_ptr<System> make_in_process_generator(const EngineOptions& options) {
  return std::make_unique<InProcessGenerator>(options);
}

}  // namespace naru::bench
