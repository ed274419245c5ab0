// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/onnx/case_executor.h"

namespace naru {

/// What the engine gets.
enum class EngineMode : std::uint8_t {
  Loaded,     ///< the graph as loaded, without passes
  Optimised,  ///< the graph at the optimisation level of its users
  Saved,      ///< as Optimised, after a round trip of the graph through a container
  Strict,     ///< as Optimised; what would fall to the host is unsupported
};

/// Runs whole graphs by an engine on device `id`.
std::unique_ptr<CaseExecutor> make_engine_executor(const std::string& id, EngineMode mode = EngineMode::Optimised);

}  // namespace naru
