// The way of an ONNX file: parse, import, verify, infer.
#include "graph/import/onnx.h"

#include <climits>
#include <optional>

#include "graph/fail.h"
#include "graph/import/onnx_graph.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/verify.h"
#include "onnx_data.pb.h"

namespace naru {
namespace {

/// Parses a message whose nesting is at most kLimits.max_text_depth (protobuf's own limit, too).
template <typename Message>
Message parse(std::span<const std::byte> bytes, const char* what) {
  if (bytes.size() > INT_MAX) {
    fail(ErrorCode::InvalidModel,
         "{}: got {} bytes, expected less than 2 GiB; larger tensors go "
         "into external data",
         what, bytes.size());
  }
  static_assert(kLimits.max_text_depth == 100, "protobuf's default recursion limit");
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail(ErrorCode::InvalidModel, "{}: the bytes are no valid protobuf message", what);
  }
  return message;
}

/// Where inference finds nothing, the model's word must do for kind and element type. Declared dims
/// are left alone: files carry stale ones.
void fill_gaps(Graph& graph, const std::vector<Type>& declared) {
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    Type& type = graph.value(graph.outputs[i]).type;
    if (type.kind == TypeKind::Unknown) {
      type = declared[i];
      type.shape.reset();
    } else if (type.is_tensor() && type.dtype == DType::Undefined && declared[i].is_tensor()) {
      type.dtype = declared[i].dtype;
    }
  }
}

Graph import(std::span<const std::byte> bytes, ModelDirectory* directory) {
  onnx::ModelProto model = parse<onnx::ModelProto>(bytes, "ONNX model");
  ModelImport model_import(model, directory);
  Graph graph = model_import.run();
  verify(graph);
  infer_types(graph);
  fill_gaps(graph, model_import.declared_outputs());
  return graph;
}

Datum to_datum(TensorSource& source, onnx::TensorProto& proto) {
  // An absent tensor is how an empty optional is stored where a tensor is asked for.
  if (proto.data_type() == onnx::TensorProto::UNDEFINED) return Datum{};
  return source.take(proto);
}

Datum to_datum(TensorSource& source, onnx::OptionalProto& proto);

Datum to_datum(TensorSource& source, onnx::SequenceProto& proto) {
  if (proto.map_values_size() > 0) fail(ErrorCode::Unsupported, "sequence: naru has no map type");
  std::vector<Datum> elements;
  for (auto& value : *proto.mutable_tensor_values()) elements.push_back(to_datum(source, value));
  for (auto& value : *proto.mutable_sparse_tensor_values()) elements.push_back(source.take(value));
  for (auto& value : *proto.mutable_sequence_values()) elements.push_back(to_datum(source, value));
  for (auto& value : *proto.mutable_optional_values()) elements.push_back(to_datum(source, value));
  return Datum::sequence(std::move(elements));
}

Datum to_datum(TensorSource& source, onnx::OptionalProto& proto) {
  if (proto.has_map_value()) fail(ErrorCode::Unsupported, "optional: naru has no map type");
  std::vector<Datum> value;
  if (proto.has_tensor_value())
    value.push_back(to_datum(source, *proto.mutable_tensor_value()));
  else if (proto.has_sparse_tensor_value())
    value.push_back(source.take(*proto.mutable_sparse_tensor_value()));
  else if (proto.has_sequence_value())
    value.push_back(to_datum(source, *proto.mutable_sequence_value()));
  else if (proto.has_optional_value())
    value.push_back(to_datum(source, *proto.mutable_optional_value()));
  return Datum::optional(std::move(value));
}

}  // namespace

Graph load_onnx(const std::filesystem::path& path) {
  return with_context([&] { return "loading " + quote_name(path.native()); },
                      [&] {
                        ModelFile model = open_model_file(path);
                        return import(model.file->bytes(), &model.directory);
                      });
}

Graph load_onnx(std::span<const std::byte> bytes, const std::filesystem::path& directory) {
  if (directory.empty()) return import(bytes, nullptr);
  ModelDirectory opened(directory);
  return import(bytes, &opened);
}

Datum load_onnx_value(std::span<const std::byte> bytes, Datum::Kind kind) {
  TensorSource source(nullptr);
  switch (kind) {
    case Datum::Kind::Sequence: {
      auto proto = parse<onnx::SequenceProto>(bytes, "ONNX sequence");
      return to_datum(source, proto);
    }
    case Datum::Kind::Optional: {
      auto proto = parse<onnx::OptionalProto>(bytes, "ONNX optional");
      return to_datum(source, proto);
    }
    case Datum::Kind::Tensor: break;
  }
  auto proto = parse<onnx::TensorProto>(bytes, "ONNX tensor");
  return to_datum(source, proto);
}

}  // namespace naru
