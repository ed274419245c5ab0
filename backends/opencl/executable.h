// ClExecutable: a kernel program with its memory, bound per worker and queued launch by launch.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/backend.h"
#include "backends/opencl/memory.h"
#include "backends/opencl/program_cache.h"
#include "compiler/kernel/program.h"

namespace naru::opencl {

/// What all executables of an open device share.
struct Session {
  Profile profile;
  Context context;
  std::shared_ptr<Pool> pool;
  std::unique_ptr<ProgramCache> programs;
  std::mutex setup_mutex;
  Queue setup;  ///< copies of constants and preparation, under setup_mutex

  /// Memory of a model's constants, shared by all executables that use them.
  std::mutex constants_mutex;
  std::map<Hash128, std::weak_ptr<const Location>> constants;
};

/// What one worker thread works with.
struct Worker {
  Queue queue;
  std::shared_ptr<const Location> arena;  ///< grows only
  std::int64_t arena_bytes = 0;
};

class ClExecutable final : public Executable {
 public:
  /// Compiles kernels, uploads constants and runs preparation. Keeps the fragment alive.
  ClExecutable(Session& session, std::shared_ptr<const Graph> fragment, kernel::Program program, std::size_t workers);

  MemoryUse memory() const override { return memory_; }
  std::string describe() const override;

  /// Runs once on the calling worker thread and waits. One call per worker at a time.
  void run(const Submission& submission, std::size_t worker_index, Worker& worker) const;

 private:
  /// Memory of the fragment's inputs and outputs for the duration of a run.
  struct Ends;
  /// Kernel objects of one worker: arguments belong to the object.
  struct Bound {
    std::vector<KernelHandle> kernels;
    std::vector<Location> operands;  ///< as set, by launch and operand
    std::shared_ptr<const Location> status;
  };

  void plan_memory();
  void place_constants();
  void prepare();
  Location locate(const kernel::Operand& operand, const Ends& ends, const Location& arena, const Location& status) const;
  void bind(KernelHandle& kernel, const kernel::Launch& launch, const BuiltKernel& built) const;
  void set_location(cl_kernel kernel, const kernel::Launch& launch, std::size_t operand, const Location& location) const;
  void enqueue(cl_command_queue queue, cl_kernel kernel, const kernel::Launch& launch, cl_event* event) const;
  void check_views(const Submission& submission) const;
  void check_status(cl_command_queue queue, const Location& status) const;
  std::string label(const kernel::Launch& launch) const;

  Session& session_;
  std::shared_ptr<const Graph> fragment_;
  kernel::Program program_;
  std::vector<BuiltKernel> built_;                          // by launch
  std::vector<std::int64_t> offsets_;                       // of scratch buffers, by buffer
  std::vector<std::shared_ptr<const Location>> resident_;   // constants and prepared, by buffer
  std::shared_ptr<const Location> dummy_;                   // stands for operands without elements
  std::vector<std::int64_t> input_bytes_;
  std::vector<std::int64_t> output_bytes_;
  MemoryUse memory_;
  mutable std::vector<Bound> bound_;                        // by worker; each is touched by its worker alone
};

}  // namespace naru::opencl
