// Follows a grammar byte by byte: a pushdown automaton whose sets of stacks are numbered as they
// come up, with the transitions between them remembered.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/text/grammar/rules.h"

namespace naru::grammar {

/// One thread at a time.
class Automaton {
 public:
  using State = std::uint32_t;
  static constexpr State kDead = UINT32_MAX;

  explicit Automaton(Rules rules);

  State start() const { return start_; }
  /// The state after `byte`; kDead when the grammar does not go on so.
  /// @throws Error InvalidArgument when the text nests too deep or is too ambiguous.
  State next(State state, std::uint8_t byte);
  bool accepts(State state) const { return states_[state].accepts; }
  std::size_t state_count() const { return states_.size(); }

  /// Forgets all states but `keep`; returns its new number.
  State compact(State keep);

 private:
  using Node = std::uint32_t;
  static constexpr Node kBottom = 0;  ///< the empty stack: the text may end here

  /// A stack: where to go on, and the stack to return to.
  struct StackNode {
    std::uint32_t position = 0;
    Node below = kBottom;
    std::uint32_t depth = 0;
  };
  struct StateData {
    std::vector<Node> stacks;  ///< sorted
    std::array<State, 256> next{};
    bool accepts = false;
  };
  static constexpr State kUnknown = UINT32_MAX - 1;

  Node push(std::uint32_t position, Node below);
  State intern(std::vector<Node> stacks);
  void reset();
  void begin_round();
  /// Whether this is the first visit of the round.
  bool visit(Node node);
  /// Adds the stacks that wait for a byte, from `position` on `below`, and that this round did not visit.
  void expand(std::uint32_t position, Node below, std::vector<Node>& out);

  /// The alternatives one after another; each ends with an element that stands for its end.
  std::vector<Element> program_;
  std::vector<bool> ends_;                                ///< which elements stand for an end
  std::vector<std::vector<std::uint32_t>> alternatives_;  ///< positions, by rule
  RuleId root_;

  /// The stacks that wait for a byte once `node` has got its own.
  const std::vector<Node>& followers(Node node);

  std::vector<StackNode> nodes_;
  std::vector<std::uint64_t> visited_;  ///< the last round that visited each node
  std::uint64_t round_ = 0;
  std::size_t visits_ = 0;
  std::unordered_map<std::uint64_t, Node> node_of_;
  std::vector<StateData> states_;
  std::unordered_map<Node, std::vector<Node>> followers_;
  struct HashStacks {
    std::size_t operator()(const std::vector<Node>& stacks) const noexcept;
  };
  std::unordered_map<std::vector<Node>, State, HashStacks> state_of_;
  State start_ = 0;
};

}  // namespace naru::grammar
