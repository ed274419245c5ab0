// CudaSequence: launches on a worker's stream, one by one or as a graph.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "backends/cuda/device.h"
#include "backends/cuda/launch_graph.h"

namespace naru::cuda {

/// The first run launches kernel by kernel, since many a program runs once; from the second on a graph
/// does. Runs that are timed launch one by one as well.
class CudaSequence final : public generated::Sequence {
 public:
  CudaSequence(ContextPtr context, Line& line, std::vector<const kernel::Launch*> launches, std::vector<generated::BuiltKernel> built);
  ~CudaSequence() override;
  generated::Location status() override;
  std::int32_t run(std::span<const generated::Location> operands, std::vector<generated::LaunchSpan>* spans) override;

 private:
  void start();
  void start_graph();
  void start_timed(std::vector<generated::LaunchSpan>& spans);
  void launch(std::size_t index);
  void wait();

  ContextPtr context_;
  Line& line_;
  std::vector<generated::BuiltKernel> built_;  // keeps the modules
  LaunchList launches_;
  std::unique_ptr<LaunchGraph> graph_;
  std::set<std::size_t> stale_;  // launches whose parameters the graph does not have yet
  HostMemory status_;
  bool ran_ = false;
};

}  // namespace naru::cuda
