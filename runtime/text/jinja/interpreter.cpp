// Walks the tree of a template: statements write to the current output, expressions give values.
#include "runtime/text/jinja/interpreter.h"

#include <algorithm>
#include <cmath>

#include "graph/fail.h"

namespace naru::jinja {
namespace {

enum class Flow : std::uint8_t { Normal, Break, Continue };

/// Variables of a block; the inner ones hide the outer ones.
struct Scope {
  std::shared_ptr<Scope> outer;
  std::unordered_map<std::string, Value> values;
};

class Interpreter {
 public:
  Interpreter(Context& context, const Value& variables) : context_(context) {
    for (auto& [name, function] : global_functions())
      root_->values.emplace(name, std::move(function));
    for (const auto& [key, value] : variables.dict()->entries)
      root_->values.insert_or_assign(key.text()->bytes, value);
    scope_ = root_;
  }

  MarkedText run(const Body& body) {
    MarkedText out;
    output_ = &out;
    execute(body);
    return out;
  }

 private:
  /// A new scope that is the current one for as long as the guard lives.
  class NewScope {
   public:
    NewScope(Interpreter& owner, std::shared_ptr<Scope> outer)
        : owner_(owner), previous_(owner.scope_) {
      owner.scope_ = std::make_shared<Scope>(Scope{std::move(outer), {}});
    }
    explicit NewScope(Interpreter& owner) : NewScope(owner, owner.scope_) {}
    ~NewScope() { owner_.scope_ = std::move(previous_); }
    NewScope(const NewScope&) = delete;
    NewScope& operator=(const NewScope&) = delete;

   private:
    Interpreter& owner_;
    std::shared_ptr<Scope> previous_;
  };

  /// What `body` writes, as a value.
  MarkedText captured(const Body& body) {
    MarkedText out;
    MarkedText* previous = std::exchange(output_, &out);
    execute(body);
    output_ = previous;
    context_.budget.memory(static_cast<std::int64_t>(out.bytes.size()));
    return out;
  }

  void write(const MarkedText& text) {
    context_.budget.output(static_cast<std::int64_t>(text.bytes.size()));
    output_->append(text);
  }

  // Statements.

  Flow execute(const Body& body) {
    for (const auto& statement : body) {
      context_.budget.step();
      const Flow flow = execute(*statement);
      if (flow != Flow::Normal) return flow;
    }
    return Flow::Normal;
  }

  Flow execute(const Statement& statement) {
    switch (statement.kind) {
      case StatementKind::Text: write(statement.text); break;
      case StatementKind::Output:
        write(to_text(evaluate(*statement.expression), context_.budget));
        break;
      case StatementKind::If: return execute_if(statement);
      case StatementKind::For: execute_for(statement); break;
      case StatementKind::Set: execute_set(statement); break;
      case StatementKind::SetMember: execute_set_member(statement); break;
      case StatementKind::Macro: define_macro(statement); break;
      case StatementKind::CallBlock: execute_call(statement); break;
      case StatementKind::FilterBlock: execute_filter(statement); break;
      case StatementKind::Group: return execute_group(statement);
      case StatementKind::Break: return Flow::Break;
      case StatementKind::Continue: return Flow::Continue;
    }
    return Flow::Normal;
  }

  Flow execute_if(const Statement& statement) {
    for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
      const ExpressionPtr& condition = statement.conditions[i];
      if (condition == nullptr || evaluate(*condition).truthy())
        return execute(statement.bodies[i]);
    }
    return Flow::Normal;
  }

  /// Gives names to a value, or to the items of one.
  static void assign(Scope& scope, const std::vector<std::string>& names, const Value& value,
                     const Place& place) {
    if (names.size() == 1) {
      scope.values.insert_or_assign(names.front(), value);
      return;
    }
    const List* list = value.list();
    if (list == nullptr || list->size() != names.size()) {
      fail_at(ErrorCode::InvalidArgument, place,
              fmt::format("got a value of type {}, expected {} items", value.type_name(),
                          names.size()));
    }
    for (std::size_t i = 0; i < names.size(); ++i)
      scope.values.insert_or_assign(names[i], (*list)[i]);
  }

  /// The items of a loop, without those that its condition leaves out.
  List loop_items(const Statement& statement) {
    List items = at_place(statement.place,
                          [&] { return items_of(context_, evaluate(*statement.expression)); });
    if (statement.condition == nullptr) return items;
    List kept;
    for (Value& item : items) {
      const NewScope inner(*this);
      assign(*scope_, statement.targets, item, statement.place);
      if (evaluate(*statement.condition).truthy()) kept.push_back(std::move(item));
    }
    return kept;
  }

  Value loop_variable(const List& items, std::size_t i) const {
    auto loop = std::make_shared<Dict>();
    const auto number = [&](const char* name, std::size_t value) {
      loop->set(Value::text(name), Value::of(static_cast<std::int64_t>(value)));
    };
    number("index", i + 1);
    number("index0", i);
    number("revindex", items.size() - i);
    number("revindex0", items.size() - i - 1);
    number("length", items.size());
    number("depth", 1);
    loop->set(Value::text("first"), Value::of(i == 0));
    loop->set(Value::text("last"), Value::of(i + 1 == items.size()));
    loop->set(Value::text("previtem"), i > 0 ? items[i - 1] : Value::undefined("previtem"));
    loop->set(Value::text("nextitem"),
              i + 1 < items.size() ? items[i + 1] : Value::undefined("nextitem"));
    loop->set(Value::text("cycle"),
              Value::function("cycle", [i](Context&, const Arguments& arguments) {
                if (arguments.positional.empty()) refuse("cycle: got no arguments");
                return arguments.positional[i % arguments.positional.size()];
              }));
    context_.budget.memory(512);
    return Value::of(std::move(loop));
  }

  void execute_for(const Statement& statement) {
    const List items = loop_items(statement);
    for (std::size_t i = 0; i < items.size(); ++i) {
      context_.budget.step();
      const NewScope inner(*this);
      scope_->values.emplace("loop", loop_variable(items, i));
      assign(*scope_, statement.targets, items[i], statement.place);
      if (execute(statement.bodies[0]) == Flow::Break) break;
    }
    if (items.empty() && statement.bodies.size() > 1) {
      const NewScope inner(*this);
      execute(statement.bodies[1]);
    }
  }

  void execute_set(const Statement& statement) {
    const Value value = statement.expression != nullptr ? evaluate(*statement.expression)
                                                        : Value::of(captured(statement.bodies[0]));
    assign(*scope_, statement.targets, value, statement.place);
  }

  void execute_set_member(const Statement& statement) {
    Value target = look_up(statement.targets[0]);
    if (target.dict() == nullptr || !target.dict()->is_namespace) {
      fail_at(ErrorCode::InvalidArgument, statement.place,
              fmt::format("'{}' is no namespace", statement.targets[0]));
    }
    context_.budget.memory(64);
    target.dict()->set(Value::text(statement.targets[1]), evaluate(*statement.expression));
  }

  void define_macro(const Statement& statement) {
    scope_->values.insert_or_assign(
        statement.targets[0],
        Value::function(statement.targets[0],
                        [this, &statement](Context&, const Arguments& arguments) {
                          return run_macro(statement, arguments);
                        }));
  }

  /// Macros see their arguments and the outermost variables.
  Value run_macro(const Statement& statement, const Arguments& arguments) {
    const NewScope inner(*this, root_);
    if (arguments.positional.size() > statement.parameters.size()) {
      fail_at(ErrorCode::InvalidArgument, statement.place,
              fmt::format("macro '{}': got {} arguments, expected at most {}", statement.targets[0],
                          arguments.positional.size(), statement.parameters.size()));
    }
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
      const auto& [name, otherwise] = statement.parameters[i];
      Value value = argument(arguments, i, name);
      if (value.is_undefined())
        value = otherwise != nullptr ? evaluate(*otherwise) : Value::undefined(name);
      scope_->values.insert_or_assign(name, std::move(value));
    }
    if (const Value caller = argument(arguments, SIZE_MAX, "caller"); !caller.is_undefined())
      scope_->values.insert_or_assign("caller", caller);
    return Value::of(captured(statement.bodies[0]));
  }

  void execute_call(const Statement& statement) {
    const Expression& expression = *statement.expression;
    const std::shared_ptr<Scope> defined_in = scope_;
    const Value caller =
        Value::function("caller", [this, &statement, defined_in](Context&, const Arguments&) {
          const NewScope inner(*this, defined_in);
          return Value::of(captured(statement.bodies[0]));
        });
    Arguments arguments = evaluate(expression.arguments);
    arguments.named.emplace_back("caller", caller);
    const Value callee = evaluate(*expression.operands[0]);
    write(to_text(at_place(statement.place, [&] { return call(context_, callee, arguments); }),
                  context_.budget));
  }

  void execute_filter(const Statement& statement) {
    filter_input_ = Value::of(captured(statement.bodies[0]));
    write(to_text(evaluate(*statement.expression), context_.budget));
  }

  Flow execute_group(const Statement& statement) {
    std::vector<Value> values;
    for (const ExpressionPtr& value : statement.conditions) values.push_back(evaluate(*value));
    const NewScope inner(*this);
    for (std::size_t i = 0; i < values.size(); ++i)
      scope_->values.insert_or_assign(statement.targets[i], values[i]);
    return execute(statement.bodies[0]);
  }

  // Expressions.

  Value look_up(const std::string& name) const {
    for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->outer.get()) {
      if (const auto found = scope->values.find(name); found != scope->values.end())
        return found->second;
    }
    return Value::undefined(name);
  }

  /// Runs `body`; an error without a place gets this one.
  template <typename Body>
  auto at_place(const Place& place, Body&& body) -> decltype(body()) {
    try {
      return body();
    } catch (const Error& error) {
      if (error.message().starts_with("chat template")) throw;
      fail_at(error.code(), place, error.message());
    }
  }

  Arguments evaluate(const CallArguments& arguments) {
    Arguments values;
    for (const ExpressionPtr& argument : arguments.positional)
      values.positional.push_back(evaluate(*argument));
    for (const auto& [name, argument] : arguments.named)
      values.named.emplace_back(name, evaluate(*argument));
    return values;
  }

  Value evaluate(const Expression& expression) {
    context_.budget.step();
    switch (expression.kind) {
      case ExpressionKind::Literal: return expression.value;
      case ExpressionKind::Name: return look_up(expression.name);
      case ExpressionKind::Conditional: return conditional(expression);
      case ExpressionKind::ListLiteral: return list_literal(expression);
      case ExpressionKind::DictLiteral: return dict_literal(expression);
      default: return at_place(expression.place, [&] { return operate(expression); });
    }
  }

  Value conditional(const Expression& expression) {
    if (evaluate(*expression.operands[1]).truthy()) return evaluate(*expression.operands[0]);
    return expression.operands[2] != nullptr ? evaluate(*expression.operands[2])
                                             : Value::undefined("the other case");
  }

  Value list_literal(const Expression& expression) {
    List list;
    context_.budget.memory(static_cast<std::int64_t>(expression.operands.size()) * 16);
    for (const ExpressionPtr& operand : expression.operands) list.push_back(evaluate(*operand));
    return Value::of(std::move(list));
  }

  Value dict_literal(const Expression& expression) {
    auto dict = std::make_shared<Dict>();
    context_.budget.memory(static_cast<std::int64_t>(expression.operands.size()) * 64);
    for (std::size_t i = 0; i < expression.operands.size(); i += 2) {
      dict->set(evaluate(*expression.operands[i]), evaluate(*expression.operands[i + 1]));
    }
    return Value::of(std::move(dict));
  }

  Value operate(const Expression& expression) {
    switch (expression.kind) {
      case ExpressionKind::Attribute:
        return attribute_of(evaluate(*expression.operands[0]), expression.name);
      case ExpressionKind::Item:
        return item_of(evaluate(*expression.operands[0]), evaluate(*expression.operands[1]));
      case ExpressionKind::Slice: return slice(expression);
      case ExpressionKind::Call: {
        const Value callee = evaluate(*expression.operands[0]);
        return call(context_, callee, evaluate(expression.arguments));
      }
      case ExpressionKind::Filter: {
        const Value input =
            expression.operands[0] != nullptr ? evaluate(*expression.operands[0]) : filter_input_;
        return apply_filter(context_, expression.name, input, evaluate(expression.arguments));
      }
      case ExpressionKind::Test: {
        const Value input = evaluate(*expression.operands[0]);
        return Value::of(
            apply_test(context_, expression.name, input, evaluate(expression.arguments)));
      }
      case ExpressionKind::Unary: return unary(expression);
      default: return binary(expression);
    }
  }

  Value unary(const Expression& expression) {
    const Value value = evaluate(*expression.operands[0]);
    if (expression.name == "not") return Value::of(!value.truthy());
    if (const auto whole = value.integer(); whole && *whole != INT64_MIN)
      return Value::of(expression.name == "-" ? -*whole : *whole);
    if (!value.number())
      refuse(fmt::format("'{}': got {}, expected a number", expression.name, described(value)));
    return Value::of(expression.name == "-" ? -*value.number() : *value.number());
  }

  static std::string described(const Value& value) {
    const auto* missing = value.as<Undefined>();
    return missing != nullptr ? fmt::format("'{}', which is undefined", missing->name)
                              : std::string(value.type_name());
  }

  Value binary(const Expression& expression) {
    const std::string& name = expression.name;
    const Value left = evaluate(*expression.operands[0]);
    if (name == "and") return left.truthy() ? evaluate(*expression.operands[1]) : left;
    if (name == "or") return left.truthy() ? left : evaluate(*expression.operands[1]);
    const Value right = evaluate(*expression.operands[1]);
    Budget& budget = context_.budget;
    if (name == "==") return Value::of(equal(left, right, budget));
    if (name == "!=") return Value::of(!equal(left, right, budget));
    if (name == "in") return Value::of(contains(right, left, budget));
    if (name == "not in") return Value::of(!contains(right, left, budget));
    if (name == "<") return Value::of(less(left, right));
    if (name == ">") return Value::of(less(right, left));
    if (name == "<=") return Value::of(!less(right, left));
    if (name == ">=") return Value::of(!less(left, right));
    if (name == "~") return concatenated(to_text(left, budget), to_text(right, budget));
    return arithmetic(name, left, right);
  }

  Value concatenated(MarkedText left, const MarkedText& right) {
    context_.budget.memory(static_cast<std::int64_t>(left.bytes.size() + right.bytes.size()));
    left.append(right);
    return Value::of(std::move(left));
  }

  Value arithmetic(const std::string& name, const Value& left, const Value& right) {
    if (name == "+" && left.text() != nullptr && right.text() != nullptr)
      return concatenated(*left.text(), *right.text());
    if (name == "+" && left.list() != nullptr && right.list() != nullptr) {
      List list = items_of(context_, left);
      const List more = items_of(context_, right);
      list.insert(list.end(), more.begin(), more.end());
      return Value::of(std::move(list));
    }
    if (name == "*" && left.text() != nullptr && right.integer())
      return repeated(*left.text(), *right.integer());
    if (name == "*" && right.text() != nullptr && left.integer())
      return repeated(*right.text(), *left.integer());
    if (!left.number() || !right.number())
      refuse(fmt::format("'{}': got {} and {}, expected numbers", name, described(left),
                         described(right)));
    if (left.integer() && right.integer() && name != "/")
      return whole_arithmetic(name, *left.integer(), *right.integer());
    return real_arithmetic(name, *left.number(), *right.number());
  }

  Value repeated(const MarkedText& text, std::int64_t count) {
    MarkedText out;
    for (std::int64_t i = 0; i < count && !text.bytes.empty(); ++i) {
      context_.budget.step();
      context_.budget.memory(static_cast<std::int64_t>(text.bytes.size()));
      out.append(text);
    }
    return Value::of(std::move(out));
  }

  Value whole_arithmetic(const std::string& name, std::int64_t left, std::int64_t right) {
    std::int64_t result = 0;
    bool over = false;
    if (name == "+") {
      over = __builtin_add_overflow(left, right, &result);
    } else if (name == "-") {
      over = __builtin_sub_overflow(left, right, &result);
    } else if (name == "*") {
      over = __builtin_mul_overflow(left, right, &result);
    } else if (name == "**") {
      if (right < 0)
        return real_arithmetic(name, static_cast<double>(left), static_cast<double>(right));
      result = 1;
      for (std::int64_t i = 0; i < right && !over; ++i) {
        context_.budget.step();
        over = __builtin_mul_overflow(result, left, &result);
      }
    } else {
      if (right == 0) refuse("division by zero");
      if (right == -1) {
        over = name == "//" && __builtin_sub_overflow(std::int64_t{0}, left, &result);
      } else {  // rounded down, as Python does
        const std::int64_t quotient =
            left / right - ((left % right != 0 && (left < 0) != (right < 0)) ? 1 : 0);
        result = name == "//" ? quotient : left - quotient * right;
      }
    }
    if (over) refuse(fmt::format("'{}': the result is over 63 bits", name));
    return Value::of(result);
  }

  static Value real_arithmetic(const std::string& name, double left, double right) {
    if (name == "+") return Value::of(left + right);
    if (name == "-") return Value::of(left - right);
    if (name == "*") return Value::of(left * right);
    if (name == "**") return Value::of(std::pow(left, right));
    if (right == 0) refuse("division by zero");
    if (name == "/") return Value::of(left / right);
    const double quotient = std::floor(left / right);
    return Value::of(name == "//" ? quotient : left - quotient * right);
  }

  Value slice(const Expression& expression) {
    const Value value = evaluate(*expression.operands[0]);
    if (value.is_undefined()) refuse(fmt::format("'{}' is undefined", value.as<Undefined>()->name));
    if (value.list() == nullptr && value.text() == nullptr)
      refuse(fmt::format("got {}, expected str or list", value.type_name()));
    const List items = items_of(context_, value);
    std::optional<std::int64_t> bounds[3];
    for (std::size_t i = 0; i < 3; ++i) {
      if (expression.operands[i + 1] == nullptr) continue;
      const Value bound = evaluate(*expression.operands[i + 1]);
      bounds[i] = bound.integer();
      if (!bounds[i] && !bound.is_none())
        refuse(fmt::format("got {} for a bound, expected an integer", bound.type_name()));
    }
    const std::int64_t step = bounds[2].value_or(1);
    if (step == 0) refuse("got the step 0");
    const auto size = static_cast<std::int64_t>(items.size());
    // Where Python clips a bound to: a step back may end before the first item.
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto clipped = [&](std::int64_t bound) {
      return std::clamp(bound < 0 ? bound + size : bound, low, high);
    };
    const std::int64_t begin = bounds[0] ? clipped(*bounds[0]) : (step > 0 ? low : high);
    const std::int64_t end = bounds[1] ? clipped(*bounds[1]) : (step > 0 ? high : low);
    List out;
    for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
      out.push_back(items[static_cast<std::size_t>(i)]);
      if (__builtin_add_overflow(i, step, &i)) break;
    }
    if (value.list() != nullptr) return Value::of(std::move(out));
    MarkedText text;
    for (const Value& item : out) text.append(*item.text());
    return Value::of(std::move(text));
  }

  Context& context_;
  std::shared_ptr<Scope> root_ = std::make_shared<Scope>();
  std::shared_ptr<Scope> scope_;  ///< shared with the callers that were made in it
  MarkedText* output_ = nullptr;
  Value filter_input_;
};

}  // namespace

MarkedText render(Context& context, const Body& body, const Value& variables) {
  return Interpreter(context, variables).run(body);
}

}  // namespace naru::jinja
