// Device profiles: JSON that tells the opencl backend how to call a device's built-in kernels.
#include "backends/opencl/built_in/device_profile.h"

#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  fuzz::accepts([&] { opencl::parse_device_profile({reinterpret_cast<const char*>(data), size}, "fuzz.json"); });
  return 0;
}
