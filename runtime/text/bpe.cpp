// Byte-pair encoding with a heap over the candidate pairs: n log n for a piece of n symbols.
#include "runtime/text/bpe.h"

#include <algorithm>
#include <bit>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

/// Pairs of ids to merges, open addressing.
class ListedMerges : public MergeRules {
 public:
  explicit ListedMerges(std::size_t count) : entries_(std::bit_ceil(count * 2 + 2)) {}

  void add(TokenId left, TokenId right, Merge merge) {
    Entry& entry = entries_[slot(key_of(left, right))];
    if (entry.merge.joined >= 0) return;  // the first rank of a pair counts
    entry = {key_of(left, right), merge};
  }

  Merge find(TokenId left, TokenId right, std::string_view) const override {
    return entries_[slot(key_of(left, right))].merge;
  }

 private:
  struct Entry {
    std::uint64_t key = 0;
    Merge merge;
  };

  static std::uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }

  std::size_t slot(std::uint64_t key) const {
    const std::size_t mask = entries_.size() - 1;
    std::uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
    std::size_t at = (hash ^ hash >> 32) & mask;
    while (entries_[at].merge.joined >= 0 && entries_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  std::vector<Entry> entries_;
};

class ScoredMerges : public MergeRules {
 public:
  ScoredMerges(const Vocabulary& vocabulary, std::vector<float> scores)
      : vocabulary_(vocabulary), scores_(std::move(scores)) {}

  Merge find(TokenId, TokenId, std::string_view text) const override {
    const TokenId id = vocabulary_.find(text);
    return id < 0 ? Merge{} : Merge{-scores_[static_cast<std::size_t>(id)], id};
  }

 private:
  const Vocabulary& vocabulary_;
  std::vector<float> scores_;
};

constexpr std::uint32_t kEnd = UINT32_MAX;
constexpr TokenId kGone = -2;  ///< a symbol that was joined to the one before

struct Symbol {
  std::uint32_t begin, end;      ///< bytes of the piece
  std::uint32_t previous, next;  ///< neighbours; kEnd: none
  TokenId id;
};

/// A pair that may join. Stale once one of its symbols changed.
struct Candidate {
  float rank;
  std::uint32_t left;
  std::uint32_t middle, end;  ///< bytes where the two symbols ended
  TokenId joined;
  /// The heap's order: the lowest rank, then the leftmost, on top.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

class Bpe : public TextModel {
 public:
  Bpe(const Vocabulary& vocabulary, std::unique_ptr<MergeRules> rules, BpeOptions options)
      : vocabulary_(vocabulary), rules_(std::move(rules)), options_(std::move(options)) {
    for (int byte = 0; byte < 256; ++byte) {
      const char letter = static_cast<char>(byte);
      byte_ids_[static_cast<std::size_t>(byte)] = vocabulary.find(std::string_view(&letter, 1));
    }
  }

  void encode(std::string_view piece, std::vector<TokenId>& ids) const override {
    if (piece.empty()) return;
    if (options_.whole_pieces) {
      if (const TokenId whole = vocabulary_.find(piece); whole >= 0) {
        ids.push_back(whole);
        return;
      }
    }
    std::vector<Symbol> symbols = split(piece);
    join(piece, symbols);
    emit(piece, symbols, ids);
  }

 private:
  std::vector<Symbol> split(std::string_view piece) const {
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    const bool drop = options_.unknown < 0 && !options_.byte_tokens;
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t size = options_.bytes ? 1 : read_code_point(piece, at).size;
      const auto index = static_cast<std::uint32_t>(symbols.size());
      const TokenId id = symbol_id(piece.substr(at, size), at == 0, at + size == piece.size());
      // What no token can stand for vanishes before its neighbours are joined.
      if (id >= 0 || !drop) {
        symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + size),
                           index == 0 ? kEnd : index - 1, index + 1, id});
      }
      at += size;
    }
    if (!symbols.empty()) symbols.back().next = kEnd;
    return symbols;
  }

  TokenId symbol_id(std::string_view text, bool first, bool last) const {
    if (text.size() == 1 && options_.continuing_prefix.empty() && options_.end_suffix.empty()) {
      return byte_ids_[static_cast<unsigned char>(text.front())];
    }
    if (options_.continuing_prefix.empty() && options_.end_suffix.empty())
      return vocabulary_.find(text);
    std::string whole = first ? std::string() : options_.continuing_prefix;
    whole += text;
    if (last) whole += options_.end_suffix;
    return vocabulary_.find(whole);
  }

  void join(std::string_view piece, std::vector<Symbol>& symbols) const {
    std::vector<Candidate> heap;
    const auto consider = [&](std::uint32_t left) {
      if (left == kEnd || symbols[left].next == kEnd) return false;
      const Symbol& a = symbols[left];
      const Symbol& b = symbols[a.next];
      const MergeRules::Merge merge =
          rules_->find(a.id, b.id, piece.substr(a.begin, b.end - a.begin));
      if (merge.joined < 0) return false;
      heap.push_back({merge.rank, left, a.end, b.end, merge.joined});
      return true;
    };
    for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) consider(i);
    std::make_heap(heap.begin(), heap.end());
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end());
      const Candidate best = heap.back();
      heap.pop_back();
      Symbol& left = symbols[best.left];
      if (left.id == kGone || left.end != best.middle || left.next == kEnd) continue;
      if (symbols[left.next].end != best.end) continue;
      Symbol& right = symbols[left.next];
      left.end = right.end;
      left.next = right.next;
      left.id = best.joined;
      right.id = kGone;
      if (left.next != kEnd) symbols[left.next].previous = best.left;
      if (consider(left.previous)) std::push_heap(heap.begin(), heap.end());
      if (consider(best.left)) std::push_heap(heap.begin(), heap.end());
    }
  }

  void emit(std::string_view piece, const std::vector<Symbol>& symbols,
            std::vector<TokenId>& ids) const {
    bool after_unknown = false;
    for (std::uint32_t at = symbols.empty() ? kEnd : 0; at != kEnd; at = symbols[at].next) {
      const Symbol& symbol = symbols[at];
      if (symbol.id >= 0) {
        ids.push_back(symbol.id);
        after_unknown = false;
        continue;
      }
      const std::string_view text = piece.substr(symbol.begin, symbol.end - symbol.begin);
      if (options_.byte_tokens && append_byte_tokens(*options_.byte_tokens, text, ids)) {
        after_unknown = false;
        continue;
      }
      if (options_.unknown >= 0 && !(after_unknown && options_.fuse_unknown))
        ids.push_back(options_.unknown);
      after_unknown = true;
    }
  }

  const Vocabulary& vocabulary_;
  std::unique_ptr<MergeRules> rules_;
  BpeOptions options_;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace

std::unique_ptr<MergeRules> listed_merges(
    const Vocabulary& vocabulary, const std::vector<std::pair<std::string, std::string>>& merges,
    std::string_view continuing_prefix) {
  auto rules = std::make_unique<ListedMerges>(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const bool continues =
        !continuing_prefix.empty() && std::string_view(right).starts_with(continuing_prefix);
    joined = left;
    joined += std::string_view(right).substr(continues ? continuing_prefix.size() : 0);
    const TokenId left_id = vocabulary.find(left), right_id = vocabulary.find(right);
    const TokenId id = vocabulary.find(joined);
    if (left_id < 0 || right_id < 0 || id < 0) {
      const bool known = vocabulary.find_any(left) >= 0 && vocabulary.find_any(right) >= 0 &&
                         vocabulary.find_any(joined) >= 0;
      if (known) continue;
      fail(ErrorCode::InvalidModel,
           "merge {}: got {} and {}, expected two tokens whose join is a token", rank,
           quote_name(left), quote_name(right));
    }
    rules->add(left_id, right_id, {static_cast<float>(rank), id});
  }
  return rules;
}

std::unique_ptr<MergeRules> scored_merges(const Vocabulary& vocabulary, std::vector<float> scores) {
  return std::make_unique<ScoredMerges>(vocabulary, std::move(scores));
}

std::unique_ptr<TextModel> make_bpe(const Vocabulary& vocabulary, std::unique_ptr<MergeRules> rules,
                                    BpeOptions options) {
  return std::make_unique<Bpe>(vocabulary, std::move(rules), std::move(options));
}

}  // namespace naru::text
