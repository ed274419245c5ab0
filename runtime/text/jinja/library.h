// The filters, tests, methods and functions that templates may use.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/jinja/value.h"

namespace naru::jinja {

/// What functions need of the rendering under way.
class Context {
 public:
  Context(const TemplateOptions& options)
      : budget(options.limits), options(options) {}  // NOLINT: explicit by use
  /// Lets go of what namespaces hold, which may be themselves.
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  std::shared_ptr<Dict> new_namespace();

  Budget budget;
  const TemplateOptions& options;
  int depth = 0;  ///< calls inside each other

 private:
  std::vector<std::shared_ptr<Dict>> namespaces_;
};

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
Value apply_filter(Context& context, std::string_view name, const Value& value,
                   const Arguments& arguments);
bool apply_test(Context& context, std::string_view name, const Value& value,
                const Arguments& arguments);

/// A method of a str, dict or list, bound to it; nothing when there is none of that name.
std::optional<Value> method_of(const Value& value, const std::string& name);

/// Functions that every template sees: range, namespace, raise_exception ...
std::vector<std::pair<std::string, Value>> global_functions();

/// value.name and value[key] as Jinja looks them up.
Value attribute_of(const Value& value, const std::string& name);
Value item_of(const Value& value, const Value& key);

/// What a loop over `value` visits: items of a list, keys of a dict, characters of a text.
List items_of(Context& context, const Value& value);

Value call(Context& context, const Value& callee, const Arguments& arguments);

/// The argument at `index` or of this name; undefined when it is not given.
Value argument(const Arguments& arguments, std::size_t index, std::string_view name);

/// Text operations that methods and filters share.
MarkedText map_case(const MarkedText& text, bool upper);
MarkedText capitalised(const MarkedText& text);
MarkedText title_case(const MarkedText& text);
MarkedText stripped(const MarkedText& text, const Value& characters, bool left, bool right);
MarkedText replaced(Context& context, const MarkedText& text, const MarkedText& from,
                    const MarkedText& to, std::int64_t count);
const MarkedText& text_of(const Value& value, std::string_view what);

}  // namespace naru::jinja
