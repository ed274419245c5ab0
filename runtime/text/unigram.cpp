// The unigram model by the Viterbi algorithm over a trie: time n times the longest token.
#include "runtime/text/unigram.h"

#include <algorithm>
#include <limits>

#include "runtime/text/byte_trie.h"
#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

// How much worse than the worst token a character without a token is (as SentencePiece has it).
constexpr double kUnknownPenalty = 10.0;

class Unigram : public TextModel {
 public:
  Unigram(const Vocabulary& vocabulary, std::vector<double> scores, UnigramOptions options)
      : scores_(std::move(scores)), options_(std::move(options)) {
    std::vector<std::pair<std::string_view, std::int32_t>> entries;
    double worst = std::numeric_limits<double>::infinity();
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.reachable(id)) continue;
      entries.emplace_back(vocabulary.bytes(id), id);
      worst = std::min(worst, scores_[static_cast<std::size_t>(id)]);
    }
    if (entries.empty()) worst = 0;
    unknown_score_ = worst - kUnknownPenalty;
    trie_ = ByteTrie(std::move(entries));
  }

  void encode(std::string_view piece, std::vector<TokenId>& ids) const override {
    const std::vector<Step> best = find_best(piece);
    std::vector<Step> path;
    for (std::size_t at = piece.size(); at > 0; at = path.back().begin)
      path.push_back({best[at].begin, at, best[at].id, 0});
    std::reverse(path.begin(), path.end());
    for (std::size_t i = 0; i < path.size();) {
      if (path[i].id >= 0) {
        ids.push_back(path[i++].id);
        continue;
      }
      const std::size_t begin = path[i].begin;
      std::size_t end = path[i++].end;
      while (options_.fuse_unknown && i < path.size() && path[i].id < 0) end = path[i++].end;
      emit_unknown(piece.substr(begin, end - begin), ids);
    }
  }

 private:
  /// The best way to arrive at a byte: the last token and where it begins.
  struct Step {
    std::size_t begin = 0, end = 0;
    TokenId id = -1;
    double score = -std::numeric_limits<double>::infinity();
  };

  std::vector<Step> find_best(std::string_view piece) const {
    std::vector<Step> best(piece.size() + 1);
    best[0].score = 0;
    for (std::size_t at = 0; at < piece.size();) {
      const double score = best[at].score;
      const std::size_t size = read_code_point(piece, at).size;
      bool covered = false;  // a token is exactly this character
      std::uint32_t node = ByteTrie::kRoot;
      for (std::size_t end = at; end < piece.size();) {
        node = trie_.child(node, static_cast<std::uint8_t>(piece[end++]));
        if (node == ByteTrie::kNone) break;
        for (const TokenId id : trie_.values(node)) {
          if (end - at == size) covered = true;
          offer(best[end], at, id, sum(score, scores_[static_cast<std::size_t>(id)]));
        }
      }
      if (!covered) offer(best[at + size], at, -1, sum(score, unknown_score_));
      at += size;
    }
    return best;
  }

  double sum(double a, double b) const {
    return options_.single_precision
               ? static_cast<double>(static_cast<float>(a) + static_cast<float>(b))
               : a + b;
  }

  static void offer(Step& step, std::size_t begin, TokenId id, double score) {
    if (score > step.score) step = {begin, 0, id, score};
  }

  void emit_unknown(std::string_view text, std::vector<TokenId>& ids) const {
    if (options_.byte_tokens && append_byte_tokens(*options_.byte_tokens, text, ids)) return;
    if (options_.unknown >= 0) ids.push_back(options_.unknown);
  }

  std::vector<double> scores_;
  UnigramOptions options_;
  double unknown_score_ = 0;
  ByteTrie trie_;
};

}  // namespace

std::unique_ptr<TextModel> make_unigram(const Vocabulary& vocabulary, std::vector<double> scores,
                                        UnigramOptions options) {
  return std::make_unique<Unigram>(vocabulary, std::move(scores), std::move(options));
}

}  // namespace naru::text
