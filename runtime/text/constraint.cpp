// TokenConstraint: masks by walking the trie of the vocabulary along the automaton of the grammar.
#include "naru/constraint.h"

#include <unordered_map>

#include "graph/fail.h"
#include "runtime/text/byte_trie.h"
#include "runtime/text/grammar/automaton.h"

namespace naru {
namespace {

constexpr std::size_t kManyStates = 20'000;  // then all but the current one are forgotten
constexpr std::size_t kMaxStates = 100'000;  // that one mask may need
constexpr std::size_t kMaskCacheBytes = 16 << 20;

}  // namespace

struct Grammar::Impl {
  grammar::Rules rules;
};

Grammar Grammar::from_gbnf(std::string_view text) {
  return Grammar(std::make_shared<const Impl>(Impl{grammar::parse_gbnf(text)}));
}

Grammar Grammar::from_json_schema(std::string_view schema) {
  return Grammar(std::make_shared<const Impl>(Impl{grammar::compile_json_schema(schema)}));
}

struct ConstraintVocabulary::Impl {
  explicit Impl(Tokenizer owner) : tokenizer(std::move(owner)) {
    std::vector<std::pair<std::string_view, std::int32_t>> entries;
    for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
      if (tokenizer.is_end_of_generation(id)) {
        ends.push_back(id);
      } else if (!tokenizer.is_special(id) && !tokenizer.token_bytes(id).empty()) {
        entries.emplace_back(tokenizer.token_bytes(id), id);
      }
    }
    trie = text::ByteTrie(std::move(entries));
  }

  Tokenizer tokenizer;
  text::ByteTrie trie;
  std::vector<TokenId> ends;
};

ConstraintVocabulary::ConstraintVocabulary(const Tokenizer& tokenizer)
    : impl_(std::make_shared<const Impl>(tokenizer)) {}

struct TokenConstraint::Impl {
  Impl(const Grammar& grammar, ConstraintVocabulary words)
      : vocabulary(std::move(words)), automaton(grammar.impl().rules), state(automaton.start()) {}

  using State = grammar::Automaton::State;

  TokenMask make_mask() {
    const ConstraintVocabulary::Impl& words = vocabulary.impl();
    TokenMask mask(words.tokenizer.vocab_size());
    std::vector<std::pair<std::uint32_t, State>> work = {{text::ByteTrie::kRoot, state}};
    while (!work.empty()) {
      const auto [node, at] = work.back();
      work.pop_back();
      for (const TokenId id : words.trie.values(node)) mask.allow(id);
      const text::ByteTrie::Node& entry = words.trie.node(node);
      for (std::uint32_t child = entry.first_child; child < entry.first_child + entry.child_count;
           ++child) {
        const State next = automaton.next(at, words.trie.node(child).byte);
        if (next != grammar::Automaton::kDead) work.emplace_back(child, next);
      }
      if (automaton.state_count() > kMaxStates)
        fail(ErrorCode::InvalidArgument, "grammar: got over {} states for one token", kMaxStates);
    }
    if (automaton.accepts(state)) {
      for (const TokenId id : words.ends) mask.allow(id);
    }
    return mask;
  }

  /// The state after the bytes of a token; kDead when it may not come.
  State after(std::string_view bytes) {
    State next = state;
    for (const char byte : bytes) next = automaton.next(next, static_cast<std::uint8_t>(byte));
    return next;
  }

  void forget_states() {
    if (automaton.state_count() < kManyStates) return;
    state = automaton.compact(state);
    masks.clear();
  }

  ConstraintVocabulary vocabulary;
  grammar::Automaton automaton;
  State state;
  bool finished = false;
  std::unordered_map<State, TokenMask> masks;
};

TokenConstraint::TokenConstraint(Grammar grammar, ConstraintVocabulary vocabulary)
    : impl_(std::make_unique<Impl>(grammar, std::move(vocabulary))) {}
TokenConstraint::~TokenConstraint() = default;
TokenConstraint::TokenConstraint(TokenConstraint&&) noexcept = default;
TokenConstraint& TokenConstraint::operator=(TokenConstraint&&) noexcept = default;

const TokenMask& TokenConstraint::next_mask() {
  impl_->forget_states();
  const auto found = impl_->masks.find(impl_->state);
  if (found != impl_->masks.end()) return found->second;
  TokenMask mask = impl_->make_mask();
  if ((impl_->masks.size() + 1) * mask.words().size() * sizeof(std::uint64_t) > kMaskCacheBytes)
    impl_->masks.clear();
  return impl_->masks.emplace(impl_->state, std::move(mask)).first->second;
}

void TokenConstraint::accept(TokenId id) {
  const Tokenizer& tokenizer = impl_->vocabulary.impl().tokenizer;
  const std::string_view bytes = tokenizer.token_bytes(id);
  if (tokenizer.is_end_of_generation(id) && !impl_->finished && is_complete()) {
    impl_->finished = true;
    return;
  }
  const bool text = !tokenizer.is_special(id) && !tokenizer.is_end_of_generation(id) &&
                    !bytes.empty() && !impl_->finished;
  const Impl::State next = text ? impl_->after(bytes) : grammar::Automaton::kDead;
  if (next == grammar::Automaton::kDead)
    fail(ErrorCode::InvalidArgument, "token {}: the grammar does not allow it here", id);
  impl_->state = next;
}

bool TokenConstraint::is_complete() const { return impl_->automaton.accepts(impl_->state); }
bool TokenConstraint::is_finished() const { return impl_->finished; }

}  // namespace naru
