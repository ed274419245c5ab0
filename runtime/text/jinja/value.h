// The values that a template computes with: those of JSON, and what can be called.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "naru/chat_template.h"

namespace naru::jinja {

/// Text that knows of each byte whether it came from the variables.
struct MarkedText {
  std::string bytes;
  std::string marks;  ///< as long as `bytes`: 1 for input, 0 for the template's own

  MarkedText() = default;
  MarkedText(std::string text, bool input)
      : bytes(std::move(text)), marks(bytes.size(), input ? '\1' : '\0') {}

  void append(const MarkedText& other) {
    bytes += other.bytes;
    marks += other.marks;
  }
  MarkedText slice(std::size_t begin, std::size_t end) const {
    MarkedText part;
    part.bytes = bytes.substr(begin, end - begin);
    part.marks = marks.substr(begin, end - begin);
    return part;
  }
  bool has_input() const { return marks.find('\1') != std::string::npos; }
};

class Value;
struct Dict;
using List = std::vector<Value>;

/// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Context;
/// A function of the template or of naru.
struct Callable {
  std::string name;
  std::function<Value(Context&, const Arguments&)> call;
};

struct Undefined {
  std::string name;  ///< what was looked up, for messages
};
struct None {};

class Value {
 public:
  using Storage =
      std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const MarkedText>,
                   std::shared_ptr<List>, std::shared_ptr<Dict>, std::shared_ptr<const Callable>>;

  Value() = default;
  Value(Storage storage) : storage_(std::move(storage)) {}  // NOLINT: implicit by intent
  static Value undefined(std::string name) { return Value(Storage(Undefined{std::move(name)})); }
  static Value none() { return Value(Storage(None{})); }
  static Value of(bool value) { return Value(Storage(value)); }
  static Value of(std::int64_t value) { return Value(Storage(value)); }
  static Value of(double value) { return Value(Storage(value)); }
  static Value of(MarkedText text) {
    return Value(Storage(std::make_shared<const MarkedText>(std::move(text))));
  }
  /// Text that the template or naru wrote.
  static Value text(std::string text) { return of(MarkedText(std::move(text), false)); }
  static Value of(List list) { return Value(Storage(std::make_shared<List>(std::move(list)))); }
  static Value of(std::shared_ptr<Dict> dict) { return Value(Storage(std::move(dict))); }
  static Value function(std::string name, std::function<Value(Context&, const Arguments&)> call);

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&storage_);
  }
  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  const MarkedText* text() const;
  List* list() const;
  Dict* dict() const;
  const Callable* callable() const;
  /// The value of an integer or a bool.
  std::optional<std::int64_t> integer() const;
  /// The value of any number or a bool.
  std::optional<double> number() const;

  bool truthy() const;
  /// "undefined", "none", "bool", "int", "float", "str", "list", "dict", "function".
  std::string_view type_name() const;

 private:
  Storage storage_;
};

/// A dictionary that keeps the order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, std::size_t> by_text;  ///< places of the keys that are text
  bool is_namespace = false;

  Value* find(const Value& key);
  Value* find(const std::string& key);
  void set(Value key, Value value);
};

/// What rendering has used so far; over the limits it throws.
class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits) {}
  void step(std::int64_t count = 1);
  void memory(std::int64_t bytes);
  void output(std::int64_t bytes);
  const TemplateLimits& limits() const { return limits_; }

 private:
  TemplateLimits limits_;
  std::int64_t steps_ = 0, memory_ = 0, output_ = 0;
};

/// Equality and order as Python has them. @throws Error InvalidArgument for types without an order.
bool equal(const Value& a, const Value& b, Budget& budget, int depth = 0);
bool less(const Value& a, const Value& b);
bool contains(const Value& container, const Value& item, Budget& budget);

/// str(), repr() and json.dumps() of Python; the text keeps its marks.
MarkedText to_text(const Value& value, Budget& budget);
MarkedText to_json(const Value& value, Budget& budget, int indent = -1, bool sort_keys = false,
                   const std::string& item_separator = ", ",
                   const std::string& key_separator = ": ");

/// A value from JSON text, its strings marked as input. @throws Error InvalidArgument.
Value parse_variables(std::string_view json, Budget& budget);

/// Throws Error InvalidArgument: the template cannot go on with these variables.
[[noreturn]] void refuse(std::string message);

}  // namespace naru::jinja
