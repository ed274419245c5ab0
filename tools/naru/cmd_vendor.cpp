// naru vendor: what a maker of a plug-in needs: a skeleton to start from, and the conformance kit.
#include <filesystem>
#include <iostream>
#include <memory>

#include "graph/fail.h"
#include "skeleton_files.h"
#include "tools/io/npy.h"
#include "tools/naru/commands.h"
#include "tools/naru/table.h"
#include "tools/naru/vendor/check.h"

namespace naru::tool {
namespace {

struct VendorCommand {
  std::string plugin, out, name, folder;
  bool json = false;
};

void write_text(const std::filesystem::path& path, const std::string& text) {
  io::write_file(path, std::as_bytes(std::span(text)));
}

void print_report(const vendor::Report& report) {
  Table table({"section", "grade", ">passed", ">failed", ">refused"});
  for (const vendor::Section& s : report.sections()) {
    table.add({s.name, std::string(1, s.grade), std::to_string(s.passed), std::to_string(s.failed), std::to_string(s.refused)});
  }
  table.print(std::cout);
  std::cout << fmt::format("\nsmallest submission {:.1f} us, MatMul of 256: {:.1f} GFLOP/s\n", report.submit_us, report.gflops);
  for (const vendor::Check& check : report.checks) {
    if (check.outcome != vendor::Outcome::Failed) continue;
    std::cout << "failed: " << check.section << ", " << check.name << ": " << check.detail << "\n  " << check.advice << '\n';
  }
}

int check(const VendorCommand& command) {
  const std::size_t comma = command.plugin.find(',');
  const std::filesystem::path path = std::filesystem::absolute(command.plugin.substr(0, comma));
  const std::string options = comma == std::string::npos ? std::string() : command.plugin.substr(comma);
  const vendor::Report report = vendor::check_plugin("plugin:" + path.string() + options);
  if (!command.out.empty()) {
    std::filesystem::create_directories(command.out);
    write_text(std::filesystem::path(command.out) / "report.json", vendor::to_json(report));
    write_text(std::filesystem::path(command.out) / "report.html", vendor::to_html(report));
  }
  if (command.json) {
    std::cout << vendor::to_json(report);
  } else {
    print_report(report);
  }
  return report.passed() ? kDone : kFailed;
}

std::string filled(std::string text, const std::string& name) {
  const std::string mark = "@NAME@";
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + name.size())) {
    text.replace(at, mark.size(), name);
  }
  return text;
}

int make_new(const VendorCommand& command) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (!std::all_of(command.name.begin(), command.name.end(), plain) || command.name.empty() || command.name.size() > 32) {
    fail(ErrorCode::InvalidArgument, "name: got '{}', expected up to 32 of a-z, 0-9 and _", command.name);
  }
  const std::filesystem::path folder = command.folder.empty() ? command.name : command.folder;
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    fail(ErrorCode::InvalidArgument, "folder '{}': is there and not empty", folder.string());
  }
  std::filesystem::create_directories(folder);
  write_text(folder / "plugin.c", filled(kPluginC, command.name));
  write_text(folder / "CMakeLists.txt", filled(kCMakeLists, command.name));
  write_text(folder / "README.md", filled(kReadme, command.name));
  std::cout << folder.string() << '\n';
  return kDone;
}

}  // namespace

Command add_vendor(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("vendor", "Make and check plug-ins for devices");
  sub->require_subcommand(1);
  auto command = std::make_shared<VendorCommand>();
  CLI::App* checks = sub->add_subcommand("check", "Run the conformance kit on a plug-in");
  checks->add_option("plugin", command->plugin, "PLUGIN.so[,option=value]")->required();
  checks->add_option("--out", command->out, "Folder for report.json and report.html");
  checks->add_flag("--json", command->json, "Print JSON");
  CLI::App* fresh = sub->add_subcommand("new", "Write a plug-in that builds, to start from");
  fresh->add_option("name", command->name, "Name of the plug-in")->required();
  fresh->add_option("--folder", command->folder, "Where to write it; by default a folder of its name");
  return [command, checks] { return checks->parsed() ? check(*command) : make_new(*command); };
}

}  // namespace naru::tool
