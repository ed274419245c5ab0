// print(): graphs to text.
#include <charconv>
#include <cstring>

#include "graph/fail.h"
#include "graph/op_def.h"
#include "graph/text.h"
#include "graph/text_lexis.h"
#include "graph/type_text.h"

namespace naru {
namespace {

template <typename Bits, typename Float>
Bits bits_of(Float value) {
  Bits bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// The shortest digits that read back to the same value, always recognisable as a float.
template <typename Bits, typename Float>
void append_float(std::string& out, Float value, Bits canonical_nan) {
  if (value != value) {
    out += bits_of<Bits>(value) == canonical_nan ? "nan"
                                                 : fmt::format("nan(0x{:x})", bits_of<Bits>(value));
    return;
  }
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  out += text;
  if (text.find_first_of(".en") == std::string_view::npos) out += ".0";
}

void append(std::string& out, float value) { append_float(out, value, kNanF32); }
void append(std::string& out, double value) { append_float(out, value, kNanF64); }
void append(std::string& out, std::int64_t value) { out += std::to_string(value); }
void append(std::string& out, std::uint64_t value) { out += std::to_string(value); }
void append(std::string& out, std::int32_t value) { out += std::to_string(value); }
void append(std::string& out, std::uint32_t value) { out += std::to_string(value); }
void append(std::string& out, bool value) { out += value ? "true" : "false"; }
void append(std::string& out, const std::string& value) { append_quoted(out, value); }

template <typename T>
void append_list(std::string& out, const T& values) {
  const char* separator = "";
  for (const auto& value : values) {
    out += separator;
    append(out, value);
    separator = ", ";
  }
}

/// Writes {elements} where elements have a readable form; false for raw formats.
bool append_elements(std::string& out, const Tensor& tensor) {
  const auto list = [&](const auto& values) {
    out += '{';
    append_list(out, values);
    out += '}';
    return true;
  };
  switch (tensor.dtype()) {
    case DType::F64: return list(tensor.as<double>());
    case DType::F32: return list(tensor.as<float>());
    case DType::I64: return list(tensor.as<std::int64_t>());
    case DType::I32: return list(tensor.as<std::int32_t>());
    case DType::I16: return list(tensor.as<std::int16_t>());
    case DType::I8: return list(tensor.as<std::int8_t>());
    case DType::U64: return list(tensor.as<std::uint64_t>());
    case DType::U32: return list(tensor.as<std::uint32_t>());
    case DType::U16: return list(tensor.as<std::uint16_t>());
    case DType::U8: return list(tensor.as<std::uint8_t>());
    case DType::String: return list(tensor.strings());
    default: return false;
  }
}

/// A bool tensor may hold bytes other than 0 and 1, which only the raw form can show.
bool append_bools(std::string& out, const Tensor& tensor) {
  std::string text = "{";
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const auto byte = std::to_integer<int>(tensor.data()[i]);
    if (byte > 1) return false;
    if (i > 0) text += ", ";
    append(text, byte == 1);
  }
  out += text + "}";
  return true;
}

class Printer {
 public:
  Printer(std::string& out, const Graph& graph, const PrintOptions& options, std::size_t indent)
      : out_(out), graph_(graph), options_(options), indent_(indent) {}

  void print_graph() {
    out_ += "graph ";
    append_quoted(out_, graph_.name);
    out_ += " {\n";
    ++indent_;
    print_header();
    for (const Node& node : graph_.nodes) {
      start_line();
      print_node(node);
      out_ += '\n';
    }
    for (ValueId id : graph_.outputs) {
      start_line("output ");
      value(id);
      out_ += '\n';
    }
    --indent_;
    start_line("}");
  }

  void print_node(const Node& node) {
    print_outputs(node);
    out_ += " = ";
    out_ += node.op == nullptr ? std::string("<no operator>") : node.op->full_name();
    values(node.inputs);
    if (!node.captures.empty()) {
      out_ += " captures";
      values(node.captures);
    }
    if (!node.attributes.empty()) print_attributes(node);
    if (node.name.empty()) return;
    out_ += ' ';
    append_quoted(out_, node.name);
  }

 private:
  void start_line(std::string_view text = {}) {
    out_.append(indent_ * 2, ' ');
    out_ += text;
  }

  void print_header() {
    if (!graph_.doc.empty()) {
      start_line("doc ");
      append_quoted(out_, graph_.doc);
      out_ += '\n';
    }
    for (const auto& [key, text] : graph_.metadata) {
      start_line("metadata ");
      append_quoted(out_, key);
      out_ += " = ";
      append_quoted(out_, text);
      out_ += '\n';
    }
    for (ValueId id : graph_.inputs) {
      start_line("input ");
      typed_value(id);
      out_ += '\n';
    }
    for (const State& state : graph_.states) print_state(state);
    for (const Value& v : graph_.values) {
      if (v.is_constant()) print_constant(v);
    }
  }

  void print_state(const State& state) {
    start_line("state ");
    append_quoted(out_, state.name);
    out_ += ' ';
    out_ += state_kind_name(state.kind);
    out_ += ' ';
    typed_value(state.input);
    out_ += " -> ";
    value(state.output);
    out_ += '\n';
  }

  void print_constant(const Value& v) {
    start_line("const ");
    append_value_name(out_, v.name);
    out_ += ": ";
    out_ += type_to_text(Type::tensor(v.constant.dtype(), v.constant.shape()));
    out_ += " = ";
    print_data(v.constant);
    out_ += '\n';
  }

  bool in_range(ValueId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < graph_.values.size();
  }
  void value(ValueId id) {
    if (id == kNoValue)
      out_ += '_';
    else if (in_range(id))
      append_value_name(out_, graph_.value(id).name);
    else
      out_ += fmt::format("<no value {}>", id);
  }
  void typed_value(ValueId id) {
    value(id);
    if (!in_range(id)) return;
    out_ += ": ";
    out_ += type_to_text(graph_.value(id).type);
  }
  void values(const std::vector<ValueId>& ids) {
    out_ += '(';
    const char* separator = "";
    for (ValueId id : ids) {
      out_ += separator;
      value(id);
      separator = ", ";
    }
    out_ += ')';
  }

  void print_outputs(const Node& node) {
    if (node.outputs.empty()) out_ += "()";
    const char* separator = "";
    for (ValueId id : node.outputs) {
      out_ += separator;
      separator = ", ";
      const bool typed =
          options_.types && in_range(id) && graph_.value(id).type.kind != TypeKind::Unknown;
      if (typed)
        typed_value(id);
      else
        value(id);
    }
  }

  /// On one line, except that each attribute has its own line where one of them is a graph.
  void print_attributes(const Node& node) {
    bool has_graph = false;
    for (const auto& [name, attribute] : node.attributes) {
      has_graph = has_graph || kind_of(attribute) == AttrKind::Graph ||
                  kind_of(attribute) == AttrKind::Graphs;
    }
    out_ += has_graph ? " {\n" : " {";
    if (has_graph) ++indent_;
    bool first = true;
    for (const auto& [name, attribute] : node.attributes) {
      if (!first) out_ += has_graph ? ",\n" : ", ";
      first = false;
      if (has_graph) start_line();
      append_word(out_, name);
      out_ += '=';
      print_attribute(attribute);
    }
    if (!has_graph) {
      out_ += '}';
      return;
    }
    --indent_;
    out_ += '\n';
    start_line("}");
  }

  void print_attribute(const Attribute& attribute) {
    std::visit([&](const auto& v) { item(v); }, attribute);
  }

  void item(std::int64_t v) { append(out_, v); }
  void item(float v) { append(out_, v); }
  void item(const std::string& v) { append_quoted(out_, v); }
  void item(const Type& v) { out_ += "type " + type_to_text(v); }
  void item(const Tensor& v) {
    out_ += type_to_text(Type::tensor(v.dtype(), v.shape()));
    out_ += ' ';
    print_data(v);
  }
  void item(const GraphPtr& v) {
    if (v == nullptr)
      out_ += "<no graph>";
    else
      Printer(out_, *v, options_, indent_).print_graph();
  }
  /// An empty list says of what, the others show it.
  template <typename T>
  void item(const std::vector<T>& list) {
    if (list.empty()) out_ += to_string(kind_of(Attribute(list)));
    out_ += '[';
    const char* separator = "";
    for (const T& v : list) {
      out_ += separator;
      item(v);
      separator = ", ";
    }
    out_ += ']';
  }

  void print_data(const Tensor& tensor) {
    const bool small = tensor.numel() <= options_.inline_elements;
    if (!small && !options_.full_data) {
      out_ += "hash\"" + to_string(content_hash(tensor)) + '"';
      return;
    }
    // Strings have no stored bytes of their own; short raw data are easier to compare in hex.
    const bool readable = small || tensor.dtype() == DType::String;
    if (readable && tensor.dtype() == DType::Bool && append_bools(out_, tensor)) return;
    if (readable && append_elements(out_, tensor)) return;
    const auto bytes = static_cast<std::size_t>(tensor.size_bytes());
    if (small)
      append_hex(out_, {tensor.data(), bytes});
    else
      append_base64(out_, {tensor.data(), bytes});
  }

  std::string& out_;
  const Graph& graph_;
  const PrintOptions& options_;
  std::size_t indent_;
};

}  // namespace

std::string print(const Graph& graph, const PrintOptions& options) {
  std::string out(kTextHeader);
  out += '\n';
  Printer(out, graph, options, 0).print_graph();
  out += '\n';
  return out;
}

std::string print(const Graph& graph, const Node& node, const PrintOptions& options) {
  std::string out;
  Printer(out, graph, options, 0).print_node(node);
  return out;
}

}  // namespace naru
