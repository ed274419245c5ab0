// Graph to an ONNX model, which other tools can load.
#pragma once

#include <cstdint>
#include <string>

#include "graph/graph.h"

namespace naru {

/// The bytes of a ModelProto that means what `graph` means. Its operators are stamped with the newest
/// opsets of their domains, in which graphs are held; weights stand inside.
/// @throws Error Unsupported for what ONNX cannot say: states, block formats, operators of no ONNX
///         domain; and beyond 2 GiB, where protobuf ends.
std::string onnx_bytes(const Graph& graph);

}  // namespace naru
