// Suite: what to measure, as a file; and the rows that it stands for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/load/scenario.h"
#include "benchmarks/sut/system.h"

namespace naru::bench {

/// A model of a suite.
struct SuiteModel {
  std::string id;
  bool generates = false;
  std::string path;  ///< file, looked for in the model folders; empty: only declared
  std::string synth_shape, synth_type;  ///< a known shape with random weights in place of a real file
  std::vector<InputSpec> inputs;        ///< of models that do not generate
  std::string weights = "f32", activations = "f32", kv;                   ///< precision
  double parameters = 0;              ///< declared
  std::int64_t weights_bytes = 0;     ///< declared
  std::int64_t kv_bytes_per_token = 0;
  std::int64_t context = 0;           ///< longest sequence; 0: unknown
  bool gate = true;                   ///< check the accuracy against the f32 reference
  double relative = 1e-3, absolute = 1e-4;  ///< tolerance of outputs
  double top1 = 0.9, kl = 0.05, perplexity_ratio = 1.02;  ///< limits for generated tokens
};

/// Limits on a request, nanoseconds; 0: none.
struct Limits {
  std::int64_t ttft_ns = 0;
  std::int64_t tpot_ns = 0;
  std::int64_t latency_ns = 0;
  double attainment = 0.99;  ///< share of requests that must keep the others, of a capacity

  bool any() const { return ttft_ns + tpot_ns + latency_ns > 0; }
};

/// A system under test as a row knows it.
struct SystemLabel {
  std::string name;                ///< empty where a session has only one
  std::string boundary = "B-tok";  ///< where times are taken: B-tok, B-text, B-net
  bool in_process = true;          ///< this process runs it: accuracy gates can be run
};

/// One row of the report: one model under one condition.
struct Condition {
  SuiteModel model;
  SystemLabel system;
  std::string device;
  std::int64_t input_tokens = 0, output_tokens = 0;
  std::int64_t batch = 1;
  Scenario scenario;
  Limits limits;

  /// What the load axis shows: requests per second, or clients.
  double load() const { return scenario.has_rate() ? scenario.rate : scenario.concurrency; }
  /// The condition key of METRICS: model, precision, lengths, scenario, load, devices and so on.
  std::string key() const;
  /// 12 hexadecimal digits of the hash of the key and the system's name.
  std::string id() const;
  /// The key's parts for reports.
  nlohmann::json to_json() const;
};

struct Suite {
  std::string name;
  std::string title[2];  ///< English, Korean
  int runs = 5;
  std::uint64_t seed = 1;
  std::vector<Condition> rows;  ///< in the order of the file
  std::string declared;         ///< JSON of declared system facts
  std::string text;             ///< the file
};

/// What a session measures a suite on.
struct SuiteTargets {
  std::vector<std::string> devices;  ///< instead of those that the suite names; empty: keep these
  std::vector<SystemLabel> systems = {SystemLabel{}};
};

/// @throws Error InvalidArgument naming the field: unknown, of the wrong kind, or a grid without rows.
SuiteModel read_model(const nlohmann::json& json, std::size_t index);
Suite parse_suite(const std::string& text, const SuiteTargets& targets);
/// A file, or the name of a suite that comes with naru.
std::string suite_text(const std::string& name_or_file);

/// The order in which rows are measured when time is short: first those at the ends of every axis.
std::vector<std::size_t> extremes_first(const std::vector<Condition>& rows);

/// The file of a model: as given, beside the suite, or in the model folders. Empty when not there.
std::filesystem::path find_model(const std::string& path, const std::filesystem::path& suite_file);

}  // namespace naru::bench
