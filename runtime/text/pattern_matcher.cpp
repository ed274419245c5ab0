// A backtracking matcher whose runs over one character set are loops, so that the patterns of
// tokenizers take linear time; a step budget refuses the others.
#include "runtime/text/pattern_matcher.h"

#include <algorithm>

#include "graph/fail.h"

namespace naru::text {
namespace {

constexpr std::size_t kMaxInstructions = 20'000;
// Steps per byte of text: the known patterns take fewer than ten.
constexpr std::size_t kStepsPerByte = 400;

bool may_be_empty(const PatternNode& node) {
  const auto empty = [](const PatternNode& child) { return may_be_empty(child); };
  switch (node.kind) {
    case PatternNode::Kind::Set: return false;
    case PatternNode::Kind::Sequence:
      return std::all_of(node.children.begin(), node.children.end(), empty);
    case PatternNode::Kind::Choice:
      return std::any_of(node.children.begin(), node.children.end(), empty);
    case PatternNode::Kind::Repeat: return node.min == 0 || may_be_empty(node.children.front());
    default: return true;
  }
}

}  // namespace

struct PatternMatcher::Scan {
  std::string_view text;
  std::vector<Frame> frames;
  std::size_t steps = 0, budget = 0;

  void step() {
    if (++steps > budget) {
      fail(ErrorCode::Unsupported,
           "pattern: got one that takes over {} steps per byte of text, expected one that takes "
           "linear time",
           kStepsPerByte);
    }
  }
};

PatternMatcher::PatternMatcher(std::string_view pattern) {
  compile(parse_pattern(pattern));
  emit({.op = Op::Match});
}

std::uint32_t PatternMatcher::emit(Instruction instruction) {
  if (program_.size() >= kMaxInstructions) {
    fail(ErrorCode::Unsupported,
         "pattern: got one with more than {} steps once its counts are written out",
         kMaxInstructions);
  }
  program_.push_back(instruction);
  return next() - 1;
}

std::uint32_t PatternMatcher::add_set(const CharSet& set) {
  sets_.push_back(set);
  return static_cast<std::uint32_t>(sets_.size() - 1);
}

void PatternMatcher::compile(const PatternNode& node) {
  using Kind = PatternNode::Kind;
  switch (node.kind) {
    case Kind::Set: emit({.op = Op::Set, .set = add_set(node.set)}); return;
    case Kind::Sequence:
      for (const PatternNode& child : node.children) compile(child);
      return;
    case Kind::Choice: return compile_choice(node);
    case Kind::Repeat: return compile_repeat(node);
    case Kind::Look: return compile_enclosed(node, Op::Look);
    case Kind::LookBack:
      emit({.op = Op::LookBack, .negated = node.negated, .set = add_set(node.set)});
      return;
    case Kind::Begin: emit({.op = Op::Begin}); return;
    case Kind::End: emit({.op = Op::End}); return;
    case Kind::Border: {
      CharSet words = word_set();
      words.finish();
      emit({.op = Op::Border, .negated = node.negated, .set = add_set(words)});
      return;
    }
  }
}

/// The children of a look-ahead or an atomic group as a program of its own that ends in Match.
void PatternMatcher::compile_enclosed(const PatternNode& node, Op op) {
  const std::uint32_t at = emit({.op = op, .negated = node.negated});
  for (const PatternNode& child : node.children) compile(child);
  emit({.op = Op::Match});
  program_[at].first = at + 1;
  program_[at].second = next();
}

void PatternMatcher::compile_choice(const PatternNode& node) {
  std::vector<std::uint32_t> jumps;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const bool last = i + 1 == node.children.size();
    const std::uint32_t split = last ? 0 : emit({.op = Op::Split});
    if (!last) program_[split].first = next();
    compile(node.children[i]);
    if (last) break;
    jumps.push_back(emit({.op = Op::Jump}));
    program_[split].second = next();
  }
  for (const std::uint32_t jump : jumps) program_[jump].first = next();
}

void PatternMatcher::compile_repeat(const PatternNode& node) {
  using Greed = PatternNode::Greed;
  const PatternNode& child = node.children.front();
  if (child.kind == PatternNode::Kind::Set) {
    emit({.op = Op::Run,
          .greed = node.greed,
          .set = add_set(child.set),
          .min = node.min,
          .max = node.max});
    return;
  }
  if (node.greed == Greed::Possessive) {
    PatternNode greedy = node;
    greedy.greed = Greed::Greedy;
    PatternNode group;
    group.children.push_back(std::move(greedy));
    // {1} of a group is an atomic group: its content is compiled as it is.
    if (node.min == 1 && node.max == 1) group.children = node.children;
    return compile_enclosed(group, Op::Atomic);
  }
  if (node.max < 0 && may_be_empty(child)) {
    fail(ErrorCode::Unsupported,
         "pattern: an endless repetition of what may be empty is not supported");
  }
  for (int i = 0; i < node.min; ++i) compile(child);
  const auto split_here = [&](std::uint32_t split, std::uint32_t exit) {
    program_[split].first = node.greed == Greed::Lazy ? exit : split + 1;
    program_[split].second = node.greed == Greed::Lazy ? split + 1 : exit;
  };
  if (node.max < 0) {
    const std::uint32_t split = emit({.op = Op::Split});
    compile(child);
    emit({.op = Op::Jump, .first = split});
    return split_here(split, next());
  }
  std::vector<std::uint32_t> splits;
  for (int i = node.min; i < node.max; ++i) {
    splits.push_back(emit({.op = Op::Split}));
    compile(child);
  }
  for (const std::uint32_t split : splits) split_here(split, next());
}

bool PatternMatcher::holds(const Scan& scan, const Instruction& instruction,
                           std::size_t position) const {
  const auto before = [&] {
    return position > 0 &&
           sets_[instruction.set].contains(
               read_code_point(scan.text, previous_code_point(scan.text, position)).value);
  };
  const auto after = [&] {
    return position < scan.text.size() &&
           sets_[instruction.set].contains(read_code_point(scan.text, position).value);
  };
  switch (instruction.op) {
    case Op::Begin: return position == 0;
    case Op::End: return position == scan.text.size();
    case Op::LookBack: return before() != instruction.negated;
    case Op::Border: return (before() != after()) != instruction.negated;
    default: return false;
  }
}

/// Takes as many characters as the run at `pc` wants and remembers how to change its mind.
bool PatternMatcher::take_run(Scan& scan, std::uint32_t pc, std::size_t& position) const {
  const Instruction& run = program_[pc];
  const CharSet& set = sets_[run.set];
  const std::int32_t wanted = run.greed == PatternNode::Greed::Lazy ? run.min : run.max;
  std::size_t least = position;
  std::int32_t count = 0;
  while (count != wanted && position < scan.text.size()) {
    const CodePoint point = read_code_point(scan.text, position);
    if (!set.contains(point.value)) break;
    scan.step();
    position += point.size;
    if (++count == run.min) least = position;
  }
  if (count < run.min) return false;
  if (run.greed == PatternNode::Greed::Greedy && position > least) {
    scan.frames.push_back({pc + 1, position, least, 0});
  }
  if (run.greed == PatternNode::Greed::Lazy && count != run.max) {
    const auto left = run.max < 0 ? SIZE_MAX : static_cast<std::size_t>(run.max - count);
    scan.frames.push_back({pc + 1, position, left, pc + 1});
  }
  return true;
}

/// Goes back to the newest state above `base`; false when there is none.
bool PatternMatcher::resume(Scan& scan, std::size_t base, std::uint32_t& pc,
                            std::size_t& position) const {
  while (scan.frames.size() > base) {
    scan.step();
    Frame& frame = scan.frames.back();
    pc = frame.pc;
    position = frame.position;
    if (frame.run != 0) {  // a lazy run takes one more
      const CodePoint point =
          position < scan.text.size() ? read_code_point(scan.text, position) : CodePoint{};
      if (frame.limit == 0 || point.size == 0 ||
          !sets_[program_[frame.run - 1].set].contains(point.value)) {
        scan.frames.pop_back();
        continue;
      }
      --frame.limit;
      position = frame.position += point.size;
      return true;
    }
    if (frame.limit == SIZE_MAX) {  // the second way of a split
      scan.frames.pop_back();
      return true;
    }
    position = frame.position = previous_code_point(scan.text, frame.position);
    if (position <= frame.limit) scan.frames.pop_back();
    return true;
  }
  return false;
}

bool PatternMatcher::run(Scan& scan, std::uint32_t pc, std::size_t position,
                         std::size_t& end) const {
  const std::size_t base = scan.frames.size();
  for (;;) {
    scan.step();
    const Instruction& instruction = program_[pc];
    bool good = true;
    switch (instruction.op) {
      case Op::Match:
        scan.frames.resize(base);
        end = position;
        return true;
      case Op::Set: {
        good = position < scan.text.size();
        if (!good) break;
        const CodePoint point = read_code_point(scan.text, position);
        good = sets_[instruction.set].contains(point.value);
        position += point.size;
        ++pc;
        break;
      }
      case Op::Run:
        good = take_run(scan, pc, position);
        ++pc;
        break;
      case Op::Split:
        scan.frames.push_back({instruction.second, position, SIZE_MAX, 0});
        pc = instruction.first;
        break;
      case Op::Jump: pc = instruction.first; break;
      case Op::Look:
      case Op::Atomic: {
        // Enclosed programs nest no deeper than the pattern's groups, which the parser bounds.
        std::size_t inner = position;
        good = run(scan, instruction.first, position, inner) != instruction.negated;
        if (instruction.op == Op::Atomic) position = inner;
        pc = instruction.second;
        break;
      }
      default:
        good = holds(scan, instruction, position);
        ++pc;
        break;
    }
    if (!good && !resume(scan, base, pc, position)) return false;
  }
}

std::vector<Span> PatternMatcher::find_all(std::string_view text) const {
  std::vector<Span> spans;
  Scan scan;
  scan.text = text;
  scan.budget = kStepsPerByte * (text.size() + 64);
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    if (run(scan, 0, at, end) && end > at) {
      spans.push_back({at, end});
      at = end;
    } else {
      at += read_code_point(text, at).size;
    }
  }
  return spans;
}

}  // namespace naru::text
