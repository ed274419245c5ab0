// An executor that takes a case the whole way: passes, placement, plans, scheduler, device.
#pragma once

#include <memory>
#include <string>

#include "tests/onnx/case_executor.h"

namespace naru {

/// Runs whole graphs by an engine on device `id`, at the optimisation level of its users.
std::unique_ptr<CaseExecutor> make_engine_executor(const std::string& id);

}  // namespace naru
