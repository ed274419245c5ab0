// NVRTC, found at run time: CUDA C in, a binary for one architecture out. Needs no GPU.
#pragma once

#include <string>
#include <vector>

namespace naru::cuda {

/// Compute capability: sm_90 is {9, 0}.
struct Architecture {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Architecture&) const = default;
};

/// "sm_90".
std::string to_string(const Architecture& architecture);
/// The reverse. @throws Error InvalidArgument.
Architecture architecture_from(const std::string& text);

inline constexpr Architecture kOldest = {8, 0};

/// Why there is no NVRTC on this machine, and what to do; empty when there is.
const std::string& nvrtc_missing();
/// "13.0"; empty without NVRTC.
std::string nvrtc_version();
/// The options that every program is compiled with, besides the architecture.
std::string compiler_options();
/// The architectures that NVRTC has machine code for, ascending.
std::vector<Architecture> nvrtc_architectures();

/// A cubin for `architecture`.
/// @throws Error Device with the compiler's log; Unsupported without NVRTC or when it does not know
/// the architecture.
std::string compile_cubin(const std::string& text, const Architecture& architecture);
/// PTX that drivers translate for `architecture` and newer ones.
std::string compile_ptx(const std::string& text, const Architecture& architecture);

}  // namespace naru::cuda
