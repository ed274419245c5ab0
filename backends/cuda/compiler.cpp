// CudaCompiler: NVRTC, and modules.
#include "backends/cuda/compiler.h"

#include <algorithm>

#include "graph/fail.h"

namespace naru::cuda {

std::string CudaCompiler::identity() const {
  return fmt::format("{}\n{}\nNVRTC {}", to_string(architecture_), compiler_options(), nvrtc_version());
}

std::vector<std::string> CudaCompiler::targets() const {
  std::vector<std::string> targets;
  for (Architecture one = architecture_; one.minor >= 0; --one.minor) targets.push_back("cuda:" + to_string(one));
  return targets;
}

/// Machine code where NVRTC knows the GPU, else PTX of the newest architecture before it, which the
/// driver translates.
std::string CudaCompiler::binary_of(const std::string& text) const {
  const std::vector<Architecture> known = nvrtc_architectures();
  const auto after = std::upper_bound(known.begin(), known.end(), architecture_);
  const bool exact = after != known.begin() && *std::prev(after) == architecture_;
  if (exact || after == known.begin()) return compile_cubin(text, architecture_);
  return compile_ptx(text, *std::prev(after));
}

CudaCompiler::Output CudaCompiler::compile(const std::string& text) {
  Output output;
  if (context_ == nullptr) {
    output.binary = compile_cubin(text, architecture_);
    return output;
  }
  output.binary = binary_of(text);
  std::string log;
  output.program = load(std::as_bytes(std::span(output.binary)), log);
  if (output.program == nullptr) {
    fail(ErrorCode::Device, "cuda: the driver does not load what NVRTC {} made for {}; a driver at least as new as NVRTC is needed\n{}",
         nvrtc_version(), to_string(architecture_), log);
  }
  return output;
}

generated::Program CudaCompiler::load(std::span<const std::byte> binary) {
  std::string log;
  return load(binary, log);
}

generated::Program CudaCompiler::load(std::span<const std::byte> binary, std::string& log) {
  const Context::Current current = context_->enter();
  char text[4096] = {};
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void* values[] = {text, reinterpret_cast<void*>(sizeof(text) - 1)};
  ModuleHandle module = nullptr;
  const Status status = api().ModuleLoadDataEx(&module, binary.data(), 2, options, values);
  if (status == kSuccess) return std::make_shared<const Module>(context_, module);
  if (status == kOutOfMemory || is_sticky(status)) context_->check(status, "loading a program");
  log = fmt::format("{} {}", status_name(status), text);
  return nullptr;
}

}  // namespace naru::cuda
