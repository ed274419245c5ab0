// Safetensors: reads; what it accepts lies in memory.
#include <span>

#include "graph/block/block_format.h"
#include "graph/import/safetensors.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  std::vector<NamedTensor> tensors;
  if (!fuzz::accepts(
          [&] { tensors = read_safetensors(std::as_bytes(std::span(data, size)), nullptr); }))
    return 0;
  for (const NamedTensor& tensor : tensors) {
    if (is_float(tensor.data.dtype())) fuzz::accepts([&] { dequantize(tensor.data); });
  }
  return 0;
}
