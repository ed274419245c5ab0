// Compiles a JSON schema into rules whose texts are JSON documents that the schema accepts. The
// rules may leave out documents that it accepts too: objects have the declared properties only, in
// order.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/grammar/number_rules.h"
#include "runtime/text/grammar/pattern_rules.h"
#include "runtime/text/grammar/rules.h"

namespace naru::grammar {
namespace {

using Json = nlohmann::ordered_json;
using Ranges = std::vector<text::CharSet::Range>;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxBytes = 4 << 20;
constexpr std::int64_t kMaxCount = 20'000;  // of items and characters that a schema asks for
constexpr std::size_t kMaxNodes = 10'000;
constexpr double kMaxBound = 1e15;  // of numbers

/// Keywords that say nothing about which documents are accepted, or that are read elsewhere.
constexpr std::string_view kNotes[] = {"$schema",        "$id",
                                       "$comment",       "$defs",
                                       "definitions",    "title",
                                       "description",    "default",
                                       "examples",       "deprecated",
                                       "readOnly",       "writeOnly",
                                       "$anchor",        "contentMediaType",
                                       "contentEncoding"};

constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", R"(^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$)"},
    {"time", R"(^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$)"},
    {"date-time",
     R"(^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$)"},
    {"uuid", R"(^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$)"}};

class Compiler {
 public:
  explicit Compiler(const Json& document) : document_(document) {}

  Rules compile() {
    const RuleId root = builder_.declare("root");
    builder_.define(root, {schema(document_, 0)});
    return builder_.finish(root);
  }

 private:
  [[noreturn]] static void invalid(std::string_view keyword, std::string_view expected) {
    fail(ErrorCode::InvalidArgument, "schema: '{}': expected {}", keyword, expected);
  }
  [[noreturn]] static void unsupported(std::string_view what) {
    fail(ErrorCode::Unsupported, "schema: {} is not supported", what);
  }

  /// Refuses keywords outside of `known`, which would be ignored in silence.
  static void check_keywords(const Json& json, std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : json.items()) {
      const bool fine = std::find(known.begin(), known.end(), key) != known.end() ||
                        std::find(std::begin(kNotes), std::end(kNotes), key) != std::end(kNotes);
      if (!fine) unsupported(fmt::format("the keyword {} here", quote_name(key)));
    }
  }

  /// One element that stands for the schema, however large it is.
  Sequence schema(const Json& json, int depth) {
    Sequence content = content_of(json, depth);
    if (content.size() <= 1) return content;
    const RuleId rule = builder_.declare();
    builder_.define(rule, {std::move(content)});
    return Builder::reference(rule);
  }

  Sequence content_of(const Json& json, int depth) {
    if (depth > kMaxDepth)
      fail(ErrorCode::InvalidArgument, "schema: got over {} levels", kMaxDepth);
    if (++nodes_ > kMaxNodes)
      fail(ErrorCode::InvalidArgument, "schema: got over {} schemas", kMaxNodes);
    if (json.is_boolean() && json.get<bool>()) return any_value();
    if (json.is_boolean()) fail(ErrorCode::InvalidArgument, "schema: 'false' accepts no document");
    if (!json.is_object()) invalid("schema", "an object or a boolean");
    if (json.contains("$ref")) return reference(json, depth);
    if (json.contains("const")) {
      check_keywords(json, {"const", "type"});
      if (!is_of_type(json, json["const"]))
        fail(ErrorCode::InvalidArgument, "schema: 'const' is of another type than 'type'");
      return constant(json["const"]);
    }
    if (json.contains("enum")) return enumeration(json);
    for (const char* keyword : {"anyOf", "allOf"}) {
      if (json.contains(keyword)) return combined(json, keyword, depth);
    }
    if (!json.contains("type")) return untyped(json, depth);
    if (!json["type"].is_array()) return typed(json, type_name(json["type"]), depth);
    std::vector<Sequence> alternatives;
    for (const Json& type : json["type"])
      alternatives.push_back(typed(json, type_name(type), depth));
    if (alternatives.empty()) invalid("type", "at least one type");
    return builder_.choice(std::move(alternatives));
  }

  static std::string type_name(const Json& json) {
    if (!json.is_string()) invalid("type", "a name or names");
    return json.get<std::string>();
  }

  /// A schema within the document: one rule each, so that it may contain itself.
  Sequence reference(const Json& json, int depth) {
    check_keywords(json, {"$ref"});
    if (!json["$ref"].is_string()) invalid("$ref", "a text");
    const std::string target = json["$ref"].get<std::string>();
    if (!target.starts_with('#')) unsupported("a reference out of the document");
    if (const auto known = references_.find(target); known != references_.end())
      return Builder::reference(known->second);
    const RuleId rule = builder_.declare(target);
    references_.emplace(target, rule);
    const Json* found = nullptr;
    try {
      found = &document_.at(Json::json_pointer(target.substr(1)));
    } catch (const Json::exception&) {
      fail(ErrorCode::InvalidArgument, "schema: the reference {} leads nowhere",
           quote_name(target));
    }
    builder_.define(rule, {schema(*found, depth + 1)});
    return Builder::reference(rule);
  }

  Sequence constant(const Json& json) {
    return builder_.literal(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  /// Whether `value` has a type that the schema's "type" names, or the schema has none.
  static bool is_of_type(const Json& json, const Json& value) {
    if (!json.contains("type")) return true;
    const auto fits = [&](const Json& type) {
      const std::string name = type_name(type);
      return (name == "object" && value.is_object()) || (name == "array" && value.is_array()) ||
             (name == "string" && value.is_string()) ||
             (name == "integer" && value.is_number_integer()) ||
             (name == "number" && value.is_number()) || (name == "boolean" && value.is_boolean()) ||
             (name == "null" && value.is_null());
    };
    const Json& types = json["type"];
    return types.is_array() ? std::any_of(types.begin(), types.end(), fits) : fits(types);
  }

  Sequence enumeration(const Json& json) {
    check_keywords(json, {"enum", "type"});
    const Json& values = json["enum"];
    if (!values.is_array() || values.empty() || values.size() > kMaxNodes)
      invalid("enum", fmt::format("1 to {} values", kMaxNodes));
    std::vector<Sequence> alternatives;
    for (const Json& value : values) {
      if (is_of_type(json, value)) alternatives.push_back(constant(value));
    }
    if (alternatives.empty())
      fail(ErrorCode::InvalidArgument, "schema: no value of 'enum' is of the type 'type'");
    return builder_.choice(std::move(alternatives));
  }

  Sequence combined(const Json& json, const char* keyword, int depth) {
    check_keywords(json, {keyword});
    const Json& list = json[keyword];
    if (!list.is_array() || list.empty()) invalid(keyword, "schemas");
    if (list.size() > 1 && std::string_view(keyword) == "allOf")
      unsupported("'allOf' of several schemas");
    std::vector<Sequence> alternatives;
    for (const Json& item : list) alternatives.push_back(schema(item, depth + 1));
    return builder_.choice(std::move(alternatives));
  }

  /// Without a type, keywords of one type hint at it.
  Sequence untyped(const Json& json, int depth) {
    static constexpr std::pair<const char*, const char*> kHints[] = {
        {"properties", "object"},
        {"required", "object"},
        {"additionalProperties", "object"},
        {"items", "array"},
        {"prefixItems", "array"},
        {"minItems", "array"},
        {"maxItems", "array"},
        {"pattern", "string"},
        {"minLength", "string"},
        {"maxLength", "string"},
        {"format", "string"},
        {"minimum", "number"},
        {"maximum", "number"},
        {"exclusiveMinimum", "number"},
        {"exclusiveMaximum", "number"}};
    for (const auto& [keyword, type] : kHints) {
      if (json.contains(keyword)) return typed(json, type, depth);
    }
    check_keywords(json, {});
    return any_value();
  }

  Sequence typed(const Json& json, const std::string& type, int depth) {
    struct Type {
      std::string_view name;
      Sequence (Compiler::*compile)(const Json&, int);
    };
    static constexpr Type kTypes[] = {
        {"object", &Compiler::object}, {"array", &Compiler::array},
        {"string", &Compiler::string}, {"integer", &Compiler::integer},
        {"number", &Compiler::number}, {"boolean", &Compiler::boolean},
        {"null", &Compiler::null}};
    // With several types, the keywords of the others do not matter to this one.
    const bool several = json.contains("type") && json["type"].is_array();
    const Json own = several ? keywords_of(json, type) : json;
    for (const Type& known : kTypes) {
      if (known.name == type) return (this->*known.compile)(own, depth);
    }
    invalid("type", "object, array, string, integer, number, boolean or null");
  }

  static Json keywords_of(const Json& json, const std::string& type) {
    static const std::map<std::string, std::vector<std::string_view>> kKeywords = {
        {"object", {"properties", "required", "additionalProperties"}},
        {"array", {"items", "prefixItems", "minItems", "maxItems"}},
        {"string", {"pattern", "minLength", "maxLength", "format"}},
        {"integer", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
        {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}}};
    Json own = Json::object();
    for (const auto& item : json.items()) {
      const std::string& key = item.key();
      const bool foreign = std::any_of(kKeywords.begin(), kKeywords.end(), [&](const auto& entry) {
        return entry.first != type &&
               std::find(entry.second.begin(), entry.second.end(), key) != entry.second.end();
      });
      const auto found = kKeywords.find(type);
      const bool mine =
          found != kKeywords.end() &&
          std::find(found->second.begin(), found->second.end(), key) != found->second.end();
      if (mine || !foreign) own[key] = item.value();
    }
    return own;
  }

  // Parts that all documents share; made once.

  Sequence shared(RuleId& rule, std::vector<Sequence> (Compiler::*make)()) {
    if (rule == kNoRule) {
      rule = builder_.declare();
      builder_.define(rule, (this->*make)());
    }
    return Builder::reference(rule);
  }

  /// Between tokens: nothing, a space, or a line end with an indent.
  std::vector<Sequence> make_space() {
    return {
        {},
        builder_.literal(" "),
        joined(builder_.literal("\n"), builder_.repeat(builder_.characters({{' ', ' '}}), 0, 20))};
  }
  Sequence space() { return shared(space_, &Compiler::make_space); }
  Sequence mark(std::string_view text) {
    return joined(joined(space(), builder_.literal(text)), space());
  }

  std::vector<Sequence> make_character() { return {spelled({{0, 0x10FFFF}})}; }
  Sequence character() { return shared(character_, &Compiler::make_character); }

  /// A code point of `ranges` inside a JSON text: as it is, or escaped where it must be.
  Sequence spelled(const Ranges& ranges) {
    if (const auto known = spelled_.find(ranges); known != spelled_.end()) return known->second;
    std::vector<Sequence> alternatives;
    Ranges plain;
    for (const auto& range : ranges) {
      const char32_t low = range.first, high = range.second;
      const auto add = [&](char32_t begin, char32_t end) {
        if (std::max(low, begin) <= std::min(high, end))
          plain.emplace_back(std::max(low, begin), std::min(high, end));
      };
      add(0x20, 0x21);
      add(0x23, 0x5B);
      add(0x5D, 0x10FFFF);
      for (char32_t value = low; value <= std::min<char32_t>(high, 0x5C); ++value) {
        if (value < 0x20 || value == '"' || value == '\\')
          alternatives.push_back(builder_.literal(escaped(value)));
      }
    }
    if (!plain.empty()) alternatives.push_back(builder_.characters(plain));
    return spelled_[ranges] = builder_.choice(std::move(alternatives));
  }

  static std::string escaped(char32_t value) {
    const std::string text = Json(std::string(1, static_cast<char>(value))).dump();
    return text.substr(1, text.size() - 2);
  }

  std::vector<Sequence> make_text() {
    return {joined(joined(builder_.literal("\""), builder_.repeat(character(), 0, -1)),
                   builder_.literal("\""))};
  }
  Sequence any_text() { return shared(text_, &Compiler::make_text); }

  std::vector<Sequence> make_any() {
    const Sequence value = Builder::reference(any_);
    const Sequence pair = joined(joined(any_text(), mark(":")), value);
    return {any_text(),
            number(Json::object(), 0),
            builder_.literal("true"),
            builder_.literal("false"),
            builder_.literal("null"),
            listed("{", pair, "}", 0, -1),
            listed("[", value, "]", 0, -1)};
  }
  Sequence any_value() { return shared(any_, &Compiler::make_any); }

  /// `open`, `min` to `max` items with commas, `close`.
  Sequence listed(std::string_view open, const Sequence& item, std::string_view close,
                  std::int64_t min, std::int64_t max) {
    Sequence items;
    if (max != 0) {
      const Sequence more = joined(mark(","), item);
      items = joined(
          item, builder_.repeat(more, std::max<std::int64_t>(min - 1, 0), max < 0 ? -1 : max - 1));
      items = joined(std::move(items), space());
      if (min == 0) items = builder_.optional(std::move(items));
    }
    return joined(joined(joined(builder_.literal(open), space()), items), builder_.literal(close));
  }

  static std::int64_t count_of(const Json& json, const char* keyword, std::int64_t otherwise) {
    if (!json.contains(keyword)) return otherwise;
    const Json& value = json[keyword];
    if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > kMaxCount)
      invalid(keyword, fmt::format("0 to {}", kMaxCount));
    return value.get<std::int64_t>();
  }

  static std::pair<std::int64_t, std::int64_t> counts_of(const Json& json, const char* low,
                                                         const char* high) {
    const std::int64_t min = count_of(json, low, 0), max = count_of(json, high, -1);
    if (max >= 0 && max < min) invalid(high, fmt::format("at least '{}'", low));
    return {min, max};
  }

  Sequence boolean(const Json& json, int) {
    check_keywords(json, {"type"});
    return builder_.choice({builder_.literal("true"), builder_.literal("false")});
  }

  Sequence null(const Json& json, int) {
    check_keywords(json, {"type"});
    return builder_.literal("null");
  }

  Sequence string(const Json& json, int) {
    check_keywords(json, {"type", "pattern", "format", "minLength", "maxLength"});
    const bool bounded = json.contains("minLength") || json.contains("maxLength");
    std::string pattern;
    if (json.contains("format") && json["format"].is_string()) {
      for (const auto& [name, known] : kFormats) {
        if (json["format"] == name) pattern = known;
      }
    }
    if (json.contains("pattern")) {
      if (!json["pattern"].is_string()) invalid("pattern", "a text");
      if (!pattern.empty()) unsupported("'pattern' with 'format'");
      pattern = json["pattern"].get<std::string>();
    }
    if (pattern.empty() && !bounded) return any_text();
    Sequence content;
    if (pattern.empty()) {
      const auto [min, max] = counts_of(json, "minLength", "maxLength");
      content = builder_.repeat(character(), min, max);
    } else {
      if (bounded) unsupported("'minLength' or 'maxLength' with 'pattern' or 'format'");
      content =
          pattern_rules(builder_, pattern, [&](const Ranges& ranges) { return spelled(ranges); });
    }
    return joined(joined(builder_.literal("\""), content), builder_.literal("\""));
  }

  Sequence array(const Json& json, int depth) {
    check_keywords(json, {"type", "items", "prefixItems", "minItems", "maxItems"});
    const auto [min, max] = counts_of(json, "minItems", "maxItems");
    if (json.contains("prefixItems")) return tuple(json, depth, min, max);
    const Sequence item = json.contains("items") ? schema(json["items"], depth + 1) : any_value();
    return listed("[", item, "]", min, max);
  }

  /// Items that each have a schema of their own; more of them only where 'items' has one.
  Sequence tuple(const Json& json, int depth, std::int64_t min, std::int64_t max) {
    const Json& prefix = json["prefixItems"];
    if (!prefix.is_array() || prefix.empty()) invalid("prefixItems", "schemas");
    const auto size = static_cast<std::int64_t>(prefix.size());
    if (max >= 0 && max < size) unsupported("'maxItems' below the number of 'prefixItems'");
    Sequence items;
    for (const Json& item : prefix) {
      if (!items.empty()) items = joined(std::move(items), mark(","));
      items = joined(std::move(items), schema(item, depth + 1));
    }
    const bool open = json.contains("items") && json["items"] != false;
    if (!open && min > size) invalid("minItems", "at most the number of 'prefixItems'");
    if (open) {
      const Sequence more = joined(mark(","), schema(json["items"], depth + 1));
      items = joined(std::move(items), builder_.repeat(more, std::max<std::int64_t>(min - size, 0),
                                                       max < 0 ? -1 : max - size));
    }
    return joined(joined(joined(joined(builder_.literal("["), space()), items), space()),
                  builder_.literal("]"));
  }

  struct Property {
    Sequence pair;
    bool required = false;
  };

  Sequence object(const Json& json, int depth) {
    check_keywords(json, {"type", "properties", "required", "additionalProperties"});
    const std::vector<Property> properties = properties_of(json, depth);
    const Json closed = false;
    const Json& additional =
        json.contains("additionalProperties") ? json["additionalProperties"] : closed;
    if (!properties.empty()) return fixed_object(properties);
    const bool none = json.contains("properties") ||
                      (json.contains("additionalProperties") && additional == false);
    if (none) return listed("{", {}, "}", 0, 0);
    const Sequence value = additional.is_object() ? schema(additional, depth + 1) : any_value();
    return listed("{", joined(joined(any_text(), mark(":")), value), "}", 0, -1);
  }

  std::vector<Property> properties_of(const Json& json, int depth) {
    static const Json kNone = Json::object();
    const Json& declared = json.contains("properties") ? json["properties"] : kNone;
    if (!declared.is_object()) invalid("properties", "an object");
    std::vector<std::string> required;
    if (json.contains("required")) {
      if (!json["required"].is_array() || json["required"].size() > kMaxNodes)
        invalid("required", "names");
      for (const Json& name : json["required"]) {
        if (!name.is_string()) invalid("required", "names");
        required.push_back(name.get<std::string>());
      }
    }
    std::vector<Property> properties;
    const auto add = [&](const std::string& name, Sequence value, bool is_required) {
      properties.push_back({joined(joined(constant(name), mark(":")), value), is_required});
    };
    for (const auto& [name, value] : declared.items()) {
      add(name, schema(value, depth + 1),
          std::find(required.begin(), required.end(), name) != required.end());
    }
    std::sort(required.begin(), required.end());
    required.erase(std::unique(required.begin(), required.end()), required.end());
    const Json* additional =
        json.contains("additionalProperties") ? &json["additionalProperties"] : nullptr;
    for (const std::string& name : required) {
      if (declared.contains(name)) continue;
      if (additional != nullptr && *additional == false)
        invalid("required", "declared properties only, as no others are allowed");
      add(name, additional != nullptr ? schema(*additional, depth + 1) : any_value(), true);
    }
    return properties;
  }

  /// The properties in order; those that are not required may be left out. From the last one on,
  /// each gets two rules: what follows when nothing, and when something, stands before it.
  Sequence fixed_object(const std::vector<Property>& properties) {
    std::array<Sequence, 2> rest;
    for (std::size_t i = properties.size(); i-- > 0;) {
      const auto& [pair, required] = properties[i];
      std::array<Sequence, 2> here;
      for (const bool started : {false, true}) {
        Sequence taken = joined(started ? joined(mark(","), pair) : pair, rest[1]);
        const RuleId rule = builder_.declare();
        std::vector<Sequence> alternatives = {std::move(taken)};
        if (!required) alternatives.push_back(rest[started ? 1 : 0]);
        builder_.define(rule, std::move(alternatives));
        here[started ? 1 : 0] = Builder::reference(rule);
      }
      rest = std::move(here);
    }
    return joined(joined(joined(joined(builder_.literal("{"), space()), rest[0]), space()),
                  builder_.literal("}"));
  }

  // Numbers.

  static std::optional<double> bound_of(const Json& json, const char* keyword) {
    if (!json.contains(keyword)) return std::nullopt;
    if (!json[keyword].is_number() || !(std::abs(json[keyword].get<double>()) <= kMaxBound))
      invalid(keyword, fmt::format("a number of at most {} either way", kMaxBound));
    return json[keyword].get<double>();
  }

  static NumberBounds bounds_of(const Json& json) {
    NumberBounds bounds;
    const auto at_least = [&](double value) {
      bounds.low = std::max(bounds.low.value_or(INT64_MIN), static_cast<std::int64_t>(value));
    };
    const auto at_most = [&](double value) {
      bounds.high = std::min(bounds.high.value_or(INT64_MAX), static_cast<std::int64_t>(value));
    };
    if (const auto value = bound_of(json, "minimum")) at_least(std::ceil(*value));
    if (const auto value = bound_of(json, "exclusiveMinimum")) at_least(std::floor(*value) + 1);
    if (const auto value = bound_of(json, "maximum")) at_most(std::floor(*value));
    if (const auto value = bound_of(json, "exclusiveMaximum")) at_most(std::ceil(*value) - 1);
    return bounds;
  }

  Sequence integer(const Json& json, int) {
    check_keywords(json, {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"});
    return integer_rules(builder_, bounds_of(json));
  }

  Sequence number(const Json& json, int) {
    check_keywords(json, {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"});
    return number_rules(builder_, bounds_of(json));
  }

  const Json& document_;
  Builder builder_;
  std::map<std::string, RuleId> references_;
  std::map<Ranges, Sequence> spelled_;  ///< patterns repeat their classes
  std::size_t nodes_ = 0;
  RuleId space_ = kNoRule, character_ = kNoRule, text_ = kNoRule, any_ = kNoRule;
};

}  // namespace

Rules compile_json_schema(std::string_view schema) {
  if (schema.size() > kMaxBytes)
    fail(ErrorCode::InvalidArgument, "schema: got {} bytes, expected at most {}", schema.size(),
         kMaxBytes);
  const Json json = Json::parse(schema, nullptr, false);
  if (json.is_discarded()) fail(ErrorCode::InvalidArgument, "schema: got text that is no JSON");
  return Compiler(json).compile();
}

}  // namespace naru::grammar
