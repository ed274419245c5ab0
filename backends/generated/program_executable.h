// ProgramExecutable: a kernel program with its memory, bound per worker and run as one sequence.
#pragma once

#include <memory>
#include <vector>

#include "backends/backend.h"
#include "backends/generated/constant_pool.h"
#include "backends/generated/kernel_device.h"
#include "compiler/kernel/program.h"

namespace naru::generated {

/// Memory of one worker's intermediates; grows only.
struct Arena {
  Memory memory;
  std::int64_t size_bytes = 0;
};

/// All kernels of a program: those of its launches, then those of its preparation.
std::vector<const kernel::Kernel*> kernels_of(const kernel::Program& program);

class ProgramExecutable final : public Executable {
 public:
  /// Compiles kernels, uploads constants and runs preparation. Keeps the fragment alive.
  ProgramExecutable(KernelDevice& device, ConstantPool& constants, std::shared_ptr<const Graph> fragment, kernel::Program program,
                    std::size_t workers);

  MemoryUse memory() const override { return memory_; }
  std::string describe() const override;

  /// Runs once on the calling worker thread and waits. One call per worker at a time.
  void run(const Submission& submission, std::size_t worker, Arena& arena) const;

 private:
  /// Memory of the fragment's inputs and outputs for the duration of a run.
  struct Ends;

  void plan_memory();
  void place_constants();
  void prepare();
  Memory prepare(const kernel::Launch& launch, const BuiltKernel& built, std::size_t target, std::vector<Memory> sources);
  Location locate(const kernel::Operand& operand, const Ends& ends, const Location& arena, const Location& status) const;
  /// Brings the content of inputs to the outputs that update them where those are other memory.
  void take_over(const Ends& ends, std::size_t worker) const;
  std::vector<Location> locate_all(const Ends& ends, const Location& arena, const Location& status) const;
  Sequence& sequence_of(std::size_t worker) const;
  void check_views(const Submission& submission) const;
  void check_status(std::int32_t status) const;
  std::string label(const kernel::Launch& launch) const;

  KernelDevice& device_;
  ConstantPool& constants_;
  std::shared_ptr<const Graph> fragment_;
  kernel::Program program_;
  std::vector<BuiltKernel> built_;      // in the order of kernels_of()
  std::vector<std::int64_t> offsets_;   // of scratch buffers, by buffer
  std::vector<Memory> resident_;        // constants and prepared, by buffer
  Memory dummy_;                        // stands for operands without elements
  std::vector<std::int64_t> input_bytes_;
  std::vector<std::int64_t> output_bytes_;
  MemoryUse memory_;
  mutable std::vector<std::unique_ptr<Sequence>> sequences_;  // by worker; each is touched by its worker alone
};

}  // namespace naru::generated
