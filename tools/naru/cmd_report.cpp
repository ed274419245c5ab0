// naru report: makes the report files of a session again from its raw logs.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/report/report.h"
#include "tools/naru/commands.h"

namespace naru::tool {

Command add_report(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("report", "Make the report files of a bench session again from its raw logs");
  auto folder = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  sub->add_option("folder", *folder, "Folder of a bench session")->required();
  sub->add_flag("--json", *json, "Print the results as JSON");
  return [folder, json] {
    const nlohmann::json report = bench::write_report(*folder);
    if (*json) std::cout << report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    else std::cout << bench::render_markdown(report, bench::Language::English);
    return static_cast<int>(kDone);
  };
}

}  // namespace naru::tool
