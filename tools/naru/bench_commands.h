// The subcommands of `naru bench`.
#pragma once

#include "tools/naru/commands.h"

namespace naru::tool {

struct Subcommand {
  CLI::App* app;
  Command run;
};
Subcommand add_bench_verify(CLI::App& bench);
Subcommand add_bench_diff(CLI::App& bench);
Subcommand add_bench_import(CLI::App& bench);
Subcommand add_bench_calibrate(CLI::App& bench);
Subcommand add_bench_schema(CLI::App& bench);

}  // namespace naru::tool
