// The null backend: a complete, honest device that can run nothing. Copy it to start a new one.
#include <cstring>

#include "backends/backend.h"
#include "backends/host_queue.h"
#include "graph/fail.h"

namespace naru {
namespace {

class NullDevice final : public Device {
 public:
  explicit NullDevice(DeviceInfo info) : info_(std::move(info)) {}

  const DeviceInfo& info() const override { return info_; }

  std::vector<Verdict> support(const Graph& graph) const override {
    return std::vector<Verdict>(graph.nodes.size(),
                                Verdict{Tier::None, "the null device has no kernels", 0});
  }
  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override {
    return std::make_unique<HostBuffer>(size_bytes);
  }
  void write(const BufferView& to, const std::byte* from) override {
    std::memcpy(to.buffer->host_data() + to.offset_bytes, from, static_cast<std::size_t>(to.size_bytes));
  }
  void read(const BufferView& from, std::byte* to) override {
    std::memcpy(to, from.buffer->host_data() + from.offset_bytes, static_cast<std::size_t>(from.size_bytes));
  }
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override {
    fail(ErrorCode::Unsupported, "null device: got a fragment of {} nodes, expected none",
         fragment->nodes.size());
  }
  EventPtr submit(Submission) override {
    fail(ErrorCode::Unsupported, "null device: got a submission, expected none");
  }

 private:
  DeviceInfo info_;
};

class NullBackend final : public Backend {
 public:
  std::string name() const override { return "null"; }
  std::vector<DeviceInfo> devices() const override {
    DeviceInfo info;
    info.id = "null:0";
    info.name = "null device";
    info.description = "refuses every node; the skeleton of a backend";
    info.host_memory = true;
    info.automatic = false;
    return {info};
  }
  std::unique_ptr<Device> open(int index, const DeviceOptions&) const override {
    return std::make_unique<NullDevice>(devices()[static_cast<std::size_t>(index)]);
  }
};

}  // namespace

std::unique_ptr<Backend> make_null_backend() { return std::make_unique<NullBackend>(); }

}  // namespace naru
