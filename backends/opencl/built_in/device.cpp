// BuiltInDevice: verdicts, checks of results, the fence.
#include "backends/opencl/built_in/device.h"

#include "graph/evaluate.h"
#include "graph/fail.h"
#include "graph/infer.h"

namespace naru::opencl {
namespace {

/// A product of small whole numbers, exact in every element type.
Graph canary_graph() {
  constexpr std::int64_t kSize = 8;
  std::vector<float> weights;
  for (int i = 0; i < kSize * kSize; ++i) weights.push_back(static_cast<float>(i % 5 - 2));
  Graph graph;
  const ValueId input = graph.add_input("x", Type::tensor(DType::F32, Shape{kSize, kSize}));
  const ValueId constant = graph.add_constant("w", Tensor::from<float>(Shape{kSize, kSize}, weights));
  graph.outputs = {graph.add_node("MatMul", {input, constant}).outputs[0]};
  infer_types(graph);
  return graph;
}

Tensor canary_input() {
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(static_cast<float>(i % 7 - 3));
  return Tensor::from<float>(Shape{8, 8}, values);
}

}  // namespace

BuiltInDevice::BuiltInDevice(const Profile& device, DeviceProfile profile, DeviceInfo info)
    : info_(std::move(info)), profile_(std::move(profile)), chooser_(profile_), runner_(device, profile_), queue_(1) {
  if (profile_.check != Check::Canary) return;
  try {
    make_canary();
  } catch (const Error& error) {
    // It stays as a device that takes no node, so that the placement report says why.
    fence_.close(error.message());
  }
}

template <typename Body>
auto BuiltInDevice::guarded(Body&& body) -> decltype(body()) {
  if (const std::string reason = fence_.reason(); !reason.empty()) fail(ErrorCode::Device, "device {}: {}", info_.id, reason);
  try {
    return body();
  } catch (const Hung& error) {
    fence_.close(error.message());
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Device) fence_.add_fault(error.message());
    throw;
  }
}

std::vector<Verdict> BuiltInDevice::support(const Graph& graph) const {
  if (const std::string closed = fence_.reason(); !closed.empty()) return std::vector<Verdict>(graph.nodes.size(), {Tier::None, closed, 0});
  std::vector<Term> terms = terms_of(graph);
  std::vector<Verdict> verdicts;
  for (const Node& node : graph.nodes) {
    std::string reason, names;
    const std::vector<Task> tasks = tasks_of(graph, node, terms, reason);
    std::size_t kernels = 0, done = 0;
    while (done < tasks.size()) {
      const auto choice = chooser_.next(std::span(tasks).subspan(done), terms, [](const Choice&) { return 0; }, reason);
      if (choice && !choice->task.view && !runner_.has_kernel(choice->kernel)) reason = "the device lacks the built-in kernel " + choice->kernel;
      if (!reason.empty()) break;
      kernels += choice->task.view ? 0 : 1;
      done += choice->tasks;
      if (names.find(choice->kernel) == std::string::npos) names += (names.empty() ? "T1 " : " + ") + choice->kernel;
    }
    if (reason.empty()) {
      verdicts.push_back({Tier::Native, names, chooser_.seconds(graph, node, kernels)});
    } else {
      verdicts.push_back({Tier::None, reason, 0});
    }
  }
  return verdicts;
}

std::unique_ptr<Buffer> BuiltInDevice::allocate(std::int64_t size_bytes) {
  return guarded([&] { return std::make_unique<ClBuffer>(runner_.allocate(size_bytes), size_bytes); });
}

void BuiltInDevice::write(const BufferView& to, const std::byte* from) {
  guarded([&] { runner_.write(static_cast<const ClBuffer&>(*to.buffer).at(to.offset_bytes), from, to.size_bytes); });
}

void BuiltInDevice::read(const BufferView& from, std::byte* to) {
  guarded([&] { runner_.read(static_cast<const ClBuffer&>(*from.buffer).at(from.offset_bytes), to, from.size_bytes); });
}

std::shared_ptr<const Executable> BuiltInDevice::compile(std::shared_ptr<const Graph> fragment) {
  try {
    return guarded([&] {
      CallProgram program = lower(*fragment, chooser_);
      return std::make_shared<CallExecutable>(runner_, constants_, std::move(fragment), std::move(program));
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Unsupported && error.code() != ErrorCode::OutOfMemory) throw;
    // Each node was accepted, the whole is not: no fault, but the work has to go elsewhere.
    throw Error(ErrorCode::Device, error.message());
  }
}

EventPtr BuiltInDevice::submit(Submission submission) {
  std::vector<EventPtr> wait = std::move(submission.wait);
  return queue_.submit(std::move(wait), [this, submission = std::move(submission)](int) { run(submission); });
}

void BuiltInDevice::run(const Submission& submission) {
  guarded([&] {
    const auto& executable = static_cast<const CallExecutable&>(*submission.executable);
    if (profile_.check == Check::Repeat) return run_checked(submission, executable);
    executable.run(submission);
    check_canary();
  });
}

void BuiltInDevice::run_checked(const Submission& submission, const CallExecutable& executable) {
  const auto results = [&] {
    std::vector<std::vector<std::byte>> all;
    for (const BufferView& view : submission.outputs) {
      all.emplace_back(static_cast<std::size_t>(view.size_bytes));
      runner_.read(static_cast<const ClBuffer&>(*view.buffer).at(view.offset_bytes), all.back().data(), view.size_bytes);
    }
    return all;
  };
  executable.run(submission);
  const auto first = results();
  Submission again = submission;
  again.spans = nullptr;
  executable.run(again);
  if (results() != first) fail(ErrorCode::Device, "device {}: two runs of the same work gave different results", info_.id);
}

void BuiltInDevice::make_canary() {
  auto graph = std::make_shared<const Graph>(canary_graph());
  if (support(*graph).front().tier != Tier::Native) return;
  const Tensor input = canary_input();
  const Tensor result = evaluate(*graph, std::vector<Datum>{input}).front().tensor;
  canary_result_.assign(result.data(), result.data() + result.size_bytes());
  canary_ = std::static_pointer_cast<const CallExecutable>(compile(graph));
  canary_input_ = allocate(input.size_bytes());
  canary_output_ = allocate(result.size_bytes());
  write({canary_input_.get(), 0, input.size_bytes()}, input.data());
}

void BuiltInDevice::check_canary() {
  if (canary_ == nullptr) return;
  const auto size = static_cast<std::int64_t>(canary_result_.size());
  canary_->run({canary_, {{canary_input_.get(), 0, canary_input_->size_bytes()}}, {{canary_output_.get(), 0, size}}, {}, nullptr});
  std::vector<std::byte> got(canary_result_.size());
  runner_.read(static_cast<const ClBuffer&>(*canary_output_).at(0), got.data(), size);
  if (got != canary_result_) fail(ErrorCode::Device, "device {}: it computed a known product wrong", info_.id);
}

}  // namespace naru::opencl
