// From evidence to a report.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmarks/analyse/audit.h"
#include "benchmarks/analyse/row.h"
#include "benchmarks/log/journal.h"
#include "benchmarks/log/raw_log.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/report/report.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

/// The last word of the journal about every row.
struct RowEvidence {
  std::map<int, Json> runs;
  std::map<int, Json> loads;  ///< by run, where each loads anew
  std::vector<Json> audit;
  Json load;
  Json end;
};

struct Evidence {
  Json session, system, energy, last;
  std::map<std::string, Json> probes;  ///< by device
  std::map<std::string, Json> gates;   ///< by model and device
  std::map<std::string, RowEvidence> rows;
};

std::string gate_key(const std::string& model, const std::string& device) { return model + "|" + device; }

Evidence read_evidence(const std::filesystem::path& folder) {
  Evidence evidence;
  for (const Json& entry : read_journal(folder / "journal.jsonl")) {
    const std::string kind = entry.at("kind");
    if (kind == "session") evidence.session = entry;
    if (kind == "system") evidence.system = entry;
    if (kind == "energy") evidence.energy = entry;
    if (kind == "probe") evidence.probes[entry.at("device")] = entry.at("peaks");
    if (kind == "gate") evidence.gates[gate_key(entry.at("model"), entry.at("device"))] = entry.at("result");
    if (kind == "row_begin") evidence.rows[entry.at("id")] = {};
    if (kind == "load") {
      RowEvidence& row = evidence.rows[entry.at("id")];
      row.load = row.loads[entry.at("run")] = entry;
    }
    if (kind == "run") evidence.rows[entry.at("id")].runs[entry.at("run")] = entry;
    if (kind == "row_end" || kind == "row_skipped") evidence.rows[entry.at("id")].end = entry;
    if (kind == "audit_begin") evidence.rows[entry.at("id")].audit.clear();
    if (kind == "audit") evidence.rows[entry.at("id")].audit.push_back(entry);
    if (kind.rfind("audit", 0) != 0) evidence.last = entry;
  }
  if (evidence.session.is_null()) fail(ErrorCode::InvalidArgument, "folder '{}': its journal holds no session", folder.string());
  return evidence;
}

RowFacts row_facts(const Evidence& evidence, const RowEvidence& row, const Condition& condition) {
  RowFacts facts;
  if (row.load.is_object()) {
    facts.flops_per_unit = row.load.at("flops_per_unit");
    facts.bytes_per_unit = row.load.at("bytes_per_unit");
  }
  const auto probe = evidence.probes.find(condition.device);
  if (probe != evidence.probes.end() && probe->second.is_object()) {
    const bool integers = condition.model.activations == "int8";
    facts.peak_flops = probe->second.at(integers ? "int8_ops" : "flops");
    facts.peak_bytes = probe->second.at("bytes_per_s");
  }
  return facts;
}

/// @param tokens what each request was asked for, exactly; 0: any length.
RunRecord read_run(const std::filesystem::path& folder, const Json& run, std::int64_t tokens) {
  const std::filesystem::path path = folder / run.at("file").get<std::string>();
  if (sha256_file(path) != run.at("sha256")) fail(ErrorCode::InvalidArgument, "raw log '{}': its hash is not the journal's", path.string());
  const RawRun raw = read_raw_log(path);
  if (!raw.whole) fail(ErrorCode::InvalidArgument, "raw log '{}': it is cut off or damaged", path.string());
  return fold_run(raw.events, tokens);
}

AuditRun audit_run(const std::string& name) {
  const auto found = std::find_if(std::begin(kAuditRuns), std::end(kAuditRuns), [&](AuditRun run) { return to_string(run) == name; });
  if (found == std::end(kAuditRuns)) fail(ErrorCode::InvalidArgument, "journal: unknown audit test '{}'", name);
  return *found;
}

Json audit_json(const std::filesystem::path& folder, const RowEvidence& row, const std::vector<RunFigures>& reported, const Condition& condition) {
  AuditRuns runs;
  for (const Json& entry : row.audit) {
    const AuditRun run = audit_run(entry.at("test"));
    const std::int64_t asked = run == AuditRun::EndToken ? 0 : audit_tokens(run, condition.output_tokens);
    runs[run].push_back(read_run(folder, entry, asked));
  }
  return judge_audit(runs, reported, condition);
}

Json reason_json(Reason reason, const std::string& detail) { return {{"code", info_of(reason).code}, {"detail", detail}}; }

/// The gate's word on a row.
Json gate_json(const Evidence& evidence, const Condition& condition) {
  if (!condition.system.in_process) return nullptr;
  const auto found = evidence.gates.find(gate_key(condition.model.id, condition.device));
  return found == evidence.gates.end() ? Json(nullptr) : found->second;
}

/// Of a run that is one request, rates would mean nothing.
void keep_cold_start(const Json& load, RunFigures& figures) {
  const std::string first = figures.series.count("ttft") != 0 ? "ttft" : "latency";
  std::map<std::string, double> scalars;
  if (const auto found = figures.series.find(first); found != figures.series.end() && !found->second.empty()) {
    scalars["cold_start"] = load.at("total_s").get<double>() + found->second.front();
  }
  figures.scalars = std::move(scalars);
}

/// The search again from its runs: the largest rate below the first that broke the limits.
Json capacity_row(const RowEvidence& row, const std::vector<RunFigures>& runs, const Condition& condition) {
  std::map<double, std::vector<RunFigures>> by_rate;
  std::size_t next = 0;
  for (const auto& [index, run] : row.runs) by_rate[run.at("rate")].push_back(runs[next++]);
  double capacity = 0;
  bool broken = false;
  Json search = Json::array();
  for (const auto& [rate, own] : by_rate) {
    const bool kept = std::all_of(own.begin(), own.end(), [&](const RunFigures& figures) { return keeps_limits(figures, condition); });
    broken |= !kept;
    if (!broken) capacity = rate;
    search.push_back({{"rate", rate}, {"runs", own.size()}, {"kept", kept}});
  }
  Json json = summarise_row(by_rate.at(capacity > 0 ? capacity : by_rate.begin()->first));
  json["metrics"]["capacity"] = {{"estimate", capacity}, {"runs", Json::array()}};
  json["search"] = search;
  if (capacity > 0) return json;
  json["status"] = "failed";
  json["reasons"].insert(json["reasons"].begin(), reason_json(Reason::NoCapacity, fmt::format("from {:.3g} requests/s", by_rate.begin()->first)));
  return json;
}

Json measured_row(const std::filesystem::path& folder, const Evidence& evidence, const RowEvidence& row, const Condition& condition) {
  std::vector<RunFigures> runs;
  Json files = Json::array();
  const RowFacts facts = row_facts(evidence, row, condition);
  for (const auto& [index, run] : row.runs) {
    runs.push_back(analyse_run(read_run(folder, run, condition.output_tokens), condition, facts));
    if (condition.scenario.kind == ScenarioKind::ColdStart) keep_cold_start(row.loads.at(index), runs.back());
    files.push_back({{"file", run.at("file")}, {"sha256", run.at("sha256")}, {"seed", run.at("seed")}});
  }
  Json json = condition.scenario.kind == ScenarioKind::Capacity ? capacity_row(row, runs, condition) : summarise_row(runs);
  for (const Json& entry : row.audit) files.push_back({{"file", entry.at("file")}, {"sha256", entry.at("sha256")}, {"seed", entry.at("seed")}});
  json["files"] = files;
  json["audit"] = audit_json(folder, row, runs, condition);
  for (const auto& [index, run] : row.runs) {
    const std::string failure = run.at("failure");
    if (!failure.empty() && !json["reasons"].empty()) json["reasons"][0]["detail"] = failure;
    if (!failure.empty()) break;
  }
  return json;
}

Json row_json(const std::filesystem::path& folder, const Evidence& evidence, const Condition& condition) {
  const std::string id = condition.id();
  const auto found = evidence.rows.find(id);
  Json json;
  if (found != evidence.rows.end() && found->second.end.is_object() && found->second.end.at("status") == "measured") {
    json = measured_row(folder, evidence, found->second, condition);
  } else {
    const bool ended = found != evidence.rows.end() && found->second.end.is_object();
    const Reason reason = ended ? reason_from_code(found->second.end.at("code").get<std::string>()) : Reason::Interrupted;
    json = {{"status", ended ? found->second.end.at("status") : Json("skipped")}, {"metrics", Json::object()}, {"runs", Json::array()}, {"files", Json::array()},
            {"reasons", {reason_json(reason, ended ? found->second.end.at("detail").get<std::string>() : "")}}};
  }
  json["id"] = id;
  json["condition"] = condition.to_json();
  json["load"] = found == evidence.rows.end() ? Json(nullptr) : found->second.load;
  if (json["load"].is_object()) json["load"].erase("previous");
  json["gate"] = gate_json(evidence, condition);
  const bool passed = json["gate"].is_object() && json["gate"].value("passed", false);
  if (!json["metrics"].empty() && !passed) {
    json["reasons"].push_back(reason_json(json["gate"].is_object() ? Reason::GateFailed : Reason::GateMissing, json["gate"].is_object() ? json["gate"].value("detail", "") : ""));
  }
  json["ranked"] = json["status"] == "valid" && passed;
  return json;
}

/// The hash over the evidence: the journal and every raw log that it names.
std::string evidence_root(const std::filesystem::path& folder, const Json& rows) {
  std::string list = "journal.jsonl " + sha256_file(folder / "journal.jsonl") + "\n";
  for (const Json& row : rows) {
    for (const Json& file : row.at("files")) list += file.at("file").get<std::string>() + " " + file.at("sha256").get<std::string>() + "\n";
  }
  return sha256(list);
}

/// The suite with the devices and systems that the session ran.
Suite session_suite(const std::filesystem::path& folder, const Json& session) {
  const std::string text = read_file(folder / "suite.json");
  if (sha256(text) != session.at("suite_sha256")) fail(ErrorCode::InvalidArgument, "suite.json: its hash is not the journal's");
  SuiteTargets targets;
  targets.systems.clear();
  for (const Json& system : session.at("systems")) targets.systems.push_back({system.at("name"), system.at("boundary"), system.at("in_process")});
  Suite suite = parse_suite(text, targets);
  const auto same = [&] {
    if (suite.rows.size() != session.at("rows").size()) return false;
    for (std::size_t i = 0; i < suite.rows.size(); ++i) {
      if (suite.rows[i].id() != session.at("rows")[i].at("id")) return false;
    }
    return true;
  };
  if (!same()) {
    std::vector<std::string>& devices = targets.devices;
    for (const Json& row : session.at("rows")) {
      const std::string device = row.at("device");
      if (std::find(devices.begin(), devices.end(), device) == devices.end()) devices.push_back(device);
    }
    suite = parse_suite(text, targets);
  }
  if (!same()) fail(ErrorCode::InvalidArgument, "suite.json: its rows are not the session's");
  return suite;
}

}  // namespace

Suite suite_of(const std::filesystem::path& folder) { return session_suite(folder, read_evidence(folder).session); }

Json build_report(const std::filesystem::path& folder) {
  const Evidence evidence = read_evidence(folder);
  const Suite suite = session_suite(folder, evidence.session);
  Json rows = Json::array();
  for (const Condition& condition : suite.rows) rows.push_back(row_json(folder, evidence, condition));
  Json report = {{"schema", "naru.report/1"}, {"metrics_def", "kpm-1"}, {"suite", suite.name}, {"title", {suite.title[0], suite.title[1]}},
                 {"time", evidence.session.at("time")}, {"seed", suite.seed}, {"runs", suite.runs},
                 {"complete", evidence.last.at("kind") == "session_end" && !evidence.last.at("interrupted").get<bool>()},
                 {"system", evidence.system.at("facts")}, {"declared", evidence.system.at("declared")}, {"mismatches", evidence.system.at("mismatches")},
                 {"energy", evidence.energy.is_object() ? evidence.energy.at("providers") : Json::array()}};
  report["probes"] = Json::object();
  for (const auto& [device, peaks] : evidence.probes) report["probes"][device] = peaks;
  report["evidence_root"] = evidence_root(folder, rows);
  report["rows"] = std::move(rows);
  return report;
}

}  // namespace naru::bench
