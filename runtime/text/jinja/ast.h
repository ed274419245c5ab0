// The tree of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja/lexer.h"
#include "runtime/text/jinja/value.h"

namespace naru::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

enum class ExpressionKind : std::uint8_t {
  Literal,      ///< value
  Name,         ///< name
  ListLiteral,  ///< operands
  DictLiteral,  ///< operands: key, value, key, value ...
  Attribute,    ///< operands[0].name
  Item,         ///< operands[0][operands[1]]
  Slice,        ///< operands[0][operands[1]:operands[2]:operands[3]], null where left out
  Call,         ///< operands[0](arguments)
  Filter,       ///< operands[0] | name(arguments); operands[0] null inside a filter block
  Test,         ///< operands[0] is name(arguments)
  Unary,        ///< name operands[0]
  Binary,       ///< operands[0] name operands[1]
  Conditional,  ///< operands[0] if operands[1] else operands[2], which may be null
};

struct Expression {
  ExpressionKind kind = ExpressionKind::Literal;
  Place place;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> operands;
  CallArguments arguments;
  int depth = 1;  ///< levels of expressions, this one included
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

enum class StatementKind : std::uint8_t {
  Text,         ///< text
  Output,       ///< expression
  If,           ///< conditions with bodies; a null condition is else
  For,          ///< targets in expression if condition: bodies[0] else bodies[1]
  Set,          ///< targets = expression, or a block: bodies[0]
  SetMember,    ///< targets[0].targets[1] = expression
  Macro,        ///< macro with parameters: bodies[0]
  CallBlock,    ///< expression is a call that gets caller(): bodies[0]
  FilterBlock,  ///< expression is the chain of filters: bodies[0]
  Group,        ///< bodies[0] in a scope of its own, with targets = values
  Break,
  Continue,
};

struct Statement {
  StatementKind kind = StatementKind::Text;
  Place place;
  MarkedText text;
  ExpressionPtr expression;
  ExpressionPtr condition;                ///< of For
  std::vector<ExpressionPtr> conditions;  ///< of If; of Group the values
  std::vector<Body> bodies;
  std::vector<std::string> targets;
  std::vector<std::pair<std::string, ExpressionPtr>>
      parameters;  ///< of Macro, with defaults or null
};

/// @throws Error InvalidModel, Unsupported.
Body parse_template(std::string_view source);

}  // namespace naru::jinja
