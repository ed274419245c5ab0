// A program over a pipe: one JSON object a line in both directions.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include "benchmarks/suites/fields.h"
#include "benchmarks/sut/child_process.h"
#include "benchmarks/sut/remote.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLineBytes = 4 << 20;
constexpr std::int64_t kMaxTokensPerLine = 1 << 16;

/// Whole lines from a descriptor.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  /// The next line; absent when the time is over (`ended` is then false) or nothing more comes.
  std::optional<std::string> next(int timeout_ms, bool& ended) {
    ended = false;
    for (;;) {
      const std::size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      pollfd wait{descriptor_, POLLIN, 0};
      if (::poll(&wait, 1, timeout_ms) <= 0) return std::nullopt;
      char bytes[1 << 16];
      const ssize_t got = ::read(descriptor_, bytes, sizeof bytes);
      ended = got <= 0 || buffer_.size() > kMaxLineBytes;
      if (ended) return std::nullopt;
      buffer_.append(bytes, static_cast<std::size_t>(got));
    }
  }

 private:
  int descriptor_;
  std::string buffer_;
};

class PipeSystem : public System {
 public:
  explicit PipeSystem(const Json& json) {
    Fields fields(json, "--sut pipe");
    command_ = fields.texts("command", {});
    if (command_.empty()) fail(ErrorCode::InvalidArgument, "{}: give a 'command'", fields.where());
    stall_ns_ = static_cast<std::int64_t>(fields.number("stall_s", 120, 0.01, 1e6) * 1e9);
    if (const Json* settings = fields.part("settings")) settings_ = *settings;
    fields.finish();
  }
  ~PipeSystem() override { stop(); }

  Json describe() const override { return {{"name", command_.front()}, {"kind", "pipe"}, {"command", command_}, {"settings", settings_}, {"program", description_}}; }

  bool needs_model_file() const override { return false; }

  LoadResult load(const Workload& workload) override {
    stop();
    const std::string program = find_program(command_.front());
    if (program.empty()) throw Failure(Reason::Connection, fmt::format("'{}' is not in PATH", command_.front()));
    std::vector<std::string> command = command_;
    command.front() = program;
    child_.emplace(command);
    Json shapes = Json::object(), values = Json::object();
    for (const InputSpec& input : workload.inputs) {
      if (input.known_shape) shapes[input.name] = input.dims;
      if (input.value) values[input.name] = *input.value;
    }
    write({{"load", {{"model", workload.model}, {"path", workload.model_path}, {"kind", workload.generates ? "generate" : "infer"}, {"context", workload.context},
                     {"concurrency", workload.concurrency}, {"kv", workload.kv_type}, {"shapes", shapes}, {"values", values}, {"seed", workload.seed}, {"settings", settings_}}}});
    LineReader lines(child_->output());
    const LoadResult result = read_loaded(lines);
    stopping_ = false;
    gone_ = Reason::None;
    reader_ = std::thread([this, lines]() mutable { read(lines); });
    return result;
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    {
      const std::lock_guard lock(mutex_);
      if (gone_ != Reason::None) throw Failure(gone_, gone_detail_);
      running_[request.id] = {&sink, now_ns()};
    }
    try {
      write(submit_line(request));
    } catch (const Failure&) {
      // Unless the reader has ended it already.
      if (forget(request.id)) throw;
    }
  }

  static Json submit_line(const SystemRequest& request) {
    return {{"submit", {{"id", request.id}, {"prompt", request.prompt}, {"max_tokens", request.max_tokens}, {"ignore_end", request.ignore_end}, {"sample", request.sample}}}};
  }

  void cancel_all() override {
    try {
      write({{"cancel", true}});
    } catch (const Failure&) {
      // The reader ends the requests of a program that is gone.
    }
  }

 private:
  struct Running {
    Sink* sink = nullptr;
    std::int64_t last_ns = 0;
  };

  int timeout_ms() const { return static_cast<int>(std::min<std::int64_t>(stall_ns_ / 1'000'000, 1 << 30)); }

  void write(const Json& json) {
    const std::string line = json.dump() + "\n";
    for (std::size_t done = 0; done < line.size();) {
      pollfd wait{child_->input(), POLLOUT, 0};
      if (::poll(&wait, 1, timeout_ms()) == 0) throw Failure(Reason::Timeout, "the program does not read its requests");
      const ssize_t wrote = ::write(child_->input(), line.data() + done, line.size() - done);
      if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (wrote < 0) throw Failure(Reason::EarlyClose, fmt::format("the program takes no more requests: {}", std::strerror(errno)));
      done += static_cast<std::size_t>(wrote);
    }
  }

  LoadResult read_loaded(LineReader& lines) {
    bool ended = false;
    const std::optional<std::string> line = lines.next(timeout_ms(), ended);
    if (!line) throw Failure(ended ? Reason::EarlyClose : Reason::Timeout, "the program does not answer 'load'");
    const Json json = Json::parse(*line, nullptr, false);
    if (json.is_object() && json.contains("failed")) throw Failure(reason_in(json), detail_in(json));
    if (!json.is_object() || !json.contains("loaded") || !json["loaded"].is_object()) throw Failure(Reason::BadStream, "the answer to 'load' is not {\"loaded\": {...}}");
    Fields fields(json["loaded"], "loaded");
    LoadResult result;
    description_ = {{"name", fields.text("name", "")}, {"version", fields.text("version", "")}};
    result.vocabulary = fields.integer("vocabulary", 0, 0, 1 << 30);
    result.weights_bytes = fields.integer("weights_bytes", 0, 0, INT64_MAX / 2);
    result.workspace_bytes = fields.integer("workspace_bytes", 0, 0, INT64_MAX / 2);
    result.kv_bytes = fields.integer("kv_bytes", 0, 0, INT64_MAX / 2);
    result.note = fields.text("note", "");
    fields.finish();
    return result;
  }

  static Reason reason_in(const Json& json) {
    const Json& code = json.at("failed");
    const Reason reason = code.is_string() ? reason_from_code(code.get<std::string>()) : Reason::None;
    return reason == Reason::None ? Reason::Internal : reason;
  }
  static std::string detail_in(const Json& json) {
    const auto found = json.find("detail");
    return found != json.end() && found->is_string() ? found->get<std::string>().substr(0, 400) : "";
  }

  void read(LineReader& lines) {
    for (;;) {
      bool ended = false;
      const std::optional<std::string> line = lines.next(100, ended);
      if (ended) return end_all(Reason::EarlyClose, "the program closed its output");
      if (line && !take(*line)) return end_all(Reason::BadStream, "no answer of the protocol: " + line->substr(0, 80));
      if (stopping_) return;
      end_stalled();
    }
  }

  /// One answer; false when it is not of the protocol.
  bool take(const std::string& line) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("id") || !json["id"].is_number_unsigned()) return false;
    const auto id = json["id"].get<std::uint32_t>();
    Sink* sink = nullptr;
    {
      const std::lock_guard lock(mutex_);
      const auto found = running_.find(id);
      if (found == running_.end()) return true;  // its time was over
      found->second.last_ns = now_ns();
      sink = found->second.sink;
    }
    if (json.contains("tokens") && !take_tokens(json["tokens"], id, *sink)) return false;
    for (const auto& [name, report] : {std::pair("chunk", &Sink::chunk), std::pair("claimed", &Sink::claimed)}) {
      if (!json.contains(name)) continue;
      if (!json[name].is_number_integer() || json[name] < 0 || json[name] > kMaxTokensPerLine) return false;
      (sink->*report)(id, json[name].get<std::int64_t>());
    }
    if (json.contains("complete") || json.contains("failed")) {
      forget(id);
      if (json.contains("failed")) sink->failed(id, reason_in(json), detail_in(json));
      else sink->complete(id);
    }
    return true;
  }

  static bool take_tokens(const Json& list, std::uint32_t id, Sink& sink) {
    if (!list.is_array() || list.empty() || list.size() > static_cast<std::size_t>(kMaxTokensPerLine)) return false;
    std::vector<std::int32_t> tokens;
    for (const Json& token : list) {
      if (!token.is_number_integer() || token < 0 || token > INT32_MAX) return false;
      tokens.push_back(token.get<std::int32_t>());
    }
    sink.tokens(id, tokens);
    return true;
  }

  bool forget(std::uint32_t id) {
    const std::lock_guard lock(mutex_);
    return running_.erase(id) != 0;
  }

  void end_stalled() {
    std::map<std::uint32_t, Running> over;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [id, running] : running_) {
        if (now_ns() - running.last_ns > stall_ns_) over.emplace(id, running);
      }
      for (const auto& [id, running] : over) running_.erase(id);
    }
    for (const auto& [id, running] : over) running.sink->failed(id, Reason::Timeout, fmt::format("no answer for {:.3g} s", static_cast<double>(stall_ns_) * 1e-9));
  }

  void end_all(Reason reason, const std::string& detail) {
    std::map<std::uint32_t, Running> over;
    {
      const std::lock_guard lock(mutex_);
      over.swap(running_);
      gone_ = reason;
      gone_detail_ = detail;
    }
    for (const auto& [id, running] : over) running.sink->failed(id, reason, detail);
  }

  void stop() {
    stopping_ = true;
    if (reader_.joinable()) reader_.join();
    child_.reset();
  }

  std::vector<std::string> command_;
  Json settings_, description_;
  std::int64_t stall_ns_ = 0;
  std::optional<ChildProcess> child_;
  std::mutex mutex_;
  std::map<std::uint32_t, Running> running_;
  Reason gone_ = Reason::None;  ///< why no more answers come
  std::string gone_detail_;
  std::atomic<bool> stopping_ = false;
  std::thread reader_;
};

}  // namespace

std::unique_ptr<System> make_pipe(const Json& settings) { return std::make_unique<PipeSystem>(settings); }

}  // namespace naru::bench
