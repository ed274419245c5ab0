// Fuzz target: an ONNX model from memory, without external data. Only Error may leave the loader.
#include <cstddef>
#include <cstdint>
#include <span>

#include "naru/error.h"
#include "graph/graph.h"
#include "graph/import/onnx.h"
#include "graph/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const naru::Graph graph = naru::load_onnx(std::as_bytes(std::span(data, size)));
    naru::verify(graph);
  } catch (const naru::Error&) {
    // A rejected file.
  }
  return 0;
}
