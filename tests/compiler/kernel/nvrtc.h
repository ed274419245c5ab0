// NVRTC: compiles CUDA C for an architecture, without a GPU.
#pragma once

#include <string>

namespace naru::test {

/// The compiler's log when `text` does not compile for `architecture` ("sm_90"); empty when it does.
std::string nvrtc_errors(const std::string& text, const std::string& architecture);

}  // namespace naru::test
