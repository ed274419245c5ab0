// DirectLink: calls the plug-in's functions, with defaults for those that it leaves out.
#include "backends/plugin/direct_link.h"

#include <array>
#include <optional>

#include "backends/plugin/completion.h"
#include "backends/plugin/status.h"
#include "graph/fail.h"

namespace naru::plugin {
namespace {

constexpr std::size_t kMaxSpans = 65'536;

naru_fragment fragment_of(Bytes bytes) {
  return {sizeof(naru_fragment), 0, bytes.data(), bytes.size()};
}

/// Structs of C and the array of pointers to them that crosses the interface.
template <typename T>
struct Rows {
  explicit Rows(std::size_t count) : rows(count) {
    for (T& row : rows) {
      row = T{};
      row.struct_size = sizeof(T);
      pointers.push_back(&row);
    }
  }
  std::vector<T> rows;
  std::vector<T*> pointers;
};

/// What a span callback fills; spans beyond a bound are dropped.
void add_span(void* context, std::int32_t node, const char* kernel, std::int64_t start, std::int64_t end) noexcept {
  auto& spans = *static_cast<std::vector<NodeSpan>*>(context);
  if (spans.size() >= kMaxSpans) return;
  spans.push_back({node, kernel == nullptr ? std::string() : std::string(kernel, strnlen(kernel, 128)), start, end});
}

/// Device memory of one submission, freed with it.
class Placed {
 public:
  Placed(const naru_memory_table& table, naru_device* device, const std::string& plugin)
      : table_(table), device_(device), plugin_(plugin) {}
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;
  ~Placed() {
    for (naru_memory* memory : memories_) table_.release(memory);
  }

  naru_binding place(const Binding& binding) {
    naru_status status = new_status();
    naru_memory* memory = nullptr;
    const auto size = static_cast<std::uint64_t>(binding.size_bytes);
    check(table_.allocate(device_, 0, std::max<std::uint64_t>(size, 1), 64, &memory, &status), status, plugin_, "allocate");
    if (memory == nullptr) fail(ErrorCode::Device, "plug-in {}: allocate gave no memory", plugin_);
    memories_.push_back(memory);
    return {sizeof(naru_binding), 0, nullptr, memory, 0, size};
  }
  void write(const naru_binding& to, const Binding& from) const {
    naru_status status = new_status();
    check(table_.write(to.memory, to.offset_bytes, from.data, to.size_bytes, &status), status, plugin_, "write");
  }
  void read(const naru_binding& from, const Binding& to) const {
    naru_status status = new_status();
    check(table_.read(from.memory, from.offset_bytes, to.data, from.size_bytes, &status), status, plugin_, "read");
  }

 private:
  const naru_memory_table& table_;
  naru_device* device_;
  const std::string& plugin_;
  std::vector<naru_memory*> memories_;
};

std::int32_t append_bytes(void* context, const void* bytes, std::uint64_t size) noexcept {
  constexpr std::uint64_t kMaxArtefact = UINT64_C(1) << 34;
  auto& all = *static_cast<std::vector<std::byte>*>(context);
  if (size > kMaxArtefact - std::min<std::uint64_t>(all.size(), kMaxArtefact)) return 1;
  try {
    const auto* first = static_cast<const std::byte*>(bytes);
    all.insert(all.end(), first, first + size);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

Verdict verdict_of(const naru_verdict& row) {
  std::string text(row.text, strnlen(row.text, sizeof row.text));
  if (row.accepted != 0) return {Tier::Native, text.empty() ? "plug-in" : std::move(text), row.seconds};
  return {Tier::None, text.empty() ? "refused without a reason" : std::move(text), 0};
}

}  // namespace

DirectLink::DirectLink(const Library& library, const Target& target)
    : api_(library.api()), name_(library.name()), timeout_ns_(target.timeout_ms * 1'000'000) {
  std::uint32_t count = 0;
  call("count", [&](naru_status* status) { return api_.device->count(&count, status); });
  if (static_cast<std::uint32_t>(target.device) >= count) {
    fail(ErrorCode::InvalidArgument, "plug-in {}: got device {}, it has {}", name_, target.device, count);
  }
  naru_device_info info{};
  info.struct_size = sizeof info;
  call("info", [&](naru_status* status) {
    return api_.device->info(static_cast<std::uint32_t>(target.device), &info, status);
  });
  facts_ = read_facts(api_, info);
  open(target);
}

/// Runs one call: serialised where the plug-in wants it, no exception passing through, its status read.
template <typename Call>
void DirectLink::call(const char* name, Call&& body) const {
  std::unique_lock<std::recursive_mutex> lock(serial_, std::defer_lock);
  if ((facts_.flags & NARU_DEVICE_THREAD_SAFE) == 0) lock.lock();
  naru_status status = new_status();
  naru_code code = NARU_INTERNAL;
  try {
    code = body(&status);
  } catch (...) {
    fail(ErrorCode::Device, "plug-in {}: {} threw an exception across the C interface", name_, name);
  }
  check(code, status, name_, name);
}

void DirectLink::open(const Target& target) {
  Rows<naru_option> options(target.options.size());
  for (std::size_t i = 0; i < target.options.size(); ++i) {
    options.rows[i].key = target.options[i].first.c_str();
    options.rows[i].value = target.options[i].second.c_str();
  }
  call("open", [&](naru_status* status) {
    return api_.device->open(static_cast<std::uint32_t>(target.device), options.pointers.data(),
                             static_cast<std::uint32_t>(options.rows.size()), &device_, status);
  });
  if (device_ == nullptr) fail(ErrorCode::Device, "plug-in {}: open gave no device", name_);
}

DirectLink::~DirectLink() { close(); }

void DirectLink::close() noexcept {
  try {
    for (const auto& [id, executable] : executables_) api_.compile->destroy(executable);
    if (device_ != nullptr) api_.device->close(device_);
  } catch (...) {
    // A plug-in that throws while it closes has nothing left to lose.
  }
}

std::vector<Verdict> DirectLink::support(const SharedMemory& memory, std::size_t node_count) {
  Rows<naru_verdict> verdicts(node_count);
  const naru_fragment fragment = fragment_of(memory.bytes());
  call("support", [&](naru_status* status) {
    return api_.compile->support(device_, &fragment, verdicts.pointers.data(), static_cast<std::uint32_t>(node_count), status);
  });
  std::vector<Verdict> result;
  for (const naru_verdict& row : verdicts.rows) result.push_back(verdict_of(row));
  return result;
}

Compiled DirectLink::adopt(naru_executable* executable) {
  if (executable == nullptr) fail(ErrorCode::Device, "plug-in {}: compile gave no executable", name_);
  Compiled compiled;
  if (NARU_HAS(api_.compile, describe) && api_.compile->describe != nullptr) {
    naru_executable_info info{};
    info.struct_size = sizeof info;
    call("describe", [&](naru_status* status) { return api_.compile->describe(executable, &info, status); });
    compiled.weights_bytes = info.weights_bytes;
    compiled.workspace_bytes = info.workspace_bytes;
    compiled.padded_flops = info.padded_flops;
    compiled.total_flops = info.total_flops;
    compiled.text.assign(info.text, strnlen(info.text, sizeof info.text));
    const std::uint64_t limit = UINT64_C(1) << 48;
    if (info.weights_bytes > limit || info.workspace_bytes > limit) {
      fail(ErrorCode::Device, "plug-in {}: claims {} bytes of weights and {} of workspace, expected at most {}", name_,
           info.weights_bytes, info.workspace_bytes, limit);
    }
  }
  const std::unique_lock lock(mutex_);
  compiled.id = next_id_++;
  executables_[compiled.id] = executable;
  return compiled;
}

Compiled DirectLink::compile(const SharedMemory& memory) {
  const naru_fragment fragment = fragment_of(memory.bytes());
  naru_compile_options options{};
  options.struct_size = sizeof options;
  naru_executable* executable = nullptr;
  call("compile", [&](naru_status* status) {
    return api_.compile->compile(device_, &fragment, &options, &executable, status);
  });
  return adopt(executable);
}

naru_executable* DirectLink::find(std::uint64_t id) const {
  const std::shared_lock lock(mutex_);
  const auto found = executables_.find(id);
  if (found == executables_.end()) fail(ErrorCode::InvalidArgument, "plug-in {}: no executable {}", name_, id);
  return found->second;
}

void DirectLink::destroy(std::uint64_t id) noexcept {
  try {
    naru_executable* executable = find(id);
    {
      const std::unique_lock lock(mutex_);
      executables_.erase(id);
    }
    call("destroy", [&](naru_status*) {
      api_.compile->destroy(executable);
      return NARU_OK;
    });
  } catch (const Error&) {
    // Nobody waits for it, and the next call of the same plug-in will tell.
  }
}

void DirectLink::wait(naru_submission* submission) const {
  const naru_exec_table& exec = *api_.exec;
  if (!NARU_HAS(&exec, release) || exec.wait == nullptr || exec.release == nullptr) {
    fail(ErrorCode::Device, "plug-in {}: submit gave a handle, but wait or release is missing", name_);
  }
  naru_status status = new_status();
  const naru_code code = exec.wait(submission, static_cast<std::uint64_t>(timeout_ns_), &status);
  if (code == NARU_PENDING) {
    // The work may still write into its bindings: the handle is left to it.
    if (exec.cancel != nullptr) exec.cancel(submission);
    fail(ErrorCode::Device, "plug-in {}: a submission took over {} ms", name_, timeout_ns_ / 1'000'000);
  }
  exec.release(submission);
  check(code, status, name_, "wait");
}

void DirectLink::submit_bound(naru_executable* executable, std::span<const naru_binding* const> inputs,
                              std::span<const naru_binding* const> outputs, std::vector<NodeSpan>* spans) {
  Completions& completions = Completions::instance();
  naru_submit_info info{};
  info.struct_size = sizeof info;
  info.input_count = static_cast<std::uint32_t>(inputs.size());
  info.output_count = static_cast<std::uint32_t>(outputs.size());
  info.inputs = inputs.data();
  info.outputs = outputs.data();
  info.complete = &Completions::answer;
  info.ticket = completions.open();
  info.span = spans != nullptr ? &add_span : nullptr;
  info.span_context = spans;
  const struct Ticket {
    Completions& all;
    std::uint64_t id;
    ~Ticket() { all.close(id); }
  } ticket{completions, info.ticket};
  const std::uint64_t surplus = completions.surplus();
  // Waiting is a call too.
  std::unique_lock<std::recursive_mutex> serial(serial_, std::defer_lock);
  if ((facts_.flags & NARU_DEVICE_THREAD_SAFE) == 0) serial.lock();

  naru_submission* submission = nullptr;
  naru_code answer = NARU_OK;
  call("submit", [&](naru_status* status) {
    answer = api_.exec->submit(executable, &info, &submission, status);
    return answer == NARU_PENDING ? NARU_OK : answer;
  });
  if (answer == NARU_PENDING && submission != nullptr) wait(submission);
  if (answer == NARU_PENDING && submission == nullptr) {
    naru_status status = new_status();
    std::string text;
    naru_code code = NARU_OK;
    if (!completions.wait(info.ticket, timeout_ns_, code, text)) {
      fail(ErrorCode::Device, "plug-in {}: a submission was not answered in {} ms", name_, timeout_ns_ / 1'000'000);
    }
    naru_set_status(&status, code, 0, text.c_str());
    check(code, status, name_, "submit");
  }
  if (completions.surplus() != surplus) fail(ErrorCode::Device, "plug-in {}: answered a submission twice", name_);
}

bool DirectLink::uses_device_memory() const { return NARU_HAS(&api_, memory) && api_.memory != nullptr; }

void DirectLink::submit(std::uint64_t id, std::span<const Binding> inputs, std::span<const Binding> outputs,
                        std::vector<NodeSpan>* spans) {
  naru_executable* executable = find(id);
  const std::size_t count = inputs.size() + outputs.size();
  constexpr std::size_t kInline = 16;
  std::array<naru_binding, kInline> few;
  std::array<const naru_binding*, kInline> few_pointers;
  std::vector<naru_binding> many(count > kInline ? count : 0);
  std::vector<const naru_binding*> many_pointers(many.size());
  naru_binding* bindings = count > kInline ? many.data() : few.data();
  const naru_binding** pointers = count > kInline ? many_pointers.data() : few_pointers.data();

  std::optional<Placed> placed;
  if (uses_device_memory()) placed.emplace(*api_.memory, device_, name_);
  for (std::size_t i = 0; i < count; ++i) {
    const Binding& end = i < inputs.size() ? inputs[i] : outputs[i - inputs.size()];
    bindings[i] = placed ? placed->place(end)
                         : naru_binding{sizeof(naru_binding), 0, end.data, nullptr, 0,
                                        static_cast<std::uint64_t>(end.size_bytes)};
    if (placed && i < inputs.size()) placed->write(bindings[i], end);
    pointers[i] = &bindings[i];
  }
  submit_bound(executable, {pointers, inputs.size()}, {pointers + inputs.size(), outputs.size()}, spans);
  for (std::size_t i = 0; placed && i < outputs.size(); ++i) placed->read(bindings[inputs.size() + i], outputs[i]);
}

Telemetry DirectLink::telemetry() {
  if (!NARU_HAS(&api_, observe) || api_.observe == nullptr || api_.observe->telemetry == nullptr) return {};
  naru_telemetry t{};
  t.struct_size = sizeof t;
  call("telemetry", [&](naru_status* status) { return api_.observe->telemetry(device_, &t, status); });
  return {t.valid,     t.power_mw,          t.energy_uj, t.temperature_mc, t.utilisation_permille,
          t.clock_khz, t.memory_used_bytes, t.busy_ns,   t.throttle};
}

std::vector<std::byte> DirectLink::save(std::uint64_t id) {
  naru_executable* executable = find(id);
  std::vector<std::byte> bytes;
  call("save", [&](naru_status* status) { return api_.artefact->save(executable, &append_bytes, &bytes, status); });
  return bytes;
}

Compiled DirectLink::load(Bytes artefact) {
  std::uint32_t verdict = NARU_ARTEFACT_DAMAGED;
  call("check", [&](naru_status* status) {
    return api_.artefact->check(device_, artefact.data(), artefact.size(), &verdict, status);
  });
  if (verdict != NARU_ARTEFACT_OK && verdict != NARU_ARTEFACT_SLOWER) return {};
  naru_executable* executable = nullptr;
  call("load", [&](naru_status* status) {
    return api_.artefact->load(device_, artefact.data(), artefact.size(), &executable, status);
  });
  return adopt(executable);
}

}  // namespace naru::plugin
