// The pushdown automaton over bytes.
#include "runtime/text/grammar/automaton.h"

#include <algorithm>
#include <string_view>

#include "graph/fail.h"

namespace naru::grammar {
namespace {

constexpr std::uint32_t kMaxDepth = 2000;   // of a stack
constexpr std::size_t kMaxStacks = 20'000;  // side by side
constexpr std::size_t kMaxNodes = 4'000'000;

}  // namespace

Automaton::Automaton(Rules rules) : root_(rules.root) {
  for (const Rule& rule : rules.rules) {
    std::vector<std::uint32_t>& positions = alternatives_.emplace_back();
    for (const Sequence& sequence : rule.alternatives) {
      positions.push_back(static_cast<std::uint32_t>(program_.size()));
      program_.insert(program_.end(), sequence.begin(), sequence.end());
      program_.push_back({});
      ends_.resize(program_.size(), false);
      ends_.back() = true;
    }
  }
  reset();
  std::vector<Node> stacks;
  begin_round();
  for (const std::uint32_t position : alternatives_[root_]) expand(position, kBottom, stacks);
  start_ = intern(std::move(stacks));
}

std::size_t Automaton::HashStacks::operator()(const std::vector<Node>& stacks) const noexcept {
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(stacks.data()), stacks.size() * sizeof(Node)});
}

void Automaton::reset() {
  nodes_.assign(1, {});
  visited_.assign(1, 0);
  node_of_.clear();
  followers_.clear();
  states_.clear();
  state_of_.clear();
}

Automaton::Node Automaton::push(std::uint32_t position, Node below) {
  const std::uint64_t key = std::uint64_t{below} << 32 | position;
  const auto [found, added] = node_of_.try_emplace(key, static_cast<Node>(nodes_.size()));
  if (!added) return found->second;
  const std::uint32_t depth = nodes_[below].depth + 1;
  if (depth > kMaxDepth)
    fail(ErrorCode::InvalidArgument, "grammar: the text nests over {} deep", kMaxDepth);
  if (nodes_.size() > kMaxNodes)
    fail(ErrorCode::InvalidArgument, "grammar: got over {} stacks", kMaxNodes);
  nodes_.push_back({position, below, depth});
  return found->second;
}

void Automaton::begin_round() {
  ++round_;
  visits_ = 0;
}

bool Automaton::visit(Node node) {
  visited_.resize(nodes_.size(), 0);
  if (visited_[node] == round_) return false;
  visited_[node] = round_;
  if (++visits_ > kMaxStacks)
    fail(ErrorCode::InvalidArgument, "grammar: got over {} ways at one place", kMaxStacks);
  return true;
}

void Automaton::expand(std::uint32_t position, Node below, std::vector<Node>& out) {
  std::vector<std::pair<std::uint32_t, Node>> work = {{position, below}};
  while (!work.empty()) {
    auto [at, under] = work.back();
    work.pop_back();
    // Returns from what has ended.
    while (ends_[at] && under != kBottom) {
      at = nodes_[under].position;
      under = nodes_[under].below;
    }
    const Node node = ends_[at] ? kBottom : push(at, under);
    if (!visit(node)) continue;
    const Element& element = program_[at];
    if (ends_[at] || element.rule == kNoRule) {
      out.push_back(node);
    } else {
      // Nothing left after the rule: its end returns further down, so loops do not pile up.
      const Node back = ends_[at + 1] ? under : push(at + 1, under);
      for (const std::uint32_t alternative : alternatives_[element.rule])
        work.emplace_back(alternative, back);
    }
  }
}

const std::vector<Automaton::Node>& Automaton::followers(Node node) {
  const auto found = followers_.find(node);
  if (found != followers_.end()) return found->second;
  const StackNode stack = nodes_[node];
  std::vector<Node> after;
  begin_round();
  expand(stack.position + 1, stack.below, after);
  return followers_.emplace(node, std::move(after)).first->second;
}

Automaton::State Automaton::intern(std::vector<Node> stacks) {
  if (stacks.empty()) return kDead;
  std::sort(stacks.begin(), stacks.end());
  stacks.erase(std::unique(stacks.begin(), stacks.end()), stacks.end());
  if (stacks.size() > kMaxStacks)
    fail(ErrorCode::InvalidArgument, "grammar: got over {} ways at one place", kMaxStacks);
  const auto [found, added] = state_of_.try_emplace(stacks, static_cast<State>(states_.size()));
  if (added) {
    StateData& state = states_.emplace_back();
    state.accepts = stacks.front() == kBottom;
    state.next.fill(kUnknown);
    state.stacks = std::move(stacks);
  }
  return found->second;
}

Automaton::State Automaton::next(State state, std::uint8_t byte) {
  if (state == kDead) return kDead;
  if (const State known = states_[state].next[byte]; known != kUnknown) return known;
  std::vector<Node> stacks;
  // The bytes around `byte` that every element takes or refuses as it does.
  std::uint8_t first = 0, last = 255;
  for (const Node node : states_[state].stacks) {
    if (node == kBottom) continue;
    const Element& element = program_[nodes_[node].position];
    if (byte < element.low) {
      last = std::min<std::uint8_t>(last, element.low - 1);
    } else if (byte > element.high) {
      first = std::max<std::uint8_t>(first, element.high + 1);
    } else {
      first = std::max(first, element.low);
      last = std::min(last, element.high);
      const std::vector<Node>& after = followers(node);
      stacks.insert(stacks.end(), after.begin(), after.end());
    }
  }
  const State result = intern(std::move(stacks));
  auto& next = states_[state].next;
  std::fill(next.begin() + first, next.begin() + last + 1, result);
  return result;
}

Automaton::State Automaton::compact(State keep) {
  const std::vector<Node> kept = states_[keep].stacks;
  const std::vector<StackNode> nodes = std::move(nodes_);
  reset();
  std::vector<Node> stacks;
  for (const Node node : kept) {
    std::vector<std::uint32_t> positions;
    for (Node at = node; at != kBottom; at = nodes[at].below)
      positions.push_back(nodes[at].position);
    Node copy = kBottom;
    for (auto position = positions.rbegin(); position != positions.rend(); ++position)
      copy = push(*position, copy);
    stacks.push_back(copy);
  }
  return intern(std::move(stacks));
}

}  // namespace naru::grammar
