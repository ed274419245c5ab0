// CudaCompiler: generated text to machine code of one architecture, and that to modules of a context.
#pragma once

#include "backends/cuda/context.h"
#include "backends/cuda/nvrtc.h"
#include "backends/generated/program_compiler.h"

namespace naru::cuda {

/// Without a context it compiles ahead of time, for an architecture that this machine need not have.
class CudaCompiler final : public generated::ProgramCompiler {
 public:
  CudaCompiler(ContextPtr context, Architecture architecture) : context_(std::move(context)), architecture_(architecture) {}
  kernel::Dialect dialect() const override { return kernel::Dialect::Cuda; }
  std::string identity() const override;
  /// Machine code runs on later GPUs of its major version as well.
  std::vector<std::string> targets() const override;
  std::string options() const override { return compiler_options(); }
  Output compile(const std::string& text) override;
  generated::Program load(std::span<const std::byte> binary) override;

 private:
  std::string binary_of(const std::string& text) const;
  generated::Program load(std::span<const std::byte> binary, std::string& log);

  ContextPtr context_;
  Architecture architecture_;
};

}  // namespace naru::cuda
