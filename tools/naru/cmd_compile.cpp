// naru compile: loads a model, optimises it, writes the container.
#include <iostream>
#include <memory>

#include "tools/naru/commands.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/table.h"

namespace naru::tool {

Command add_compile(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compile", "Optimise a model and write it as a .naru file");
  struct Options {
    std::string model;
    std::string output;
    int optimisation = 2;
  };
  auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "Model file: .onnx, .naru or text")->required();
  command->add_option("-o,--output", options->output, "File to write; the model's name with .naru when not given");
  command->add_option("--optimise", options->optimisation, "0: as loaded, 1: folded, 2: fused")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  return [options] {
    std::filesystem::path output = options->output;
    if (output.empty()) output = std::filesystem::path(options->model).replace_extension(".naru");
    EngineOptions engine_options;
    engine_options.devices = {"reference"};
    engine_options.optimisation = options->optimisation;
    Engine engine(engine_options);
    engine.load(options->model).save(output);
    std::cerr << "naru: wrote '" << output.string() << "', "
              << bytes_text(static_cast<std::int64_t>(std::filesystem::file_size(output))) << '\n';
    return kDone;
  };
}

}  // namespace naru::tool
