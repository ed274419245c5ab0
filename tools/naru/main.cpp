// The `naru` program: parses the command line, runs one command, maps failures to exit codes.
#include <cstdio>
#include <iostream>
#include <utility>
#include <vector>

#include "naru/error.h"
#include "tools/naru/commands.h"

namespace naru::tool {
namespace {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
    case ErrorCode::InvalidModel:
    case ErrorCode::Io: return kInvalid;
    case ErrorCode::Unsupported: return kUnsupported;
    case ErrorCode::OutOfMemory: return kOutOfMemory;
    case ErrorCode::OutOfTolerance: return kOutOfTolerance;
    case ErrorCode::Device:
    case ErrorCode::Cancelled:
    case ErrorCode::DeadlineExceeded:
    case ErrorCode::Internal: return kFailed;
  }
  return kFailed;
}

int report(const std::string& text, int code) {
  std::cerr << "naru: error: " << text << '\n';
  return code;
}

int main(int argc, char** argv) {
  CLI::App app("Naru: runs a model on whatever the machine has, and says what ran where.", "naru");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("naru ") + NARU_VERSION);
  app.footer(
      "Exit codes: 0 done, 1 failed at run time, 2 usage, 3 invalid model or input, 4 unsupported,\n"
      "5 out of memory or over budget, 6 result out of tolerance.");
  std::vector<std::pair<CLI::App*, Command>> commands;
  for (Command (*add)(CLI::App&) : {add_devices, add_inspect, add_run, add_compare, add_compile, add_generate, add_chat, add_perplexity, add_tokenize, add_quantize, add_synth, add_bench, add_report, add_vendor}) {
    Command run = add(app);
    commands.emplace_back(app.get_subcommands({}).back(), std::move(run));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? kDone : kUsage;
  }
  for (const auto& [subcommand, run] : commands) {
    if (!subcommand->parsed()) continue;
    try {
      const int code = run();
      std::cout.flush();
      return std::cout ? code : report("standard output could not be written", kFailed);
    } catch (const Error& error) {
      return report(error.what(), exit_code(error.code()));
    } catch (const std::bad_alloc&) {
      return report("the host refused an allocation", kOutOfMemory);
    }
  }
  return kUsage;
}

}  // namespace
}  // namespace naru::tool

int main(int argc, char** argv) { return naru::tool::main(argc, argv); }
