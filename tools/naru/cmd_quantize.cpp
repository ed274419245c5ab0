// naru quantize: writes a GGUF model with other element types.
#include <memory>
#include <thread>

#include "graph/export/quantize_gguf.h"
#include "tools/naru/commands.h"
#include "tools/naru/write_progress.h"

namespace naru::tool {

Command add_quantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("quantize", "Write a GGUF model with other element types");
  struct Options {
    std::string in, out, type;
    int threads = 0;
  };
  auto options = std::make_shared<Options>();
  command->add_option("in", options->in, "GGUF file, or the first of a split one")->required();
  command->add_option("out", options->out, "GGUF file to write; replaced whole or not at all")->required();
  std::string names;
  for (const WeightMix& mix : weight_mixes()) names += (names.empty() ? "" : ", ") + std::string(mix.name);
  command->add_option("type", options->type, "One of " + names)->required();
  command->add_option("--threads", options->threads, "Cores; 0: all")->check(CLI::Range(0, 4096));
  return [options] {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    quantize_gguf(options->in, options->out, find_weight_mix(options->type),
                  options->threads > 0 ? options->threads : cores, write_progress());
    report_written(options->out);
    return kDone;
  };
}

}  // namespace naru::tool
