// Runs the tree of a template.
#pragma once

#include "runtime/text/jinja/ast.h"
#include "runtime/text/jinja/library.h"

namespace naru::jinja {

/// The text that `body` makes of `variables`, a dictionary.
/// @throws Error InvalidArgument, InvalidModel.
MarkedText render(Context& context, const Body& body, const Value& variables);

}  // namespace naru::jinja
