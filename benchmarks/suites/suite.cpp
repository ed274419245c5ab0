// Suites: from JSON to rows.
#include "benchmarks/suites/suite.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/log/sha256.h"
#include "benchmarks/suites/fields.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

constexpr std::size_t kMaxRows = 10'000;

ScenarioKind scenario_kind(const std::string& name, const std::string& where) {
  static const std::map<std::string, ScenarioKind> kKinds = {{"single", ScenarioKind::Closed},
                                                             {"closed", ScenarioKind::Closed},
                                                             {"poisson", ScenarioKind::Poisson},
                                                             {"burst", ScenarioKind::Burst},
                                                             {"offline", ScenarioKind::Burst},
                                                             {"trace", ScenarioKind::Trace},
                                                             {"capacity", ScenarioKind::Capacity},
                                                             {"sustained", ScenarioKind::Sustained},
                                                             {"cold_start", ScenarioKind::ColdStart}};
  const auto found = kKinds.find(name);
  if (found == kKinds.end()) {
    fail(ErrorCode::InvalidArgument, "{}.scenario: got '{}', expected single, closed, poisson, burst, offline, trace, capacity, sustained or cold_start", where, name);
  }
  return found->second;
}

std::int64_t default_requests(ScenarioKind kind) {
  if (kind == ScenarioKind::ColdStart) return 1;
  return kind == ScenarioKind::Sustained ? 100'000'000 : 20;
}

Limits read_limits(const nlohmann::json* json, const std::string& where) {
  Limits limits;
  if (json == nullptr) return limits;
  Fields fields(*json, where + ".limits");
  const auto ns = [&](const char* name) { return static_cast<std::int64_t>(fields.number(name, 0, 0, 1e9) * 1e6); };
  limits.ttft_ns = ns("ttft_ms");
  limits.tpot_ns = ns("tpot_ms");
  limits.latency_ns = ns("latency_ms");
  limits.attainment = fields.number("attainment", limits.attainment, 1e-9, 1);
  fields.finish();
  return limits;
}

/// One grid: the cross product of its lists.
struct Grid {
  std::vector<std::string> models, devices;
  std::vector<std::int64_t> inputs, outputs, batches, loads;
  std::vector<double> rates;
  Scenario scenario;
  Limits limits;
};

Grid read_grid(const nlohmann::json& json, std::size_t index, const std::vector<std::string>& devices) {
  Fields fields(json, fmt::format("grids[{}]", index));
  Grid grid;
  grid.models = fields.texts("models", {});
  grid.devices = fields.texts("devices", {"cpu"});
  if (!devices.empty()) grid.devices = devices;
  const std::string scenario = fields.text("scenario", "closed");
  grid.scenario.kind = scenario_kind(scenario, fields.where());
  grid.inputs = fields.integers("input_tokens", {0}, 1, 1 << 24);
  grid.outputs = fields.integers("output_tokens", {0}, 1, 1 << 24);
  grid.batches = fields.integers("batch", {1}, 1, 1 << 16);
  grid.loads = fields.integers("concurrency", {1}, 1, 1 << 16);
  grid.rates = fields.numbers("rate", {0}, 1e-6, 1e9);
  grid.scenario.requests = static_cast<int>(fields.integer("requests", default_requests(grid.scenario.kind), 1, 100'000'000));
  grid.scenario.limit_ns = static_cast<std::int64_t>(fields.number("seconds", grid.scenario.kind == ScenarioKind::Sustained ? 600 : 60, 0.001, 1e6) * 1e9);
  for (const double ms : fields.numbers("arrivals_ms", {}, 0, 1e9)) {
    grid.scenario.trace_ns.push_back(static_cast<std::int64_t>(ms * 1e6));
  }
  grid.limits = read_limits(fields.part("limits"), fields.where());
  fields.finish();
  if (grid.models.empty()) fail(ErrorCode::InvalidArgument, "{}: no models", fields.where());
  if (grid.scenario.has_rate() != fields.has("rate")) {
    fail(ErrorCode::InvalidArgument, "{}: 'rate' goes with scenarios poisson and capacity, and only with them", fields.where());
  }
  if (grid.scenario.kind == ScenarioKind::Capacity && !grid.limits.any()) {
    fail(ErrorCode::InvalidArgument, "{}: scenario capacity searches for the rate that keeps limits, give some", fields.where());
  }
  if ((scenario == "single" || scenario == "cold_start") && fields.has("concurrency")) {
    fail(ErrorCode::InvalidArgument, "{}: scenario {} has concurrency 1, give none", fields.where(), scenario);
  }
  if ((grid.scenario.kind == ScenarioKind::Trace) != fields.has("arrivals_ms")) {
    fail(ErrorCode::InvalidArgument, "{}: 'arrivals_ms' goes with scenario trace, and only with it", fields.where());
  }
  if (!std::is_sorted(grid.scenario.trace_ns.begin(), grid.scenario.trace_ns.end())) {
    fail(ErrorCode::InvalidArgument, "{}.arrivals_ms: the times do not ascend", fields.where());
  }
  if (grid.scenario.kind == ScenarioKind::Trace) grid.scenario.requests = static_cast<int>(grid.scenario.trace_ns.size());
  return grid;
}

void check_lengths(const Grid& grid, const SuiteModel& model, std::size_t index) {
  const bool lengths = grid.inputs.front() > 0 && grid.outputs.front() > 0;
  if (model.generates && !lengths) {
    fail(ErrorCode::InvalidArgument, "grids[{}]: model '{}' generates, give input_tokens and output_tokens", index, model.id);
  }
  if (!model.generates && (grid.inputs.front() > 0 || grid.outputs.front() > 0)) {
    fail(ErrorCode::InvalidArgument, "grids[{}]: model '{}' does not generate, it has no token lengths", index, model.id);
  }
}

void add_rows(const Grid& grid, const SuiteModel& model, const SystemLabel& system, std::vector<Condition>& rows) {
  for (const std::string& device : grid.devices)
    for (const std::int64_t input : grid.inputs)
      for (const std::int64_t output : grid.outputs)
        for (const std::int64_t batch : grid.batches)
          for (const std::int64_t load : grid.loads)
            for (const double rate : grid.rates) {
              Condition row{model, system, device, input, output, batch, grid.scenario, grid.limits};
              row.scenario.concurrency = static_cast<int>(load);
              row.scenario.rate = rate;
              rows.push_back(std::move(row));
              if (rows.size() > kMaxRows) fail(ErrorCode::InvalidArgument, "suite: more than {} rows", kMaxRows);
            }
}

}  // namespace

std::string Condition::key() const {
  std::string shapes;
  for (const InputSpec& input : at_batch(model.inputs, batch)) {
    shapes += (shapes.empty() ? "" : ",") + input.name + "=";
    for (std::size_t i = 0; i < input.dims.size(); ++i) shapes += (i == 0 ? "" : "x") + std::to_string(input.dims[i]);
    if (input.value) shapes += fmt::format(":{}", *input.value);
  }
  return fmt::format("model={}|precision={}/{}/{}|shapes={}|in={}|out={}|batch={}|scenario={}|load={}|requests={}|limit={}|device={}|parallel=1|speculative=0|prefix_cache=0|boundary={}",
                     model.id + (model.synth_shape.empty() ? "" : "(synth)"), model.weights, model.activations, model.kv, shapes, input_tokens, output_tokens, batch,
                     to_string(scenario.kind), load(), scenario.requests, scenario.limit_ns, device, system.boundary);
}

std::string Condition::id() const { return sha256(key() + (system.name.empty() ? "" : "|system=" + system.name)).substr(0, 12); }

nlohmann::json Condition::to_json() const {
  nlohmann::json json = {{"model", model.id}, {"system", system.name}, {"kind", model.generates ? "generate" : "infer"},
          {"precision", {{"weights", model.weights}, {"activations", model.activations}, {"kv", model.kv}}},
          {"input_tokens", input_tokens}, {"output_tokens", output_tokens}, {"batch", batch},
          {"scenario", to_string(scenario.kind)}, {"concurrency", scenario.concurrency}, {"rate", scenario.rate},
          {"requests", scenario.requests}, {"limit_ns", scenario.limit_ns}, {"device", device}, {"boundary", system.boundary},
          {"prefix_cache", false}, {"speculative", false}, {"key", key()}};
  if (scenario.kind == ScenarioKind::Capacity) json["attainment"] = limits.attainment;
  json["limits_ns"] = {{"ttft", limits.ttft_ns}, {"tpot", limits.tpot_ns}, {"latency", limits.latency_ns}};
  if (!model.synth_shape.empty()) json["synthetic"] = true;
  for (const InputSpec& input : at_batch(model.inputs, batch)) {
    if (input.known_shape) json["shapes"][input.name] = input.dims;
  }
  return json;
}

Suite parse_suite(const std::string& text, const SuiteTargets& targets) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) fail(ErrorCode::InvalidArgument, "suite: it is no JSON");
  Fields fields(json, "suite");
  Suite suite;
  suite.text = text;
  const std::string schema = fields.text("schema");
  if (schema != "naru.suite/1") fail(ErrorCode::InvalidArgument, "suite.schema: got '{}', expected naru.suite/1", schema);
  suite.name = fields.text("name");
  if (const nlohmann::json* title = fields.part("title")) {
    Fields languages(*title, "suite.title");
    suite.title[0] = languages.text("en", suite.name);
    suite.title[1] = languages.text("ko", suite.title[0]);
    languages.finish();
  } else {
    suite.title[0] = suite.title[1] = suite.name;
  }
  suite.runs = static_cast<int>(fields.integer("runs", 5, 1, 1000));
  suite.seed = static_cast<std::uint64_t>(fields.integer("seed", 1, 0, INT64_MAX));
  if (const nlohmann::json* declared = fields.part("declared")) {
    Fields(*declared, "suite.declared");
    suite.declared = declared->dump();
  }
  const nlohmann::json *models = fields.part("models"), *grids = fields.part("grids");
  fields.finish();
  if (models == nullptr || !models->is_array() || grids == nullptr || !grids->is_array()) {
    fail(ErrorCode::InvalidArgument, "suite: 'models' and 'grids' are lists");
  }
  std::map<std::string, SuiteModel> known;
  for (std::size_t i = 0; i < models->size(); ++i) {
    SuiteModel model = read_model((*models)[i], i);
    if (!known.emplace(model.id, model).second) fail(ErrorCode::InvalidArgument, "models[{}]: '{}' is there twice", i, model.id);
  }
  for (std::size_t i = 0; i < grids->size(); ++i) {
    const Grid grid = read_grid((*grids)[i], i, targets.devices);
    for (const std::string& id : grid.models) {
      const auto model = known.find(id);
      if (model == known.end()) fail(ErrorCode::InvalidArgument, "grids[{}]: unknown model '{}'", i, id);
      check_lengths(grid, model->second, i);
      for (const SystemLabel& system : targets.systems) add_rows(grid, model->second, system, suite.rows);
    }
  }
  if (suite.rows.empty()) fail(ErrorCode::InvalidArgument, "suite: no rows");
  std::map<std::string, int> ids;
  for (const Condition& row : suite.rows) {
    if (++ids[row.id()] == 2) fail(ErrorCode::InvalidArgument, "suite: two rows have the condition {}", row.key());
  }
  return suite;
}

std::filesystem::path find_model(const std::string& path, const std::filesystem::path& suite_file) {
  std::vector<std::filesystem::path> folders = {"", suite_file.parent_path(), ".deps/models"};
  if (const char* folder = std::getenv("NARU_MODELS")) folders.insert(folders.begin(), folder);
  for (const std::filesystem::path& folder : folders) {
    std::error_code error;
    if (std::filesystem::exists(folder / path, error)) return folder / path;
  }
  return {};
}

}  // namespace naru::bench
