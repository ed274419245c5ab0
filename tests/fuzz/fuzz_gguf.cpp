// GGUF: reads, every tensor that it accepts can be decoded, and a model that is built from it is
// sound.
#include <span>

#include "graph/block/block_format.h"
#include "graph/import/gguf.h"
#include "graph/import/llm/gguf_model.h"
#include "graph/infer.h"
#include "graph/verify.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  GgufFile file;
  if (!fuzz::accepts([&] { file = read_gguf(std::as_bytes(std::span(data, size)), nullptr); }))
    return 0;
  for (const GgufTensor& tensor : file.tensors) {
    const bool number = is_block(tensor.data.dtype()) || is_float(tensor.data.dtype());
    if (number) fuzz::accepts([&] { dequantize(tensor.data); });
  }
  Graph graph;
  if (!fuzz::accepts([&] { graph = llm::build_gguf_model(file, {}, {}); })) return 0;
  if (!fuzz::accepts([&] { verify(graph); })) fuzz::finding("a model was built that is not sound");
  if (!fuzz::accepts([&] { infer_types(graph); }))
    fuzz::finding("a model was built whose types do not fit");
  return 0;
}
