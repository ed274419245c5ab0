// The readable form of a graph: printed for dumps and tests, parsed back to the same graph.
//
//   naru text 1
//   graph "classifier" {
//     metadata "author" = "someone"
//     input %x: f32[batch,3,224,224]
//     state "h" tensor %h: f32[1,8] -> %h_next
//     const %w: f32[2] = {1.0, -0.5}
//     %y: f32[batch,2], _ = Some.Op(%x, %w, _) captures(%h) {axis=1, mode="x"} "node name"
//     output %y
//   }
//
// One line per input, state, constant, node and output; only sub-graphs stretch a node over several
// lines. Names of other than letters, digits and _.:/$- are quoted: %"a name". "_" is an absent
// value. "#" starts a comment. A type follows ": " (the blank matters, names may hold colons).
// Tensors are a type and its data: {elements}, hex"bytes", base64"bytes" as stored, or hash"digest"
// where the data were left out.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "graph/graph.h"
#include "graph/hash.h"

namespace naru {

struct PrintOptions {
  /// Tensors up to this many elements are printed in full, larger ones as their content hash.
  std::int64_t inline_elements = 16;
  /// Prints larger ones in full as well (base64), so that the text stands alone.
  bool full_data = false;
  /// Prints the types of node outputs. The parser needs none: inference finds most of them again.
  bool types = true;
};

/// Never fails on a broken graph: what is out of range is shown as such.
std::string print(const Graph& graph, const PrintOptions& options = {});

/// One node as print() shows it, without a line end.
std::string print(const Graph& graph, const Node& node, const PrintOptions& options = {});

struct ParseOptions {
  /// Off only to look at broken graphs: everything else relies on verify().
  bool verify = true;
  /// Runs infer_types() after verify().
  bool infer = false;
  /// Finds the data of tensors printed as a hash; an undefined tensor means that there are none.
  std::function<Tensor(const Type& type, const Hash128& hash)> find_tensor = {};
};

/// Parses and verifies a graph. Values are numbered in the order of the text.
/// @throws Error InvalidModel with line and column on bad syntax or meaning, Unsupported for an
/// unknown operator.
Graph parse_text(std::string_view text, const ParseOptions& options = {});

/// True when the text, after blanks and comments, begins as print() begins.
bool looks_like_text(std::string_view text) noexcept;

}  // namespace naru
