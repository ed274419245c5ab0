// The backends built into this binary. The only place above them that can enumerate them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "backends/backend.h"

namespace naru {

/// All built-in backends, in order of preference for placement.
const std::vector<std::unique_ptr<Backend>>& backends();

/// Opens "cpu", "cpu:0", "reference" and so on.
/// @throws Error InvalidArgument for an unknown name, listing the known ones.
std::unique_ptr<Device> open_device(std::string_view id, const DeviceOptions& options = {});

/// Opens a compiler for "cuda:sm_90", "opencl:0" and so on.
/// @throws Error InvalidArgument for an unknown name, Unsupported where it cannot compile.
std::unique_ptr<Device> open_compiler(std::string_view target);

}  // namespace naru
