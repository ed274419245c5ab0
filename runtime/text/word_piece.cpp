// WordPiece by greedy longest match.
#include "runtime/text/word_piece.h"

#include <algorithm>

#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

class WordPiece : public TextModel {
 public:
  WordPiece(const Vocabulary& vocabulary, WordPieceOptions options)
      : vocabulary_(vocabulary), options_(std::move(options)) {}

  void encode(std::string_view piece, std::vector<TokenId>& ids) const override {
    const std::size_t before = ids.size();
    if (options_.whole_words) {
      ids.push_back(vocabulary_.find(piece));
    } else if (!is_too_long(piece)) {
      encode_word(piece, ids);
    }
    if (ids.size() > before && ids.back() >= 0) return;
    ids.resize(before);
    if (options_.unknown >= 0) ids.push_back(options_.unknown);
  }

 private:
  bool is_too_long(std::string_view piece) const {
    std::int64_t count = 0;
    for (std::size_t at = 0; at < piece.size(); at += read_code_point(piece, at).size) {
      if (++count > options_.max_characters) return true;
    }
    return false;
  }

  /// Appends the word's tokens, the last one -1 where no token fits.
  void encode_word(std::string_view piece, std::vector<TokenId>& ids) const {
    std::string candidate;
    for (std::size_t begin = 0; begin < piece.size();) {
      std::size_t end = std::min(piece.size(), begin + vocabulary_.longest());
      while (end < piece.size() && end > begin && is_continuation(piece[end])) --end;
      TokenId id = -1;
      while (end > begin) {
        candidate = begin == 0 ? std::string() : options_.continuing_prefix;
        candidate += piece.substr(begin, end - begin);
        id = vocabulary_.find(candidate);
        if (id >= 0) break;
        end = previous_code_point(piece, end);
      }
      ids.push_back(id);
      if (id < 0) return;
      begin = end;
    }
  }

  const Vocabulary& vocabulary_;
  WordPieceOptions options_;
};

}  // namespace

std::unique_ptr<TextModel> make_word_piece(const Vocabulary& vocabulary, WordPieceOptions options) {
  return std::make_unique<WordPiece>(vocabulary, std::move(options));
}

}  // namespace naru::text
