// specialise(): substitution of symbols through the inputs, inference, folding.
#include "compiler/specialise.h"

#include <cstring>

#include "compiler/pipeline.h"
#include "graph/fail.h"

namespace naru {
namespace {

/// One symbol has one value over all inputs.
void check_symbols(const Value& declared, const Type& bound, std::map<std::string, Dim>& symbols) {
  const Type& type = declared.type;
  if (!type.is_tensor() || !type.shape) return;
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    const Dim& dim = (*type.shape)[i];
    const Dim& actual = (*bound.shape)[i];
    if (!dim.is_symbol()) continue;
    const auto [found, added] = symbols.emplace(dim.to_string(), actual);
    if (!added && !(found->second == actual)) {
      fail(ErrorCode::InvalidArgument,
           "input '{}': got {}, expected {} with {} = {} as in an earlier input", declared.name,
           to_string(bound), to_string(type), found->first, found->second.to_string());
    }
  }
}

}  // namespace

bool InputBinding::operator==(const InputBinding& other) const {
  if (!(type == other.type) || value.defined() != other.value.defined()) return false;
  if (!value.defined()) return true;
  return value.size_bytes() == other.value.size_bytes() &&
         std::memcmp(value.data(), other.value.data(), static_cast<std::size_t>(value.size_bytes())) == 0;
}

void check_binding(const Value& declared, const Type& bound) {
  const Type& type = declared.type;
  const auto mismatch = [&] {
    fail(ErrorCode::InvalidArgument, "input '{}': got {}, expected {}", declared.name,
         to_string(bound), to_string(type));
  };
  if (type.kind == TypeKind::Unknown) return;
  // A value stands for the optional that holds it.
  const bool held = type.kind == TypeKind::Optional && bound.kind == type.element->kind;
  if (type.kind != bound.kind && !held) mismatch();
  if (!type.is_tensor()) return;
  if (type.dtype != DType::Undefined && type.dtype != bound.dtype) mismatch();
  if (!type.shape) return;
  if (type.shape->size() != bound.shape->size()) mismatch();
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    const Dim& dim = (*type.shape)[i];
    if (dim.is_known() && !(dim == (*bound.shape)[i])) mismatch();
  }
}

Graph specialise(const Graph& graph, std::span<const InputBinding> bindings) {
  Graph result = graph;
  std::map<std::string, Dim> symbols;
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    const ValueId id = result.inputs[i];
    check_binding(result.value(id), bindings[i].type);
    check_symbols(result.value(id), bindings[i].type, symbols);
    result.value(id).type = bindings[i].type;
    if (!bindings[i].value.defined()) continue;
    const ValueId constant =
        result.add_constant(result.value(id).name + ".bound", bindings[i].value);
    result.replace_uses(id, constant);
  }
  optimize(result, specialised_pipeline());
  return result;
}

}  // namespace naru
