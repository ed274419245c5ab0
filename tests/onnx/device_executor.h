// Runs a case node by node on a device, for conformance of its kernels.
#pragma once

#include <memory>
#include <string>

#include "tests/onnx/case_executor.h"

namespace naru {

/// Each node that the device takes runs there, as a fragment of its own at the shapes and with the
/// shape values at hand; the host runs the rest. `device` is as open_device() takes it.
std::unique_ptr<CaseExecutor> make_device_executor(const std::string& device);

}  // namespace naru
