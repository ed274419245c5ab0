// Types and dimensions as text, both ways.
#include "graph/type_text.h"

#include <algorithm>
#include <cctype>

#include "graph/fail.h"
#include "graph/limits.h"

namespace naru {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// What Dim::parse() takes as part of a symbol, without '$', which introduces an escape.
bool plain_in_symbol(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) || c == '_' || c == '.' || c == '?' || c == '/' || c == ':' ||
         byte >= 0x80;
}

bool is_function(std::string_view name) {
  return name == "floordiv" || name == "max" || name == "min";
}

bool is_plain_symbol(std::string_view name) {
  return !name.empty() && !is_digit(name[0]) && !is_function(name) &&
         std::all_of(name.begin(), name.end(), plain_in_symbol);
}

std::string escape_symbol(const std::string& name) {
  if (is_plain_symbol(name)) return name;
  if (name.empty()) return "$";
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool first_escaped = i == 0 && (is_digit(name[0]) || is_function(name));
    if (plain_in_symbol(name[i]) && !first_escaped)
      text += name[i];
    else
      text += fmt::format("${:02x}", static_cast<unsigned char>(name[i]));
  }
  return text;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string unescape_symbol(const std::string& text) {
  if (text == "$") return {};
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      name += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      fail(ErrorCode::InvalidModel, "symbol '{}': got a '$' without two digits 0-9 a-f", text);
    }
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return name;
}

Dim rename_symbols(const Dim& dim, std::string (*rename)(const std::string&)) {
  return dim.substitute(
      [&](const std::string& name) { return std::optional<Dim>(Dim::symbol(rename(name))); });
}

/// Cuts `text` at the commas that stand outside parentheses; one part over the limit is enough.
std::vector<std::string_view> split_top_level(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  std::int64_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] != ',' || depth != 0) continue;
    if (static_cast<std::int64_t>(parts.size()) == kLimits.max_rank) break;
    parts.push_back(text.substr(start, i - start));
    start = i + 1;
  }
  parts.push_back(text.substr(start));
  return parts;
}

SymShape shape_from_text(std::string_view text) {
  SymShape shape;
  if (text.empty()) return shape;
  const std::vector<std::string_view> parts = split_top_level(text);
  if (static_cast<std::int64_t>(parts.size()) > kLimits.max_rank) {
    fail(ErrorCode::InvalidModel, "type: got a rank over {}", kLimits.max_rank);
  }
  for (std::string_view part : parts) shape.push_back(dim_from_text(part));
  return shape;
}

Type parse_type(std::string_view text, std::int64_t depth) {
  if (depth > kLimits.max_text_depth) {
    fail(ErrorCode::InvalidModel, "type: nested over {} deep", kLimits.max_text_depth);
  }
  if (text == "unknown") return {};
  if (text.ends_with(')')) {
    if (text.starts_with("seq("))
      return Type::sequence(parse_type(text.substr(4, text.size() - 5), depth + 1));
    if (text.starts_with("optional("))
      return Type::optional(parse_type(text.substr(9, text.size() - 10), depth + 1));
  }
  const std::size_t bracket = text.find('[');
  const std::string_view name = text.substr(0, bracket);
  const std::optional<DType> dtype = dtype_from_string(name);
  const bool known = dtype || name == to_string(DType::Undefined);
  if (!known || bracket == std::string_view::npos || !text.ends_with(']')) {
    fail(ErrorCode::InvalidModel,
         "type: got '{}', expected one such as f32[n,3], i64[*], seq(f32[2]), unknown",
         text.substr(0, 80));
  }
  const std::string_view dims = text.substr(bracket + 1, text.size() - bracket - 2);
  if (dims == "*") return Type::tensor(dtype.value_or(DType::Undefined));
  return Type::tensor(dtype.value_or(DType::Undefined), shape_from_text(dims));
}

}  // namespace

std::string dim_to_text(const Dim& dim) {
  if (dim.is_known()) return dim.to_string();
  std::vector<std::string> names;
  dim.collect_symbols(names);
  if (std::all_of(names.begin(), names.end(), is_plain_symbol)) return dim.to_string();
  return rename_symbols(dim, escape_symbol).to_string();
}

Dim dim_from_text(std::string_view text) {
  const Dim dim = Dim::parse(text);
  // Products of sums grow when multiplied out; what a file makes us keep must not.
  if (!dim.is_known() && dim.to_string().size() > 64 + 4 * text.size()) {
    fail(ErrorCode::InvalidModel, "dimension '{}': its normal form is over 4 times as long",
         text.substr(0, 80));
  }
  return text.find('$') == std::string_view::npos ? dim : rename_symbols(dim, unescape_symbol);
}

std::string type_to_text(const Type& type) {
  const auto element = [&] {
    return type.element == nullptr ? "unknown" : type_to_text(*type.element);
  };
  if (type.kind == TypeKind::Unknown) return "unknown";
  if (type.kind == TypeKind::Sequence) return "seq(" + element() + ")";
  if (type.kind == TypeKind::Optional) return "optional(" + element() + ")";
  std::string text(to_string(type.dtype));
  if (!type.shape) return text + "[*]";
  text += '[';
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    if (i > 0) text += ',';
    text += dim_to_text((*type.shape)[i]);
  }
  return text + "]";
}

Type type_from_text(std::string_view text) { return parse_type(text, 0); }

}  // namespace naru
