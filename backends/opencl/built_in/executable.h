// CallExecutable: a fragment's calls with their memory.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "backends/backend.h"
#include "backends/generated/constant_pool.h"
#include "backends/opencl/built_in/runner.h"

namespace naru::opencl {

class CallExecutable final : public Executable {
 public:
  /// Uploads constants and takes memory for what lies between calls. Keeps the fragment alive.
  CallExecutable(Runner& runner, generated::ConstantPool& constants, std::shared_ptr<const Graph> fragment, CallProgram program);

  MemoryUse memory() const override { return memory_; }
  std::string describe() const override;

  /// Runs once and waits. One thread at a time: intermediates have one place.
  void run(const Submission& submission) const;

 private:
  void place_constants(generated::ConstantPool& constants);
  void plan_scratch();
  std::string label(const KernelCall& call) const;

  Runner& runner_;
  std::shared_ptr<const Graph> fragment_;
  CallProgram program_;
  std::vector<generated::Memory> held_;  // constants and the arena
  std::vector<Memory> resident_;         // objects of constants and scratch, by block
  MemoryUse memory_;
};

}  // namespace naru::opencl
