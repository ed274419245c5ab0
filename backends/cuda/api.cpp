// Opening of the driver, and what its status codes mean.
#include "backends/cuda/api.h"

#include <algorithm>
#include <iterator>

#include "backends/cuda/library.h"
#include "graph/fail.h"

namespace naru::cuda {
namespace {

const Driver& driver() {
  static const Driver instance = open_driver("libcuda.so.1");
  return instance;
}

/// Codes after which the driver refuses all further work of the context: faults of kernels (illegal
/// address, time out, assertion, stack, instruction, alignment, address space, program counter, launch),
/// of the hardware (memory, link, device gone), and of the context itself.
constexpr Status kSticky[] = {4, 46, 100, 101, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 810, 999};

}  // namespace

Driver open_driver(const char* name) {
  Driver driver;
  Library library({name}, "no NVIDIA driver (install one that has CUDA 12.0 or later)");
#define CU(name, symbol, parameters) library.find(#symbol, driver.api.name);
#include "backends/cuda/api.def"
#undef CU
  driver.missing = library.missing();
  return driver;
}

const std::string& missing() { return driver().missing; }
const Api& api() { return driver().api; }

std::string status_name(Status status) {
  const char* name = nullptr;
  if (api().GetErrorName(status, &name) == kSuccess && name != nullptr) return name;
  return fmt::format("status {}", status);
}

bool is_sticky(Status status) noexcept { return std::find(std::begin(kSticky), std::end(kSticky), status) != std::end(kSticky); }

void check(Status status, const char* what) {
  if (status == kSuccess) return;
  fail(status == kOutOfMemory ? ErrorCode::OutOfMemory : ErrorCode::Device, "cuda: {} failed with {}", what, status_name(status));
}

}  // namespace naru::cuda
