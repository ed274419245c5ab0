// Every kernel of the test programs as CUDA C, compiled for all architectures.
#include <gtest/gtest.h>

#include <set>

#include "compiler/kernel/print.h"
#include "tests/compiler/kernel/nvrtc.h"
#include "tests/compiler/kernel/programs.h"

namespace naru::test {
namespace {

TEST(KernelCuda, EveryKernelCompilesForEveryArchitecture) {
#ifndef NARU_NVRTC
  GTEST_SKIP() << "no NVRTC: the CUDA toolkit was not found when this was configured";
#else
  std::string text = kernel::prelude(kernel::Dialect::Cuda);
  std::set<std::string> seen;
  kernel::Target target;
  target.vector_lanes = 1;
  for (const NamedCase& named : kernel_cases()) {
    const kernel::Program program = lower(named.test, target);
    for (const auto* launches : {&program.prepare, &program.launches}) {
      for (const kernel::Launch& launch : *launches) {
        if (seen.insert(kernel::symbol_of(*launch.kernel)).second) text += kernel::print(*launch.kernel, kernel::Dialect::Cuda);
      }
    }
  }
  for (const char* architecture : {"sm_80", "sm_90", "sm_100", "sm_120"}) {
    EXPECT_EQ(nvrtc_errors(text, architecture), "") << architecture << ", " << seen.size() << " kernels";
  }
#endif
}

}  // namespace
}  // namespace naru::test
