// Parses the tokens of a template by recursive descent, with Jinja's order of operators.
#include <algorithm>
#include <array>
#include <charconv>

#include "graph/fail.h"
#include "runtime/text/jinja/ast.h"
#include "runtime/text/jinja/library.h"

namespace naru::jinja {
namespace {

constexpr int kMaxDepth = 64;  // of expressions and blocks inside each other
constexpr int kMaxExpressionDepth = 256;
constexpr std::size_t kMaxSource = 1 << 20;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize_template(source)) {}

  Body parse() {
    Body body = statements({});
    if (peek().kind != TokenKind::End) unexpected("a statement");
    return body;
  }

 private:
  /// Counts nesting, so that no template overflows the stack.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser.depth_ > kMaxDepth)
        fail_at(ErrorCode::InvalidModel, parser.peek().place,
                fmt::format("got over {} levels inside each other", kMaxDepth));
    }
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& next() {
    const Token& token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_operator(std::string_view text, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::Operator && peek(ahead).text == text;
  }
  bool is_name(std::string_view text, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::Name && peek(ahead).text == text;
  }
  bool accept_operator(std::string_view text) { return is_operator(text) && (next(), true); }
  bool accept_name(std::string_view text) { return is_name(text) && (next(), true); }

  [[noreturn]] void unexpected(std::string_view expected) const {
    static constexpr std::string_view kKinds[] = {"text",     "'{{'",        "'}}'",     "'{%'",
                                                  "'%}'",     "a name",      "a string", "a number",
                                                  "a number", "an operator", "the end"};
    const Token& token = peek();
    const bool shown = token.kind == TokenKind::Name || token.kind == TokenKind::Operator;
    fail_at(ErrorCode::InvalidModel, token.place,
            fmt::format("got {}, expected {}",
                        shown ? "'" + token.text + "'"
                              : std::string(kKinds[static_cast<std::size_t>(token.kind)]),
                        expected));
  }
  void expect_operator(std::string_view text) {
    if (!accept_operator(text)) unexpected(fmt::format("'{}'", text));
  }
  void expect_name(std::string_view text) {
    if (!accept_name(text)) unexpected(fmt::format("'{}'", text));
  }
  void expect_close() {
    if (peek().kind != TokenKind::CloseBlock) unexpected("'%}'");
    next();
  }
  std::string take_name() {
    if (peek().kind != TokenKind::Name) unexpected("a name");
    return next().text;
  }

  // Statements.

  static bool is_one_of(const std::string& word, const std::vector<std::string_view>& words) {
    for (const std::string_view known : words) {
      if (word == known) return true;
    }
    return false;
  }

  /// Statements up to a block that begins with one of `ends`, which stays.
  Body statements(const std::vector<std::string_view>& ends) {
    const Nesting nesting(*this);
    Body body;
    for (;;) {
      const Token& token = peek();
      if (token.kind == TokenKind::End) {
        if (!ends.empty()) unexpected(fmt::format("'{}'", ends.back()));
        return body;
      }
      if (token.kind == TokenKind::OpenBlock && peek(1).kind == TokenKind::Name &&
          is_one_of(peek(1).text, ends))
        return body;
      body.push_back(statement());
    }
  }

  std::unique_ptr<Statement> make(StatementKind kind, const Place& place) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->place = place;
    return statement;
  }

  std::unique_ptr<const Statement> statement() {
    const Token& token = next();
    if (token.kind == TokenKind::Text) {
      auto text = make(StatementKind::Text, token.place);
      text->text = MarkedText(token.text, false);
      return text;
    }
    if (token.kind == TokenKind::OpenOutput) {
      auto output = make(StatementKind::Output, token.place);
      output->expression = tuple_expression();
      if (peek().kind != TokenKind::CloseOutput) unexpected("'}}'");
      next();
      return output;
    }
    return block(token.place);
  }

  std::unique_ptr<const Statement> block(const Place& place) {
    struct Kind {
      std::string_view word;
      std::unique_ptr<const Statement> (Parser::*parse)(const Place&);
    };
    static constexpr Kind kKinds[] = {
        {"if", &Parser::if_block},       {"for", &Parser::for_block},
        {"set", &Parser::set_block},     {"macro", &Parser::macro_block},
        {"call", &Parser::call_block},   {"filter", &Parser::filter_block},
        {"with", &Parser::with_block},   {"generation", &Parser::generation_block},
        {"break", &Parser::break_block}, {"continue", &Parser::continue_block}};
    const std::string word = take_name();
    for (const Kind& kind : kKinds) {
      if (kind.word == word) return (this->*kind.parse)(place);
    }
    if (word.starts_with("end") || word == "elif" || word == "else")
      fail_at(ErrorCode::InvalidModel, place, fmt::format("'{}' belongs to no block", word));
    fail_at(ErrorCode::Unsupported, place,
            fmt::format("the statement '{}' is not supported", word));
  }

  Body body_until(const std::vector<std::string_view>& ends) {
    expect_close();
    Body body = statements(ends);
    next();  // {%
    return body;
  }

  std::unique_ptr<const Statement> if_block(const Place& place) {
    auto statement = make(StatementKind::If, place);
    statement->conditions.push_back(expression());
    for (;;) {
      statement->bodies.push_back(body_until({"elif", "else", "endif"}));
      if (accept_name("endif")) break;
      if (accept_name("elif")) {
        statement->conditions.push_back(expression());
        continue;
      }
      next();  // else
      statement->conditions.push_back(nullptr);
      statement->bodies.push_back(body_until({"endif"}));
      next();
      break;
    }
    expect_close();
    return statement;
  }

  std::vector<std::string> target_names() {
    std::vector<std::string> names;
    const bool bracketed = accept_operator("(");
    do {
      names.push_back(take_name());
    } while (accept_operator(","));
    if (bracketed) expect_operator(")");
    return names;
  }

  std::unique_ptr<const Statement> for_block(const Place& place) {
    auto statement = make(StatementKind::For, place);
    statement->targets = target_names();
    expect_name("in");
    statement->expression = or_expression();  // `if` filters the items, it is no condition
    if (accept_name("if")) statement->condition = expression();
    if (is_name("recursive"))
      fail_at(ErrorCode::Unsupported, place, "recursive loops are not supported");
    ++loops_;
    statement->bodies.push_back(body_until({"else", "endfor"}));
    --loops_;
    if (accept_name("else")) statement->bodies.push_back(body_until({"endfor"}));
    expect_name("endfor");
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> set_block(const Place& place) {
    if (peek().kind == TokenKind::Name && is_operator(".", 1)) {
      auto statement = make(StatementKind::SetMember, place);
      statement->targets.push_back(take_name());
      next();
      statement->targets.push_back(take_name());
      expect_operator("=");
      statement->expression = tuple_expression();
      expect_close();
      return statement;
    }
    auto statement = make(StatementKind::Set, place);
    statement->targets = target_names();
    if (accept_operator("=")) {
      statement->expression = tuple_expression();
    } else {
      statement->bodies.push_back(body_until({"endset"}));
      next();
    }
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> macro_block(const Place& place) {
    auto statement = make(StatementKind::Macro, place);
    statement->targets.push_back(take_name());
    expect_operator("(");
    while (!accept_operator(")")) {
      std::string name = take_name();
      ExpressionPtr value = accept_operator("=") ? expression() : nullptr;
      statement->parameters.emplace_back(std::move(name), std::move(value));
      if (!is_operator(")")) expect_operator(",");
    }
    const int outer_loops = std::exchange(loops_, 0);
    statement->bodies.push_back(body_until({"endmacro"}));
    loops_ = outer_loops;
    next();
    if (peek().kind == TokenKind::Name) next();  // its name again
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> call_block(const Place& place) {
    auto statement = make(StatementKind::CallBlock, place);
    statement->expression = expression();
    if (statement->expression->kind != ExpressionKind::Call)
      fail_at(ErrorCode::InvalidModel, place, "'call' without a call");
    statement->bodies.push_back(body_until({"endcall"}));
    next();
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> filter_block(const Place& place) {
    auto statement = make(StatementKind::FilterBlock, place);
    --at_;  // the word 'filter' stands for the first '|'
    statement->expression = filters(nullptr, true);
    statement->bodies.push_back(body_until({"endfilter"}));
    next();
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> with_block(const Place& place) {
    auto statement = make(StatementKind::Group, place);
    while (peek().kind == TokenKind::Name) {
      statement->targets.push_back(take_name());
      expect_operator("=");
      statement->conditions.push_back(expression());
      if (!accept_operator(",")) break;
    }
    statement->bodies.push_back(body_until({"endwith"}));
    next();
    expect_close();
    return statement;
  }

  /// Marks what the model itself says, for training; rendered as it is.
  std::unique_ptr<const Statement> generation_block(const Place& place) {
    auto statement = make(StatementKind::Group, place);
    statement->bodies.push_back(body_until({"endgeneration"}));
    next();
    expect_close();
    return statement;
  }

  std::unique_ptr<const Statement> break_block(const Place& place) {
    return jump(StatementKind::Break, place);
  }
  std::unique_ptr<const Statement> continue_block(const Place& place) {
    return jump(StatementKind::Continue, place);
  }
  std::unique_ptr<const Statement> jump(StatementKind kind, const Place& place) {
    if (loops_ == 0)
      fail_at(ErrorCode::InvalidModel, place, "'break' or 'continue' outside of a loop");
    expect_close();
    return make(kind, place);
  }

  // Expressions, from the operators that bind least.

  std::unique_ptr<Expression> node(ExpressionKind kind, const Place& place,
                                   std::string name = {}) const {
    auto expression = std::make_unique<Expression>();
    expression->kind = kind;
    expression->place = place;
    expression->name = std::move(name);
    return expression;
  }

  /// A complete node. Chains of operators nest to the left, so depth is counted here, too.
  ExpressionPtr seal(std::unique_ptr<Expression> expression) const {
    int deepest = 0;
    const auto count = [&](const ExpressionPtr& operand) {
      if (operand != nullptr) deepest = std::max(deepest, operand->depth);
    };
    for (const ExpressionPtr& operand : expression->operands) count(operand);
    for (const ExpressionPtr& operand : expression->arguments.positional) count(operand);
    for (const auto& [name, operand] : expression->arguments.named) count(operand);
    expression->depth = deepest + 1;
    if (expression->depth > kMaxExpressionDepth) {
      fail_at(ErrorCode::InvalidModel, expression->place,
              fmt::format("got an expression of over {} levels", kMaxExpressionDepth));
    }
    return expression;
  }

  /// An expression, or several with commas, which are a list.
  ExpressionPtr tuple_expression() {
    const Place place = peek().place;
    ExpressionPtr first = expression();
    if (!is_operator(",")) return first;
    auto list = node(ExpressionKind::ListLiteral, place);
    list->operands.push_back(std::move(first));
    while (accept_operator(",")) {
      if (peek().kind == TokenKind::CloseBlock || peek().kind == TokenKind::CloseOutput) break;
      list->operands.push_back(expression());
    }
    return seal(std::move(list));
  }

  ExpressionPtr expression() {
    const Nesting nesting(*this);
    ExpressionPtr value = or_expression();
    while (is_name("if")) {
      auto choice = node(ExpressionKind::Conditional, next().place);
      choice->operands.push_back(std::move(value));
      choice->operands.push_back(or_expression());
      choice->operands.push_back(accept_name("else") ? expression() : nullptr);
      value = seal(std::move(choice));
    }
    return value;
  }

  using Level = ExpressionPtr (Parser::*)();

  /// Operands of level `inner` joined by operators or words, to the left.
  ExpressionPtr left_chain(Level inner, std::initializer_list<std::string_view> operators,
                           bool words = false) {
    ExpressionPtr left = (this->*inner)();
    for (;;) {
      const bool found =
          (words ? peek().kind == TokenKind::Name : peek().kind == TokenKind::Operator) &&
          std::find(operators.begin(), operators.end(), peek().text) != operators.end();
      if (!found) return left;
      const Token& token = next();
      auto joined = node(ExpressionKind::Binary, token.place, token.text);
      joined->operands.push_back(std::move(left));
      joined->operands.push_back((this->*inner)());
      left = seal(std::move(joined));
    }
  }

  ExpressionPtr or_expression() { return left_chain(&Parser::and_expression, {"or"}, true); }
  ExpressionPtr and_expression() { return left_chain(&Parser::not_expression, {"and"}, true); }

  ExpressionPtr not_expression() {
    if (!is_name("not")) return comparison();
    const Nesting nesting(*this);
    auto negation = node(ExpressionKind::Unary, next().place, "not");
    negation->operands.push_back(not_expression());
    return seal(std::move(negation));
  }

  ExpressionPtr comparison() {
    static constexpr std::array<std::string_view, 6> kOperators = {"==", "!=", "<",
                                                                   "<=", ">",  ">="};
    ExpressionPtr left = sum();
    for (;;) {
      std::string name;
      const Place place = peek().place;
      if (peek().kind == TokenKind::Operator &&
          std::find(kOperators.begin(), kOperators.end(), peek().text) != kOperators.end()) {
        name = next().text;
      } else if (accept_name("in")) {
        name = "in";
      } else if (is_name("not") && is_name("in", 1)) {
        next();
        next();
        name = "not in";
      } else {
        return left;
      }
      auto joined = node(ExpressionKind::Binary, place, name);
      joined->operands.push_back(std::move(left));
      joined->operands.push_back(sum());
      left = seal(std::move(joined));
    }
  }

  ExpressionPtr sum() { return left_chain(&Parser::concatenation, {"+", "-"}); }
  ExpressionPtr concatenation() { return left_chain(&Parser::product, {"~"}); }
  ExpressionPtr product() { return left_chain(&Parser::power, {"*", "/", "//", "%"}); }
  ExpressionPtr power() { return left_chain(&Parser::unary, {"**"}); }

  ExpressionPtr unary() {
    if (!is_operator("-") && !is_operator("+")) return filters(postfix(primary()), false);
    const Nesting nesting(*this);
    const Token& token = next();
    auto signed_value = node(ExpressionKind::Unary, token.place, token.text);
    signed_value->operands.push_back(unary_operand());
    return filters(seal(std::move(signed_value)), false);
  }

  /// What a sign stands before: filters come after the sign.
  ExpressionPtr unary_operand() {
    if (is_operator("-") || is_operator("+")) return unary();
    return postfix(primary());
  }

  ExpressionPtr primary() {
    const Nesting nesting(*this);
    const Token token = peek();
    switch (token.kind) {
      case TokenKind::Name: return name();
      case TokenKind::String: {
        std::string text;
        while (peek().kind == TokenKind::String) text += next().text;
        return literal(token.place, Value::text(std::move(text)));
      }
      case TokenKind::Integer: {
        next();
        std::int64_t value = 0;
        const auto [end, error] =
            std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
        if (error != std::errc())
          fail_at(ErrorCode::InvalidModel, token.place, "an integer of over 63 bits");
        return literal(token.place, Value::of(value));
      }
      case TokenKind::Float: {
        next();
        double value = 0;
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
        return literal(token.place, Value::of(value));
      }
      default: break;
    }
    if (accept_operator("(")) return bracketed(token.place);
    if (accept_operator("[")) return list(token.place);
    if (accept_operator("{")) return dict(token.place);
    unexpected("an expression");
  }

  ExpressionPtr literal(const Place& place, Value value) const {
    auto expression = node(ExpressionKind::Literal, place);
    expression->value = std::move(value);
    return expression;
  }

  ExpressionPtr name() {
    const Token& token = next();
    const std::string& word = token.text;
    if (word == "true" || word == "True") return literal(token.place, Value::of(true));
    if (word == "false" || word == "False") return literal(token.place, Value::of(false));
    if (word == "none" || word == "None") return literal(token.place, Value::none());
    return node(ExpressionKind::Name, token.place, word);
  }

  /// The rest of "(...)": an expression, or a tuple, which is a list.
  ExpressionPtr bracketed(const Place& place) {
    if (accept_operator(")")) return node(ExpressionKind::ListLiteral, place);
    ExpressionPtr first = expression();
    if (accept_operator(")")) return first;
    auto tuple = node(ExpressionKind::ListLiteral, place);
    tuple->operands.push_back(std::move(first));
    while (accept_operator(",")) {
      if (is_operator(")")) break;
      tuple->operands.push_back(expression());
    }
    expect_operator(")");
    return seal(std::move(tuple));
  }

  ExpressionPtr list(const Place& place) {
    auto items = node(ExpressionKind::ListLiteral, place);
    while (!accept_operator("]")) {
      items->operands.push_back(expression());
      if (!is_operator("]")) expect_operator(",");
    }
    return seal(std::move(items));
  }

  ExpressionPtr dict(const Place& place) {
    auto items = node(ExpressionKind::DictLiteral, place);
    while (!accept_operator("}")) {
      items->operands.push_back(expression());
      expect_operator(":");
      items->operands.push_back(expression());
      if (!is_operator("}")) expect_operator(",");
    }
    return seal(std::move(items));
  }

  /// Members, items, slices and calls after `value`.
  ExpressionPtr postfix(ExpressionPtr value) {
    for (;;) {
      const Place place = peek().place;
      if (!is_operator(".") && !is_operator("[") && !is_operator("(")) return value;
      if (accept_operator(".")) {
        // A number names an item: pair.0
        const bool number = peek().kind == TokenKind::Integer;
        auto member = node(number ? ExpressionKind::Item : ExpressionKind::Attribute, place);
        member->operands.push_back(std::move(value));
        number ? member->operands.push_back(primary()) : void(member->name = take_name());
        value = seal(std::move(member));
      } else if (accept_operator("[")) {
        value = subscript(std::move(value), place);
      } else {
        auto call = node(ExpressionKind::Call, place);
        call->operands.push_back(std::move(value));
        call->arguments = arguments();
        value = seal(std::move(call));
      }
    }
  }

  ExpressionPtr subscript(ExpressionPtr value, const Place& place) {
    std::vector<ExpressionPtr> parts;
    parts.push_back(is_operator(":") ? nullptr : expression());
    bool slice = false;
    while (parts.size() < 3 && accept_operator(":")) {
      slice = true;
      parts.push_back(is_operator(":") || is_operator("]") ? nullptr : expression());
    }
    expect_operator("]");
    auto item = node(slice ? ExpressionKind::Slice : ExpressionKind::Item, place);
    item->operands.push_back(std::move(value));
    if (slice) parts.resize(3);
    for (ExpressionPtr& part : parts) item->operands.push_back(std::move(part));
    return seal(std::move(item));
  }

  CallArguments arguments() {
    CallArguments result;
    expect_operator("(");
    while (!accept_operator(")")) {
      if (is_operator("*") || is_operator("**"))
        fail_at(ErrorCode::Unsupported, peek().place, "arguments by '*' are not supported");
      if (peek().kind == TokenKind::Name && is_operator("=", 1)) {
        std::string name = take_name();
        next();
        result.named.emplace_back(std::move(name), expression());
      } else {
        result.positional.push_back(expression());
      }
      if (!is_operator(")")) expect_operator(",");
    }
    return result;
  }

  /// Filters and tests after `value`; `first_open`: the first filter comes without its '|'.
  ExpressionPtr filters(ExpressionPtr value, bool first_open) {
    for (;;) {
      if (first_open || is_operator("|")) {
        first_open = false;
        next();
        auto filter = node(ExpressionKind::Filter, peek().place);
        filter->name = take_name();
        if (!is_filter(filter->name))
          fail_at(ErrorCode::Unsupported, filter->place,
                  fmt::format("the filter '{}' is not supported", filter->name));
        filter->operands.push_back(std::move(value));
        if (is_operator("(")) filter->arguments = arguments();
        value = seal(std::move(filter));
      } else if (is_name("is")) {
        next();
        value = test(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExpressionPtr test(ExpressionPtr value) {
    const bool negated = accept_name("not");
    auto test = node(ExpressionKind::Test, peek().place);
    test->name = take_name();
    if (!is_test(test->name))
      fail_at(ErrorCode::Unsupported, test->place,
              fmt::format("the test '{}' is not supported", test->name));
    test->operands.push_back(std::move(value));
    if (is_operator("(")) {
      test->arguments = arguments();
    } else if (begins_argument()) {
      test->arguments.positional.push_back(postfix(primary()));
    }
    if (!negated) return seal(std::move(test));
    auto negation = node(ExpressionKind::Unary, test->place, "not");
    negation->operands.push_back(seal(std::move(test)));
    return seal(std::move(negation));
  }

  /// Whether an argument of a test without brackets follows.
  bool begins_argument() const {
    const Token& token = peek();
    if (token.kind == TokenKind::Name) {
      static constexpr std::array<std::string_view, 8> kWords = {"else", "or", "and", "if",
                                                                 "is",   "in", "not", "recursive"};
      return std::find(kWords.begin(), kWords.end(), token.text) == kWords.end();
    }
    return token.kind == TokenKind::String || token.kind == TokenKind::Integer ||
           token.kind == TokenKind::Float || is_operator("[") || is_operator("{");
  }

  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) {
  if (source.size() > kMaxSource)
    fail(ErrorCode::InvalidModel, "chat template: got {} bytes, expected at most {}", source.size(),
         kMaxSource);
  return Parser(source).parse();
}

}  // namespace naru::jinja
