// The conformance report as JSON and as one HTML page that needs nothing else.
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "benchmarks/report/markup.h"
#include "tools/naru/vendor/check.h"

namespace naru::tool::vendor {
namespace {

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Passed: return "passed";
    case Outcome::Failed: return "failed";
    case Outcome::Refused: return "refused";
  }
  return "";
}

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Naru plug-in conformance</title><style>
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.3em .6em;text-align:left;vertical-align:top}
.grade{font-weight:bold}.failed{color:#b00020}.refused{color:#666}.passed{color:#1a7f37}</style></head><body>
)";

}  // namespace

std::string to_json(const Report& report) {
  nlohmann::json json = {{"schema", "naru.vendor.check/1"}, {"plugin", report.plugin}, {"device", report.device},
                         {"description", report.description}, {"passed", report.passed()},
                         {"submit_us", report.submit_us}, {"matmul_gflops", report.gflops}};
  for (const Section& s : report.sections()) {
    json["sections"].push_back({{"name", s.name}, {"grade", std::string(1, s.grade)}, {"passed", s.passed}, {"failed", s.failed}, {"refused", s.refused}});
  }
  for (const Check& c : report.checks) {
    json["checks"].push_back({{"section", c.section}, {"name", c.name}, {"outcome", to_string(c.outcome)}, {"detail", c.detail}, {"advice", c.advice}});
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string to_html(const Report& report) {
  std::string html = kHead;
  html += fmt::format("<h1>{}</h1><p>{}<br>{}</p>", bench::escape(report.device), bench::escape(report.description), bench::escape(report.plugin));
  html += fmt::format("<p>A tiny submission takes {:.1f} µs; MatMul of 256: {:.1f} GFLOP/s.</p>", report.submit_us, report.gflops);
  html += "<h2>Sections</h2><table><tr><th>section<th>grade<th>passed<th>failed<th>refused</tr>";
  for (const Section& s : report.sections()) {
    html += fmt::format("<tr><td>{}<td class=grade>{}<td>{}<td>{}<td>{}</tr>", bench::escape(s.name), s.grade, s.passed, s.failed, s.refused);
  }
  html += "</table><h2>What to do next</h2><table><tr><th>section<th>check<th>outcome<th>found<th>advice</tr>";
  for (const Outcome outcome : {Outcome::Failed, Outcome::Refused}) {
    for (const Check& c : report.checks) {
      if (c.outcome != outcome) continue;
      html += fmt::format("<tr><td>{}<td>{}<td class={}>{}<td>{}<td>{}</tr>", bench::escape(c.section), bench::escape(c.name),
                          to_string(c.outcome), to_string(c.outcome), bench::escape(c.detail), bench::escape(c.advice));
    }
  }
  return html + "</table></body></html>\n";
}

}  // namespace naru::tool::vendor
