// The filters, tests and functions of templates, as tables.
#include "runtime/text/jinja/library.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/fail.h"
#include "runtime/text/unicode.h"

namespace naru::jinja {
namespace {

using Filter = Value (*)(Context&, const Value&, const Arguments&);
using Test = bool (*)(Context&, const Value&, const Arguments&);

/// value.a.b for the text "a.b"; a number names an item.
Value path_of(const Value& value, const Value& path) {
  if (path.integer()) return item_of(value, path);
  const std::string& names = text_of(path, "attribute").bytes;
  Value current = value;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t end = std::min(names.find('.', at), names.size());
    current = item_of(current, Value::text(names.substr(at, end - at)));
    at = end + 1;
  }
  return current;
}

std::int64_t length_of(const Value& value) {
  if (const MarkedText* text = value.text()) {
    std::int64_t count = 0;
    for (std::size_t at = 0; at < text->bytes.size();
         at += text::read_code_point(text->bytes, at).size)
      ++count;
    return count;
  }
  if (const List* list = value.list()) return static_cast<std::int64_t>(list->size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->entries.size());
  if (value.is_undefined()) return 0;
  refuse(fmt::format("length: got {}, expected str, list or dict", value.type_name()));
}

Value join(Context& context, const Value& value, const Arguments& arguments) {
  const Value separator = argument(arguments, 0, "d");
  const Value attribute = argument(arguments, 1, "attribute");
  MarkedText out;
  bool first = true;
  for (const Value& item : items_of(context, value)) {
    if (!first && separator.text() != nullptr) out.append(*separator.text());
    first = false;
    const MarkedText part =
        to_text(attribute.is_undefined() ? item : path_of(item, attribute), context.budget);
    context.budget.memory(static_cast<std::int64_t>(part.bytes.size()));
    out.append(part);
  }
  return Value::of(std::move(out));
}

/// The arguments from `skip` on.
Arguments rest_of(const Arguments& arguments, std::size_t skip) {
  Arguments rest;
  for (std::size_t i = skip; i < arguments.positional.size(); ++i)
    rest.positional.push_back(arguments.positional[i]);
  rest.named = arguments.named;
  return rest;
}

/// select, reject, selectattr and rejectattr: the items whose test (of an attribute) has the answer
/// `wanted`.
template <bool kWanted, bool kAttribute>
Value select(Context& context, const Value& value, const Arguments& arguments) {
  constexpr std::size_t kTest = kAttribute ? 1 : 0;
  const Value attribute = kAttribute ? argument(arguments, 0, "attribute") : Value();
  const bool has_test = arguments.positional.size() > kTest;
  const std::string test =
      has_test ? text_of(arguments.positional[kTest], "select").bytes : std::string();
  if (has_test && !is_test(test))
    refuse(fmt::format("select: the test '{}' is not supported", test));
  const Arguments rest = rest_of(arguments, kTest + 1);
  List out;
  for (const Value& item : items_of(context, value)) {
    const Value tested = kAttribute ? path_of(item, attribute) : item;
    const bool holds = has_test ? apply_test(context, test, tested, rest) : tested.truthy();
    if (holds == kWanted) out.push_back(item);
  }
  return Value::of(std::move(out));
}

Value map(Context& context, const Value& value, const Arguments& arguments) {
  const Value attribute = argument(arguments, SIZE_MAX, "attribute");
  const Value otherwise = argument(arguments, SIZE_MAX, "default");
  List out;
  for (const Value& item : items_of(context, value)) {
    if (!attribute.is_undefined()) {
      const Value found = path_of(item, attribute);
      out.push_back(found.is_undefined() && !otherwise.is_undefined() ? otherwise : found);
      continue;
    }
    const std::string& filter = text_of(argument(arguments, 0, "filter"), "map").bytes;
    if (!is_filter(filter)) refuse(fmt::format("map: the filter '{}' is not supported", filter));
    out.push_back(apply_filter(context, filter, item, rest_of(arguments, 1)));
  }
  return Value::of(std::move(out));
}

/// Text without difference of case, other values as they are: what sort, unique, min and max
/// compare.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive) {
  const Value key = attribute.is_undefined() ? item : path_of(item, attribute);
  return key.text() != nullptr && !case_sensitive ? Value::of(map_case(*key.text(), false)) : key;
}

List sorted(Context& context, List list, const Value& attribute, bool case_sensitive,
            bool reverse) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : list)
    keyed.emplace_back(sort_key(item, attribute, case_sensitive), std::move(item));
  context.budget.step(static_cast<std::int64_t>(keyed.size()) * 16);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
  List out;
  for (auto& [key, item] : keyed) out.push_back(std::move(item));
  return out;
}

Value sort(Context& context, const Value& value, const Arguments& arguments) {
  return Value::of(sorted(context, items_of(context, value), argument(arguments, 2, "attribute"),
                          argument(arguments, 1, "case_sensitive").truthy(),
                          argument(arguments, 0, "reverse").truthy()));
}

Value unique(Context& context, const Value& value, const Arguments& arguments) {
  const Value attribute = argument(arguments, 1, "attribute");
  const bool case_sensitive = argument(arguments, 0, "case_sensitive").truthy();
  List keys, out;
  for (const Value& item : items_of(context, value)) {
    Value key = sort_key(item, attribute, case_sensitive);
    if (contains(Value::of(keys), key, context.budget)) continue;
    keys.push_back(std::move(key));
    out.push_back(item);
  }
  return Value::of(std::move(out));
}

template <bool kLargest>
Value extreme(Context& context, const Value& value, const Arguments& arguments) {
  const List list = sorted(context, items_of(context, value), argument(arguments, 1, "attribute"),
                           argument(arguments, 0, "case_sensitive").truthy(), kLargest);
  return list.empty() ? Value::undefined("item of an empty list") : list.front();
}

Value sum(Context& context, const Value& value, const Arguments& arguments) {
  const Value attribute = argument(arguments, 0, "attribute");
  double total = argument(arguments, 1, "start").number().value_or(0);
  bool whole = true;
  for (const Value& item : items_of(context, value)) {
    const Value part = attribute.is_undefined() ? item : path_of(item, attribute);
    if (!part.number()) refuse(fmt::format("sum: got {}, expected numbers", part.type_name()));
    whole = whole && part.integer().has_value();
    total += *part.number();
  }
  return whole && std::abs(total) < 9e15 ? Value::of(static_cast<std::int64_t>(total))
                                         : Value::of(total);
}

Value items(Context& context, const Value& value, const Arguments&) {
  List out;
  if (value.is_undefined()) return Value::of(std::move(out));
  if (value.dict() == nullptr)
    refuse(fmt::format("items: got {}, expected dict", value.type_name()));
  for (const auto& [key, item] : value.dict()->entries) {
    context.budget.memory(64);
    out.push_back(Value::of(List{key, item}));
  }
  return Value::of(std::move(out));
}

Value dictsort(Context& context, const Value& value, const Arguments& arguments) {
  const bool by_value = argument(arguments, 1, "by").text() != nullptr &&
                        argument(arguments, 1, "by").text()->bytes == "value";
  return Value::of(sorted(context, *items(context, value, {}).list(),
                          Value::of(std::int64_t{by_value ? 1 : 0}),
                          argument(arguments, 0, "case_sensitive").truthy(),
                          argument(arguments, 2, "reverse").truthy()));
}

Value reverse(Context& context, const Value& value, const Arguments&) {
  List list = items_of(context, value);
  std::reverse(list.begin(), list.end());
  if (value.text() == nullptr) return Value::of(std::move(list));
  MarkedText out;
  for (const Value& item : list) out.append(*item.text());
  return Value::of(std::move(out));
}

Value to_integer(Context&, const Value& value, const Arguments& arguments) {
  const Value otherwise = argument(arguments, 0, "default");
  if (const auto whole = value.integer()) return Value::of(*whole);
  double number = std::nan("");
  if (value.number()) number = *value.number();
  if (const MarkedText* text = value.text()) {
    char* end = nullptr;
    number = std::strtod(text->bytes.c_str(), &end);
    if (end == text->bytes.c_str() || *end != '\0') number = std::nan("");
  }
  if (!(std::abs(number) < 9e18))
    return otherwise.is_undefined() ? Value::of(std::int64_t{0}) : otherwise;
  return Value::of(static_cast<std::int64_t>(number));
}

Value to_float(Context&, const Value& value, const Arguments& arguments) {
  const Value otherwise = argument(arguments, 0, "default");
  if (value.number()) return Value::of(*value.number());
  if (const MarkedText* text = value.text()) {
    char* end = nullptr;
    const double number = std::strtod(text->bytes.c_str(), &end);
    if (end != text->bytes.c_str() && *end == '\0') return Value::of(number);
  }
  return otherwise.is_undefined() ? Value::of(0.0) : otherwise;
}

Value round(Context&, const Value& value, const Arguments& arguments) {
  if (!value.number()) refuse(fmt::format("round: got {}, expected a number", value.type_name()));
  const std::int64_t precision = std::clamp<std::int64_t>(
      argument(arguments, 0, "precision").integer().value_or(0), -300, 300);
  const Value method = argument(arguments, 1, "method");
  const std::string name = method.text() != nullptr ? method.text()->bytes : "common";
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = *value.number() * scale;
  const double rounded = name == "ceil"    ? std::ceil(scaled)
                         : name == "floor" ? std::floor(scaled)
                                           : std::nearbyint(scaled);
  return Value::of(rounded / scale);
}

Value tojson(Context& context, const Value& value, const Arguments& arguments) {
  const std::int64_t indent = argument(arguments, 0, "indent").integer().value_or(-1);
  if (indent > 64) refuse(fmt::format("tojson: got the indent {}, expected at most 64", indent));
  std::string item_separator = indent >= 0 ? "," : ", ", key_separator = ": ";
  if (const List* separators = argument(arguments, SIZE_MAX, "separators").list();
      separators != nullptr && separators->size() == 2) {
    item_separator = text_of((*separators)[0], "tojson").bytes;
    key_separator = text_of((*separators)[1], "tojson").bytes;
  }
  return Value::of(to_json(value, context.budget, static_cast<int>(indent),
                           argument(arguments, SIZE_MAX, "sort_keys").truthy(), item_separator,
                           key_separator));
}

Value indent(Context& context, const Value& value, const Arguments& arguments) {
  const Value width = argument(arguments, 0, "width");
  const std::int64_t spaces = std::clamp<std::int64_t>(width.integer().value_or(4), 0, 256);
  const MarkedText margin =
      width.text() != nullptr
          ? *width.text()
          : MarkedText(std::string(static_cast<std::size_t>(spaces), ' '), false);
  const bool first = argument(arguments, 1, "first").truthy(),
             blank = argument(arguments, 2, "blank").truthy();
  const MarkedText& text = text_of(value, "indent");
  MarkedText out;
  for (std::size_t at = 0, line = 0; at <= text.bytes.size(); ++line) {
    const std::size_t end = std::min(text.bytes.find('\n', at), text.bytes.size());
    context.budget.memory(static_cast<std::int64_t>(end - at + margin.bytes.size()));
    if (line == 0 ? first : (blank || end > at)) out.append(margin);
    out.append(text.slice(at, std::min(end + 1, text.bytes.size())));
    at = end + 1;
  }
  return Value::of(std::move(out));
}

Value with_default(Context&, const Value& value, const Arguments& arguments) {
  const bool falsy = argument(arguments, 1, "boolean").truthy() && !value.truthy();
  if (!value.is_undefined() && !falsy) return value;
  const Value otherwise = argument(arguments, 0, "default_value");
  return otherwise.is_undefined() ? Value::text("") : otherwise;
}

template <bool kLast>
Value end_item(Context& context, const Value& value, const Arguments&) {
  const List list = items_of(context, value);
  if (list.empty()) return Value::undefined("item of an empty list");
  return kLast ? list.back() : list.front();
}

Value with_case(const Value& value, MarkedText (*change)(const MarkedText&), Context& context) {
  const MarkedText text = to_text(value, context.budget);
  context.budget.memory(static_cast<std::int64_t>(text.bytes.size()));
  return Value::of(change(text));
}

Value replace(Context& context, const Value& value, const Arguments& arguments) {
  return Value::of(replaced(context, to_text(value, context.budget),
                            text_of(argument(arguments, 0, "old"), "replace"),
                            text_of(argument(arguments, 1, "new"), "replace"),
                            argument(arguments, 2, "count").integer().value_or(-1)));
}

Value absolute(Context&, const Value& value, const Arguments&) {
  if (const auto whole = value.integer(); whole && *whole != INT64_MIN)
    return Value::of(std::abs(*whole));
  if (!value.number()) refuse(fmt::format("abs: got {}, expected a number", value.type_name()));
  return Value::of(std::abs(*value.number()));
}

Value as_str(Context& context, const Value& value, const Arguments&) {
  return Value::of(to_text(value, context.budget));
}
Value length(Context&, const Value& value, const Arguments&) { return Value::of(length_of(value)); }

template <typename Function>
struct Named {
  std::string_view name;
  Function function;
};

constexpr Named<Filter> kFilters[] = {
    {"abs", absolute},
    {"capitalize",
     [](Context& c, const Value& v, const Arguments&) { return with_case(v, capitalised, c); }},
    {"count", length},
    {"d", with_default},
    {"default", with_default},
    {"dictsort", dictsort},
    {"first", end_item<false>},
    {"float", to_float},
    {"indent", indent},
    {"int", to_integer},
    {"items", items},
    {"join", join},
    {"last", end_item<true>},
    {"length", length},
    {"list",
     [](Context& c, const Value& v, const Arguments&) { return Value::of(items_of(c, v)); }},
    {"lower",
     [](Context& c, const Value& v, const Arguments&) {
       return with_case(v, [](const MarkedText& t) { return map_case(t, false); }, c);
     }},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"replace", replace},
    {"reverse", reverse},
    {"round", round},
    {"safe", as_str},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"sort", sort},
    {"string", as_str},
    {"sum", sum},
    {"title",
     [](Context& c, const Value& v, const Arguments&) { return with_case(v, title_case, c); }},
    {"tojson", tojson},
    {"trim",
     [](Context& c, const Value& v, const Arguments& a) {
       return Value::of(stripped(to_text(v, c.budget), argument(a, 0, "chars"), true, true));
     }},
    {"unique", unique},
    {"upper",
     [](Context& c, const Value& v, const Arguments&) {
       return with_case(v, [](const MarkedText& t) { return map_case(t, true); }, c);
     }},
};

bool equals(Context& c, const Value& v, const Arguments& a) {
  return equal(v, argument(a, 0, "other"), c.budget);
}
bool differs(Context& c, const Value& v, const Arguments& a) { return !equals(c, v, a); }
bool is_less(Context&, const Value& v, const Arguments& a) {
  return less(v, argument(a, 0, "other"));
}
bool is_greater(Context&, const Value& v, const Arguments& a) {
  return less(argument(a, 0, "other"), v);
}
bool is_at_least(Context&, const Value& v, const Arguments& a) {
  return !less(v, argument(a, 0, "other"));
}
bool is_at_most(Context&, const Value& v, const Arguments& a) {
  return !less(argument(a, 0, "other"), v);
}

std::int64_t whole_number(const Value& value) {
  if (!value.integer()) refuse(fmt::format("got {}, expected an integer", value.type_name()));
  return *value.integer();
}

bool is_case(const Value& value, bool upper) {
  const std::string& text = text_of(value, "upper").bytes;
  return text == (upper ? text::upper_case(text) : text::lower_case(text)) &&
         text::upper_case(text) != text::lower_case(text);
}

constexpr Named<Test> kTests[] = {
    {"!=", differs},
    {"==", equals},
    {"boolean", [](Context&, const Value& v, const Arguments&) { return v.as<bool>() != nullptr; }},
    {"callable",
     [](Context&, const Value& v, const Arguments&) { return v.callable() != nullptr; }},
    {"defined", [](Context&, const Value& v, const Arguments&) { return !v.is_undefined(); }},
    {"divisibleby",
     [](Context&, const Value& v, const Arguments& a) {
       const std::int64_t by = whole_number(argument(a, 0, "num"));
       if (by == 0) refuse("divisibleby: got 0");
       return by == -1 || whole_number(v) % by == 0;
     }},
    {"eq", equals},
    {"equalto", equals},
    {"even", [](Context&, const Value& v, const Arguments&) { return whole_number(v) % 2 == 0; }},
    {"false", [](Context&, const Value& v,
                 const Arguments&) { return v.as<bool>() != nullptr && !*v.as<bool>(); }},
    {"float", [](Context&, const Value& v, const Arguments&) { return v.as<double>() != nullptr; }},
    {"ge", is_at_least},
    {"greaterthan", is_greater},
    {"gt", is_greater},
    {"in", [](Context& c, const Value& v,
              const Arguments& a) { return contains(argument(a, 0, "seq"), v, c.budget); }},
    {"integer",
     [](Context&, const Value& v, const Arguments&) { return v.as<std::int64_t>() != nullptr; }},
    {"iterable",
     [](Context&, const Value& v, const Arguments&) {
       return v.text() != nullptr || v.list() != nullptr || v.dict() != nullptr || v.is_undefined();
     }},
    {"le", is_at_most},
    {"lessthan", is_less},
    {"lower", [](Context&, const Value& v, const Arguments&) { return is_case(v, false); }},
    {"lt", is_less},
    {"mapping", [](Context&, const Value& v, const Arguments&) { return v.dict() != nullptr; }},
    {"ne", differs},
    {"none", [](Context&, const Value& v, const Arguments&) { return v.is_none(); }},
    {"number", [](Context&, const Value& v, const Arguments&) { return v.number().has_value(); }},
    {"odd", [](Context&, const Value& v, const Arguments&) { return whole_number(v) % 2 != 0; }},
    {"sameas", equals},
    {"sequence",
     [](Context&, const Value& v, const Arguments&) {
       return v.text() != nullptr || v.list() != nullptr || v.dict() != nullptr || v.is_undefined();
     }},
    {"string", [](Context&, const Value& v, const Arguments&) { return v.text() != nullptr; }},
    {"true", [](Context&, const Value& v,
                const Arguments&) { return v.as<bool>() != nullptr && *v.as<bool>(); }},
    {"undefined", [](Context&, const Value& v, const Arguments&) { return v.is_undefined(); }},
    {"upper", [](Context&, const Value& v, const Arguments&) { return is_case(v, true); }},
};

template <typename Function, std::size_t kCount>
const Named<Function>* find_named(const Named<Function> (&table)[kCount], std::string_view name) {
  const auto* found =
      std::find_if(table, table + kCount, [&](const auto& entry) { return entry.name == name; });
  return found == table + kCount ? nullptr : found;
}

Value range(Context& context, const Arguments& arguments) {
  std::array<std::int64_t, 3> bounds = {0, 0, 1};
  const std::size_t count = arguments.positional.size();
  if (count < 1 || count > 3)
    refuse(fmt::format("range: got {} arguments, expected 1 to 3", count));
  for (std::size_t i = 0; i < count; ++i)
    bounds[count == 1 ? 1 : i] = whole_number(arguments.positional[i]);
  const auto [begin, end, step] = bounds;
  if (step == 0) refuse("range: got the step 0");
  List list;
  for (std::int64_t value = begin; step > 0 ? value < end : value > end;) {
    context.budget.step();
    context.budget.memory(16);
    list.push_back(Value::of(value));
    if (__builtin_add_overflow(value, step, &value)) break;
  }
  return Value::of(std::move(list));
}

void fill(Dict& dict, const Arguments& arguments) {
  for (const Value& from : arguments.positional) {
    if (from.dict() == nullptr)
      refuse(fmt::format("dict: got {}, expected dict", from.type_name()));
    for (const auto& [key, value] : from.dict()->entries) dict.set(key, value);
  }
  for (const auto& [name, value] : arguments.named) dict.set(Value::text(name), value);
}

Value make_namespace(Context& context, const Arguments& arguments) {
  auto dict = context.new_namespace();
  fill(*dict, arguments);
  return Value::of(std::move(dict));
}

Value make_dict(Context& context, const Arguments& arguments) {
  auto dict = std::make_shared<Dict>();
  fill(*dict, arguments);
  context.budget.memory(static_cast<std::int64_t>(dict->entries.size()) * 64);
  return Value::of(std::move(dict));
}

Value raise_exception(Context& context, const Arguments& arguments) {
  refuse(fmt::format(
      "the template refuses: {}",
      to_text(argument(arguments, 0, "message"), context.budget).bytes.substr(0, 1000)));
}

Value strftime_now(Context& context, const Arguments& arguments) {
  const std::string& format = text_of(argument(arguments, 0, "format"), "strftime_now").bytes;
  std::tm parts{};
  const std::time_t now = context.options.now.value_or(std::time(nullptr));
  context.options.now ? gmtime_r(&now, &parts) : localtime_r(&now, &parts);
  std::array<char, 1024> buffer{};
  const std::size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &parts);
  return Value::text(text::replace_ill_formed(std::string_view(buffer.data(), size)));
}

}  // namespace

Context::~Context() {
  for (const auto& dict : namespaces_) {
    dict->entries.clear();
    dict->by_text.clear();
  }
}

std::shared_ptr<Dict> Context::new_namespace() {
  budget.memory(64);
  namespaces_.push_back(std::make_shared<Dict>());
  namespaces_.back()->is_namespace = true;
  return namespaces_.back();
}

bool is_filter(std::string_view name) { return find_named(kFilters, name) != nullptr; }
bool is_test(std::string_view name) { return find_named(kTests, name) != nullptr; }

Value apply_filter(Context& context, std::string_view name, const Value& value,
                   const Arguments& arguments) {
  context.budget.step(
      value.text() != nullptr ? static_cast<std::int64_t>(value.text()->bytes.size() / 64 + 1) : 1);
  return find_named(kFilters, name)->function(context, value, arguments);
}

bool apply_test(Context& context, std::string_view name, const Value& value,
                const Arguments& arguments) {
  context.budget.step();
  return find_named(kTests, name)->function(context, value, arguments);
}

std::vector<std::pair<std::string, Value>> global_functions() {
  static constexpr std::pair<const char*, Value (*)(Context&, const Arguments&)> kFunctions[] = {
      {"range", range},
      {"namespace", make_namespace},
      {"dict", make_dict},
      {"raise_exception", raise_exception},
      {"strftime_now", strftime_now}};
  std::vector<std::pair<std::string, Value>> functions;
  for (const auto& [name, function] : kFunctions)
    functions.emplace_back(name, Value::function(name, function));
  return functions;
}

Value attribute_of(const Value& value, const std::string& name) {
  if (value.is_undefined()) refuse(fmt::format("'{}' is undefined", value.as<Undefined>()->name));
  if (auto method = method_of(value, name)) return std::move(*method);
  if (Dict* dict = value.dict()) {
    if (const Value* found = dict->find(name)) return *found;
  }
  return Value::undefined(name);
}

Value item_of(const Value& value, const Value& key) {
  if (value.is_undefined()) refuse(fmt::format("'{}' is undefined", value.as<Undefined>()->name));
  if (Dict* dict = value.dict()) {
    if (const Value* found = dict->find(key)) return *found;
  }
  if (const auto index = key.integer();
      index && (value.list() != nullptr || value.text() != nullptr)) {
    const std::int64_t size = length_of(value);
    const std::int64_t at = *index < 0 ? *index + size : *index;
    if (at < 0 || at >= size) return Value::undefined(fmt::format("item {}", *index));
    if (const List* list = value.list()) return (*list)[static_cast<std::size_t>(at)];
    std::size_t begin = 0;
    for (std::int64_t i = 0; i < at; ++i)
      begin += text::read_code_point(value.text()->bytes, begin).size;
    return Value::of(
        value.text()->slice(begin, begin + text::read_code_point(value.text()->bytes, begin).size));
  }
  if (key.text() != nullptr) {
    if (auto method = method_of(value, key.text()->bytes)) return std::move(*method);
    return Value::undefined(key.text()->bytes);
  }
  return Value::undefined("item");
}

List items_of(Context& context, const Value& value) {
  List items;
  if (const List* list = value.list()) {
    items = *list;
  } else if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : dict->entries) items.push_back(key);
  } else if (const MarkedText* text = value.text()) {
    context.budget.memory(static_cast<std::int64_t>(text->bytes.size()) * 64);
    for (std::size_t at = 0; at < text->bytes.size();) {
      const std::size_t end = at + text::read_code_point(text->bytes, at).size;
      items.push_back(Value::of(text->slice(at, end)));
      at = end;
    }
  } else if (!value.is_undefined()) {
    refuse(fmt::format("got {}, expected something to go through", value.type_name()));
  }
  context.budget.step(static_cast<std::int64_t>(items.size()));
  context.budget.memory(static_cast<std::int64_t>(items.size()) * 16);
  return items;
}

Value call(Context& context, const Value& callee, const Arguments& arguments) {
  const Callable* callable = callee.callable();
  if (callable == nullptr) {
    const auto* missing = callee.as<Undefined>();
    refuse(missing != nullptr ? fmt::format("'{}' is undefined", missing->name)
                              : fmt::format("got {}, expected a function", callee.type_name()));
  }
  context.budget.step();
  if (context.depth >= context.options.limits.depth)
    fail(ErrorCode::InvalidModel, "got over {} calls inside each other",
         context.options.limits.depth);
  ++context.depth;
  Value result = callable->call(context, arguments);
  --context.depth;
  return result;
}

Value argument(const Arguments& arguments, std::size_t index, std::string_view name) {
  if (index < arguments.positional.size()) return arguments.positional[index];
  for (const auto& [given, value] : arguments.named) {
    if (given == name) return value;
  }
  return {};
}

}  // namespace naru::jinja
