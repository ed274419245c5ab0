// The conformance kit: interface, operators by element type, memory, determinism, threads, speed.
#include "tools/naru/vendor/check.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "backends/registry.h"
#include "graph/evaluate.h"
#include "graph/fail.h"
#include "graph/infer.h"
#include "tools/naru/tolerance.h"
#include "tools/naru/vendor/op_cases.h"

namespace naru::tool::vendor {
namespace {

constexpr std::int64_t kGuard = 256;
constexpr auto kGuardByte = std::byte{0x5C};

std::int64_t bytes_of(const Type& type) { return storage_bytes(type.dtype, known_shape(*type.shape)->numel()); }

/// An operator case that the device accepted, compiled.
struct Loaded {
  const OpCase* test = nullptr;
  std::shared_ptr<const Executable> executable;
  std::vector<std::unique_ptr<Buffer>> inputs;
};

class Kit {
 public:
  explicit Kit(const std::string& target) : target_(target) { report_.plugin = target; }

  Report run() {
    if (!check_interface()) return std::move(report_);
    for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) check_operators(dtype);
    for (const Loaded& loaded : loaded_) check_repeats(loaded);
    if (!loaded_.empty()) {
      check_threads();
      measure_submission();
      measure_matmul();
    }
    return std::move(report_);
  }

 private:
  void add(const std::string& section, const std::string& name, Outcome outcome, const std::string& detail,
           const std::string& advice) {
    report_.checks.push_back({section, name, outcome, detail, outcome == Outcome::Passed ? std::string() : advice});
  }

  bool check_interface() {
    device_ = open_device(target_);
    const DeviceInfo& info = device_->info();
    report_.device = info.name;
    report_.description = info.description;
    // A device that could not be opened refuses everything and says why.
    Graph graph = std::move(op_cases(DType::F32).front().graph);
    const bool open = info.description.rfind("plug-in ", 0) == 0 && info.id.rfind("plugin:", 0) == 0 &&
                      device_->support(graph).front().reason.find("fenced") == std::string::npos;
    add("interface", "opens", open ? Outcome::Passed : Outcome::Failed, info.description,
        "export naru_plugin_get_api() with the required tables; open() must return within 10 s");
    if (!open) return false;
    add("interface", "names itself", info.name.empty() ? Outcome::Failed : Outcome::Passed, info.name,
        "fill naru_device_info.name in info()");
    check_opens_again();
    check_unknown_option();
    return true;
  }

  void check_opens_again() {
    try {
      const std::unique_ptr<Device> second = open_device(target_);
      add("interface", "opens and closes again", Outcome::Passed, "", "");
    } catch (const Error& error) {
      add("interface", "opens and closes again", Outcome::Failed, error.message(), "keep no global state between open() and close()");
    }
  }

  void check_unknown_option() {
    bool refused = false;
    try {
      const std::unique_ptr<Device> device = open_device(target_ + ",no_such_option_=1");
    } catch (const Error&) {
      refused = true;
    }
    add("interface", "refuses an unknown option", refused ? Outcome::Passed : Outcome::Failed,
        refused ? "" : "open() took option no_such_option_", "return NARU_INVALID_ARGUMENT from open() for a key it does not know");
  }

  void check_operators(DType dtype) {
    const std::string section = "operators " + std::string(to_string(dtype));
    cases_.push_back(op_cases(dtype));
    for (const OpCase& test : cases_.back()) {
      try {
        check_operator(section, test);
      } catch (const Error& error) {
        add(section, test.name, Outcome::Failed, error.message(), "a node that support() accepts must compile and run");
      }
    }
  }

  void check_operator(const std::string& section, const OpCase& test) {
    const Verdict verdict = device_->support(test.graph).front();
    if (verdict.tier != Tier::Native) {
      add(section, test.name, Outcome::Refused, verdict.reason,
          verdict.reason.empty() ? "give a reason for each refusal" : "runs on another device until support() accepts it");
      return;
    }
    Loaded loaded = load(test);
    const Tensor actual = run(loaded);
    const Datum expected = evaluate(test.graph, test.inputs).front();
    const Difference difference = compare_data(actual, expected);
    add(section, test.name, difference.within ? Outcome::Passed : Outcome::Failed,
        difference.within ? verdict.reason : difference.message, "compare with `naru compare --against reference`; refuse what is not exact enough");
    loaded_.push_back(std::move(loaded));
  }

  Loaded load(const OpCase& test) {
    Loaded loaded;
    loaded.test = &test;
    loaded.executable = device_->compile(std::make_shared<const Graph>(test.graph));
    for (const Datum& datum : test.inputs) {
      loaded.inputs.push_back(device_->allocate(datum.tensor.size_bytes()));
      device_->write({loaded.inputs.back().get(), 0, datum.tensor.size_bytes()}, datum.tensor.data());
    }
    return loaded;
  }

  /// Runs once into a buffer with guard bytes behind the output. @throws Error.
  Tensor run(const Loaded& loaded) {
    const Type& type = loaded.test->graph.value(loaded.test->graph.outputs[0]).type;
    const std::int64_t size = bytes_of(type);
    const std::unique_ptr<Buffer> output = device_->allocate(size + kGuard);
    const std::vector<std::byte> guard(kGuard, kGuardByte);
    device_->write({output.get(), size, kGuard}, guard.data());
    Submission submission;
    submission.executable = loaded.executable;
    for (const auto& input : loaded.inputs) submission.inputs.push_back({input.get(), 0, input->size_bytes()});
    submission.outputs = {{output.get(), 0, size}};
    device_->submit(std::move(submission))->wait();
    std::vector<std::byte> after(kGuard);
    device_->read({output.get(), size, kGuard}, after.data());
    if (after != guard) fail(ErrorCode::Device, "bytes behind the output were overwritten");
    Tensor result(type.dtype, *known_shape(*type.shape));
    device_->read({output.get(), 0, size}, result.mutable_data());
    return result;
  }

  static bool equal(const Tensor& a, const Tensor& b) {
    return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size_bytes())) == 0;
  }

  void check_repeats(const Loaded& loaded) {
    const std::string& name = loaded.test->name;
    try {
      const Tensor first = run(loaded);
      bool same = true;
      for (int i = 0; i < 3; ++i) same = same && equal(first, run(loaded));
      add("determinism", name, same ? Outcome::Passed : Outcome::Failed, same ? "" : "equal inputs gave other bytes",
          "clear accumulators and padding before each run, or declare NARU_DETERMINISM_PER_RUN");
    } catch (const Error& error) {
      add("determinism", name, Outcome::Failed, error.message(), "a second run must do as the first");
    }
  }

  void check_threads() {
    std::atomic<int> wrong{0};
    std::string text;
    const Tensor expected = run(loaded_.front());
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
          try {
            for (int i = 0; i < 25; ++i) wrong += !equal(run(loaded_.front()), expected);
          } catch (const Error&) {
            ++wrong;
          }
        });
      }
    }
    add("threads", "8 threads, 200 submissions", wrong == 0 ? Outcome::Passed : Outcome::Failed,
        wrong == 0 ? "" : std::to_string(wrong.load()) + " failed or differ",
        "guard shared state, or leave NARU_DEVICE_THREAD_SAFE unset");
  }

  template <typename Body>
  static double best_seconds(int repeats, Body&& body) {
    double best = 1e30;
    for (int i = 0; i < repeats; ++i) {
      const auto start = std::chrono::steady_clock::now();
      body();
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  }

  void measure_submission() {
    report_.submit_us = 1e6 * best_seconds(500, [&] { run(loaded_.front()); });
  }

  void measure_matmul() {
    OpCase test;
    constexpr std::int64_t kSize = 256;
    const ValueId x = test.graph.add_input("x", Type::tensor(DType::F32, Shape{kSize, kSize}));
    Tensor ones(DType::F32, {kSize, kSize});
    for (float& value : ones.as_mutable<float>()) value = 1.0f;
    test.graph.outputs = {test.graph.add_node("MatMul", {x, test.graph.add_constant("w", ones)}).outputs[0]};
    test.inputs = {ones};
    infer_types(test.graph);
    if (device_->support(test.graph).front().tier != Tier::Native) return;
    const Loaded loaded = load(test);
    report_.gflops = 2e-9 * kSize * kSize * kSize / best_seconds(5, [&] { run(loaded); });
  }

  std::string target_;
  Report report_;
  std::unique_ptr<Device> device_;
  std::vector<std::vector<OpCase>> cases_;
  std::vector<Loaded> loaded_;  ///< destroyed before the device
};

char grade_of(const Section& section) {
  const int run = section.passed + section.failed;
  if (run == 0) return '-';
  const double share = static_cast<double>(section.failed) / run;
  return share == 0 ? 'A' : share <= 0.02 ? 'B' : share <= 0.1 ? 'C' : 'F';
}

}  // namespace

Report check_plugin(const std::string& target) { return Kit(target).run(); }

std::vector<Section> Report::sections() const {
  std::vector<Section> result;
  for (const Check& check : checks) {
    if (result.empty() || result.back().name != check.section) result.push_back({check.section, 0, 0, 0, '-'});
    Section& section = result.back();
    section.passed += check.outcome == Outcome::Passed;
    section.failed += check.outcome == Outcome::Failed;
    section.refused += check.outcome == Outcome::Refused;
  }
  for (Section& section : result) section.grade = grade_of(section);
  return result;
}

bool Report::passed() const {
  return std::none_of(checks.begin(), checks.end(), [](const Check& c) { return c.outcome == Outcome::Failed; });
}

}  // namespace naru::tool::vendor
