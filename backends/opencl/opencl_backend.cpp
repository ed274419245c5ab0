// The opencl backend: generated OpenCL C on every device that the ICD loader finds.
#include <cstring>

#include "backends/backend.h"
#include "backends/host_queue.h"
#include "backends/opencl/executable.h"
#include "compiler/kernel/lowering.h"
#include "graph/fail.h"

namespace naru {
namespace opencl {
namespace {

class ClDevice final : public Device {
 public:
  ClDevice(Profile profile, int index, const DeviceOptions& options)
      : info_(profile.info(index)),
        target_(profile.target()),
        session_(open(std::move(profile))),
        workers_(make_workers(std::max(options.streams, 1))),
        queue_(static_cast<int>(workers_.size())) {}

  const DeviceInfo& info() const override { return info_; }
  std::vector<Verdict> support(const Graph& graph) const override;

  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override {
    if (info_.host_memory) return std::make_unique<HostBuffer>(size_bytes);
    return std::make_unique<PoolBuffer>(session_->pool->allocate(size_bytes), size_bytes);
  }
  void write(const BufferView& to, const std::byte* from) override {
    copy(to, [&](std::byte* host) { std::memcpy(host, from, static_cast<std::size_t>(to.size_bytes)); },
         [&](const Location& at) {
           return api().EnqueueWriteBuffer(session_->setup.get(), at.memory, CL_TRUE, static_cast<std::size_t>(at.offset_bytes),
                                           static_cast<std::size_t>(to.size_bytes), from, 0, nullptr, nullptr);
         });
  }
  void read(const BufferView& from, std::byte* to) override {
    copy(from, [&](std::byte* host) { std::memcpy(to, host, static_cast<std::size_t>(from.size_bytes)); },
         [&](const Location& at) {
           return api().EnqueueReadBuffer(session_->setup.get(), at.memory, CL_TRUE, static_cast<std::size_t>(at.offset_bytes),
                                          static_cast<std::size_t>(from.size_bytes), to, 0, nullptr, nullptr);
         });
  }

  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override {
    kernel::Program program = kernel::Lowering(*fragment, target_).run();
    return std::make_shared<ClExecutable>(*session_, std::move(fragment), std::move(program), workers_.size());
  }

  EventPtr submit(Submission submission) override {
    std::vector<EventPtr> wait = std::move(submission.wait);
    return queue_.submit(std::move(wait), [this, submission = std::move(submission)](int worker) {
      const auto index = static_cast<std::size_t>(worker);
      static_cast<const ClExecutable&>(*submission.executable).run(submission, index, workers_[index]);
    });
  }

 private:
  static std::unique_ptr<Session> open(Profile profile) {
    auto session = std::make_unique<Session>();
    session->profile = std::move(profile);
    cl_int status = CL_SUCCESS;
    session->context = Context(api().CreateContext(nullptr, 1, &session->profile.device, nullptr, nullptr, &status));
    check(status, "creating a context");
    session->pool = std::make_shared<Pool>(session->context.get(), session->profile.max_allocation_bytes);
    session->programs = std::make_unique<ProgramCache>(session->context.get(), session->profile);
    session->setup = make_queue(*session);
    return session;
  }

  static Queue make_queue(const Session& session) {
    cl_int status = CL_SUCCESS;
    Queue queue(api().CreateCommandQueue(session.context.get(), session.profile.device, CL_QUEUE_PROFILING_ENABLE, &status));
    check(status, "creating a queue");
    return queue;
  }

  std::vector<Worker> make_workers(int count) const {
    std::vector<Worker> workers(static_cast<std::size_t>(count));
    for (Worker& worker : workers) worker.queue = make_queue(*session_);
    return workers;
  }

  template <typename OnHost, typename OnDevice>
  void copy(const BufferView& view, OnHost on_host, OnDevice on_device) {
    if (view.size_bytes == 0) return;
    if (std::byte* host = view.buffer->host_data(); host != nullptr) return on_host(host + view.offset_bytes);
    const Location& base = static_cast<const PoolBuffer&>(*view.buffer).location();
    const std::lock_guard lock(session_->setup_mutex);
    check(on_device({base.memory, base.offset_bytes + view.offset_bytes}), "copying between host and device");
  }

  double estimate(const kernel::NodeView& view) const;

  DeviceInfo info_;
  kernel::Target target_;
  std::unique_ptr<Session> session_;
  std::vector<Worker> workers_;
  HostQueue queue_;  // last: its threads use the rest
};

/// Seconds from the operator's own cost and rates of a modest compute unit; 0 when unknown.
double ClDevice::estimate(const kernel::NodeView& view) const {
  if (view.node.op->cost == nullptr) return 0;
  std::vector<Type> inputs;
  std::vector<Type> outputs;
  for (const ValueId id : view.node.inputs) inputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  for (const ValueId id : view.node.outputs) outputs.push_back(id == kNoValue ? Type{} : view.graph.value(id).type);
  for (const auto* types : {&inputs, &outputs}) {
    for (const Type& type : *types) {
      if (type.kind != TypeKind::Unknown && !type.is_static()) return 0;
    }
  }
  const Cost cost = view.node.op->cost(view.node, inputs, outputs);
  constexpr double kUnitFlops = 2e10;
  constexpr double kBytes = 8e9;
  constexpr double kLaunch = 1e-5;
  return kLaunch + std::max(cost.flops / (kUnitFlops * static_cast<double>(session_->profile.compute_units)), cost.bytes / kBytes);
}

std::vector<Verdict> ClDevice::support(const Graph& graph) const {
  std::vector<Verdict> verdicts;
  for (const Node& node : graph.nodes) {
    const kernel::NodeView view{graph, node};
    std::string reason;
    const kernel::KernelEntry* entry = kernel::find_kernel(view, target_, reason);
    if (entry == nullptr) {
      verdicts.push_back({Tier::None, std::move(reason), 0});
    } else {
      verdicts.push_back({Tier::Native, std::string(entry->kernel), estimate(view)});
    }
  }
  return verdicts;
}

class ClBackend final : public Backend {
 public:
  std::string name() const override { return "opencl"; }

  std::vector<DeviceInfo> devices() const override {
    if (!missing().empty()) return {unavailable(missing())};
    std::vector<DeviceInfo> list;
    for (const Profile& profile : find_devices()) list.push_back(profile.info(static_cast<int>(list.size())));
    if (list.empty()) return {unavailable("no OpenCL device: install the driver of one (for the CPU, Debian: pocl-opencl-icd)")};
    return list;
  }

  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    std::vector<Profile> profiles = find_devices();
    if (index < 0 || static_cast<std::size_t>(index) >= profiles.size()) {
      fail(ErrorCode::Device, "opencl: got device {}, expected one below {}", index, profiles.size());
    }
    return std::make_unique<ClDevice>(std::move(profiles[static_cast<std::size_t>(index)]), index, options);
  }

 private:
  static DeviceInfo unavailable(std::string reason) {
    DeviceInfo info;
    info.id = "opencl:0";
    info.name = "OpenCL";
    info.automatic = false;
    info.available = false;
    info.unavailable_reason = std::move(reason);
    return info;
  }
};

}  // namespace
}  // namespace opencl

std::unique_ptr<Backend> make_opencl_backend() { return std::make_unique<opencl::ClBackend>(); }

}  // namespace naru
