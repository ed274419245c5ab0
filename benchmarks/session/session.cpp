// Sessions: rows in order, runs of a row, what goes into the journal.
#include "benchmarks/session/session.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "benchmarks/analyse/audit.h"
#include "benchmarks/analyse/row.h"
#include "benchmarks/energy/provider.h"
#include "benchmarks/facts/system_facts.h"
#include "benchmarks/gate/gate.h"
#include "benchmarks/load/driver.h"
#include "benchmarks/load/random.h"
#include "benchmarks/log/journal.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/session/capacity.h"
#include "graph/export/synth.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

// Ids below are often marks with a meaning of their own; prompts use none of them.
constexpr std::int64_t kFirstPlainToken = 1000;
constexpr std::size_t kMaxPrompts = 256;

std::string wall_time() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Thrown within a row to end it with a reason.
struct RowEnd {
  const char* status;
  Reason reason;
  std::string detail;
};

class Session {
 public:
  Session(const Suite& suite, const SystemFactory& make_system, const SessionOptions& options)
      : suite_(suite), make_system_(make_system), options_(options), journal_(options.folder / "journal.jsonl") {}

  SessionOutcome audit(bool all_rows) {
    start_ns_ = now_ns();
    read_done();
    std::set<std::string> audited;
    for (const Condition& row : suite_.rows) {
      const bool closed = row.scenario.kind == ScenarioKind::Closed || row.scenario.kind == ScenarioKind::Poisson;
      if (measured_.count(row.id()) == 0 || !closed || stopped()) continue;
      if (!audited.insert(row.system.name + "|" + row.model.id + "|" + row.device).second && !all_rows) continue;
      say(fmt::format("audit: {} {} {}", row.model.id, row.device, load_text(row)));
      audit_row(row);
    }
    outcome_.interrupted = stopped();
    return outcome_;
  }

  SessionOutcome run() {
    start_ns_ = now_ns();
    begin();
    providers_ = open_energy_providers(options_.energy_command, options_.energy_boundary);
    note_energy();
    const std::vector<std::size_t> order = options_.budget_ns > 0 ? extremes_first(suite_.rows) : file_order();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Condition& row = suite_.rows[order[i]];
      if (done_.count(row.id()) != 0) continue;
      run_row(row, i, order.size());
    }
    journal_.append({{"kind", "session_end"}, {"time", wall_time()}, {"interrupted", stopped()}});
    outcome_.interrupted = stopped();
    return outcome_;
  }

 private:
  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }
  void say(const std::string& text) const {
    if (options_.progress) options_.progress(text);
  }

  std::vector<std::size_t> file_order() const {
    std::vector<std::size_t> order(suite_.rows.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    return order;
  }

  /// Writes the head of a new session, or finds what an earlier one has done.
  void begin() {
    const std::string hash = sha256(suite_.text);
    if (journal_.entries().empty()) {
      write_file(options_.folder / "suite.json", suite_.text);
    } else {
      const Json& head = journal_.entries().front();
      if (head.value("suite_sha256", "") != hash) {
        fail(ErrorCode::InvalidArgument, "folder '{}': it holds a session of another suite", options_.folder.string());
      }
      read_done();
    }
    Json rows = Json::array(), systems = Json::array();
    for (const Condition& row : suite_.rows) {
      rows.push_back({{"id", row.id()}, {"device", row.device}});
      const Json system = {{"name", row.system.name}, {"boundary", row.system.boundary}, {"in_process", row.system.in_process}};
      if (std::find(systems.begin(), systems.end(), system) == systems.end()) systems.push_back(system);
    }
    Json entry = {{"kind", "session"}, {"time", wall_time()}, {"suite_sha256", hash}, {"rows", rows}, {"systems", systems}, {"seed", suite_.seed},
                  {"definitions", "kpm-1"}, {"resumed", !journal_.entries().empty()}};
    journal_.append(std::move(entry));
    Json facts = system_facts();
    const Json declared = suite_.declared.empty() ? Json::object() : Json::parse(suite_.declared);
    journal_.append({{"kind", "system"}, {"facts", facts}, {"declared", declared}, {"mismatches", fact_mismatches(declared, facts)}});
  }

  /// What the journal says is done.
  void read_done() {
    for (const Json& entry : journal_.entries()) {
      if (entry.at("kind") == "gate") gates_.insert(entry.at("model").get<std::string>() + "|" + entry.at("device").get<std::string>());
      if (entry.at("kind") != "row_end") continue;
      done_.insert(entry.at("id").get<std::string>());
      if (entry.at("status") == "measured") measured_.insert(entry.at("id").get<std::string>());
    }
  }

  /// Kinds of runs take turns, so that a machine that drifts does not speak for one of them.
  void audit_row(const Condition& row) {
    const std::string id = row.id();
    journal_.append({{"kind", "audit_begin"}, {"id", id}, {"time", wall_time()}});
    try {
      const std::unique_ptr<System> system = make_system_(row);
      Workload workload = make_workload(row, model_path(row, system->needs_model_file()));
      const RunPlan plan = make_plan(row, system->load(workload));
      warm_up(*system, plan, row);
      for (int run = 0; run < suite_.runs; ++run) {
        for (const AuditRun kind : kAuditRuns) {
          if (!row.model.generates && kind != AuditRun::Replay) continue;
          audit_once(*system, plan, row, kind, run);
        }
      }
      outcome_.measured += 1;
    } catch (const RowEnd& end) {
      say(fmt::format("    {}: {}", info_of(end.reason).code, end.detail));
    } catch (...) {
      std::string detail;
      const Reason reason = reason_of_current_error(detail);
      outcome_.failed += 1;
      say(fmt::format("    {}: {}", info_of(reason).code, detail));
    }
  }

  void audit_once(System& system, RunPlan plan, const Condition& row, AuditRun kind, int run) {
    plan.max_tokens = audit_tokens(kind, row.output_tokens);
    plan.ignore_end = kind != AuditRun::EndToken;
    if (kind == AuditRun::SamePrompt) plan.prompts.resize(1);
    if (kind == AuditRun::OtherPrompts) {
      for (auto& prompt : plan.prompts) std::reverse(prompt.begin(), prompt.end());
    }
    // These two ask for a length each, not for a speed.
    if (kind == AuditRun::Lengths || kind == AuditRun::EndToken) plan.scenario.requests = std::min(plan.scenario.requests, 2 * row.scenario.concurrency);
    Json entry = run_logged(system, plan, fmt::format("raw/audit-{}-{}-{}.evt", row.id(), to_string(kind), run), run);
    entry.update({{"kind", "audit"}, {"id", row.id()}, {"run", run}, {"test", to_string(kind)}});
    journal_.append(std::move(entry));
  }

  void note_energy() {
    Json list = Json::array();
    for (const auto& provider : providers_) list.push_back({{"name", provider->name()}, {"boundary", provider->boundary()}});
    journal_.append({{"kind", "energy"}, {"providers", list}});
  }

  std::int64_t elapsed() const { return now_ns() - start_ns_; }

  void run_row(const Condition& row, std::size_t index, std::size_t count) {
    const std::string id = row.id();
    const std::int64_t begin = now_ns();
    say(fmt::format("[{}/{}] {} {} {}{}{}", index + 1, count, row.model.id, row.device, load_text(row), row.system.name.empty() ? "" : " on ", row.system.name) + time_left(index, count));
    RowEnd end{"measured", Reason::None, ""};
    try {
      check_time(row);
      remove_logs(id);
      journal_.append({{"kind", "row_begin"}, {"id", id}, {"time", wall_time()}});
      measure(row, id);
    } catch (const RowEnd& reason) {
      end = reason;
    } catch (...) {
      end.status = "failed";
      end.reason = reason_of_current_error(end.detail);
    }
    if (end.reason == Reason::Interrupted) end.status = "skipped";
    finish_row(id, end);
    if (end.reason != Reason::Budget && end.reason != Reason::Interrupted) longest_row_ns_ = std::max(longest_row_ns_, now_ns() - begin);
  }

  /// What an earlier session that was cut off has left of the row.
  void remove_logs(const std::string& id) const {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder / "raw", error)) {
      if (entry.path().filename().string().rfind(id + "-", 0) == 0) std::filesystem::remove(entry.path());
    }
  }

  void finish_row(const std::string& id, const RowEnd& end) {
    const std::string status = end.status;
    (status == "measured" ? outcome_.measured : status == "failed" ? outcome_.failed : outcome_.skipped) += 1;
    if (end.reason != Reason::None) say(fmt::format("    {} {}: {}", status, info_of(end.reason).code, end.detail));
    // An interrupted row is measured anew when the session is resumed.
    const char* kind = end.reason == Reason::Interrupted || end.reason == Reason::Budget ? "row_skipped" : "row_end";
    journal_.append({{"kind", kind}, {"id", id}, {"status", status}, {"code", info_of(end.reason).code}, {"detail", end.detail}, {"time", wall_time()}});
  }

  static std::string load_text(const Condition& row) {
    std::string text = row.model.generates ? fmt::format("{}+{} tokens, ", row.input_tokens, row.output_tokens) : fmt::format("batch {}, ", row.batch);
    if (row.scenario.has_rate()) return text + fmt::format("{} {}/s", to_string(row.scenario.kind), row.scenario.rate);
    return text + fmt::format("{} {}", to_string(row.scenario.kind), row.scenario.concurrency);
  }

  std::string time_left(std::size_t index, std::size_t count) const {
    if (index == 0) return "";
    const double each = static_cast<double>(elapsed()) / static_cast<double>(index);
    return fmt::format("  (about {:.0f} s left)", each * static_cast<double>(count - index) * 1e-9);
  }

  void check_time(const Condition& row) const {
    if (stopped()) throw RowEnd{"skipped", Reason::Interrupted, ""};
    if (options_.budget_ns == 0) return;
    const std::int64_t needed = std::max(longest_row_ns_, suite_.runs * row.scenario.limit_ns / 4), left = options_.budget_ns - elapsed();
    if (needed <= left) return;
    throw RowEnd{"skipped", Reason::Budget, fmt::format("needs about {:.0f} s, {:.0f} s are left", static_cast<double>(needed) * 1e-9,
                                                        static_cast<double>(std::max<std::int64_t>(0, left)) * 1e-9)};
  }

  /// The model's file, or why there is none; empty where the system has the model itself.
  std::string model_path(const Condition& row, bool needed) const {
    const SuiteModel& model = row.model;
    const std::int64_t length = row.input_tokens + row.output_tokens;
    if (model.context > 0 && length > model.context) {
      throw RowEnd{"skipped", Reason::ContextTooShort, fmt::format("needs {} tokens, the model has {}", length, model.context)};
    }
    if (!needed) return find_model(model.path, options_.suite_file).string();
    const double bytes = static_cast<double>(model.weights_bytes) + static_cast<double>(model.kv_bytes_per_token) * static_cast<double>(length) * row.scenario.concurrency;
    const double has = memory_bytes_;
    if (has > 0 && bytes > has) {
      throw RowEnd{"failed", Reason::OutOfMemory, fmt::format("needs {:.3g} B (weights and caches), the device has {:.3g} B", bytes, has)};
    }
    if (model.path.empty()) throw RowEnd{"skipped", Reason::NoModelFile, "the suite declares the model and names no file"};
    const std::filesystem::path path = find_model(model.path, options_.suite_file);
    if (!path.empty()) return path.string();
    if (!model.synth_shape.empty()) return write_synth(model);
    throw RowEnd{"skipped", Reason::NoModelFile, model.path};
  }

  /// Such files are large: they are written only where the user names a folder.
  std::string write_synth(const SuiteModel& model) const {
    if (options_.synth_folder.empty()) throw RowEnd{"skipped", Reason::NoModelFile, "a shape with random weights; give --synth FOLDER to write " + model.path};
    const std::filesystem::path path = options_.synth_folder / model.path;
    if (std::filesystem::exists(path)) return path.string();
    say("    writing " + path.string());
    std::filesystem::create_directories(options_.synth_folder);
    synthesise(find_shape(model.synth_shape), find_weight_mix(model.synth_type), suite_.seed, path, {});
    return path.string();
  }

  void measure(const Condition& row, const std::string& id) {
    memory_bytes_ = static_cast<double>(sysconf_memory());
    const std::unique_ptr<System> system = make_system_(row);
    const std::string path = model_path(row, system->needs_model_file());
    probe(row.device);
    gate(row, path);
    if (row.scenario.kind == ScenarioKind::ColdStart) return cold_starts(row, id, path);
    const RunPlan plan = make_plan(row, load(*system, row, id, path, 0));
    warm_up(*system, plan, row);
    if (row.scenario.kind == ScenarioKind::Capacity) return find_capacity(*system, plan, row, id);
    // One run of a sustained load is as long as many others together.
    const int runs = row.scenario.kind == ScenarioKind::Sustained ? 1 : suite_.runs;
    for (int run = 0; run < runs; ++run) run_once(*system, plan, id, run, row.scenario.rate);
  }

  RunPlan make_plan(const Condition& row, const LoadResult& loaded) {
    RunPlan plan;
    plan.scenario = row.scenario;
    plan.stop = options_.stop;
    plan.max_tokens = row.output_tokens;
    if (row.model.generates) plan.prompts = make_prompts(row, suite_.seed, loaded.vocabulary);
    if (!providers_.empty()) plan.read_energy = [this] { return read_energy(); };
    return plan;
  }

  /// Each run loads the model into a new system and makes the first request.
  void cold_starts(const Condition& row, const std::string& id, const std::string& path) {
    for (int run = 0; run < suite_.runs; ++run) {
      const std::unique_ptr<System> system = make_system_(row);
      run_once(*system, make_plan(row, load(*system, row, id, path, run)), id, run, 0);
    }
  }

  /// Every run at every rate is kept; the report finds the capacity from them again.
  void find_capacity(System& system, RunPlan plan, const Condition& row, const std::string& id) {
    int next = 0;
    plan.scenario.kind = ScenarioKind::Poisson;
    search_capacity(row.scenario.rate, [&](double rate) {
      plan.scenario.rate = rate;
      for (int run = 0; run < suite_.runs; ++run) {
        const std::string file = run_once(system, plan, id, next++, rate);
        const RunFigures figures = analyse_run(fold_run(read_raw_log(options_.folder / file).events, row.output_tokens), row, {});
        if (!keeps_limits(figures, row)) return false;
      }
      return true;
    });
  }

  static std::int64_t sysconf_memory() {
    static const std::int64_t bytes = system_facts().at("host").at("memory_bytes").get<std::int64_t>();
    return bytes;
  }

  LoadResult load(System& system, const Condition& row, const std::string& id, const std::string& path, int run) {
    const Workload workload = make_workload(row, path);
    const std::int64_t begin = now_ns();
    const LoadResult result = system.load(workload);
    Json phases = Json::array();
    for (const LoadPhase& phase : result.phases) phases.push_back({{"name", phase.name}, {"s", phase.seconds}});
    journal_.append({{"kind", "load"}, {"id", id}, {"run", run}, {"phases", phases}, {"total_s", static_cast<double>(now_ns() - begin) * 1e-9},
                     {"weights_bytes", result.weights_bytes}, {"workspace_bytes", result.workspace_bytes}, {"kv_bytes", result.kv_bytes},
                     {"flops_per_unit", result.flops_per_unit}, {"bytes_per_unit", result.bytes_per_unit}, {"note", result.note},
                     {"system", system.describe()}, {"model_sha256", model_hash(path)}});
    return result;
  }

  Workload make_workload(const Condition& row, const std::string& path) const {
    Workload workload;
    workload.model = row.model.id;
    workload.model_path = path;
    workload.generates = row.model.generates;
    workload.inputs = at_batch(row.model.inputs, row.batch);
    workload.context = row.input_tokens + row.output_tokens + 1;
    workload.concurrency = row.scenario.open_loop() ? 16 : row.scenario.concurrency;
    if (!row.model.generates && row.scenario.open_loop()) workload.concurrency = 1;
    workload.kv_type = row.model.kv;
    workload.seed = suite_.seed;
    return workload;
  }

  std::string model_hash(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return "";
    auto [found, added] = hashes_.try_emplace(path);
    if (added) found->second = sha256_file(path);
    return found->second;
  }

  void probe(const std::string& device) {
    if (!options_.probes || !probed_.insert(device).second) return;
    const Json peaks = probe_device(device, options_.threads);
    journal_.append({{"kind", "probe"}, {"device", device}, {"peaks", peaks}});
  }

  void gate(const Condition& row, const std::string& path) {
    const std::string key = row.model.id + "|" + row.device;
    if (!options_.gate || !row.model.gate || !row.system.in_process || !gates_.insert(key).second) return;
    say("    accuracy gate of " + row.model.id);
    Json result;
    try {
      result = run_gate(row, path, options_.threads);
    } catch (...) {
      std::string detail;
      const Reason reason = reason_of_current_error(detail);
      result = {{"passed", false}, {"code", info_of(reason).code}, {"detail", detail}};
    }
    journal_.append({{"kind", "gate"}, {"model", row.model.id}, {"device", row.device}, {"result", result}});
  }

  EnergyReading read_energy() {
    EnergyReading reading;
    for (const auto& provider : providers_) reading.push_back(provider->read());
    return reading;
  }

  /// A short run that is not kept: plans, caches and clocks settle.
  void warm_up(System& system, const RunPlan& plan, const Condition& row) {
    RunPlan warm = plan;
    warm.scenario.kind = ScenarioKind::Closed;
    warm.scenario.requests = std::max(2, row.scenario.open_loop() ? 4 : row.scenario.concurrency);
    const std::filesystem::path path = options_.folder / "raw" / "warm-up.evt";
    RunOutcome outcome;
    {
      RawLog log(path);
      outcome = run_load(system, warm, log);
    }
    std::filesystem::remove(path);
    if (outcome.interrupted) throw RowEnd{"skipped", Reason::Interrupted, ""};
  }

  /// The name of its log, below the folder.
  std::string run_once(System& system, const RunPlan& plan, const std::string& id, int run, double rate) {
    const std::string name = fmt::format("raw/{}-{}.evt", id, run);
    Json entry = run_logged(system, plan, name, run);
    entry.update({{"kind", "run"}, {"id", id}, {"run", run}, {"rate", rate}});
    journal_.append(std::move(entry));
    return name;
  }

  /// One run into a log: what the journal says of it.
  Json run_logged(System& system, RunPlan plan, const std::string& name, int run) {
    plan.seed = derive_seed(suite_.seed, static_cast<std::uint64_t>(run));
    RunOutcome outcome;
    {
      RawLog log(options_.folder / name);
      outcome = run_load(system, plan, log);
    }
    if (outcome.interrupted) {
      std::filesystem::remove(options_.folder / name);
      throw RowEnd{"skipped", Reason::Interrupted, ""};
    }
    return {{"file", name}, {"sha256", sha256_file(options_.folder / name)}, {"seed", plan.seed}, {"failure", outcome.first_failure}};
  }

  const Suite& suite_;
  const SystemFactory& make_system_;
  const SessionOptions& options_;
  Journal journal_;
  SessionOutcome outcome_;
  std::vector<std::unique_ptr<EnergyProvider>> providers_;
  std::set<std::string> done_, measured_, probed_, gates_;
  std::map<std::string, std::string> hashes_;
  std::int64_t start_ns_ = 0, longest_row_ns_ = 0;
  double memory_bytes_ = 0;
};

}  // namespace

std::vector<std::vector<std::int32_t>> make_prompts(const Condition& condition, std::uint64_t seed, std::int64_t vocabulary) {
  Random random(derive_seed(seed, 1'000'000));
  const std::int64_t size = vocabulary > 0 ? vocabulary : 32000;
  const std::int64_t first = std::min(kFirstPlainToken, size / 2);
  std::vector<std::vector<std::int32_t>> prompts(std::min<std::size_t>(kMaxPrompts, static_cast<std::size_t>(condition.scenario.requests)));
  for (auto& prompt : prompts) {
    for (std::int64_t i = 0; i < condition.input_tokens; ++i) {
      prompt.push_back(static_cast<std::int32_t>(first + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size - first)))));
    }
  }
  return prompts;
}

SessionOutcome run_session(const Suite& suite, const SystemFactory& make_system, const SessionOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.folder / "raw", error);
  if (error) fail(ErrorCode::Io, "folder '{}': {}", options.folder.string(), error.message());
  if (!options.resume && std::filesystem::exists(options.folder / "journal.jsonl")) {
    fail(ErrorCode::InvalidArgument, "folder '{}': it holds a session already; give another, or --resume", options.folder.string());
  }
  return Session(suite, make_system, options).run();
}

SessionOutcome audit_session(const Suite& suite, const SystemFactory& make_system, const SessionOptions& options, bool all_rows) {
  return Session(suite, make_system, options).audit(all_rows);
}

}  // namespace naru::bench
