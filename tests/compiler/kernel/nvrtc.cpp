// NVRTC: one program in, its log out.
#include "tests/compiler/kernel/nvrtc.h"

#include <nvrtc.h>

namespace naru::test {

std::string nvrtc_errors(const std::string& text, const std::string& architecture) {
  nvrtcProgram program = nullptr;
  if (nvrtcCreateProgram(&program, text.c_str(), "kernels.cu", 0, nullptr, nullptr) != NVRTC_SUCCESS) return "no program";
  const std::string option = "--gpu-architecture=" + architecture;
  const char* options[] = {option.c_str(), "--std=c++17"};
  const nvrtcResult result = nvrtcCompileProgram(program, 2, options);
  std::string log;
  if (result != NVRTC_SUCCESS) {
    std::size_t size = 0;
    nvrtcGetProgramLogSize(program, &size);
    log.resize(size);
    nvrtcGetProgramLog(program, log.data());
    if (log.size() < 2) log = nvrtcGetErrorString(result);
  }
  nvrtcDestroyProgram(&program);
  return log;
}

}  // namespace naru::test
