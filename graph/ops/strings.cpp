// String operators: StringConcat, StringNormalizer, StringSplit, RegexFullMatch.
#include <re2/re2.h>
#include <utf8proc.h>

#include <algorithm>
#include <set>

#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

constexpr TypeSet kString{DType::String};

// StringConcat

void infer_string_concat(InferContext& ctx) {
  require_type(ctx, 0, kString);
  require_type(ctx, 1, kString);
  infer_broadcast(ctx, 0, 2, DType::String);
}

void reference_string_concat(ReferenceContext& ctx) {
  const auto x = ctx.input(0).strings(), y = ctx.input(1).strings();
  Tensor& out = ctx.output(0);
  const auto result = out.mutable_strings();
  const std::array<const Shape*, 2> shapes{&ctx.input(0).shape(), &ctx.input(1).shape()};
  for_each_broadcast(out.shape(), shapes, [&](std::int64_t at, const std::array<std::int64_t, 2>& from) {
    result[static_cast<std::size_t>(at)] =
        x[static_cast<std::size_t>(from[0])] + y[static_cast<std::size_t>(from[1])];
  });
}

// StringNormalizer

enum class CaseChange { None, Lower, Upper };

CaseChange case_change(const Node& node) {
  const std::string& action = node.attr_string("case_change_action");
  if (action == "NONE") return CaseChange::None;
  if (action == "LOWER") return CaseChange::Lower;
  if (action == "UPPER") return CaseChange::Upper;
  fail(ErrorCode::InvalidModel, "{}: case_change_action: got '{}', expected NONE, LOWER or UPPER", node.label(),
       action);
}

/// Maps each code point by Unicode's simple case mapping; bytes that are no UTF-8 stay.
std::string with_case(const std::string& text, CaseChange change) {
  if (change == CaseChange::None) return text;
  std::string result;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(at, left, &code);
    if (length <= 0) {
      result += static_cast<char>(*at);
      ++at, --left;
      continue;
    }
    utf8proc_uint8_t buffer[4];
    code = change == CaseChange::Lower ? utf8proc_tolower(code) : utf8proc_toupper(code);
    result.append(reinterpret_cast<const char*>(buffer),
                  static_cast<std::size_t>(utf8proc_encode_char(code, buffer)));
    at += length, left -= length;
  }
  return result;
}

void infer_string_normalizer(InferContext& ctx) {
  require_type(ctx, 0, kString);
  require_rank(ctx, 0, 1, 2);
  case_change(ctx.node);
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, DType::String);
  if (shape->size() == 1) return ctx.set_output(0, DType::String, {ctx.fresh_dim()});
  match_dims(ctx, "rows", (*shape)[0], 1);
  ctx.set_output(0, DType::String, {1, ctx.fresh_dim()});
}

void reference_string_normalizer(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const CaseChange change = case_change(ctx.node);
  const bool exact = ctx.node.attr_int("is_case_sensitive") != 0;
  const auto key = [&](const std::string& text) { return exact ? text : with_case(text, CaseChange::Lower); };
  std::set<std::string> stopwords;
  if (ctx.node.has("stopwords")) {
    for (const std::string& word : ctx.node.attr_strings("stopwords")) stopwords.insert(key(word));
  }
  std::vector<std::string> kept;
  for (const std::string& text : x.strings()) {
    if (!stopwords.contains(key(text))) kept.push_back(with_case(text, change));
  }
  if (kept.empty()) kept.emplace_back();
  const auto count = static_cast<std::int64_t>(kept.size());
  ctx.set_output(0, Tensor::from_strings(x.rank() == 1 ? Shape{count} : Shape{1, count}, std::move(kept)));
}

// StringSplit

void infer_string_split(InferContext& ctx) {
  require_type(ctx, 0, kString);
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, DType::String);
  ctx.set_output(1, shape != nullptr ? Type::tensor(DType::I64, *shape) : Type::tensor(DType::I64));
  if (shape == nullptr) return;
  SymShape parts = *shape;
  parts.push_back(ctx.fresh_dim());
  ctx.set_output(0, DType::String, std::move(parts));
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Splits on runs of white space, ignoring it at both ends.
std::vector<std::string> split_on_space(const std::string& text, std::int64_t most) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  const auto skip = [&](bool space) {
    while (at < text.size() && is_space(text[at]) == space) ++at;
  };
  for (skip(true); at < text.size(); skip(true)) {
    const std::size_t first = at;
    if (static_cast<std::int64_t>(parts.size()) == most) {
      std::size_t last = text.size();
      while (is_space(text[last - 1])) --last;
      parts.push_back(text.substr(first, last - first));
      break;
    }
    skip(false);
    parts.push_back(text.substr(first, at - first));
  }
  return parts;
}

std::vector<std::string> split_on(const std::string& text, const std::string& delimiter, std::int64_t most) {
  if (delimiter.empty()) return split_on_space(text, most);
  std::vector<std::string> parts;
  std::size_t first = 0;
  while (static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t next = text.find(delimiter, first);
    if (next == std::string::npos) break;
    parts.push_back(text.substr(first, next - first));
    first = next + delimiter.size();
  }
  parts.push_back(text.substr(first));
  return parts;
}

void reference_string_split(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::string delimiter = ctx.node.attr_string_or("delimiter", "");
  std::int64_t most = ctx.node.attr_int_or("maxsplit", -1);
  if (most < 0) most = INT64_MAX;
  std::vector<std::vector<std::string>> all;
  Tensor counts(DType::I64, x.shape());
  std::size_t widest = 0;
  for (const std::string& text : x.strings()) {
    all.push_back(split_on(text, delimiter, most));
    widest = std::max(widest, all.back().size());
    counts.as_mutable<std::int64_t>()[all.size() - 1] = static_cast<std::int64_t>(all.back().size());
  }
  Shape shape = x.shape();
  shape.push_back(static_cast<std::int64_t>(widest));
  Tensor parts(DType::String, std::move(shape));
  auto to = parts.mutable_strings().begin();
  for (std::vector<std::string>& row : all) {
    std::move(row.begin(), row.end(), to);
    to += static_cast<std::ptrdiff_t>(widest);
  }
  if (ctx.has_output(0)) ctx.set_output(0, std::move(parts));
  if (ctx.has_output(1)) ctx.set_output(1, std::move(counts));
}

// RegexFullMatch

/// RE2 matches in linear time whatever the pattern; its own limits bound the memory.
const RE2::Options& quiet_options() {
  static const RE2::Options options = [] {
    RE2::Options quiet;
    quiet.set_log_errors(false);
    return quiet;
  }();
  return options;
}

void infer_regex_full_match(InferContext& ctx) {
  require_type(ctx, 0, kString);
  const RE2 pattern(ctx.node.attr_string("pattern"), quiet_options());
  ctx.require(pattern.ok(), "pattern: got '{}' ({}), expected RE2 syntax", ctx.node.attr_string("pattern"),
              pattern.error());
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, shape != nullptr ? Type::tensor(DType::Bool, *shape) : Type::tensor(DType::Bool));
}

void reference_regex_full_match(ReferenceContext& ctx) {
  const RE2 pattern(ctx.node.attr_string("pattern"), quiet_options());
  const auto result = ctx.output(0).as_mutable<bool>();
  const auto texts = ctx.input(0).strings();
  for (std::size_t i = 0; i < texts.size(); ++i) result[i] = RE2::FullMatch(texts[i], pattern);
}

}  // namespace

void define_strings(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "StringConcat",
      .domain = "",
      .since_version = 20,
      .doc = "Joins strings element by element.",
      .source = "ONNX StringConcat-20",
      .inputs = {{"X", "strings, the front"}, {"Y", "strings, the back"}},
      .outputs = {{"Z", "strings of the broadcast shape"}},
      .infer = infer_string_concat,
      .reference = reference_string_concat,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "StringNormalizer",
      .domain = "",
      .since_version = 10,
      .doc = "Drops stop words and changes the case of the rest.",
      .source = "ONNX StringNormalizer-10; Unicode's simple case mapping in every locale",
      .inputs = {{"X", "UTF-8 strings, [count] or [1, count]"}},
      .outputs = {{"Y", "what is left; one empty string when nothing is"}},
      .attributes = {{"case_change_action", AttrKind::String, "NONE, LOWER or UPPER", std::string("NONE")},
                     {"is_case_sensitive", AttrKind::Int, "1: stop words match by case", 0},
                     {"locale", AttrKind::String, "not used"},
                     {"stopwords", AttrKind::Strings, "elements to drop"}},
      .infer = infer_string_normalizer,
      .reference = reference_string_normalizer,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "StringSplit",
      .domain = "",
      .since_version = 20,
      .doc = "Splits strings into rows of substrings, padded with empty ones.",
      .source = "ONNX StringSplit-20",
      .inputs = {{"X", "strings"}},
      .outputs = {{"Y", "X's shape with the longest row appended"}, {"Z", "i64, substrings of each"}},
      .attributes = {{"delimiter", AttrKind::String, "absent or empty: runs of white space"},
                     {"maxsplit", AttrKind::Int, "most splits; absent: all"}},
      .infer = infer_string_split,
      .reference = reference_string_split,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "RegexFullMatch",
      .domain = "",
      .since_version = 20,
      .doc = "Tells of each string whether a pattern matches all of it.",
      .source = "ONNX RegexFullMatch-20, RE2 syntax",
      .inputs = {{"X", "UTF-8 strings"}},
      .outputs = {{"Y", "bool, of the same shape"}},
      .attributes = {{"pattern", AttrKind::String, "RE2 syntax", std::nullopt, true}},
      .infer = infer_regex_full_match,
      .reference = reference_regex_full_match,
  });
}

}  // namespace naru
