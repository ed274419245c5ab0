// Systems under test by name.
#include "benchmarks/sut/make_system.h"

#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/log/sha256.h"
#include "benchmarks/sut/in_process.h"
#include "benchmarks/sut/remote.h"
#include "benchmarks/sut/synthetic.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;
using Maker = std::function<std::unique_ptr<System>(const Condition&)>;

std::unique_ptr<System> make_in_process(const Condition& condition, int threads) {
  EngineOptions options;
  options.devices = device_list(condition.device);
  options.threads = threads;
  return condition.model.generates ? make_in_process_generator(options) : make_in_process_model(options);
}

/// A kind of system: where its times are taken, and how settings become a maker of systems.
struct Kind {
  const char* name;
  const char* boundary;
  bool in_process;
  Maker (*maker)(const Json& settings, int threads);
};

Maker in_process_maker(const Json& settings, int threads) {
  if (!settings.empty()) fail(ErrorCode::InvalidArgument, "--sut in-process: it has no settings");
  return [threads](const Condition& condition) { return make_in_process(condition, threads); };
}

Maker synthetic_maker(const Json& settings, int) {
  return [truth = synthetic_truth(settings)](const Condition&) { return make_synthetic(truth); };
}

Maker openai_maker(const Json& settings, int threads) {
  make_openai(settings, threads);  // settings are refused before anything is measured
  return [settings, threads](const Condition&) { return make_openai(settings, threads); };
}

Maker llama_server_maker(const Json& settings, int threads) { return openai_maker(llama_server_settings(settings), threads); }

Maker kserve_maker(const Json& settings, int) {
  make_kserve(settings);
  return [settings](const Condition&) { return make_kserve(settings); };
}

Maker pipe_maker(const Json& settings, int) {
  make_pipe(settings);
  return [settings](const Condition&) { return make_pipe(settings); };
}

constexpr Kind kKinds[] = {{"in-process", "B-tok", true, in_process_maker},        {"synthetic", "B-tok", false, synthetic_maker},
                           {"openai", "B-net", false, openai_maker},               {"llama-server", "B-net", false, llama_server_maker},
                           {"kserve", "B-net", false, kserve_maker},               {"pipe", "B-net", false, pipe_maker}};

struct Words {
  std::string name, kind;
  Json settings = Json::object();
};

Words split(const std::string& text) {
  Words words;
  const std::size_t colon = text.find(':');
  words.kind = text.substr(0, colon);
  if (const std::size_t equals = words.kind.find('='); equals != std::string::npos) {
    words.name = words.kind.substr(0, equals);
    words.kind = words.kind.substr(equals + 1);
  }
  if (colon == std::string::npos) return words;
  std::string settings = text.substr(colon + 1);
  if (!settings.empty() && settings.front() == '@') settings = read_file(settings.substr(1));
  words.settings = Json::parse(settings, nullptr, false);
  if (!words.settings.is_object()) fail(ErrorCode::InvalidArgument, "--sut {}: its settings are no JSON object", words.kind);
  return words;
}

const Kind& kind_of(const Words& words) {
  std::string names;
  for (const Kind& kind : kKinds) {
    if (words.kind == kind.name) return kind;
    names += std::string(names.empty() ? "" : ", ") + kind.name;
  }
  fail(ErrorCode::InvalidArgument, "--sut '{}': expected one of {}", words.kind, names);
}

}  // namespace

Systems parse_systems(const std::vector<std::string>& texts, int threads) {
  Systems systems;
  std::map<std::string, Maker> makers;
  for (const std::string& text : texts) {
    Words words = split(text);
    if (words.name.empty() && texts.size() > 1) words.name = words.kind;
    const Kind& kind = kind_of(words);
    systems.labels.push_back({words.name, kind.boundary, kind.in_process});
    if (!makers.emplace(words.name, kind.maker(words.settings, threads)).second) fail(ErrorCode::InvalidArgument, "--sut: two systems are named '{}'", words.name);
  }
  systems.make = [makers = std::move(makers)](const Condition& condition) { return makers.at(condition.system.name)(condition); };
  return systems;
}

}  // namespace naru::bench
