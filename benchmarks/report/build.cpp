// From evidence to a report.
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

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
    if (kind == "load") evidence.rows[entry.at("id")].load = entry;
    if (kind == "run") evidence.rows[entry.at("id")].runs[entry.at("run")] = entry;
    if (kind == "row_end" || kind == "row_skipped") evidence.rows[entry.at("id")].end = entry;
    evidence.last = entry;
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

RunFigures analyse_file(const std::filesystem::path& folder, const Json& run, const Condition& condition, const RowFacts& facts) {
  const std::filesystem::path path = folder / run.at("file").get<std::string>();
  if (sha256_file(path) != run.at("sha256")) fail(ErrorCode::InvalidArgument, "raw log '{}': its hash is not the journal's", path.string());
  const RawRun raw = read_raw_log(path);
  if (!raw.whole) fail(ErrorCode::InvalidArgument, "raw log '{}': it is cut off or damaged", path.string());
  return analyse_run(fold_run(raw.events, condition.output_tokens), condition, facts);
}

Json reason_json(Reason reason, const std::string& detail) { return {{"code", info_of(reason).code}, {"detail", detail}}; }

/// The gate's word on a row.
Json gate_json(const Evidence& evidence, const Condition& condition) {
  if (!condition.system.in_process) return nullptr;
  const auto found = evidence.gates.find(gate_key(condition.model.id, condition.device));
  return found == evidence.gates.end() ? Json(nullptr) : found->second;
}

Json measured_row(const std::filesystem::path& folder, const Evidence& evidence, const RowEvidence& row, const Condition& condition) {
  std::vector<RunFigures> runs;
  Json files = Json::array();
  const RowFacts facts = row_facts(evidence, row, condition);
  for (const auto& [index, run] : row.runs) {
    runs.push_back(analyse_file(folder, run, condition, facts));
    files.push_back({{"file", run.at("file")}, {"sha256", run.at("sha256")}, {"seed", run.at("seed")}});
  }
  Json json = summarise_row(runs);
  json["files"] = files;
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

/// The suite with the devices that the session ran.
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
