// naru synth: writes a model of a known shape with random weights, for measurements.
#include <memory>

#include "graph/export/synth.h"
#include "tools/naru/commands.h"
#include "tools/naru/write_progress.h"

namespace naru::tool {

Command add_synth(CLI::App& app) {
  CLI::App* command = app.add_subcommand("synth", "Write a GGUF model of a known shape with random weights");
  struct Options {
    std::string shape, out, type = "q4_k_m";
    std::uint64_t seed = 0;
  };
  auto options = std::make_shared<Options>();
  std::string names;
  for (const ModelShape& shape : known_shapes()) names += shape.name + ", ";
  command->add_option("shape", options->shape, "One of " + names + "or a config.json")->required();
  command->add_option("out", options->out, "GGUF file to write; replaced whole or not at all")->required();
  command->add_option("--type", options->type, "Type of the weights, as naru quantize names them")->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the weights")->capture_default_str();
  return [options] {
    const ModelShape shape = find_shape(options->shape);
    std::cerr << fmt::format("naru: {}: {:.2f} billion parameters\n", shape.name,
                             static_cast<double>(parameter_count(shape)) * 1e-9);
    synthesise(shape, find_weight_mix(options->type), options->seed, options->out, write_progress());
    report_written(options->out);
    return kDone;
  };
}

}  // namespace naru::tool
