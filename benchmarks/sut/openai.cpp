// OpenAI-compatible endpoints: any of them, or one that is started for each row.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "benchmarks/http/client.h"
#include "benchmarks/suites/fields.h"
#include "benchmarks/sut/child_process.h"
#include "benchmarks/sut/completion_reader.h"
#include "benchmarks/sut/remote.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

struct Settings {
  std::string url, api, model, key, log;
  Json body = Json::object();
  std::vector<std::string> command;
  std::int64_t stall_ns = 0, start_ns = 0, vocabulary = 0;
};

Settings read_settings(const Json& json) {
  Fields fields(json, "--sut openai");
  Settings settings;
  settings.command = fields.texts("command", {});
  settings.url = fields.text("url", "");
  if (settings.command.empty()) settings.url = checked_base_url(settings.url);
  settings.api = fields.text("api", "completions");
  if (settings.api != "completions" && settings.api != "chat") {
    fail(ErrorCode::InvalidArgument, "{}.api: got '{}', expected completions or chat", fields.where(), settings.api);
  }
  settings.model = fields.text("model", "");
  if (const Json* body = fields.part("body")) {
    Fields(*body, fields.where() + ".body");
    settings.body = *body;
  }
  if (const std::string name = fields.text("key_environment", ""); !name.empty()) {
    const char* key = std::getenv(name.c_str());
    if (key == nullptr) fail(ErrorCode::InvalidArgument, "{}.key_environment: the environment has no '{}'", fields.where(), name);
    settings.key = key;
  }
  settings.log = fields.text("log", "/dev/null");
  settings.stall_ns = static_cast<std::int64_t>(fields.number("stall_s", 120, 0.01, 1e6) * 1e9);
  settings.start_ns = static_cast<std::int64_t>(fields.number("start_s", 120, 0.01, 1e6) * 1e9);
  settings.vocabulary = fields.integer("vocabulary", 0, 0, 1 << 30);
  fields.finish();
  return settings;
}

/// A port of this machine that nobody listens on at this moment.
int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool found = descriptor >= 0 && ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (descriptor >= 0) ::close(descriptor);
  if (!found) fail(ErrorCode::Io, "no free port: {}", std::strerror(errno));
  return ntohs(address.sin_port);
}

std::string filled(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) text.replace(at, mark.size(), value);
  }
  return text;
}

// Short frequent words, each one token in most vocabularies: what chat prompts are made of.
constexpr const char* kWords[] = {"the", "and", "boat", "river", "time", "water", "day", "man", "old", "new", "hand", "way", "road", "house", "light", "word",
                                  "night", "stone", "place", "year", "side", "door", "sea", "hill", "tree", "wind", "sun", "field", "name", "line", "day", "end"};

std::string words_of(std::span<const std::int32_t> ids) {
  std::string text;
  for (const std::int32_t id : ids) text += std::string(text.empty() ? "" : " ") + kWords[static_cast<std::uint32_t>(id) % std::size(kWords)];
  return text;
}

class OpenAi : public System {
 public:
  OpenAi(Settings settings, int threads) : settings_(std::move(settings)), threads_(threads), url_(settings_.url) {}

  Json describe() const override {
    return {{"name", settings_.command.empty() ? "endpoint" : settings_.command.front()}, {"kind", "openai"}, {"api", settings_.api},
            {"url", url_}, {"model", model_}, {"body", settings_.body}, {"command", settings_.command}, {"version", version_}};
  }

  bool needs_model_file() const override {
    return std::find(settings_.command.begin(), settings_.command.end(), "{model}") != settings_.command.end();
  }

  LoadResult load(const Workload& workload) override {
    if (!workload.generates) throw Failure(Reason::Unsupported, "an endpoint for completions serves generating models only");
    LoadResult result;
    if (!settings_.command.empty()) {
      const std::int64_t begin = now_ns();
      start(workload);
      result.phases.push_back({"start", static_cast<double>(now_ns() - begin) * 1e-9});
    }
    ask_names(workload);
    result.vocabulary = settings_.vocabulary;
    return result;
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    HttpRequest http = base_request(settings_.api == "chat" ? "/v1/chat/completions" : "/v1/completions");
    http.body = body_of(request).dump();
    client_.start(std::move(http), std::make_unique<CompletionReader>(request.id, sink));
  }

  void cancel_all() override { client_.cancel_all(); }

 private:
  HttpRequest base_request(const std::string& path) const {
    HttpRequest request;
    request.url = url_ + path;
    request.headers = {"Content-Type: application/json"};
    if (!settings_.key.empty()) request.headers.push_back("Authorization: Bearer " + settings_.key);
    request.stall_ns = settings_.stall_ns;
    return request;
  }

  Json body_of(const SystemRequest& request) const {
    Json body = {{"model", model_}, {"max_tokens", request.max_tokens}, {"temperature", 0}, {"stream", true},
                 {"stream_options", {{"include_usage", true}}}, {"ignore_eos", request.ignore_end}};
    if (settings_.api == "chat") body["messages"] = {{{"role", "user"}, {"content", words_of(request.prompt)}}};
    else body["prompt"] = request.prompt;
    body.merge_patch(settings_.body);
    return body;
  }

  void start(const Workload& workload) {
    server_.reset();
    const std::int64_t total = workload.context * workload.concurrency;
    const int threads = threads_ > 0 ? threads_ : static_cast<int>(std::thread::hardware_concurrency());
    const std::map<std::string, std::string> values = {
        {"model", workload.model_path}, {"port", std::to_string(free_port())}, {"concurrency", std::to_string(workload.concurrency)},
        {"context", std::to_string(workload.context)}, {"total_context", std::to_string(total)}, {"kv", workload.kv_type}, {"threads", std::to_string(threads)}};
    std::vector<std::string> command;
    for (const std::string& word : settings_.command) command.push_back(filled(word, values));
    const std::string program = find_program(command.front());
    if (program.empty()) throw Failure(Reason::Connection, fmt::format("'{}' is neither in PATH nor a peer that benchmarks/versus sets up", command.front()));
    command.front() = program;
    url_ = checked_base_url(filled(settings_.url.empty() ? "http://127.0.0.1:{port}" : settings_.url, values));
    server_.emplace(command, settings_.log);
    wait_until_ready();
  }

  void wait_until_ready() {
    const std::int64_t deadline = now_ns() + settings_.start_ns;
    for (;;) {
      std::string detail;
      try {
        http_fetch(client_, base_request("/health"));
        return;
      } catch (const Failure& failure) {
        detail = failure.what();
      }
      const std::string end = server_->end();
      if (!end.empty()) throw Failure(Reason::Connection, fmt::format("'{}' {}", settings_.command.front(), end));
      if (now_ns() > deadline) throw Failure(Reason::Timeout, "the server is not ready: " + detail);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  /// What the endpoint serves and who it is. Only being unreachable is an error here.
  void ask_names(const Workload& workload) {
    const Json models = ask("/v1/models");
    model_ = settings_.model;
    if (model_.empty() && models.is_object() && models.contains("data") && models["data"].is_array() && !models["data"].empty() && models["data"][0].is_object()) {
      const Json id = models["data"][0].value("id", Json());
      if (id.is_string()) model_ = id.get<std::string>();
    }
    if (model_.empty()) model_ = workload.model;
    const Json version = ask("/version"), properties = ask("/props");
    if (version.is_object() && version.contains("version")) version_ = version["version"];
    if (properties.is_object() && properties.contains("build_info")) version_ = properties["build_info"];
  }

  Json ask(const std::string& path) {
    try {
      return Json::parse(http_fetch(client_, base_request(path)), nullptr, false);
    } catch (const Failure& failure) {
      if (failure.reason() == Reason::Connection || failure.reason() == Reason::Timeout) throw;
      return nullptr;
    }
  }

  Settings settings_;
  int threads_;
  std::string url_, model_;
  Json version_;
  std::optional<ChildProcess> server_;
  HttpClient client_;
};

}  // namespace

std::unique_ptr<System> make_openai(const Json& settings, int threads) { return std::make_unique<OpenAi>(read_settings(settings), threads); }

Json llama_server_settings(const Json& more) {
  // The cache of prompts would answer from earlier runs; the counts say how many tokens a chunk holds.
  Json settings = {{"command", {"llama-server", "--model", "{model}", "--host", "127.0.0.1", "--port", "{port}", "--ctx-size", "{total_context}", "--parallel",
                                "{concurrency}", "--threads", "{threads}", "--cache-type-k", "{kv}", "--cache-type-v", "{kv}"}},
                   {"body", {{"cache_prompt", false}, {"timings_per_token", true}}}};
  settings.merge_patch(more);
  return settings;
}

}  // namespace naru::bench
