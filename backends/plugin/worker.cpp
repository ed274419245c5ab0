// The worker: a control loop, one thread per channel of submissions, and one that watches the host.
#include "backends/plugin/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <shared_mutex>
#include <thread>

#include "backends/plugin/direct_link.h"
#include "backends/plugin/library.h"
#include "backends/plugin/memory.h"
#include "backends/plugin/status.h"
#include "backends/plugin/wire.h"
#include "graph/fail.h"

namespace naru::plugin {
namespace {

constexpr std::size_t kMaxSpans = 2000;

class Worker {
 public:
  explicit Worker(int control) : control_(control) {}

  int run() {
    // Ends the process when the host goes, also while the plug-in hangs in a call of the control loop.
    std::thread([control = control_] {
      pollfd entry{control, 0, 0};
      while (poll(&entry, 1, -1) < 0 && errno == EINTR) {
      }
      ::kill(getpid(), SIGKILL);
    }).detach();
    Message message;
    while (receive_message(control_, message, -1) == Received::Message) answer(control_, message);
    return 0;
  }

 private:
  struct Reply {
    Message message;
    std::unique_ptr<SharedMemory> memory;  ///< sent along
  };

  void answer(int channel, Message& message) {
    Reply reply;
    answered_.load(std::memory_order_acquire);
    try {
      reply = handle(message);
    } catch (const Error& error) {
      reply.message.code = plugin_code(error.code());
      reply.message.payload = error.message();
    } catch (const std::bad_alloc&) {
      reply.message.code = NARU_OUT_OF_MEMORY;
      reply.message.payload = "plug-in worker: the host refused an allocation";
    }
    answered_.fetch_add(1, std::memory_order_acq_rel);
    reply.message.call = message.call;
    std::vector<int> descriptors;
    if (reply.memory != nullptr) descriptors.push_back(reply.memory->descriptor());
    send_message(channel, reply.message, descriptors);
  }

  Reply handle(Message& message) {
    switch (message.call) {
      case Call::Open: return open(message);
      case Call::Channel: return add_channel(message);
      case Call::Map: return map(message);
      case Call::Support: return support(message);
      case Call::Compile: return compile(message);
      case Call::Destroy: return destroy(message);
      case Call::Submit: return submit(message);
      case Call::Telemetry: return telemetry();
      case Call::Save: return save(message);
      case Call::Load: return load(message);
    }
    fail(ErrorCode::Device, "plug-in worker: got call {}", static_cast<std::uint32_t>(message.call));
  }

  Reply open(const Message& message) {
    const nlohmann::json json = nlohmann::json::parse(message.payload);
    Target target;
    target.path = json.at("path").get<std::string>();
    target.device = json.at("device");
    target.timeout_ms = json.at("timeout_ms");
    json.at("options").get_to(target.options);
    library_ = std::make_unique<Library>(target.path);
    link_ = std::make_unique<DirectLink>(*library_, target);
    Reply reply;
    reply.message.payload = to_json(link_->facts());
    return reply;
  }

  Reply add_channel(Message& message) {
    const int channel = descriptor(message, 0);
    std::thread([this, channel] {
      Message call;
      while (receive_message(channel, call, -1) == Received::Message) answer(channel, call);
    }).detach();
    return {};
  }

  Reply map(Message& message) {
    const auto size = Reader(message.payload).take<std::int64_t>();
    auto memory = std::make_unique<SharedMemory>(descriptor(message, 0), size);
    const std::unique_lock lock(segments_mutex_);
    segments_.push_back(std::move(memory));
    return {};
  }

  Reply support(Message& message) {
    Reader reader(message.payload);
    const auto size = reader.take<std::uint64_t>();
    const auto count = reader.take<std::uint64_t>();
    const SharedMemory fragment(descriptor(message, 0), static_cast<std::int64_t>(size));
    const SharedMemory rows(descriptor(message, 1), static_cast<std::int64_t>(count * sizeof(naru_verdict)));
    const std::vector<Verdict> verdicts = link_->support(fragment, count);
    for (std::size_t i = 0; i < count; ++i) {
      naru_verdict row{};
      row.accepted = verdicts[i].tier == Tier::Native ? 1 : 0;
      row.seconds = verdicts[i].seconds;
      std::memcpy(row.text, verdicts[i].reason.data(), std::min(verdicts[i].reason.size(), sizeof row.text - 1));
      std::memcpy(rows.data() + i * sizeof row, &row, sizeof row);
    }
    return {};
  }

  static Reply compiled_reply(const Compiled& compiled) {
    Reply reply;
    for (const std::uint64_t field : {compiled.id, compiled.weights_bytes, compiled.workspace_bytes,
                                      compiled.padded_flops, compiled.total_flops}) {
      reply.message.put(field);
    }
    reply.message.payload += compiled.text;
    return reply;
  }

  Reply compile(Message& message) {
    const auto size = Reader(message.payload).take<std::uint64_t>();
    auto fragment = std::make_unique<SharedMemory>(descriptor(message, 0), static_cast<std::int64_t>(size));
    const Compiled compiled = link_->compile(*fragment);
    if ((link_->facts().flags & NARU_DEVICE_COPIES_WEIGHTS) == 0) fragments_[compiled.id] = std::move(fragment);
    return compiled_reply(compiled);
  }

  Reply destroy(const Message& message) {
    const auto id = Reader(message.payload).take<std::uint64_t>();
    link_->destroy(id);
    fragments_.erase(id);
    return {};
  }

  std::vector<Binding> bindings(Reader& reader) const {
    std::vector<Binding> result;
    const std::shared_lock lock(segments_mutex_);
    for (auto count = reader.take<std::uint32_t>(); count > 0; --count) {
      const auto segment = reader.take<std::uint32_t>();
      const auto offset = reader.take<std::int64_t>();
      const auto size = reader.take<std::int64_t>();
      if (segment >= segments_.size() || offset < 0 || size < 0 || offset > segments_[segment]->size_bytes() - size) {
        fail(ErrorCode::InvalidArgument, "plug-in worker: a binding lies outside its segment");
      }
      result.push_back({segments_[segment]->data() + offset, size});
    }
    return result;
  }

  Reply submit(const Message& message) {
    Reader reader(message.payload);
    const auto id = reader.take<std::uint64_t>();
    const bool profile = reader.take<std::uint32_t>() != 0;
    const std::vector<Binding> inputs = bindings(reader);
    const std::vector<Binding> outputs = bindings(reader);
    std::vector<NodeSpan> spans;
    link_->submit(id, inputs, outputs, profile ? &spans : nullptr);
    Reply reply;
    if (!profile) return reply;
    spans.resize(std::min(spans.size(), kMaxSpans));
    reply.message.put(static_cast<std::uint32_t>(spans.size()));
    for (const NodeSpan& span : spans) {
      std::array<char, 32> kernel{};
      std::memcpy(kernel.data(), span.kernel.data(), std::min(span.kernel.size(), kernel.size() - 1));
      reply.message.put(span.node).put(span.start_ns).put(span.end_ns).put(kernel);
    }
    return reply;
  }

  Reply telemetry() {
    Reply reply;
    reply.message.put(link_->telemetry());
    return reply;
  }

  Reply save(const Message& message) {
    const std::vector<std::byte> bytes = link_->save(Reader(message.payload).take<std::uint64_t>());
    Reply reply;
    reply.memory = std::make_unique<SharedMemory>(static_cast<std::int64_t>(bytes.size()));
    std::copy(bytes.begin(), bytes.end(), reply.memory->data());
    reply.message.put(static_cast<std::int64_t>(bytes.size()));
    return reply;
  }

  Reply load(Message& message) {
    const auto size = Reader(message.payload).take<std::uint64_t>();
    const SharedMemory artefact(descriptor(message, 0), static_cast<std::int64_t>(size));
    return compiled_reply(link_->load(artefact.bytes().first(size)));
  }

  static int descriptor(Message& message, std::size_t index) {
    if (index >= message.descriptors.size()) fail(ErrorCode::Device, "plug-in worker: a descriptor is missing");
    return message.descriptors[index].release();
  }

  int control_;
  /// The host orders calls of different channels by their answers, through the kernel; this orders them for
  /// the threads of this process, too.
  std::atomic<std::uint64_t> answered_ = 0;
  std::unique_ptr<Library> library_;
  std::unique_ptr<DirectLink> link_;
  std::map<std::uint64_t, std::unique_ptr<SharedMemory>> fragments_;  ///< control loop only
  mutable std::shared_mutex segments_mutex_;
  std::vector<std::unique_ptr<SharedMemory>> segments_;
};

/// A plug-in is a guest: its prints must not mix with the host's results, its crash leaves no core file,
/// and when memory runs out it goes before the host.
void settle_down() {
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const Descriptor score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score.get() >= 0 && write(score.get(), "1000", 4) != 4) return;
}

}  // namespace

int serve(int control_channel) {
  fcntl(control_channel, F_SETFD, FD_CLOEXEC);
  settle_down();
  // Never destroyed: channel threads may still be in it when the control loop ends.
  auto* worker = new Worker(control_channel);
  return worker->run();
}

}  // namespace naru::plugin
