// AttributeProto to Attribute, for every kind but sub-graphs.
#pragma once

#include "graph/graph.h"
#include "graph/import/onnx_graph.h"

namespace naru {

/// The kind of an attribute; models of the first format say it only by the field that is set.
/// @throws Error InvalidModel when none is.
onnx::AttributeProto::AttributeType attribute_type(const onnx::AttributeProto& proto);

/// Reads a number, text, tensor, type or a list of them. @throws Error InvalidModel, Unsupported.
Attribute read_attribute(onnx::AttributeProto& proto, ModelImport& model);

/// The tensor that a Constant's attribute `name` states; `proto` holds the value.
/// @throws Error InvalidModel for an attribute that states none.
Tensor read_constant(onnx::AttributeProto& proto, std::string_view name, ModelImport& model);

/// Bytes that a copy of the attribute takes beside shared tensors and sub-graphs.
std::int64_t copied_bytes(const onnx::AttributeProto& proto);

}  // namespace naru
