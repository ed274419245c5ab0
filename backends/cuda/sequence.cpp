// CudaSequence: the run, its timing, its status word.
#include "backends/cuda/sequence.h"

#include <chrono>
#include <utility>

namespace naru::cuda {
namespace {

using generated::LaunchSpan;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

LaunchList bound(const ContextPtr& context, std::span<const kernel::Launch* const> launches, std::span<const generated::BuiltKernel> built) {
  const Context::Current current = context->enter();
  return {context, launches, built};
}

}  // namespace

CudaSequence::CudaSequence(ContextPtr context, Line& line, std::vector<const kernel::Launch*> launches,
                           std::vector<generated::BuiltKernel> built)
    : context_(std::move(context)), line_(line), built_(std::move(built)), launches_(bound(context_, launches, built_)) {}

CudaSequence::~CudaSequence() = default;

// Kernels write it only when data break a rule, so that it may lie in host memory: no copies for each run.
generated::Location CudaSequence::status() {
  const Context::Current current = context_->enter();
  if (!status_) status_ = make_host_memory(context_, sizeof(std::int32_t));
  DevicePointer address = 0;
  context_->check(api().MemHostGetDevicePointer(&address, status_.get(), 0), "mapping page-locked memory");
  return {static_cast<std::uintptr_t>(address), 0};
}

void CudaSequence::launch(std::size_t index) {
  const KernelNode& node = launches_[index];
  context_->check(api().LaunchKernel(node.function, node.grid[0], node.grid[1], node.grid[2], node.block[0], node.block[1], node.block[2],
                                     0, line_.stream.get(), node.parameters, nullptr),
                  "launching a kernel");
}

void CudaSequence::wait() { context_->check(api().StreamSynchronize(line_.stream.get()), "running kernels"); }

void CudaSequence::start_graph() {
  if (graph_ == nullptr) {
    graph_ = std::make_unique<LaunchGraph>(context_, launches_);
    stale_.clear();
  }
  graph_->start(launches_, stale_, line_.stream.get());
  stale_.clear();
}

void CudaSequence::start() {
  if (ran_ && launches_.size() > 1) return start_graph();
  for (std::size_t i = 0; i < launches_.size(); ++i) launch(i);
}

/// An event in front of each launch and one at the end. They have no clock of the host's: the first
/// counts as now.
void CudaSequence::start_timed(std::vector<LaunchSpan>& spans) {
  std::vector<TimingEvent> events;
  const auto mark = [&] {
    events.push_back(make_event(context_));
    context_->check(api().EventRecord(events.back().get(), line_.stream.get()), "recording an event");
  };
  mark();
  const std::int64_t begin = now_ns();
  for (std::size_t i = 0; i < launches_.size(); ++i) {
    launch(i);
    mark();
  }
  wait();
  std::int64_t start = begin;
  for (std::size_t i = 1; i < events.size(); ++i) {
    float milliseconds = 0;
    context_->check(api().EventElapsedTime(&milliseconds, events.front().get(), events[i].get()), "reading an event");
    const std::int64_t end = begin + static_cast<std::int64_t>(static_cast<double>(milliseconds) * 1e6);
    spans.push_back({start, std::max(start, end)});
    start = spans.back().end_ns;
  }
}

std::int32_t CudaSequence::run(std::span<const generated::Location> operands, std::vector<LaunchSpan>* spans) {
  const std::lock_guard lock(line_.mutex);
  const Context::Current current = context_->enter();
  auto* status = static_cast<volatile std::int32_t*>(status_.get());
  if (status != nullptr) *status = 0;
  for (const std::size_t launch : launches_.set_operands(operands)) stale_.insert(launch);
  try {
    spans != nullptr ? start_timed(*spans) : start();
    wait();
  } catch (...) {
    // The caller's memory may go with the error: nothing that was started may still use it.
    if (!context_->fenced()) api().StreamSynchronize(line_.stream.get());
    throw;
  }
  ran_ = true;
  return status != nullptr ? *status : 0;
}

}  // namespace naru::cuda
