// Text operations, and the methods of str, dict and list.
#include <algorithm>
#include <span>

#include "graph/fail.h"
#include "runtime/text/jinja/library.h"
#include "runtime/text/unicode.h"

namespace naru::jinja {
namespace {

using text::CodePoint;
using text::read_code_point;

using Method = Value (*)(Context&, const Value& self, const Arguments&);

/// Applies `map(code point, first of all)` to each code point, keeping marks.
template <typename Map>
MarkedText map_code_points(const MarkedText& text, Map&& map) {
  MarkedText out;
  for (std::size_t at = 0; at < text.bytes.size();) {
    const CodePoint point = read_code_point(text.bytes, at);
    out.append({map(std::string_view(text.bytes).substr(at, point.size), at), text.marks[at] != 0});
    at += point.size;
  }
  return out;
}

/// Whether all code points fulfil `holds`, and there is one.
template <typename Holds>
bool all_code_points(const std::string& text, Holds&& holds) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    if (!holds(point.value)) return false;
    at += point.size;
  }
  return !text.empty();
}

template <const char* kCategories>
Value is_all(Context&, const Value& self, const Arguments&) {
  const text::CategorySet set = [] {
    text::CategorySet sum = 0;
    for (const char* c = kCategories; *c != '\0'; c += 2)
      sum |= text::category_set(std::string_view(c, c[1] == ' ' ? 1 : 2));
    return sum;
  }();
  return Value::of(all_code_points(
      self.text()->bytes, [&](char32_t value) { return (text::category_bit(value) & set) != 0; }));
}
constexpr char kAlphabetic[] = "L ";
constexpr char kDigits[] = "Nd";
constexpr char kAlphanumeric[] = "L N ";

Value list_of_parts(const MarkedText& text,
                    const std::vector<std::pair<std::size_t, std::size_t>>& parts) {
  List list;
  for (const auto& [begin, end] : parts) list.push_back(Value::of(text.slice(begin, end)));
  return Value::of(std::move(list));
}

/// Parts between white space, as str.split() without a separator.
Value split_at_space(const MarkedText& text, std::int64_t limit) {
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  std::size_t at = 0;
  const auto skip = [&](bool space) {
    while (at < text.bytes.size()) {
      const CodePoint point = read_code_point(text.bytes, at);
      if (text::is_white_space(point.value) != space) break;
      at += point.size;
    }
  };
  for (;;) {
    skip(true);
    if (at >= text.bytes.size()) break;
    const std::size_t begin = at;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      at = text.bytes.size();
    } else {
      skip(false);
    }
    parts.emplace_back(begin, at);
  }
  return list_of_parts(text, parts);
}

Value split(Context& context, const Value& self, const Arguments& arguments, bool from_right) {
  const MarkedText& text = *self.text();
  context.budget.memory(static_cast<std::int64_t>(text.bytes.size()) * 4);
  const Value separator = argument(arguments, 0, "sep");
  const std::int64_t limit = argument(arguments, 1, "maxsplit").integer().value_or(-1);
  if (separator.text() == nullptr) return split_at_space(text, limit);
  const std::string& mark = separator.text()->bytes;
  if (mark.empty()) refuse("split: got an empty separator");
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  std::size_t begin = 0, end = text.bytes.size();
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    context.budget.step();
    const std::size_t found =
        from_right
            ? (end < mark.size() ? std::string::npos : text.bytes.rfind(mark, end - mark.size()))
            : text.bytes.find(mark, begin);
    if (found == std::string::npos) break;
    from_right ? parts.emplace_back(found + mark.size(), end) : parts.emplace_back(begin, found);
    from_right ? end = found : begin = found + mark.size();
  }
  parts.emplace_back(begin, end);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return list_of_parts(text, parts);
}

Value split_lines(Context& context, const Value& self, const Arguments& arguments) {
  const MarkedText& text = *self.text();
  context.budget.memory(static_cast<std::int64_t>(text.bytes.size()) * 4);
  const bool keep = argument(arguments, 0, "keepends").truthy();
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  for (std::size_t at = 0; at < text.bytes.size();) {
    const std::size_t end = std::min(text.bytes.find_first_of("\r\n", at), text.bytes.size());
    std::size_t next = std::min(end + 1, text.bytes.size());
    if (text.bytes.compare(end, 2, "\r\n") == 0) ++next;
    parts.emplace_back(at, keep ? next : end);
    at = next;
  }
  return list_of_parts(text, parts);
}

/// Whether the text begins (ends) with the argument, or with one of a list.
Value has_affix(const Value& self, const Arguments& arguments, bool at_end) {
  const std::string& text = self.text()->bytes;
  const auto matches = [&](const Value& affix) {
    const std::string& part = text_of(affix, at_end ? "endswith" : "startswith").bytes;
    return at_end ? text.ends_with(part) : text.starts_with(part);
  };
  const Value given = argument(arguments, 0, "prefix");
  if (const List* list = given.list())
    return Value::of(std::any_of(list->begin(), list->end(), matches));
  return Value::of(matches(given));
}

Value without_affix(const Value& self, const Arguments& arguments, bool at_end) {
  const MarkedText& text = *self.text();
  const std::string& part = text_of(argument(arguments, 0, "prefix"), "removeprefix").bytes;
  const std::size_t size = text.bytes.size();
  if (at_end ? !text.bytes.ends_with(part) : !text.bytes.starts_with(part)) return self;
  return Value::of(at_end ? text.slice(0, size - part.size()) : text.slice(part.size(), size));
}

Value find_text(const Value& self, const Arguments& arguments, bool from_right) {
  const std::string& text = self.text()->bytes;
  const std::string& part = text_of(argument(arguments, 0, "sub"), "find").bytes;
  const std::size_t found = from_right ? text.rfind(part) : text.find(part);
  if (found == std::string::npos) return Value::of(std::int64_t{-1});
  std::int64_t characters = 0;
  for (std::size_t at = 0; at < found; at += read_code_point(text, at).size) ++characters;
  return Value::of(characters);
}

Value count_text(Context&, const Value& self, const Arguments& arguments) {
  const std::string& text = self.text()->bytes;
  const std::string& part = text_of(argument(arguments, 0, "sub"), "count").bytes;
  std::int64_t count = 0;
  for (std::size_t at = 0; !part.empty() && (at = text.find(part, at)) != std::string::npos;
       at += part.size())
    ++count;
  return Value::of(count);
}

template <bool kLeft, bool kRight>
Value strip(Context&, const Value& self, const Arguments& arguments) {
  return Value::of(stripped(*self.text(), argument(arguments, 0, "chars"), kLeft, kRight));
}

Value join_list(Context& context, const Value& self, const Arguments& arguments) {
  Arguments inner;
  inner.positional.push_back(self);
  return apply_filter(context, "join", argument(arguments, 0, "iterable"), inner);
}

struct Named {
  std::string_view name;
  Method method;
};

constexpr Named kTextMethods[] = {
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"split", [](Context& c, const Value& s, const Arguments& a) { return split(c, s, a, false); }},
    {"rsplit", [](Context& c, const Value& s, const Arguments& a) { return split(c, s, a, true); }},
    {"splitlines", split_lines},
    {"upper", [](Context&, const Value& s,
                 const Arguments&) { return Value::of(map_case(*s.text(), true)); }},
    {"lower", [](Context&, const Value& s,
                 const Arguments&) { return Value::of(map_case(*s.text(), false)); }},
    {"capitalize",
     [](Context&, const Value& s, const Arguments&) { return Value::of(capitalised(*s.text())); }},
    {"title",
     [](Context&, const Value& s, const Arguments&) { return Value::of(title_case(*s.text())); }},
    {"startswith",
     [](Context&, const Value& s, const Arguments& a) { return has_affix(s, a, false); }},
    {"endswith",
     [](Context&, const Value& s, const Arguments& a) { return has_affix(s, a, true); }},
    {"removeprefix",
     [](Context&, const Value& s, const Arguments& a) { return without_affix(s, a, false); }},
    {"removesuffix",
     [](Context&, const Value& s, const Arguments& a) { return without_affix(s, a, true); }},
    {"replace",
     [](Context& c, const Value& s, const Arguments& a) {
       return Value::of(replaced(c, *s.text(), text_of(argument(a, 0, "old"), "replace"),
                                 text_of(argument(a, 1, "new"), "replace"),
                                 argument(a, 2, "count").integer().value_or(-1)));
     }},
    {"find", [](Context&, const Value& s, const Arguments& a) { return find_text(s, a, false); }},
    {"rfind", [](Context&, const Value& s, const Arguments& a) { return find_text(s, a, true); }},
    {"count", count_text},
    {"join", join_list},
    {"isalpha", is_all<kAlphabetic>},
    {"isdigit", is_all<kDigits>},
    {"isnumeric", is_all<kDigits>},
    {"isalnum", is_all<kAlphanumeric>},
    {"isspace",
     [](Context&, const Value& s, const Arguments&) {
       return Value::of(all_code_points(s.text()->bytes, text::is_white_space));
     }},
};

constexpr Named kDictMethods[] = {
    {"get",
     [](Context&, const Value& s, const Arguments& a) {
       const Value* found = s.dict()->find(argument(a, 0, "key"));
       if (found != nullptr) return *found;
       const Value otherwise = argument(a, 1, "default");
       return otherwise.is_undefined() ? Value::none() : otherwise;
     }},
    {"items",
     [](Context& c, const Value& s, const Arguments& a) { return apply_filter(c, "items", s, a); }},
    {"keys",
     [](Context& c, const Value& s, const Arguments& a) { return apply_filter(c, "list", s, a); }},
    {"values",
     [](Context& c, const Value& s, const Arguments&) {
       List values;
       for (const auto& [key, value] : s.dict()->entries) values.push_back(value);
       c.budget.memory(static_cast<std::int64_t>(values.size()) * 16);
       return Value::of(std::move(values));
     }},
};

constexpr Named kListMethods[] = {
    {"index",
     [](Context& c, const Value& s, const Arguments& a) {
       for (std::size_t i = 0; i < s.list()->size(); ++i) {
         if (equal((*s.list())[i], argument(a, 0, "value"), c.budget))
           return Value::of(static_cast<std::int64_t>(i));
       }
       refuse("index: the list has no such item");
     }},
    {"count",
     [](Context& c, const Value& s, const Arguments& a) {
       std::int64_t count = 0;
       for (const Value& item : *s.list())
         count += equal(item, argument(a, 0, "value"), c.budget) ? 1 : 0;
       return Value::of(count);
     }},
};

std::optional<Value> bound_method(const Value& self, const std::string& name,
                                  std::span<const Named> methods) {
  for (const Named& entry : methods) {
    if (entry.name != name) continue;
    return Value::function(
        name, [self, method = entry.method](Context& context, const Arguments& arguments) {
          context.budget.step(self.text() != nullptr
                                  ? static_cast<std::int64_t>(self.text()->bytes.size() / 64 + 1)
                                  : 1);
          return method(context, self, arguments);
        });
  }
  return std::nullopt;
}

}  // namespace

std::optional<Value> method_of(const Value& value, const std::string& name) {
  if (value.text() != nullptr) return bound_method(value, name, kTextMethods);
  if (value.dict() != nullptr)
    return value.dict()->is_namespace ? std::nullopt : bound_method(value, name, kDictMethods);
  if (value.list() != nullptr) return bound_method(value, name, kListMethods);
  return std::nullopt;
}

const MarkedText& text_of(const Value& value, std::string_view what) {
  if (value.text() == nullptr)
    refuse(fmt::format("{}: got {}, expected str", what, value.type_name()));
  return *value.text();
}

MarkedText map_case(const MarkedText& text, bool upper) {
  return map_code_points(text, [&](std::string_view point, std::size_t) {
    return upper ? text::upper_case(point) : text::lower_case(point);
  });
}

MarkedText capitalised(const MarkedText& text) {
  return map_code_points(text, [](std::string_view point, std::size_t at) {
    return at == 0 ? text::upper_case(point) : text::lower_case(point);
  });
}

MarkedText title_case(const MarkedText& text) {
  static const text::CategorySet kLetters = text::category_set("L");
  bool inside = false;
  return map_code_points(text, [&](std::string_view point, std::size_t) {
    const bool begins = !inside;
    inside = (text::category_bit(read_code_point(point, 0).value) & kLetters) != 0;
    return begins ? text::upper_case(point) : text::lower_case(point);
  });
}

MarkedText stripped(const MarkedText& text, const Value& characters, bool left, bool right) {
  const std::string set = characters.text() != nullptr ? characters.text()->bytes : std::string();
  const auto goes = [&](std::size_t at, std::size_t size) {
    if (characters.text() == nullptr)
      return text::is_white_space(read_code_point(text.bytes, at).value);
    return set.find(text.bytes.substr(at, size)) != std::string::npos;
  };
  std::size_t begin = 0, end = text.bytes.size();
  while (left && begin < end) {
    const std::size_t size = read_code_point(text.bytes, begin).size;
    if (!goes(begin, size)) break;
    begin += size;
  }
  while (right && end > begin) {
    const std::size_t previous = text::previous_code_point(text.bytes, end);
    if (!goes(previous, end - previous)) break;
    end = previous;
  }
  return text.slice(begin, std::max(begin, end));
}

MarkedText replaced(Context& context, const MarkedText& text, const MarkedText& from,
                    const MarkedText& to, std::int64_t count) {
  if (from.bytes.empty()) return text;
  MarkedText out;
  std::size_t at = 0;
  for (; count != 0; --count) {
    const std::size_t found = text.bytes.find(from.bytes, at);
    if (found == std::string::npos) break;
    context.budget.memory(static_cast<std::int64_t>(found - at + to.bytes.size()));
    context.budget.step();
    out.append(text.slice(at, found));
    out.append(to);
    at = found + from.bytes.size();
  }
  out.append(text.slice(at, text.bytes.size()));
  return out;
}

}  // namespace naru::jinja
