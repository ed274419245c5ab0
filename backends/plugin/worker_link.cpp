// WorkerLink: calls as messages; one that is not answered in time ends the worker.
#include "backends/plugin/worker_link.h"

#include <array>
#include <nlohmann/json.hpp>

#include "backends/plugin/status.h"
#include "graph/fail.h"

namespace naru::plugin {
namespace {

/// Time for the worker to start and to read what is asked.
constexpr std::int64_t kSlackMs = 200;

Message new_message(Call call) {
  Message message;
  message.call = call;
  return message;
}

std::string target_json(const Target& target) {
  nlohmann::json json = {{"path", target.path.string()}, {"device", target.device}, {"timeout_ms", target.timeout_ms},
                         {"options", target.options}};
  return json.dump();
}

/// Bytes as a descriptor to send.
std::unique_ptr<SharedMemory> shared_copy(Bytes bytes) {
  auto memory = std::make_unique<SharedMemory>(static_cast<std::int64_t>(bytes.size()));
  std::memcpy(memory->data(), bytes.data(), bytes.size());
  return memory;
}

Compiled read_compiled(const Message& answer) {
  Reader reader(answer.payload);
  Compiled compiled;
  for (std::uint64_t* field : {&compiled.id, &compiled.weights_bytes, &compiled.workspace_bytes,
                               &compiled.padded_flops, &compiled.total_flops}) {
    *field = reader.take<std::uint64_t>();
  }
  compiled.text = reader.rest();
  return compiled;
}

}  // namespace

WorkerLink::WorkerLink(const Target& target, std::shared_ptr<Arena> arena)
    : target_(target), arena_(std::move(arena)) {
  Message open = new_message(Call::Open);
  open.payload = target_json(target);
  facts_ = facts_from_json(ask_control(open, {}, target.open_timeout_ms, "open").payload);
  const std::size_t depth = std::max<std::size_t>(facts_.queue_depth, 2);
  for (std::size_t i = 0; i < depth; ++i) {
    auto [ours, theirs] = make_channel();
    ask_control(new_message(Call::Channel), {theirs.get()}, target.open_timeout_ms, "open");
    channels_.push_back(std::move(ours));
    free_channels_.push_back(i);
  }
}

Message WorkerLink::ask(int channel, const Message& message, const std::vector<int>& descriptors,
                        std::int64_t timeout_ms, const char* call) {
  Message answer;
  const auto died = [&] {
    fail(ErrorCode::Device, "plug-in '{}': its worker {} in {}", target_.path.filename().string(), process_.state(), call);
  };
  if (!send_message(channel, message, descriptors)) died();
  switch (receive_message(channel, answer, timeout_ms + kSlackMs)) {
    case Received::Message: break;
    case Received::Closed: died(); break;
    case Received::TimedOut:
      process_.kill();
      fail(ErrorCode::Device, "plug-in '{}': {} took over {} ms, its worker was ended",
           target_.path.filename().string(), call, timeout_ms);
  }
  if (answer.code != NARU_OK) throw Error(error_code(answer.code), answer.payload);
  return answer;
}

Message WorkerLink::ask_control(const Message& message, const std::vector<int>& descriptors,
                                std::int64_t timeout_ms, const char* call) {
  const std::lock_guard lock(control_mutex_);
  return ask(process_.control(), message, descriptors, timeout_ms, call);
}

std::vector<Verdict> WorkerLink::support(const SharedMemory& fragment, std::size_t node_count) {
  const SharedMemory rows(static_cast<std::int64_t>(node_count * sizeof(naru_verdict)));
  Message message = new_message(Call::Support);
  message.put(static_cast<std::uint64_t>(fragment.size_bytes())).put(std::uint64_t{node_count});
  ask_control(message, {fragment.descriptor(), rows.descriptor()}, target_.open_timeout_ms, "support");
  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < node_count; ++i) {
    naru_verdict row;
    std::memcpy(&row, rows.data() + i * sizeof row, sizeof row);
    std::string text(row.text, strnlen(row.text, sizeof row.text));
    verdicts.push_back({row.accepted != 0 ? Tier::Native : Tier::None, std::move(text), row.seconds});
  }
  return verdicts;
}

Compiled WorkerLink::compile(const SharedMemory& fragment) {
  Message message = new_message(Call::Compile);
  message.put(static_cast<std::uint64_t>(fragment.size_bytes()));
  return read_compiled(ask_control(message, {fragment.descriptor()}, target_.compile_timeout_ms, "compile"));
}

void WorkerLink::destroy(std::uint64_t id) noexcept {
  try {
    Message message = new_message(Call::Destroy);
    message.put(id);
    ask_control(message, {}, target_.open_timeout_ms, "destroy");
  } catch (const Error&) {
    // The worker is gone, and with it what was to be destroyed.
  }
}

/// Tells the worker of segments that the arena got since.
void WorkerLink::map_segments() {
  const std::lock_guard lock(control_mutex_);
  for (; mapped_segments_ < arena_->segment_count(); ++mapped_segments_) {
    const SharedMemory& segment = arena_->segment(mapped_segments_);
    Message message = new_message(Call::Map);
    message.put(segment.size_bytes());
    ask(process_.control(), message, {segment.descriptor()}, target_.open_timeout_ms, "map");
  }
}

std::size_t WorkerLink::take_channel() {
  std::unique_lock lock(channel_mutex_);
  channel_free_.wait(lock, [&] { return !free_channels_.empty(); });
  const std::size_t index = free_channels_.back();
  free_channels_.pop_back();
  return index;
}

void WorkerLink::return_channel(std::size_t index) {
  {
    const std::lock_guard lock(channel_mutex_);
    free_channels_.push_back(index);
  }
  channel_free_.notify_one();
}

void WorkerLink::put_bindings(Message& message, std::span<const Binding> bindings) const {
  message.put(static_cast<std::uint32_t>(bindings.size()));
  for (const Binding& binding : bindings) {
    const Place place = arena_->find(binding.data);
    message.put(place.segment).put(place.offset).put(binding.size_bytes);
  }
}

void WorkerLink::submit(std::uint64_t id, std::span<const Binding> inputs, std::span<const Binding> outputs,
                        std::vector<NodeSpan>* spans) {
  map_segments();
  Message message = new_message(Call::Submit);
  message.put(id).put(static_cast<std::uint32_t>(spans != nullptr));
  put_bindings(message, inputs);
  put_bindings(message, outputs);
  const std::size_t index = take_channel();
  const struct Lease {
    WorkerLink& link;
    std::size_t index;
    ~Lease() { link.return_channel(index); }
  } lease{*this, index};
  const Message answer = ask(channels_[index].get(), message, {}, target_.timeout_ms, "submit");
  if (spans == nullptr) return;
  Reader reader(answer.payload);
  for (auto count = reader.take<std::uint32_t>(); count > 0; --count) {
    NodeSpan span;
    span.node = reader.take<std::int32_t>();
    span.start_ns = reader.take<std::int64_t>();
    span.end_ns = reader.take<std::int64_t>();
    const auto kernel = reader.take<std::array<char, 32>>();
    span.kernel.assign(kernel.data(), strnlen(kernel.data(), kernel.size()));
    spans->push_back(std::move(span));
  }
}

Telemetry WorkerLink::telemetry() {
  return Reader(ask_control(new_message(Call::Telemetry), {}, target_.open_timeout_ms, "telemetry").payload)
      .take<Telemetry>();
}

std::vector<std::byte> WorkerLink::save(std::uint64_t id) {
  Message message = new_message(Call::Save);
  message.put(id);
  Message answer = ask_control(message, {}, target_.compile_timeout_ms, "save");
  const auto size = Reader(answer.payload).take<std::int64_t>();
  if (answer.descriptors.size() != 1) fail(ErrorCode::Device, "plug-in worker: save gave no bytes");
  const SharedMemory memory(answer.descriptors.front().release(), size);
  return {memory.data(), memory.data() + size};
}

Compiled WorkerLink::load(Bytes artefact) {
  const auto bytes = shared_copy(artefact);
  Message message = new_message(Call::Load);
  message.put(std::uint64_t{artefact.size()});
  return read_compiled(ask_control(message, {bytes->descriptor()}, target_.compile_timeout_ms, "load"));
}

}  // namespace naru::plugin
