// Builds rules over bytes and checks that they can be followed.
#include "runtime/text/grammar/rules.h"

#include <algorithm>
#include <set>

#include "graph/fail.h"
#include "runtime/text/unicode.h"

namespace naru::grammar {
namespace {

constexpr std::size_t kMaxElements = 500'000;

/// Byte ranges, one for each place, of code points low to high that take as many bytes.
void add_byte_ranges(char32_t low, char32_t high, std::vector<Sequence>& out) {
  const std::string first = text::to_utf8(low), last = text::to_utf8(high);
  // Cut where all but the last bytes are not whole: then every place ranges on its own.
  for (std::size_t tail = 1; tail < first.size(); ++tail) {
    const char32_t block = char32_t{1} << (6 * tail);
    if (low / block == high / block) continue;
    if (low % block != 0) {
      add_byte_ranges(low, low | (block - 1), out);
      return add_byte_ranges((low | (block - 1)) + 1, high, out);
    }
    if (high % block != block - 1) {
      add_byte_ranges(low, high / block * block - 1, out);
      return add_byte_ranges(high / block * block, high, out);
    }
  }
  Sequence sequence;
  for (std::size_t i = 0; i < first.size(); ++i) {
    sequence.push_back(
        {.low = static_cast<std::uint8_t>(first[i]), .high = static_cast<std::uint8_t>(last[i])});
  }
  out.push_back(std::move(sequence));
}

/// The same without surrogates, for any length.
void add_utf8_ranges(char32_t low, char32_t high, std::vector<Sequence>& out) {
  static constexpr std::pair<char32_t, char32_t> kLengths[] = {
      {0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}};
  for (const auto& [begin, end] : kLengths) {
    if (low <= end && high >= begin)
      add_byte_ranges(std::max(low, begin), std::min(high, end), out);
  }
}

/// Properties of rules, found by going round until nothing changes; each round takes linear time
/// and a work list keeps the whole linear.
class Checker {
 public:
  explicit Checker(Rules& rules) : rules_(rules) {}

  void check() {
    const std::vector<bool> productive = closure(false);
    if (!productive[rules_.root])
      fail(ErrorCode::InvalidArgument, "grammar: nothing follows it to an end");
    drop_unproductive(productive);
    nullable_ = closure(true);
    find_left_recursion();
  }

 private:
  /// Rules with an alternative of which all elements are such rules; bytes count unless `empty`.
  std::vector<bool> closure(bool empty) const {
    struct Use {
      RuleId rule;
      std::size_t alternative;
    };
    std::vector<std::vector<Use>> uses(rules_.rules.size());
    std::vector<std::vector<std::size_t>> missing(rules_.rules.size());
    std::vector<bool> holds(rules_.rules.size());
    std::vector<RuleId> work;
    const auto found = [&](RuleId rule) {
      if (holds[rule]) return;
      holds[rule] = true;
      work.push_back(rule);
    };
    for (RuleId rule = 0; rule < rules_.rules.size(); ++rule) {
      for (std::size_t i = 0; i < rules_.rules[rule].alternatives.size(); ++i) {
        std::size_t count = 0;
        for (const Element& element : rules_.rules[rule].alternatives[i]) {
          if (element.rule != kNoRule) uses[element.rule].push_back({rule, i});
          if (element.rule != kNoRule || empty) ++count;
        }
        missing[rule].push_back(count);
        if (count == 0) found(rule);
      }
    }
    while (!work.empty()) {
      const RuleId rule = work.back();
      work.pop_back();
      for (const Use& use : uses[rule]) {
        if (--missing[use.rule][use.alternative] == 0) found(use.rule);
      }
    }
    return holds;
  }

  void drop_unproductive(const std::vector<bool>& productive) {
    for (Rule& rule : rules_.rules) {
      std::erase_if(rule.alternatives, [&](const Sequence& sequence) {
        return std::any_of(sequence.begin(), sequence.end(), [&](const Element& e) {
          return e.rule != kNoRule && !productive[e.rule];
        });
      });
    }
  }

  /// The rules that `rule` may begin with.
  std::vector<RuleId> beginnings(RuleId rule) const {
    std::vector<RuleId> found;
    for (const Sequence& sequence : rules_.rules[rule].alternatives) {
      for (const Element& element : sequence) {
        if (element.rule == kNoRule) break;
        found.push_back(element.rule);
        if (!nullable_[element.rule]) break;
      }
    }
    return found;
  }

  void find_left_recursion() const {
    enum class State : std::uint8_t { New, Open, Done };
    struct Visit {
      RuleId rule;
      std::vector<RuleId> next;
    };
    std::vector<State> states(rules_.rules.size(), State::New);
    for (RuleId start = 0; start < rules_.rules.size(); ++start) {
      if (states[start] != State::New) continue;
      std::vector<Visit> path = {{start, beginnings(start)}};
      states[start] = State::Open;
      while (!path.empty()) {
        Visit& visit = path.back();
        if (visit.next.empty()) {
          states[visit.rule] = State::Done;
          path.pop_back();
          continue;
        }
        const RuleId rule = visit.next.back();
        visit.next.pop_back();
        if (states[rule] == State::Open) {
          fail(
              ErrorCode::InvalidArgument,
              "grammar: the rule '{}' begins with itself, or repeats what may be empty without end",
              name_on(path, rule));
        }
        if (states[rule] != State::New) continue;
        states[rule] = State::Open;
        path.push_back({rule, beginnings(rule)});
      }
    }
  }

  /// A name for the cycle that ends in `rule`: the rule's own or that of one around it.
  template <typename Path>
  std::string name_on(const Path& path, RuleId rule) const {
    if (!rules_.rules[rule].name.empty()) return rules_.rules[rule].name;
    for (auto visit = path.rbegin(); visit != path.rend(); ++visit) {
      if (!rules_.rules[visit->rule].name.empty()) return rules_.rules[visit->rule].name;
    }
    return "root";
  }

  Rules& rules_;
  std::vector<bool> nullable_;
};

}  // namespace

Sequence joined(Sequence sequence, const Sequence& more) {
  sequence.insert(sequence.end(), more.begin(), more.end());
  return sequence;
}

void Builder::count(std::size_t elements) {
  elements_ += elements;
  if (elements_ > kMaxElements)
    fail(ErrorCode::InvalidArgument,
         "grammar: got over {} elements once repetitions are written out", kMaxElements);
}

RuleId Builder::declare(std::string name) {
  count(1);
  rules_.push_back({{}, std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

void Builder::define(RuleId rule, std::vector<Sequence> alternatives) {
  for (const Sequence& sequence : alternatives) count(sequence.size() + 1);
  rules_[rule].alternatives = std::move(alternatives);
}

Sequence Builder::literal(std::string_view bytes) {
  count(bytes.size());
  Sequence sequence;
  for (const char byte : bytes)
    sequence.push_back(
        {.low = static_cast<std::uint8_t>(byte), .high = static_cast<std::uint8_t>(byte)});
  return sequence;
}

Sequence Builder::characters(const std::vector<text::CharSet::Range>& ranges) {
  std::vector<Sequence> alternatives;
  for (const auto& [low, high] : ranges) add_utf8_ranges(low, high, alternatives);
  return by_first_byte(alternatives);
}

Sequence Builder::by_first_byte(std::span<const Sequence> sequences) {
  std::vector<Sequence> alternatives;
  for (std::size_t begin = 0, end = 0; begin < sequences.size(); begin = end) {
    const Element& first = sequences[begin].front();
    std::vector<Sequence> rests;
    for (; end < sequences.size() && sequences[end].front() == first; ++end) {
      rests.emplace_back(sequences[end].begin() + 1, sequences[end].end());
    }
    alternatives.push_back(rests.size() == 1 ? sequences[begin] : joined({first}, by_first_byte(rests)));
  }
  return choice(std::move(alternatives));
}

Sequence Builder::choice(std::vector<Sequence> alternatives) {
  // What is said twice would only make the text ambiguous.
  std::set<Sequence> seen;
  std::erase_if(alternatives, [&](const Sequence& sequence) { return !seen.insert(sequence).second; });
  if (alternatives.size() == 1) return std::move(alternatives.front());
  const RuleId rule = declare();
  define(rule, std::move(alternatives));
  return reference(rule);
}

Sequence Builder::repeat(Sequence inner, std::int64_t min, std::int64_t max) {
  if (inner.size() > 1)
    inner = reference([&] {
      const RuleId rule = declare();
      define(rule, {inner});
      return rule;
    }());
  Sequence result;
  const auto copies =
      static_cast<std::size_t>(std::min<std::int64_t>(max < 0 ? min : max, kMaxElements + 1));
  count(copies);
  for (std::int64_t i = 0; i < min; ++i) result = joined(std::move(result), inner);
  if (max < 0) {
    const RuleId rule = declare();
    define(rule, {joined(inner, reference(rule)), {}});
    return joined(std::move(result), reference(rule));
  }
  Sequence rest;
  for (std::int64_t i = min; i < max; ++i) rest = optional(joined(inner, rest));
  return joined(std::move(result), rest);
}

Rules Builder::finish(RuleId root) {
  Rules result{std::move(rules_), root};
  Checker(result).check();
  return result;
}

}  // namespace naru::grammar
