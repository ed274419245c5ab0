// GGUF: reads, and every tensor that it accepts can be decoded.
#include <span>

#include "graph/block/block_format.h"
#include "graph/import/gguf.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  GgufFile file;
  if (!fuzz::accepts([&] { file = read_gguf(std::as_bytes(std::span(data, size)), nullptr); })) return 0;
  for (const GgufTensor& tensor : file.tensors) {
    const bool number = is_block(tensor.data.dtype()) || is_float(tensor.data.dtype());
    if (number) fuzz::accepts([&] { dequantize(tensor.data); });
  }
  return 0;
}
