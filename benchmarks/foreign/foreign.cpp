// Reading other tools' results: tables of names, and one small reader per shape of file.
#include "benchmarks/foreign/foreign.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

/// A figure of a tool: its name there, and what it is here. An empty formula: computed as ours.
struct Name {
  const char* theirs;
  const char* ours;
  double factor;
  const char* formula;
};

constexpr const char* kFromHandOver = "t_1 - s: the wait in the client is left out";
constexpr const char* kLastStamp = "(e - t_1) / (n - 1)";
constexpr const char* kWholeRun = "";

constexpr Name kVllm[] = {
    {"ttft_ms", "ttft", 1e-3, kFromHandOver},
    {"tpot_ms", "tpot", 1e-3, kLastStamp},
    {"itl_ms", "itl", 1e-3, "gaps between chunks, pooled over all requests"},
    {"e2el_ms", "latency", 1e-3, "e - s"},
};
constexpr Name kVllmScalars[] = {
    {"output_throughput", "whole_run_tokens_per_s", 1, kWholeRun},
    {"request_throughput", "requests_per_s", 1, "completions over the whole run"},
    {"request_goodput", "goodput", 1, "good requests over the whole run; one token counts as TPOT 0"},
};
constexpr const char* kVllmStatistics[][2] = {{"mean", "mean"}, {"median", "p50"}, {"p50", "p50"}, {"p90", "p90"}, {"p95", "p95"}, {"p99", "p99"}};

// The unit stands in the file; times come in ms.
constexpr Name kAiperf[] = {
    {"time_to_first_token", "ttft", 1e-3, "t_1 - s, first chunk that is not empty"},
    {"inter_token_latency", "tpot", 1e-3, kLastStamp},
    {"request_latency", "latency", 1e-3, "e - s"},
    {"output_token_throughput_per_user", "user_tokens_per_s", 1, ""},
    {"output_token_throughput", "whole_run_tokens_per_s", 1, kWholeRun},
    {"request_throughput", "requests_per_s", 1, "completions over the whole run"},
    {"goodput", "goodput", 1, "good requests over the whole run"},
};
constexpr const char* kAiperfStatistics[][2] = {{"avg", "mean"}, {"p50", "p50"}, {"p90", "p90"}, {"p95", "p95"}, {"p99", "p99"}};

constexpr Name kGuidellm[] = {
    {"time_to_first_token_ms", "ttft", 1e-3, kFromHandOver},
    {"inter_token_latency_ms", "tpot", 1e-3, ""},
    {"time_per_output_token_ms", "time_per_output_token_ms", 1, "(t_n - s) / n: TTFT is in it"},
    {"request_latency", "latency", 1, "e - s"},
    {"output_tokens_per_second", "whole_run_tokens_per_s", 1, "of completed requests, over the whole run"},
    {"requests_per_second", "requests_per_s", 1, "completions over the whole run"},
};
constexpr const char* kGuidellmPercentiles[] = {"p50", "p90", "p95", "p99"};

const Json* part(const Json& json, const std::string& name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

std::string text_of(const Json& json, const char* name) {
  const Json* value = part(json, name);
  if (value == nullptr || value->is_null()) return "";
  std::string text = value->is_string() ? value->get<std::string>() : value->dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.substr(0, 200);
}

void add(ForeignRow& row, const Json* value, const Name& name, const char* statistic) {
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>())) return;
  row.figures.push_back({name.ours, statistic, value->get<double>() * name.factor, name.formula});
}

/// "concurrency 4, rate inf": the fields that are there.
std::string condition_of(const Json& json, std::initializer_list<std::pair<const char*, const char*>> names) {
  std::string text;
  for (const auto& [field, shown] : names) {
    const std::string value = text_of(json, field);
    if (!value.empty()) text += (text.empty() ? "" : ", ") + std::string(shown) + " " + value;
  }
  return text;
}

std::vector<ForeignRow> read_vllm(const Json& json) {
  ForeignRow row{"vllm bench serve", text_of(json, "model_id"), condition_of(json, {{"max_concurrency", "concurrency"}, {"request_rate", "rate"}, {"num_prompts", "requests"}}), {}};
  for (const Name& name : kVllm) {
    for (const auto& [theirs, ours] : kVllmStatistics) add(row, part(json, std::string(theirs) + "_" + name.theirs), name, ours);
  }
  for (const Name& name : kVllmScalars) add(row, part(json, name.theirs), name, "mean");
  return {row};
}

std::vector<ForeignRow> read_aiperf(const Json& json) {
  const Json* config = part(json, "input_config");
  const Json *endpoint = config == nullptr ? nullptr : part(*config, "endpoint"), *load = config == nullptr ? nullptr : part(*config, "loadgen");
  ForeignRow row{"aiperf", endpoint == nullptr ? "" : text_of(*endpoint, "model_names"), load == nullptr ? "" : condition_of(*load, {{"concurrency", "concurrency"}, {"request_rate", "rate"}, {"request_count", "requests"}}), {}};
  for (const Name& name : kAiperf) {
    const Json* metric = part(json, name.theirs);
    if (metric == nullptr) continue;
    Name scaled = name;
    if (text_of(*metric, "unit") == "sec") scaled.factor = 1;
    for (const auto& [theirs, ours] : kAiperfStatistics) add(row, part(*metric, theirs), scaled, ours);
  }
  return {row};
}

std::vector<ForeignRow> read_guidellm(const Json& json) {
  std::vector<ForeignRow> rows;
  const std::string model = part(json, "args") != nullptr ? text_of(json["args"], "model") : "";
  for (const Json& benchmark : json.at("benchmarks")) {
    const Json* metrics = part(benchmark, "metrics");
    if (metrics == nullptr) continue;
    const Json* config = part(benchmark, "config");
    const Json* strategy = part(config == nullptr ? benchmark : *config, "strategy");
    ForeignRow row{"guidellm", model, strategy == nullptr ? "" : condition_of(*strategy, {{"type_", "strategy"}, {"streams", "concurrency"}, {"rate", "rate"}}), {}};
    for (const Name& name : kGuidellm) {
      const Json* metric = part(*metrics, name.theirs);
      const Json* good = metric == nullptr ? nullptr : part(*metric, "successful");
      if (good == nullptr) continue;
      add(row, part(*good, "mean"), name, "mean");
      const Json* percentiles = part(*good, "percentiles");
      for (const char* statistic : kGuidellmPercentiles) add(row, percentiles == nullptr ? nullptr : part(*percentiles, statistic), name, statistic);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<ForeignRow> read_llama_bench(const Json& tests) {
  constexpr Name kPrompt = {"avg_ts", "prefill_tokens_per_s", 1, "one batch, no tokeniser, no sampling; mean over repetitions"};
  constexpr Name kGeneration = {"avg_ts", "user_tokens_per_s", 1, "one sequence, no sampling; mean over repetitions"};
  std::vector<ForeignRow> rows;
  for (const Json& test : tests) {
    const Json *generated = part(test, "n_gen"), *speed = part(test, "avg_ts");
    const bool generates = generated != nullptr && generated->is_number_integer() && *generated > 0;
    ForeignRow row{"llama-bench", text_of(test, "model_type"), condition_of(test, {{"n_prompt", "prompt"}, {"n_gen", "generated"}, {"n_depth", "depth"}, {"n_threads", "threads"}, {"type_k", "kv"}}), {}};
    add(row, speed, generates ? kGeneration : kPrompt, "mean");
    rows.push_back(std::move(row));
  }
  return rows;
}

/// One value, or one value per line.
Json parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_discarded()) return json;
  json = Json::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    json.push_back(Json::parse(line, nullptr, false));
    if (json.back().is_discarded()) fail(ErrorCode::InvalidModel, "result file: it is neither JSON nor JSON lines");
  }
  return json;
}

/// A kind of file: what gives it away, and its reader.
struct Format {
  bool (*is)(const Json&);
  std::vector<ForeignRow> (*read)(const Json&);
};

constexpr Format kFormats[] = {
    {[](const Json& json) { return json.is_array() && !json.empty() && part(json[0], "avg_ts") != nullptr; }, read_llama_bench},
    {[](const Json& json) { const Json* list = part(json, "benchmarks"); return list != nullptr && list->is_array(); }, read_guidellm},
    {[](const Json& json) { return part(json, "mean_ttft_ms") != nullptr || (part(json, "output_throughput") != nullptr && part(json, "completed") != nullptr); }, read_vllm},
    {[](const Json& json) { const Json* metric = part(json, "request_throughput"); return metric != nullptr && part(*metric, "unit") != nullptr; }, read_aiperf},
};

}  // namespace

std::vector<ForeignRow> read_foreign(std::string_view text) {
  const Json json = parse(text);
  for (const Format& format : kFormats) {
    if (format.is(json)) return format.read(json);
  }
  fail(ErrorCode::InvalidModel, "result file: it is not of vllm bench serve, AIPerf, llama-bench or GuideLLM");
}

}  // namespace naru::bench
