// Text forms of dimensions and types that parse back to the same value, whatever symbols are
// called.
#pragma once

#include <string>
#include <string_view>

#include "graph/type.h"

namespace naru {

/// Dim::to_string(), with symbols that Dim::parse() would misread (spaces, "max", a leading digit)
/// written with $XX for the offending bytes.
std::string dim_to_text(const Dim& dim);
/// The inverse of dim_to_text(). @throws Error InvalidModel on bad syntax.
Dim dim_from_text(std::string_view text);

/// to_string(Type) with dimensions as dim_to_text() writes them.
std::string type_to_text(const Type& type);
/// The inverse of type_to_text(). @throws Error InvalidModel on bad syntax or too deep nesting.
Type type_from_text(std::string_view text);

}  // namespace naru
