// What the graphs of one model share: opsets, functions, tensors, limits.
#include "graph/import/onnx_graph.h"

#include <algorithm>

#include "graph/fail.h"
#include "graph/import/onnx.h"
#include "graph/import/onnx_body.h"
#include "graph/limits.h"

namespace naru {
namespace {

using OpsetList = google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>;

constexpr std::int64_t kNewestMlOpset = 5;

void check_opset(std::string_view domain, std::int64_t version) {
  if (domain.empty() && (version < kOldestOpset || version > kNewestOpset)) {
    fail(ErrorCode::Unsupported,
         "opset: the model imports version {} of the ONNX operators, "
         "naru reads {} to {}",
         version, kOldestOpset, kNewestOpset);
  }
  if (domain == "ai.onnx.ml" && (version < 1 || version > kNewestMlOpset)) {
    fail(ErrorCode::Unsupported,
         "opset: the model imports version {} of the operators of "
         "ai.onnx.ml, naru reads 1 to {}",
         version, kNewestMlOpset);
  }
}

OpsetMap read_opsets(const OpsetList& list) {
  OpsetMap opsets;
  for (const auto& entry : list) {
    const std::string_view domain = normal_domain(entry.domain());
    check_opset(domain, entry.version());
    const auto [found, added] = opsets.emplace(domain, entry.version());
    if (!added && found->second != entry.version()) {
      fail(ErrorCode::InvalidModel, "opset: domain {} is imported as version {} and {}",
           quote_name(domain), found->second, entry.version());
    }
  }
  return opsets;
}

std::string function_key(std::string_view domain, std::string_view name,
                         std::string_view overload) {
  std::string key(normal_domain(domain));
  for (const std::string_view part : {name, overload}) {
    key += '\0';
    key += part;
  }
  return key;
}

}  // namespace

std::string_view normal_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

ModelImport::ModelImport(onnx::ModelProto& model, ModelDirectory* directory)
    : model_(model), source_(directory) {
  if (!model.has_graph()) {
    fail(ErrorCode::InvalidModel, "the file holds no graph: it is no ONNX model");
  }
  opsets_ = read_opsets(model.opset_import());
  for (onnx::FunctionProto& proto : *model.mutable_functions()) add_function(proto);
}

void ModelImport::add_function(onnx::FunctionProto& proto) {
  with_context([&] { return "reading the function " + quote_name(proto.name()); },
               [&] {
                 ModelFunction function{&proto, read_opsets(proto.opset_import())};
                 // A function may leave out what the model imports for it.
                 function.opsets.insert(opsets_.begin(), opsets_.end());
                 const std::string key =
                     function_key(proto.domain(), proto.name(), proto.overload());
                 if (!functions_.emplace(key, std::move(function)).second) {
                   fail(ErrorCode::InvalidModel, "function: defined twice");
                 }
               });
}

Graph ModelImport::run() {
  Graph graph = GraphImport(*this, nullptr).import_main(*model_.mutable_graph());
  for (const auto& entry : model_.metadata_props()) graph.metadata[entry.key()] = entry.value();
  const std::string& doc =
      model_.doc_string().empty() ? model_.graph().doc_string() : model_.doc_string();
  graph.doc = doc.substr(0, static_cast<std::size_t>(kLimits.max_name_bytes));
  return graph;
}

std::vector<Type> ModelImport::declared_outputs() {
  std::vector<Type> types;
  for (const auto& output : model_.graph().output()) {
    types.push_back(read_type(output.type(), symbols_, output.name()));
  }
  return types;
}

const ModelFunction* ModelImport::find_function(const onnx::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find(function_key(node.domain(), node.op_type(), node.overload()));
  return found == functions_.end() ? nullptr : &found->second;
}

Tensor ModelImport::tensor(onnx::TensorProto& proto) {
  const auto found = tensors_.find(&proto);
  if (found != tensors_.end()) return found->second;
  return with_context([&] { return "reading the tensor " + quote_name(proto.name()); },
                      [&] { return tensors_.emplace(&proto, source_.take(proto)).first->second; });
}

Tensor ModelImport::tensor(onnx::SparseTensorProto& proto) {
  const auto found = tensors_.find(&proto);
  if (found != tensors_.end()) return found->second;
  return with_context(
      [&] { return "reading the sparse tensor " + quote_name(proto.values().name()); },
      [&] { return tensors_.emplace(&proto, source_.take(proto)).first->second; });
}

void ModelImport::enter(const ModelFunction& function) {
  if (std::find(calls_.begin(), calls_.end(), &function) != calls_.end()) {
    fail(ErrorCode::InvalidModel, "function {}: it calls itself",
         quote_name(function.proto->name()));
  }
  if (static_cast<std::int64_t>(calls_.size()) >= kLimits.max_function_depth) {
    fail(ErrorCode::InvalidModel, "functions: calls are nested over {} deep",
         kLimits.max_function_depth);
  }
  calls_.push_back(&function);
}

void ModelImport::charge_node(std::int64_t copied) {
  ++nodes_;
  if (nodes_ > kLimits.max_nodes) {
    fail(ErrorCode::InvalidModel, "model: got over {} nodes", kLimits.max_nodes);
  }
  if (calls_.empty()) return;
  ++inlined_nodes_;
  copied_bytes_ += copied;
  if (inlined_nodes_ > kLimits.max_inlined_nodes) {
    fail(ErrorCode::InvalidModel, "functions: inlining them gives over {} nodes",
         kLimits.max_inlined_nodes);
  }
  if (copied_bytes_ > kLimits.max_inlined_bytes) {
    fail(ErrorCode::InvalidModel, "functions: inlining them copies over {} bytes",
         kLimits.max_inlined_bytes);
  }
}

}  // namespace naru
