// Writing a report with its manifest, and verifying one.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "benchmarks/log/sha256.h"
#include "benchmarks/report/report.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kManifest = "manifest.json";

/// All files below the folder but the manifest, in order.
std::vector<std::string> list_files(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), folder).generic_string();
    if (name != kManifest) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The hash of every file, and one over them all.
std::string make_manifest(const fs::path& folder) {
  Json files = Json::object();
  std::string list;
  for (const std::string& name : list_files(folder)) {
    const std::string hash = sha256_file(folder / name);
    files[name] = hash;
    list += name + " " + hash + "\n";
  }
  return Json{{"schema", "naru.manifest/1"}, {"files", files}, {"root", sha256(list)}}.dump(2) + "\n";
}

/// Files below raw/ that no run of the journal names are left from a run that was cut off.
void check_names(const fs::path& folder, const Json& report, std::vector<std::string>& problems) {
  std::set<std::string> known = {"journal.jsonl", "suite.json"};
  for (const Json& row : report.at("rows")) {
    for (const Json& file : row.at("files")) known.insert(file.at("file"));
  }
  for (const ReportFile& file : render_report(report)) known.insert(file.name);
  for (const std::string& name : list_files(folder)) {
    if (known.count(name) == 0) problems.push_back(name + ": the session knows no such file");
  }
}

}  // namespace

std::vector<ReportFile> render_report(const Json& report) {
  return {{"results.json", report.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"},
          {"results.csv", render_csv(report)},
          {"junit.xml", render_junit(report)},
          {"summary.en.md", render_markdown(report, Language::English)},
          {"summary.ko.md", render_markdown(report, Language::Korean)},
          {"report.en.html", render_html(report, Language::English)},
          {"report.ko.html", render_html(report, Language::Korean)},
          {"report.en.xlsx", render_workbook(report, Language::English)},
          {"report.ko.xlsx", render_workbook(report, Language::Korean)}};
}

Json write_report(const fs::path& folder) {
  Json report = build_report(folder);
  for (const ReportFile& file : render_report(report)) write_file(folder / file.name, file.bytes);
  write_file(folder / kManifest, make_manifest(folder));
  return report;
}

std::vector<std::string> verify_report(const fs::path& folder) {
  std::vector<std::string> problems;
  try {
    if (read_file(folder / kManifest) != make_manifest(folder)) problems.push_back("manifest.json: a file's hash is not the one noted");
    const Json report = build_report(folder);
    for (const ReportFile& file : render_report(report)) {
      if (read_file(folder / file.name) != file.bytes) problems.push_back(file.name + ": it is not what the raw logs give");
    }
    check_names(folder, report, problems);
  } catch (const Error& error) {
    problems.push_back(error.what());
  } catch (const Json::exception& error) {
    problems.push_back(std::string("journal: ") + error.what());
  }
  return problems;
}

}  // namespace naru::bench
