// From command-line words to input tensors: files, pictures, random values, shapes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "naru/engine.h"

namespace naru::tool {

/// The options that say what to feed; shared by run, compare and inspect.
struct InputOptions {
  std::vector<std::string> inputs;  ///< NAME=FILE|random|zeros
  std::vector<std::string> shapes;  ///< NAME=1x3x640x640
  std::uint64_t seed = 1;
  double scale = 1.0 / 255;         ///< of picture values
  std::vector<double> mean, std;    ///< per channel, applied after `scale`
  bool bgr = false;

  void add_to(CLI::App& command);
};

/// Makes one tensor per model input. An input that is not named gets random values; every symbolic
/// dimension must then be given by `shapes`.
/// @throws Error InvalidArgument naming the input, what was got, expected, and what to do.
std::vector<Datum> make_inputs(const Model& model, const InputOptions& options);

/// Sets the states of `session` that --input or --shape name: from a file, random, or (the default)
/// zeros. States that are not named keep to their own zeros.
void set_states(Session& session, const Model& model, const InputOptions& options);

/// "1x3x640x640" as numbers. @throws Error InvalidArgument.
Shape parse_shape(const std::string& text);

}  // namespace naru::tool
