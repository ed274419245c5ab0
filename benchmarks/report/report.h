// Report: everything a reader sees, as one JSON made from the evidence of a session alone.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/suites/suite.h"

namespace naru::bench {

enum class Language { English = 0, Korean = 1 };

/// Reads journal and raw logs of `folder`; a pure function of their bytes.
/// @throws Error Io, InvalidArgument when the evidence is broken.
nlohmann::json build_report(const std::filesystem::path& folder);

/// The suite of a session's folder with the devices and systems that it ran. @throws Error as build_report.
Suite suite_of(const std::filesystem::path& folder);

/// The files of a report: name below the folder and content.
struct ReportFile {
  std::string name;
  std::string bytes;
};
/// All views of a report, in a fixed order.
std::vector<ReportFile> render_report(const nlohmann::json& report);

/// Builds, renders, writes the files and manifest.json, which holds the hash of every file.
nlohmann::json write_report(const std::filesystem::path& folder);

/// What does not hold in a report folder, in words; empty when every figure recomputes and every byte
/// is as hashed.
std::vector<std::string> verify_report(const std::filesystem::path& folder);

// The views.
std::string render_csv(const nlohmann::json& report);
std::string render_markdown(const nlohmann::json& report, Language language);
std::string render_junit(const nlohmann::json& report);
std::string render_html(const nlohmann::json& report, Language language);
std::string render_workbook(const nlohmann::json& report, Language language);

}  // namespace naru::bench
