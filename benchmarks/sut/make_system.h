// From the words of --sut to systems under test.
#pragma once

#include <string>
#include <vector>

#include "benchmarks/session/session.h"

namespace naru::bench {

/// Systems by the words of --sut, each [NAME=]KIND[:SETTINGS] with settings as JSON, or @FILE that
/// holds them: in-process, synthetic, openai, llama-server, kserve, pipe.
struct Systems {
  std::vector<SystemLabel> labels;
  SystemFactory make;  ///< by the row's system
};
/// @throws Error InvalidArgument for another kind, wrong settings, and two systems of one name.
Systems parse_systems(const std::vector<std::string>& words, int threads);

}  // namespace naru::bench
