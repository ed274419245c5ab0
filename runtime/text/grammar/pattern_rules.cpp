// Regular expressions as rules.
#include "runtime/text/grammar/pattern_rules.h"

#include "graph/fail.h"
#include "runtime/text/pattern.h"

namespace naru::grammar {
namespace {

using text::PatternNode;
using Kind = PatternNode::Kind;

class Translator {
 public:
  Translator(Builder& builder,
             const std::function<Sequence(const std::vector<text::CharSet::Range>&)>& spell)
      : builder_(builder), spell_(spell) {}

  /// A whole pattern: what '^' and '$' do not hold may be preceded and followed by anything.
  Sequence whole(const PatternNode& node) {
    if (node.kind == Kind::Choice) {
      std::vector<Sequence> alternatives;
      for (const PatternNode& child : node.children) alternatives.push_back(whole(child));
      return builder_.choice(std::move(alternatives));
    }
    std::vector<const PatternNode*> parts;
    if (node.kind == Kind::Sequence) {
      for (const PatternNode& child : node.children) parts.push_back(&child);
    } else {
      parts.push_back(&node);
    }
    const bool begins = !parts.empty() && parts.front()->kind == Kind::Begin;
    if (begins) parts.erase(parts.begin());
    const bool ends = !parts.empty() && parts.back()->kind == Kind::End;
    if (ends) parts.pop_back();
    Sequence result;
    if (!begins) result = anything();
    for (const PatternNode* part : parts) result = joined(std::move(result), translate(*part));
    // Anything twice is anything once, and told in one way only.
    const bool open_already = !begins && parts.empty();
    return ends || open_already ? result : joined(std::move(result), anything());
  }

 private:
  /// One rule for all places, so that alternatives that are the same look the same.
  const Sequence& anything() {
    if (anything_.empty()) anything_ = builder_.repeat(spell_({{0, 0x10FFFF}}), 0, -1);
    return anything_;
  }

  Sequence translate(const PatternNode& node) {
    switch (node.kind) {
      case Kind::Set: return spell_(node.set.to_ranges());
      case Kind::Sequence: {
        Sequence result;
        for (const PatternNode& child : node.children)
          result = joined(std::move(result), translate(child));
        return result;
      }
      case Kind::Choice: {
        std::vector<Sequence> alternatives;
        for (const PatternNode& child : node.children) alternatives.push_back(translate(child));
        return builder_.choice(std::move(alternatives));
      }
      case Kind::Repeat:
        if (node.greed == PatternNode::Greed::Possessive) break;
        return builder_.repeat(translate(node.children.front()), node.min, node.max);
      default: break;
    }
    fail(ErrorCode::Unsupported,
         "pattern: looks, borders, possessive repetitions, and '^' and '$' inside are not "
         "supported here");
  }

  Builder& builder_;
  const std::function<Sequence(const std::vector<text::CharSet::Range>&)>& spell_;
  Sequence anything_;
};

}  // namespace

Sequence pattern_rules(
    Builder& builder, std::string_view pattern,
    const std::function<Sequence(const std::vector<text::CharSet::Range>&)>& spell) {
  PatternNode node;
  try {
    node = text::parse_pattern(pattern);
  } catch (const Error& error) {
    // Here a pattern is an argument, not part of a model.
    throw Error(error.code() == ErrorCode::InvalidModel ? ErrorCode::InvalidArgument : error.code(),
                error.message());
  }
  return Translator(builder, spell).whole(node);
}

}  // namespace naru::grammar
