// The tokens of a model: their bytes, what kind each is, and the way from bytes to a token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "naru/tokenizer.h"

namespace naru::text {

inline constexpr std::int64_t kMaxTokens = 1 << 22;
inline constexpr std::size_t kMaxTokenBytes = 1 << 16;

/// Tokens by id; ids without a token are empty. Text that a caller wrote reaches a token only when
/// the token is `reachable`: control tokens are not.
class Vocabulary {
 public:
  /// @throws Error InvalidModel for more than kMaxTokens.
  explicit Vocabulary(std::int64_t size);

  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  bool contains(TokenId id) const { return id >= 0 && id < size(); }

  /// Defines token `id`. @throws Error InvalidModel for an id out of range or defined before, or
  /// bytes too long or those of another reachable token.
  void define(std::int64_t id, std::string_view bytes, bool reachable);

  std::string_view bytes(TokenId id) const {
    const Token& token = tokens_[static_cast<std::size_t>(id)];
    return std::string_view(arena_).substr(token.offset, token.size);
  }
  bool reachable(TokenId id) const { return tokens_[static_cast<std::size_t>(id)].reachable; }

  /// The reachable token with these bytes; -1 when there is none.
  TokenId find(std::string_view bytes) const noexcept;
  /// The token with these bytes, reachable or not.
  TokenId find_any(std::string_view bytes) const;
  /// Length of the longest reachable token.
  std::size_t longest() const { return longest_; }

 private:
  struct Token {
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    bool defined = false, reachable = false;
  };

  std::size_t slot(std::string_view bytes) const noexcept;

  std::vector<Token> tokens_;
  std::string arena_;
  std::unordered_map<std::string, TokenId> unreachable_;
  std::vector<TokenId> table_;  ///< open addressing; -1: free
  std::size_t longest_ = 0;
};

}  // namespace naru::text
