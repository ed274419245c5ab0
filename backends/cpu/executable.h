// CpuExecutable: a plan with its arena, bound per worker thread and run step by step.
#pragma once

#include <memory>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/plan.h"
#include "backends/cpu/thread_team.h"
#include "backends/cpu/widen.h"

namespace naru::cpu {

/// Arena memory of one worker thread, shared by all executables that run on it; grows only.
class WorkerArena {
 public:
  /// Memory of at least `size_bytes`, 64-byte aligned. Invalidates what it returned before.
  std::byte* at_least(std::int64_t size_bytes);

 private:
  Tensor memory_;
};

class CpuExecutable final : public Executable {
 public:
  /// Keeps the fragment alive: nodes and constants are used in place.
  CpuExecutable(Widened fragment, Plan plan, int workers);

  MemoryUse memory() const override { return memory_; }
  std::string describe() const override;

  /// Runs once on the calling worker thread. One call per worker at a time.
  void run(const Submission& submission, int worker, WorkerArena& arena, ThreadTeam& team) const;

 private:
  /// The plan with addresses, as seen by one worker.
  struct Bound {
    const std::byte* arena = nullptr;
    std::vector<std::byte*> pointers;       // of all steps' operands
    std::vector<dnnl::memory> memories;     // the same for primitives, else empty handles
    std::vector<dnnl_exec_arg_t> arguments;
    dnnl::stream stream;
  };
  /// An operand that lies in a buffer of the submission.
  struct External {
    std::size_t operand = 0;  // index into pointers
    bool is_output = false;
    std::int32_t index = 0;
    std::int64_t offset_bytes = 0;
  };

  void plan_memory();
  std::string label(const Step& step) const;
  void check_views(const Submission& submission) const;
  void bind_arena(Bound& bound, std::byte* arena) const;
  void bind_views(Bound& bound, const Submission& submission) const;
  void run_step(const Bound& bound, std::size_t step) const;

  Widened fragment_;
  Plan plan_;
  std::vector<std::int64_t> offsets_;          // of arena buffers, by buffer
  std::vector<std::size_t> first_operand_;     // by step: index into Bound::pointers
  std::vector<External> externals_;
  std::vector<std::int64_t> input_bytes_;
  std::vector<std::int64_t> output_bytes_;
  MemoryUse memory_;
  bool own_team_ = true;  // no step is a oneDNN primitive, which would bring OpenMP's team
  mutable std::vector<Bound> bound_;           // by worker; each is touched by its worker alone
};

}  // namespace naru::cpu
