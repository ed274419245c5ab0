// Finds the matches of a pattern in text, leftmost and first alternative first, under a step
// budget.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/text/pattern.h"

namespace naru::text {

/// A span of bytes.
struct Span {
  std::size_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

/// A compiled pattern. Immutable; many threads may match with it.
class PatternMatcher {
 public:
  /// @throws Error InvalidModel or Unsupported like parse_pattern, and for patterns too large.
  explicit PatternMatcher(std::string_view pattern);

  /// The non-overlapping matches in well-formed text; empty ones are left out.
  /// @throws Error Unsupported when the pattern needs more than a bounded number of steps per byte,
  /// which no pattern of a known tokenizer does.
  std::vector<Span> find_all(std::string_view text) const;

 private:
  enum class Op : std::uint8_t {
    Set,
    Run,
    Split,
    Jump,
    Look,
    Atomic,
    LookBack,
    Begin,
    End,
    Border,
    Match
  };
  struct Instruction {
    Op op = Op::Match;
    PatternNode::Greed greed = PatternNode::Greed::Greedy;
    bool negated = false;
    std::uint32_t set = 0;
    std::int32_t min = 0, max = 0;        ///< of Run
    std::uint32_t first = 0, second = 0;  ///< where to go on; for Split in order of preference
  };
  /// A state to come back to: at `pc` with `position`, or with fewer (more) characters down (up) to
  /// `limit` when a run gives back (takes more).
  struct Frame {
    std::uint32_t pc = 0;
    std::size_t position = 0, limit = 0;
    std::uint32_t run = 0;  ///< the lazy run's instruction + 1; 0: not a lazy run
  };
  struct Scan;

  void compile(const PatternNode& node);
  void compile_repeat(const PatternNode& node);
  void compile_choice(const PatternNode& node);
  void compile_enclosed(const PatternNode& node, Op op);
  std::uint32_t emit(Instruction instruction);
  std::uint32_t next() const { return static_cast<std::uint32_t>(program_.size()); }
  std::uint32_t add_set(const CharSet& set);

  bool run(Scan& scan, std::uint32_t pc, std::size_t position, std::size_t& end) const;
  bool take_run(Scan& scan, std::uint32_t pc, std::size_t& position) const;
  bool resume(Scan& scan, std::size_t base, std::uint32_t& pc, std::size_t& position) const;
  bool holds(const Scan& scan, const Instruction& instruction, std::size_t position) const;

  std::vector<Instruction> program_;
  std::vector<CharSet> sets_;
};

}  // namespace naru::text
