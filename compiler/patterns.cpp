// Patterns: the parser, the backtracking matcher, the table.
#include "compiler/patterns.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "graph/fail.h"
#include "graph/op_def.h"

namespace naru {

/// One term of a pattern.
struct Pattern::Term {
  enum class Kind : std::uint8_t { Any, Constant, Scalar, Number, Op, Either };
  Kind kind = Kind::Any;
  std::string name;            // of the value; may be empty for Op
  std::string op;              // of Op
  double number = 0;           // of Number
  std::vector<Term> children;  // inputs of Op, or alternatives
};

namespace {

using Term = Pattern::Term;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Term parse() {
    Term term = expression();
    check(at_ == text_.size(), "an end");
    return term;
  }

 private:
  void check(bool condition, const char* expected) {
    NARU_CHECK(condition, fmt::format("pattern '{}' at {}: expected {}", text_, at_, expected));
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool accept(char c) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    blanks();
    return true;
  }
  std::string word() {
    blanks();
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '.' || text_[at_] == '_')) {
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  Term expression() {
    blanks();
    check(at_ < text_.size(), "a term");
    const char c = text_[at_];
    if (c == '{') return alternatives();
    if (c == '-' || std::isdigit(static_cast<unsigned char>(c)) != 0) return number();
    Term term;
    term.name = word();
    check(!term.name.empty(), "a name");
    if (accept('=')) {
      Term inner = operation(word());
      inner.name = std::move(term.name);
      return inner;
    }
    if (at_ < text_.size() && text_[at_] == '(') return operation(std::exchange(term.name, {}));
    if (accept(':')) term.kind = word() == "c" ? Term::Kind::Constant : Term::Kind::Scalar;
    return term;
  }

  Term number() {
    Term term;
    term.kind = Term::Kind::Number;
    const char* end = text_.data() + text_.size();
    const auto result = std::from_chars(text_.data() + at_, end, term.number);
    check(result.ec == std::errc(), "a number");
    at_ = static_cast<std::size_t>(result.ptr - text_.data());
    return term;
  }

  Term alternatives() {
    Term term;
    term.kind = Term::Kind::Either;
    accept('{');
    do term.children.push_back(expression());
    while (accept('|'));
    check(accept('}'), "}");
    return term;
  }

  Term operation(std::string op) {
    Term term;
    term.kind = Term::Kind::Op;
    term.op = std::move(op);
    check(accept('('), "(");
    do term.children.push_back(expression());
    while (accept(','));
    check(accept(')'), ")");
    return term;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void collect_roots(const Term& term, std::vector<std::string>& ops) {
  if (term.kind == Term::Kind::Op) ops.push_back(term.op);
  if (term.kind != Term::Kind::Either) return;
  for (const Term& child : term.children) collect_roots(child, ops);
}

bool is_commutative(std::string_view op) {
  return op == "Add" || op == "Mul" || op == "Max" || op == "Min";
}

/// Constants in models are this far from the numbers that they mean.
double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::F16: return 1e-3;
    case DType::BF16: return 8e-3;
    default: return 5e-7;
  }
}

}  // namespace

/// Depth-first with backtracking: each step is matched together with all that remains to be
/// matched.
class Matcher {
 public:
  explicit Matcher(const Rewriter& rw) : rw_(rw) {}

  std::optional<Match> run(const Node& root, const Term& term) {
    std::vector<Goal> goals;
    if (!node(root, term, goals)) return std::nullopt;
    return match_;
  }

 private:
  /// An input of a node that a term must match. Goals are taken from the back.
  struct Goal {
    const Term* term;
    const Node* consumer;
    std::size_t input;
  };

  /// What an attempt may have to take back.
  struct Mark {
    Match match;
    std::set<std::pair<const Node*, std::size_t>> edges;
    std::vector<const Node*> inner;
  };
  Mark mark() const { return {match_, edges_, inner_}; }
  void restore(Mark saved) {
    match_ = std::move(saved.match);
    edges_ = std::move(saved.edges);
    inner_ = std::move(saved.inner);
  }

  bool rest(std::vector<Goal> goals) {
    if (goals.empty()) return inner_nodes_are_private();
    const Goal goal = goals.back();
    goals.pop_back();
    edges_.emplace(goal.consumer, goal.input);
    return value(goal.consumer->inputs[goal.input], *goal.term, std::move(goals));
  }

  bool value(ValueId id, const Term& term, std::vector<Goal> goals) {
    if (id == kNoValue) return false;
    switch (term.kind) {
      case Term::Kind::Any: return bind(term.name, id) && rest(std::move(goals));
      case Term::Kind::Constant:
        return rw_.constant(id) != nullptr && bind(term.name, id) && rest(std::move(goals));
      case Term::Kind::Scalar:
        return scalar_constant(rw_, id) && bind(term.name, id) && rest(std::move(goals));
      case Term::Kind::Number: return is_number(id, term.number) && rest(std::move(goals));
      case Term::Kind::Either: return either(id, term, goals);
      case Term::Kind::Op: break;
    }
    const Node* producer = rw_.producer(id, term.op);
    if (producer == nullptr || producer->outputs[0] != id) return false;
    inner_.push_back(producer);
    return node(*producer, term, std::move(goals));
  }

  bool either(ValueId id, const Term& term, const std::vector<Goal>& goals) {
    for (const Term& alternative : term.children) {
      Mark saved = mark();
      if (value(id, alternative, goals)) return true;
      restore(std::move(saved));
    }
    return false;
  }

  bool node(const Node& node, const Term& term, std::vector<Goal> goals) {
    if (term.kind == Term::Kind::Either) {
      return std::any_of(term.children.begin(), term.children.end(), [&](const Term& alternative) {
        Mark saved = mark();
        if (this->node(node, alternative, goals)) return true;
        restore(std::move(saved));
        return false;
      });
    }
    if (node.op->full_name() != term.op || node.inputs.size() != term.children.size()) return false;
    if (!term.name.empty()) {
      if (!bind(term.name, node.outputs[0])) return false;
      match_.nodes_[term.name] = &node;
    }
    const auto push = [&](std::vector<Goal> all, bool swapped) {
      for (std::size_t i = term.children.size(); i-- > 0;) {
        all.push_back({&term.children[i], &node, swapped ? 1 - i : i});
      }
      return all;
    };
    if (!is_commutative(term.op) || term.children.size() != 2)
      return rest(push(std::move(goals), false));
    Mark saved = mark();
    if (rest(push(goals, false))) return true;
    restore(std::move(saved));
    return rest(push(std::move(goals), true));
  }

  bool bind(const std::string& name, ValueId id) {
    return match_.values_.emplace(name, id).first->second == id;
  }

  bool is_number(ValueId id, double number) const {
    const std::optional<double> got = scalar_constant(rw_, id);
    return got && std::abs(*got - number) <= tolerance_of(rw_.type(id).dtype) * std::abs(number);
  }

  /// Every use of an inner node's value must be an edge of this match.
  bool inner_nodes_are_private() const {
    return std::all_of(inner_.begin(), inner_.end(), [&](const Node* node) {
      const ValueId output = node->outputs[0];
      const auto edges = std::count_if(edges_.begin(), edges_.end(), [&](const auto& edge) {
        return edge.first->inputs[edge.second] == output;
      });
      return static_cast<std::size_t>(edges) == rw_.uses(output) && !rw_.is_output(output) &&
             rw_.only_first_output(*node);
    });
  }

  const Rewriter& rw_;
  Match match_;
  std::set<std::pair<const Node*, std::size_t>> edges_;
  std::vector<const Node*> inner_;
};

ValueId Match::operator[](std::string_view name) const {
  const auto found = values_.find(name);
  NARU_CHECK(found != values_.end(), "no such name in the pattern: " + std::string(name));
  return found->second;
}

const Node& Match::node(std::string_view name) const {
  const auto found = nodes_.find(name);
  NARU_CHECK(found != nodes_.end(), "no such node in the pattern: " + std::string(name));
  return *found->second;
}

Pattern::Pattern(std::string_view text)
    : term_(std::make_unique<const Term>(Parser(text).parse())) {
  collect_roots(*term_, root_ops_);
  NARU_CHECK(!root_ops_.empty(), "a pattern's root is an operator");
}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

std::optional<Match> Pattern::match(const Rewriter& rw, const Node& root) const {
  return Matcher(rw).run(root, *term_);
}

FusionTable::FusionTable(std::span<const Fusion> fusions) {
  for (const Fusion& fusion : fusions) {
    entries_.push_back({&fusion, Pattern(fusion.pattern)});
    for (const std::string& op : entries_.back().pattern.root_ops()) {
      by_root_.emplace(op, entries_.size() - 1);
    }
  }
}

bool FusionTable::apply(Rewriter& rw, const Node& root) const {
  const auto [first, last] = by_root_.equal_range(root.op->full_name());
  for (auto it = first; it != last; ++it) {
    const Entry& entry = entries_[it->second];
    const std::optional<Match> match = entry.pattern.match(rw, root);
    if (!match) continue;
    const Fusion& fusion = *entry.fusion;
    const bool applied = with_context([&] { return fmt::format("fusing {}", fusion.name); },
                                      [&] {
                                        if (fusion.build != nullptr)
                                          return fusion.build(rw, root, *match);
                                        rw.replace(fusion.result, {(*match)["x"]});
                                        return true;
                                      });
    if (applied) return true;
  }
  return false;
}

}  // namespace naru
