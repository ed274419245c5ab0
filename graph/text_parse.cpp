// parse_text(): text to graphs. The text is untrusted: depth is bounded, and memory grows with it.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/op_def.h"
#include "graph/scalar.h"
#include "graph/text.h"
#include "graph/text_lexis.h"
#include "graph/type_text.h"
#include "graph/verify.h"

namespace naru {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_number_char(char c) {
  return is_digit(c) || is_alpha(c) || c == '.' || c == '+' || c == '-';
}

/// The offset of the first character that is neither blank nor in a comment.
std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (is_blank(text[at])) {
      ++at;
    } else {
      break;
    }
  }
  return at;
}

template <typename T>
std::optional<T> parse_integer(std::string_view token, int base = 10) {
  T value = 0;
  const auto [end, status] =
      std::from_chars(token.data(), token.data() + token.size(), value, base);
  if (status != std::errc() || end != token.data() + token.size()) return std::nullopt;
  return value;
}

template <typename Float, typename Bits>
std::optional<Float> from_bits(std::optional<Bits> bits) {
  if (!bits) return std::nullopt;
  Float value = 0;
  std::memcpy(&value, &*bits, sizeof value);
  if (value == value) return std::nullopt;
  return value;
}

/// Digits, inf, nan or nan(0x<bits>).
template <typename Float>
std::optional<Float> parse_float(std::string_view token) {
  using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
  if (token == "nan")
    return from_bits<Float>(std::optional<Bits>(sizeof(Float) == 4 ? kNanF32 : kNanF64));
  if (token.starts_with("nan(0x") && token.ends_with(')')) {
    return from_bits<Float>(parse_integer<Bits>(token.substr(6, token.size() - 7), 16));
  }
  Float value = 0;
  const auto [end, status] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (status != std::errc() || end != token.data() + token.size() || value != value)
    return std::nullopt;
  return value;
}

class Parser {
 public:
  Parser(std::string_view text, const ParseOptions& options) : text_(text), options_(options) {}

  Graph run() {
    skip();
    if (take_word("naru")) check_version();
    if (!take_word("graph")) error("'graph'");
    Graph graph = parse_graph(0);
    skip();
    if (at_ != text_.size()) error("the end of the text");
    return graph;
  }

 private:
  struct NewValue {
    std::string name;  // empty: absent
    Type type;
    std::size_t at;
  };

  // Errors

  std::string where(std::size_t at) const {
    const std::string_view before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    return fmt::format("line {}, column {}", line, at - line_start + 1);
  }
  [[noreturn]] void error_at(std::size_t at, const std::string& message,
                             ErrorCode code = ErrorCode::InvalidModel) const {
    fail(code, "text {}: {}", where(at), message);
  }
  [[noreturn]] void error(std::string_view expected) {
    skip();
    if (at_ >= text_.size()) error_at(at_, fmt::format("got the end, expected {}", expected));
    std::string got;
    append_quoted(got, text_.substr(at_, std::min<std::size_t>(
                                             text_.find_first_of(" \n,", at_ + 1) - at_, 24)));
    error_at(at_, fmt::format("got {}, expected {}", got, expected));
  }
  /// Runs `body`, whose own errors gain the place in the text.
  template <typename Body>
  decltype(auto) located(std::size_t at, Body&& body) {
    return with_context([&] { return "reading the text at " + where(at); },
                        std::forward<Body>(body));
  }
  void check_depth(std::int64_t depth) {
    if (depth > kLimits.max_text_depth)
      error_at(at_, fmt::format("nested over {} deep", kLimits.max_text_depth));
  }

  // Words and signs

  void skip() { at_ = skip_blanks(text_, at_); }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) error(fmt::format("'{}'", c));
  }
  std::string_view peek_word() {
    skip();
    std::size_t end = at_;
    while (end < text_.size() && is_word_char(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  bool take_word(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
  }
  std::string read_word(std::string_view what) {
    if (peek() == '"') return read_quoted(what);
    const std::string_view word = peek_word();
    if (word.empty()) error(what);
    at_ += word.size();
    return std::string(word);
  }

  std::string read_quoted(std::string_view what) {
    if (peek() != '"') error(what);
    const std::size_t start = at_++;
    std::string value;
    for (;;) {
      if (at_ >= text_.size() || text_[at_] == '\n')
        error_at(start, "this quoted text has no end on its line");
      const char c = text_[at_++];
      if (c == '"') return value;
      value += c == '\\' ? read_escape() : c;
    }
  }
  char read_escape() {
    const std::size_t start = at_ - 1;
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    if (c == 'n') return '\n';
    if (c == 't') return '\t';
    if (c == '"' || c == '\\') return c;
    std::byte byte[1] = {};
    if (c != 'x' || text_.size() - at_ < 2 || !decode_hex(text_.substr(at_, 2), byte)) {
      error_at(start, "got an unknown escape, expected one of \\n \\t \\\" \\\\ \\x00 to \\xff");
    }
    at_ += 2;
    return static_cast<char>(byte[0]);
  }
  /// Quoted text without escapes, in place.
  std::string_view read_raw_quoted() {
    if (at_ >= text_.size() || text_[at_] != '"') error("'\"'");
    const std::size_t start = ++at_;
    const std::size_t end = text_.find('"', start);
    if (end == std::string_view::npos) error_at(start - 1, "this quoted text has no end");
    at_ = end + 1;
    return text_.substr(start, end - start);
  }

  std::string_view read_number() {
    skip();
    const std::size_t start = at_;
    while (at_ < text_.size() && is_number_char(text_[at_])) ++at_;
    if (text_.substr(start, at_ - start) == "nan" && at_ < text_.size() && text_[at_] == '(') {
      at_ = std::min(text_.find(')', at_), text_.size() - 1) + 1;
    }
    return text_.substr(start, at_ - start);
  }

  void check_version() {
    if (!take_word("text")) error("'text'");
    skip();
    const std::size_t start = at_;
    const std::optional<std::int64_t> version = parse_integer<std::int64_t>(read_number());
    if (!version) error_at(start, "got no version number of the text form");
    if (*version != 1) {
      error_at(start, fmt::format("text form version: got {}, expected 1", *version),
               ErrorCode::Unsupported);
    }
  }

  // Types and values

  Type read_type() {
    skip();
    const std::size_t start = at_;
    at_ += peek_word().size();
    if (at_ == start) error("a type");
    const char open = at_ < text_.size() ? text_[at_] : '\0';
    if (open == '[') {
      at_ = std::min(text_.find(']', at_), text_.size() - 1) + 1;
    } else if (open == '(') {
      std::int64_t depth = 0;
      do {
        if (text_[at_] == '(') ++depth;
        if (text_[at_] == ')') --depth;
      } while (++at_ < text_.size() && depth > 0);
    }
    return located(start, [&] { return type_from_text(text_.substr(start, at_ - start)); });
  }

  std::string read_value_name() {
    if (!take('%')) error("a value such as %x");
    const std::size_t start = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      std::string name = read_quoted("a name");
      if (name.empty()) error_at(start, "got an empty name");
      return name;
    }
    std::size_t end = at_;
    while (end < text_.size() && is_name_char(text_[end])) ++end;
    while (end > at_ && text_[end - 1] == ':') --end;
    if (end == at_) error("a name");
    at_ = end;
    return std::string(text_.substr(start, end - start));
  }

  bool take_absent() { return take_word("_"); }

  ValueId read_use(const Graph& graph) {
    skip();
    const std::size_t start = at_;
    const ValueId id = graph.find_value(read_value_name());
    if (id == kNoValue)
      error_at(start, fmt::format("value {} is not defined before",
                                  text_.substr(start, std::min<std::size_t>(at_ - start, 80))));
    return id;
  }

  std::vector<ValueId> read_uses(const Graph& graph, bool may_be_absent) {
    std::vector<ValueId> ids;
    expect('(');
    if (take(')')) return ids;
    do {
      ids.push_back(may_be_absent && take_absent() ? kNoValue : read_use(graph));
    } while (take(','));
    expect(')');
    return ids;
  }

  NewValue read_new_value(bool typed) {
    skip();
    NewValue value{{}, {}, at_};
    value.name = read_value_name();
    if (typed && peek() != ':') error("':' and a type");
    if (take(':')) value.type = read_type();
    return value;
  }

  void check_new(const Graph& graph, const NewValue& value) {
    if (graph.find_value(value.name) != kNoValue) error_at(value.at, "this value is defined twice");
  }

  ValueId define(Graph& graph, NewValue value) {
    check_new(graph, value);
    return graph.add_value(std::move(value.name), std::move(value.type));
  }

  // Statements

  Graph parse_graph(std::int64_t depth) {
    check_depth(depth);
    Graph graph;
    graph.name = read_quoted("the graph's name in quotes");
    expect('{');
    std::vector<std::pair<std::size_t, std::string>>
        state_outputs;  // of each state: known at the end
    while (!take('}')) parse_statement(graph, state_outputs, depth);
    for (std::size_t i = 0; i < state_outputs.size(); ++i) {
      graph.states[i].output = graph.find_value(state_outputs[i].second);
      if (graph.states[i].output == kNoValue)
        error_at(state_outputs[i].first, "this value is not defined");
    }
    return graph;
  }

  void parse_statement(Graph& graph,
                       std::vector<std::pair<std::size_t, std::string>>& state_outputs,
                       std::int64_t depth) {
    const char c = peek();
    if (c == '%' || c == '(' || peek_word() == "_") return parse_node(graph, depth);
    const std::size_t start = at_;
    if (take_word("output")) {
      graph.outputs.push_back(read_use(graph));
    } else if (take_word("const")) {
      parse_constant(graph);
    } else if (take_word("input")) {
      graph.inputs.push_back(define(graph, read_new_value(true)));
    } else if (take_word("state")) {
      state_outputs.push_back(parse_state(graph));
    } else if (take_word("metadata")) {
      std::string key = read_quoted("a key in quotes");
      expect('=');
      if (!graph.metadata.emplace(std::move(key), read_quoted("text in quotes")).second) {
        error_at(start, "this metadata key is given twice");
      }
    } else if (take_word("doc")) {
      if (!graph.doc.empty()) error_at(start, "the graph has two doc texts");
      graph.doc = read_quoted("text in quotes");
    } else {
      error("a node, 'input', 'state', 'const', 'output', 'metadata', 'doc' or '}'");
    }
  }

  void parse_constant(Graph& graph) {
    NewValue value = read_new_value(true);
    check_new(graph, value);
    expect('=');
    graph.add_constant(std::move(value.name), read_data(value.type, value.at));
  }

  std::pair<std::size_t, std::string> parse_state(Graph& graph) {
    State state;
    state.name = read_quoted("the state's name in quotes");
    const std::optional<StateKind> kind = state_kind_from_name(peek_word());
    if (!kind) error("'tensor', 'kv_pages', 'kv_slot' or 'kv_opaque'");
    at_ += peek_word().size();
    state.kind = *kind;
    state.input = define(graph, read_new_value(true));
    graph.states.push_back(std::move(state));
    expect('-');
    expect('>');
    skip();
    const std::size_t start = at_;
    return {start, read_value_name()};
  }

  void parse_node(Graph& graph, std::int64_t depth) {
    std::vector<NewValue> outputs = read_outputs();
    expect('=');
    skip();
    const std::size_t start = at_;
    const std::string op = read_word("an operator");
    Node node;
    node.op = find_op(op);
    if (node.op == nullptr)
      error_at(start, fmt::format("operator '{}' is not known", op.substr(0, 80)),
               ErrorCode::Unsupported);
    node.inputs = read_uses(graph, true);
    if (take_word("captures")) node.captures = read_uses(graph, false);
    if (take('{')) node.attributes = read_attributes(depth);
    if (peek() == '"') node.name = read_quoted("a name");
    for (NewValue& value : outputs) {
      node.outputs.push_back(value.name.empty() ? kNoValue : define(graph, std::move(value)));
    }
    graph.nodes.push_back(std::move(node));
  }

  std::vector<NewValue> read_outputs() {
    std::vector<NewValue> outputs;
    if (take('(')) {
      expect(')');
      return outputs;
    }
    do {
      outputs.push_back(take_absent() ? NewValue{{}, {}, at_} : read_new_value(false));
    } while (take(','));
    return outputs;
  }

  // Attributes

  Attributes read_attributes(std::int64_t depth) {
    Attributes attributes;
    if (take('}')) return attributes;
    do {
      skip();
      const std::size_t start = at_;
      std::string name = read_word("an attribute's name");
      expect('=');
      Attribute value = take('[') ? read_list(depth) : read_attribute(depth);
      if (!attributes.emplace(std::move(name), std::move(value)).second) {
        error_at(start, "this attribute is given twice");
      }
    } while (take(','));
    expect('}');
    return attributes;
  }

  Attribute read_attribute(std::int64_t depth) {
    const char c = peek();
    if (c == '"') return read_quoted("text");
    if (is_digit(c) || c == '-') return read_scalar();
    const std::string_view word = peek_word();
    if (word == "nan" || word == "inf") return read_scalar();
    if (take_word("graph")) return std::make_shared<const Graph>(parse_graph(depth + 1));
    if (take_word("type")) return read_type();
    if (std::optional<Attribute> list = read_empty_list(word)) return std::move(*list);
    const std::size_t start = at_;
    const Type type = read_type();
    return read_data(type, start);
  }

  Attribute read_scalar() {
    skip();
    const std::size_t start = at_;
    const std::string_view token = read_number();
    if (const auto integer = parse_integer<std::int64_t>(token)) return *integer;
    if (const auto value = parse_float<float>(token)) return *value;
    error_at(start, "got a number that is neither a 64-bit integer nor a 32-bit float");
  }

  std::optional<Attribute> read_empty_list(std::string_view word) {
    std::optional<Attribute> list;
    if (word == to_string(AttrKind::Ints))
      list = std::vector<std::int64_t>();
    else if (word == to_string(AttrKind::Floats))
      list = std::vector<float>();
    else if (word == to_string(AttrKind::Strings))
      list = std::vector<std::string>();
    else if (word == to_string(AttrKind::Tensors))
      list = std::vector<Tensor>();
    else if (word == to_string(AttrKind::Graphs))
      list = std::vector<GraphPtr>();
    else
      return std::nullopt;
    at_ += word.size();
    expect('[');
    expect(']');
    return list;
  }

  /// The first element decides the kind; '[' is taken already.
  Attribute read_list(std::int64_t depth) {
    const std::size_t start = at_;
    Attribute first = read_attribute(depth);
    switch (kind_of(first)) {
      case AttrKind::Int: return read_rest<std::int64_t>(std::move(first), depth);
      case AttrKind::Float: return read_rest<float>(std::move(first), depth);
      case AttrKind::String: return read_rest<std::string>(std::move(first), depth);
      case AttrKind::Tensor: return read_rest<Tensor>(std::move(first), depth);
      case AttrKind::Graph: return read_rest<GraphPtr>(std::move(first), depth);
      default: error_at(start, "got a list of lists or of types");
    }
  }

  template <typename T>
  Attribute read_rest(Attribute first, std::int64_t depth) {
    std::vector<T> list;
    list.push_back(std::get<T>(std::move(first)));
    while (take(',')) {
      skip();
      const std::size_t start = at_;
      Attribute next = read_attribute(depth);
      T* value = std::get_if<T>(&next);
      if (value == nullptr)
        error_at(
            start,
            fmt::format("got an element of kind {} in this list, expected the kind of the first",
                        to_string(kind_of(next))));
      list.push_back(std::move(*value));
    }
    expect(']');
    return list;
  }

  // Tensors

  Tensor read_data(const Type& type, std::size_t type_at) {
    const std::optional<Shape> shape = type.shape ? known_shape(*type.shape) : std::nullopt;
    if (!type.is_tensor() || type.dtype == DType::Undefined || !shape) {
      error_at(type_at,
               "the type of a constant: got one that leaves something open, expected for example "
               "f32[2,3]");
    }
    return located(type_at, [&] { return read_data(type, *shape); });
  }

  Tensor read_data(const Type& type, const Shape& shape) {
    if (take('{')) return read_elements(type.dtype, shape);
    if (take_word("hex")) return read_bytes(type.dtype, shape, decode_hex);
    if (take_word("base64")) return read_bytes(type.dtype, shape, decode_base64);
    if (take_word("hash")) return find_by_hash(type, shape);
    error("the data: {elements}, hex\"...\", base64\"...\" or hash\"...\"");
  }

  Tensor read_bytes(DType dtype, const Shape& shape,
                    bool (*decode)(std::string_view, std::span<std::byte>) noexcept) {
    const std::size_t start = at_;
    const std::string_view digits = read_raw_quoted();
    if (dtype == DType::String) error_at(start, "strings have no raw form, expected {...}");
    const std::int64_t bytes = storage_bytes(dtype, shape.numel());
    // Both encodings take more characters than bytes, so that this bounds the allocation.
    if (static_cast<std::uint64_t>(bytes) > digits.size()) wrong_size(start, bytes);
    Tensor tensor(dtype, shape);
    if (!decode(digits, {tensor.mutable_data(), static_cast<std::size_t>(bytes)}))
      wrong_size(start, bytes);
    return tensor;
  }
  [[noreturn]] void wrong_size(std::size_t at, std::int64_t bytes) {
    error_at(at, fmt::format("got digits that do not encode {} bytes", bytes));
  }

  Tensor find_by_hash(const Type& type, const Shape& shape) {
    const std::size_t start = at_;
    const std::optional<Hash128> hash = hash_from_string(read_raw_quoted());
    if (!hash) error_at(start, "got no hash, expected 32 digits 0-9 a-f");
    Tensor tensor = options_.find_tensor ? options_.find_tensor(type, *hash) : Tensor();
    if (!tensor.defined()) {
      error_at(start,
               "the data are left out of this text; print it with full data to have them in it");
    }
    if (tensor.dtype() != type.dtype || tensor.shape() != shape) {
      error_at(start, "the tensor found for this hash has another type: " + to_string(tensor));
    }
    return tensor;
  }

  Tensor read_elements(DType dtype, const Shape& shape) {
    const std::int64_t count = shape.numel();
    // Each element takes a character at least: no larger allocation than the text can fill.
    if (static_cast<std::uint64_t>(count) > text_.size() - at_) {
      error_at(at_, fmt::format("got fewer elements than the {} of the type", count));
    }
    if (dtype == DType::String) return read_strings(shape);
    const bool readable = dtype == DType::F64 || dtype == DType::F32 || dtype == DType::Bool ||
                          (is_integer(dtype) && dtype_info(dtype).block_elements == 1);
    if (!readable)
      error_at(at_, fmt::format("elements of {} are given as hex\"...\" or base64\"...\"",
                                to_string(dtype)));
    Tensor tensor(dtype, shape);
    for (std::int64_t i = 0; i < count; ++i) {
      if (i > 0) expect(',');
      skip();
      const std::size_t start = at_;
      if (!store_element(tensor, i, read_number())) {
        error_at(start, fmt::format("got no element of {}", to_string(dtype)));
      }
    }
    expect('}');
    return tensor;
  }

  static bool store_element(Tensor& tensor, std::int64_t i, std::string_view token) {
    const auto index = static_cast<std::size_t>(i);
    const DType dtype = tensor.dtype();
    if (dtype == DType::F32 || dtype == DType::F64) {
      if (dtype == DType::F64) {
        const auto value = parse_float<double>(token);
        if (value) tensor.as_mutable<double>()[index] = *value;
        return value.has_value();
      }
      const auto value = parse_float<float>(token);
      if (value) tensor.as_mutable<float>()[index] = *value;
      return value.has_value();
    }
    if (dtype == DType::Bool) {
      if (token != "true" && token != "false") return false;
      tensor.mutable_data()[index] = std::byte{token == "true"};
      return true;
    }
    return kind_of(dtype) == DTypeKind::SignedInt ? store_signed(tensor, i, token)
                                                  : store_unsigned(tensor, i, token);
  }
  static bool store_signed(Tensor& tensor, std::int64_t i, std::string_view token) {
    const auto value = parse_integer<std::int64_t>(token);
    if (!value) return false;
    store_i64(tensor.dtype(), tensor.mutable_data(), i, *value);
    return load_i64(tensor.dtype(), tensor.data(), i) == *value;
  }
  static bool store_unsigned(Tensor& tensor, std::int64_t i, std::string_view token) {
    const auto value = parse_integer<std::uint64_t>(token);
    if (!value) return false;
    store_u64(tensor.dtype(), tensor.mutable_data(), i, *value);
    return load_u64(tensor.dtype(), tensor.data(), i) == *value;
  }

  Tensor read_strings(const Shape& shape) {
    std::vector<std::string> values;
    for (std::int64_t i = 0; i < shape.numel(); ++i) {
      if (i > 0) expect(',');
      values.push_back(read_quoted("text in quotes"));
    }
    expect('}');
    return Tensor::from_strings(shape, std::move(values));
  }

  std::string_view text_;
  const ParseOptions& options_;
  std::size_t at_ = 0;
};

}  // namespace

Graph parse_text(std::string_view text, const ParseOptions& options) {
  Graph graph = Parser(text, options).run();
  if (options.verify) verify(graph);
  if (options.infer) infer_types(graph);
  return graph;
}

bool looks_like_text(std::string_view text) noexcept {
  text.remove_prefix(skip_blanks(text, 0));
  return text.starts_with("naru text ") || text.starts_with("graph \"");
}

}  // namespace naru
