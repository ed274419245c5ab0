// The conformance kit: what a plug-in's device was asked, what it answered, and a grade per section.
#pragma once

#include <string>
#include <vector>

namespace naru::tool::vendor {

enum class Outcome { Passed, Failed, Refused };

/// One question to a plug-in.
struct Check {
  std::string section;
  std::string name;
  Outcome outcome = Outcome::Passed;
  std::string detail;  ///< what was found
  std::string advice;  ///< what to do about it
};

struct Section {
  std::string name;
  int passed = 0, failed = 0, refused = 0;
  char grade = '-';  ///< A: nothing failed; B: at most 2 %; C: at most 10 %; F: more; '-': nothing was run
};

struct Report {
  std::string plugin;       ///< path
  std::string device, description;
  std::vector<Check> checks;
  double submit_us = 0;     ///< smallest time of a tiny submission
  double gflops = 0;        ///< MatMul of 256 x 256 x 256, f32; 0: refused

  std::vector<Section> sections() const;
  bool passed() const;
};

/// Asks everything of the device `plugin:PATH[,options]`. A plug-in that fails is a report, not an error.
/// @throws Error InvalidArgument for a path that must not be loaded.
Report check_plugin(const std::string& target);

std::string to_json(const Report& report);
std::string to_html(const Report& report);

}  // namespace naru::tool::vendor
