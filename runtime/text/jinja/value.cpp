// Values of templates: comparison, Python's and JSON's text forms, limits.
#include "runtime/text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "graph/fail.h"

namespace naru::jinja {
namespace {

constexpr int kMaxDepth = 100;  // of values inside values

void check_depth(int depth) {
  if (depth > kMaxDepth)
    fail(ErrorCode::InvalidModel, "chat template: got values nested over {} deep", kMaxDepth);
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

/// Text between quotes as Python's repr() writes it.
MarkedText quoted(const MarkedText& text) {
  const bool single =
      text.bytes.find('\'') != std::string::npos && text.bytes.find('"') == std::string::npos;
  const char quote = single ? '"' : '\'';
  MarkedText out(std::string(1, quote), false);
  for (std::size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const bool input = text.marks[i] != 0;
    switch (c) {
      case '\n': out.append({"\\n", input}); break;
      case '\r': out.append({"\\r", input}); break;
      case '\t': out.append({"\\t", input}); break;
      case '\\': out.append({"\\\\", input}); break;
      default:
        if (c == quote) out.append({"\\", input});
        out.append({std::string(1, c), input});
    }
  }
  out.append({std::string(1, quote), false});
  return out;
}

/// Text between quotes as json.dumps(ensure_ascii=False) writes it.
MarkedText json_quoted(const MarkedText& text) {
  MarkedText out("\"", false);
  for (std::size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    static constexpr std::pair<char, const char*> kEscapes[] = {
        {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
        {'\t', "\\t"}, {'\b', "\\b"},  {'\f', "\\f"}};
    std::string escaped(1, c);
    for (const auto& [plain, form] : kEscapes) {
      if (c == plain) escaped = form;
    }
    if (escaped.size() == 1 && static_cast<unsigned char>(c) < 0x20)
      escaped = fmt::format("\\u{:04x}", c);
    out.append({escaped, text.marks[i] != 0});
  }
  out.append({"\"", false});
  return out;
}

class Writer {
 public:
  Writer(Budget& budget, bool json) : budget_(budget), json_(json) {}
  int indent = -1;
  bool sort_keys = false;
  std::string item_separator = ", ", key_separator = ": ";

  MarkedText write(const Value& value, int depth = 0) {
    check_depth(depth);
    budget_.step();
    if (const MarkedText* text = value.text())
      return charged(json_ ? json_quoted(*text) : quoted(*text));
    if (const List* list = value.list()) return write_list(*list, depth);
    if (const Dict* dict = value.dict()) return write_dict(*dict, depth);
    return {scalar(value), false};
  }

  std::string scalar(const Value& value) const {
    if (const auto* flag = value.as<bool>())
      return json_ ? (*flag ? "true" : "false") : (*flag ? "True" : "False");
    if (const auto* integer = value.as<std::int64_t>()) return std::to_string(*integer);
    if (const auto* number = value.as<double>()) return float_text(*number);
    if (value.is_none()) return json_ ? "null" : "None";
    if (json_) refuse(fmt::format("tojson: got a value of type {}", value.type_name()));
    return value.is_undefined() ? "" : fmt::format("<{}>", value.type_name());
  }

 private:
  MarkedText charged(MarkedText text) {
    budget_.memory(static_cast<std::int64_t>(text.bytes.size()));
    return text;
  }

  void break_line(MarkedText& out, int depth) const {
    if (indent >= 0)
      out.append({"\n" + std::string(static_cast<std::size_t>(indent * depth), ' '), false});
  }

  MarkedText write_list(const List& list, int depth) {
    MarkedText out("[", false);
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out.append({item_separator, false});
      break_line(out, depth + 1);
      out.append(write(list[i], depth + 1));
    }
    if (!list.empty()) break_line(out, depth);
    out.append({"]", false});
    return charged(std::move(out));
  }

  MarkedText write_dict(const Dict& dict, int depth) {
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [](auto* a, auto* b) { return less(a->first, b->first); });
    MarkedText out("{", false);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out.append({item_separator, false});
      break_line(out, depth + 1);
      const Value& key = entries[i]->first;
      // JSON has text keys only.
      out.append(json_ && key.text() == nullptr ? json_quoted({scalar(key), false})
                                                : write(key, depth + 1));
      out.append({key_separator, false});
      out.append(write(entries[i]->second, depth + 1));
    }
    if (!entries.empty()) break_line(out, depth);
    out.append({"}", false});
    return charged(std::move(out));
  }

  Budget& budget_;
  bool json_;
};

Value from_json(const nlohmann::ordered_json& json, Budget& budget, int depth) {
  check_depth(depth);
  budget.memory(16);
  if (json.is_null()) return Value::none();
  if (json.is_boolean()) return Value::of(json.get<bool>());
  if (json.is_number_integer()) {
    const bool fits = !json.is_number_unsigned() || json.get<std::uint64_t>() <= INT64_MAX;
    return fits ? Value::of(json.get<std::int64_t>()) : Value::of(json.get<double>());
  }
  if (json.is_number()) return Value::of(json.get<double>());
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    budget.memory(static_cast<std::int64_t>(text.size()));
    return Value::of(MarkedText(text, true));
  }
  if (json.is_array()) {
    List list;
    for (const auto& item : json) list.push_back(from_json(item, budget, depth + 1));
    return Value::of(std::move(list));
  }
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : json.items()) {
    dict->set(Value::of(MarkedText(key, true)), from_json(item, budget, depth + 1));
  }
  return Value::of(std::move(dict));
}

}  // namespace

Value Value::function(std::string name, std::function<Value(Context&, const Arguments&)> call) {
  return Value(
      Storage(std::make_shared<const Callable>(Callable{std::move(name), std::move(call)})));
}

const MarkedText* Value::text() const {
  const auto* held = as<std::shared_ptr<const MarkedText>>();
  return held != nullptr ? held->get() : nullptr;
}

List* Value::list() const {
  const auto* held = as<std::shared_ptr<List>>();
  return held != nullptr ? held->get() : nullptr;
}

Dict* Value::dict() const {
  const auto* held = as<std::shared_ptr<Dict>>();
  return held != nullptr ? held->get() : nullptr;
}

const Callable* Value::callable() const {
  const auto* held = as<std::shared_ptr<const Callable>>();
  return held != nullptr ? held->get() : nullptr;
}

std::optional<std::int64_t> Value::integer() const {
  if (const auto* flag = as<bool>()) return *flag ? 1 : 0;
  if (const auto* value = as<std::int64_t>()) return *value;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto whole = integer()) return static_cast<double>(*whole);
  if (const auto* value = as<double>()) return *value;
  return std::nullopt;
}

bool Value::truthy() const {
  if (const auto value = number()) return *value != 0;
  if (const MarkedText* held = text()) return !held->bytes.empty();
  if (const List* held = list()) return !held->empty();
  if (const Dict* held = dict()) return held->is_namespace || !held->entries.empty();
  return callable() != nullptr;
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"undefined", "none", "bool", "int",     "float",
                                                "str",       "list", "dict", "function"};
  return kNames[storage_.index()];
}

Value* Dict::find(const std::string& key) {
  const auto found = by_text.find(key);
  return found == by_text.end() ? nullptr : &entries[found->second].second;
}

Value* Dict::find(const Value& key) {
  if (const MarkedText* text = key.text()) return find(text->bytes);
  const auto number = key.number();
  for (auto& [known, value] : entries) {
    if ((number && known.number() == number) || (key.is_none() && known.is_none())) return &value;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  if (Value* known = find(key)) {
    *known = std::move(value);
    return;
  }
  if (const MarkedText* text = key.text()) by_text.emplace(text->bytes, entries.size());
  entries.emplace_back(std::move(key), std::move(value));
}

void Budget::step(std::int64_t count) {
  steps_ += count;
  if (steps_ > limits_.steps)
    fail(ErrorCode::InvalidModel, "chat template: got over {} steps", limits_.steps);
}

void Budget::memory(std::int64_t bytes) {
  memory_ += bytes;
  if (memory_ > limits_.memory_bytes)
    fail(ErrorCode::InvalidModel, "chat template: got values of over {} bytes",
         limits_.memory_bytes);
}

void Budget::output(std::int64_t bytes) {
  output_ += bytes;
  if (output_ > limits_.output_bytes)
    fail(ErrorCode::InvalidModel, "chat template: got a prompt of over {} bytes",
         limits_.output_bytes);
}

bool equal(const Value& a, const Value& b, Budget& budget, int depth) {
  check_depth(depth);
  budget.step();
  if (a.number() && b.number()) return a.number() == b.number();
  if (a.text() != nullptr && b.text() != nullptr) return a.text()->bytes == b.text()->bytes;
  if (a.list() != nullptr && b.list() != nullptr) {
    return std::equal(
        a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(),
        [&](const Value& x, const Value& y) { return equal(x, y, budget, depth + 1); });
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    if (a.dict()->entries.size() != b.dict()->entries.size()) return false;
    for (const auto& [key, value] : a.dict()->entries) {
      const Value* other = b.dict()->find(key);
      if (other == nullptr || !equal(value, *other, budget, depth + 1)) return false;
    }
    return true;
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined()) ||
         (a.callable() != nullptr && a.callable() == b.callable());
}

bool less(const Value& a, const Value& b) {
  if (a.number() && b.number()) return *a.number() < *b.number();
  if (a.text() != nullptr && b.text() != nullptr) return a.text()->bytes < b.text()->bytes;
  refuse(fmt::format("no order between {} and {}", a.type_name(), b.type_name()));
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const MarkedText* text = container.text()) {
    if (item.text() == nullptr)
      refuse(fmt::format("'in' a str: got {}, expected str", item.type_name()));
    budget.step(static_cast<std::int64_t>(text->bytes.size() / 64 + 1));
    return text->bytes.find(item.text()->bytes) != std::string::npos;
  }
  if (Dict* dict = container.dict()) return dict->find(item) != nullptr;
  if (const List* list = container.list()) {
    return std::any_of(list->begin(), list->end(),
                       [&](const Value& value) { return equal(value, item, budget); });
  }
  if (container.is_undefined()) return false;
  refuse(fmt::format("'in': got {}, expected str, list or dict", container.type_name()));
}

MarkedText to_text(const Value& value, Budget& budget) {
  if (const MarkedText* text = value.text()) return *text;
  return Writer(budget, false).write(value);
}

MarkedText to_json(const Value& value, Budget& budget, int indent, bool sort_keys,
                   const std::string& item_separator, const std::string& key_separator) {
  Writer writer(budget, true);
  writer.indent = indent;
  writer.sort_keys = sort_keys;
  writer.item_separator = item_separator;
  writer.key_separator = key_separator;
  return writer.write(value);
}

Value parse_variables(std::string_view json, Budget& budget) {
  const auto parsed = nlohmann::ordered_json::parse(json, nullptr, false);
  if (!parsed.is_object())
    fail(ErrorCode::InvalidArgument, "chat template: got variables that are no JSON object");
  return from_json(parsed, budget, 0);
}

void refuse(std::string message) { throw Error(ErrorCode::InvalidArgument, std::move(message)); }

}  // namespace naru::jinja
