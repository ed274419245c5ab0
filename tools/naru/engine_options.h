// The options that choose devices; shared by the commands that run models.
#pragma once

#include <CLI/CLI.hpp>

#include "naru/engine.h"

namespace naru::tool {

struct DeviceChoice {
  std::vector<std::string> devices = {"auto"};
  std::vector<std::string> pins = {};
  int threads = 0;
  int streams = 1;
  int optimisation = 2;
  bool strict = false;
  bool exact = false;
  double memory_budget_mib = 0;
  bool trust_code = false;

  void add_to(CLI::App& command) {
    command.add_option("--device", devices, "Devices in order of preference, for example cpu or cpu,reference")
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("--pin", pins, "PATTERN=DEVICE: nodes whose names match run there or not at all, for example 'conv*=cpu'")
        ->delimiter(',')
        ->check([](const std::string& pin) {
          const std::size_t at = pin.rfind('=');
          const bool whole = at != std::string::npos && at > 0 && at + 1 < pin.size();
          return whole ? std::string() : "got '" + pin + "', expected PATTERN=DEVICE";
        });
    command.add_option("--threads", threads, "Cores of one stream; 0: all")->check(CLI::Range(0, 4096));
    command.add_option("--streams", streams, "Executions side by side")->check(CLI::Range(1, 1024));
    command.add_option("--optimise", optimisation, "0: as loaded, 1: folded, 2: fused")
        ->check(CLI::Range(0, 2))
        ->capture_default_str();
    command.add_flag("--strict", strict, "Fail when a node runs without a kernel of its own on a device");
    command.add_flag("--exact", exact, "Compute language models in f32; by default activations are rounded to 8 bits");
    command.add_flag("--trust-code", trust_code,
                     "Run the compiled kernels that a .naru file carries; they are programs, so only from a source you trust");
    command.add_option("--memory-budget", memory_budget_mib, "MiB that weights and workspace may take; 0: no limit");
  }

  /// `plugin:PATH,key=value` is one device: what has a `=` and no colon belongs to the one before.
  std::vector<std::string> device_ids() const {
    std::vector<std::string> ids;
    for (const std::string& part : devices) {
      const bool option = part.find('=') != std::string::npos && part.find(':') == std::string::npos;
      if (option && !ids.empty()) {
        ids.back() += "," + part;
      } else {
        ids.push_back(part);
      }
    }
    return ids;
  }

  EngineOptions engine_options() const {
    EngineOptions options;
    options.devices = device_ids();
    for (const std::string& pin : pins) {
      const std::size_t at = pin.rfind('=');
      options.pins.emplace_back(pin.substr(0, at), pin.substr(at + 1));
    }
    options.threads = threads;
    options.streams = streams;
    options.optimisation = optimisation;
    options.strict = strict;
    options.exact = exact;
    options.memory_budget_bytes = static_cast<std::int64_t>(memory_budget_mib * 1048576.0);
    options.trust_code = trust_code;
    return options;
  }
};

}  // namespace naru::tool
