// ClSequence: kernel objects of one worker, their arguments as last set, and the run of a queue.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "backends/opencl/device.h"

namespace naru::opencl {

class ClSequence final : public generated::Sequence {
 public:
  ClSequence(ClDevice& device, std::vector<const kernel::Launch*> launches, std::vector<generated::BuiltKernel> built, int worker);
  Location status() override;
  std::int32_t run(std::span<const Location> operands, std::vector<generated::LaunchSpan>* spans) override;

 private:
  void bind(const kernel::Launch& launch, const generated::BuiltKernel& built);
  void set_operands(std::size_t launch, std::size_t first, std::span<const Location> operands);
  EventHandle enqueue(std::size_t launch, bool timed) const;
  std::int32_t read_status() const;

  ClDevice& device_;
  ClDevice::Line& line_;
  std::vector<const kernel::Launch*> launches_;
  std::vector<generated::BuiltKernel> built_;
  std::vector<KernelHandle> kernels_;    // arguments belong to the object
  std::vector<Location> set_;            // operands as set, by launch and operand
  generated::Memory status_;
};

}  // namespace naru::opencl
