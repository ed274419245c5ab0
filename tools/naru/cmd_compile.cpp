// naru compile: loads a model, optimises it, writes the container.
#include <iostream>
#include <memory>

#include "tools/naru/commands.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/inputs.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

/// "cuda:sm_90,sm_80": a target without a backend is of the backend before it.
std::vector<std::string> full_targets(const std::vector<std::string>& parts) {
  std::vector<std::string> targets;
  std::string backend;
  for (const std::string& part : parts) {
    const std::size_t colon = part.find(':');
    if (colon != std::string::npos) backend = part.substr(0, colon + 1);
    targets.push_back(colon != std::string::npos ? part : backend + part);
  }
  return targets;
}

}  // namespace

Command add_compile(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compile", "Optimise a model and write it as a .naru file, with compiled kernels where asked");
  struct Options {
    std::string model;
    std::string output;
    int optimisation = 2;
    std::vector<std::string> targets;
    InputOptions input;
  };
  auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "Model file: .onnx, .naru or text")->required();
  command->add_option("-o,--output", options->output, "File to write; the model's name with .naru when not given");
  command->add_option("--optimise", options->optimisation, "0: as loaded, 1: folded, 2: fused")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  command->add_option("--target", options->targets,
                      "Compile kernels for these as well, for example cuda:sm_90,sm_80 or opencl:0; runs take them with --trust-code")
      ->delimiter(',');
  options->input.add_to(*command);
  return [options] {
    std::filesystem::path output = options->output;
    if (output.empty()) output = std::filesystem::path(options->model).replace_extension(".naru");
    EngineOptions engine_options;
    engine_options.devices = {"reference"};
    engine_options.optimisation = options->optimisation;
    Engine engine(engine_options);
    const Model model = engine.load(options->model);
    const std::vector<std::string> targets = full_targets(options->targets);
    model.save(output, targets, targets.empty() ? std::vector<Datum>() : make_inputs(model, options->input));
    std::cerr << "naru: wrote '" << output.string() << "', "
              << bytes_text(static_cast<std::int64_t>(std::filesystem::file_size(output))) << '\n';
    return kDone;
  };
}

}  // namespace naru::tool
