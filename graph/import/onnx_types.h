// TypeProto to Type, and the symbols that stand for a model's named and unnamed dimensions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "graph/type.h"
#include "onnx.pb.h"

namespace naru {

/// The symbols of one model. ONNX lets a dimension's name be any text; a symbol must be readable by
/// Dim::parse, so other characters are replaced and the results kept distinct.
class SymbolTable {
 public:
  /// The symbol of a dim_param: equal names give equal symbols.
  Dim named(const std::string& dim_param);
  /// A symbol of its own for dimension `axis` of `value`, of which nothing is known.
  Dim unnamed(std::string_view value, int axis);

 private:
  std::string distinct(std::string symbol);

  std::map<std::string, std::string> by_param_;
  std::map<std::string, int> taken_;  // a symbol, and the largest number added to it
};

/// The type that `proto` states for `value`; Unknown when it states none.
/// @throws Error InvalidModel for bad dims, Unsupported for maps, sparse and opaque types.
Type read_type(const onnx::TypeProto& proto, SymbolTable& symbols, std::string_view value);

}  // namespace naru
