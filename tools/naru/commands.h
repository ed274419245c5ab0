// The commands of the `naru` program: each adds its options to the parser and runs when chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace naru::tool {

/// Exit codes; a contract with scripts.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kInvalid = 3,
  kUnsupported = 4,
  kOutOfMemory = 5,
  kOutOfTolerance = 6,
};

/// Declares one command; the returned function runs it after parsing and gives the exit code.
using Command = std::function<int()>;
Command add_devices(CLI::App& app);
Command add_inspect(CLI::App& app);
Command add_run(CLI::App& app);
Command add_compare(CLI::App& app);
Command add_compile(CLI::App& app);
Command add_generate(CLI::App& app);
Command add_chat(CLI::App& app);
Command add_perplexity(CLI::App& app);
Command add_tokenize(CLI::App& app);
Command add_quantize(CLI::App& app);
Command add_synth(CLI::App& app);
Command add_bench(CLI::App& app);
Command add_report(CLI::App& app);
Command add_vendor(CLI::App& app);

}  // namespace naru::tool
