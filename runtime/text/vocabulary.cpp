// The tokens of a model and the hash table from bytes to tokens.
#include "runtime/text/vocabulary.h"

#include <bit>
#include <functional>

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru::text {

Vocabulary::Vocabulary(std::int64_t size) {
  if (size < 0 || size > kMaxTokens) {
    fail(ErrorCode::InvalidModel, "vocabulary: got {} tokens, expected at most {}", size,
         kMaxTokens);
  }
  tokens_.resize(static_cast<std::size_t>(size));
  table_.assign(std::bit_ceil(static_cast<std::size_t>(size) * 2 + 2), -1);
}

std::size_t Vocabulary::slot(std::string_view bytes) const noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = std::hash<std::string_view>{}(bytes)&mask;
  while (table_[at] >= 0 && this->bytes(table_[at]) != bytes) at = (at + 1) & mask;
  return at;
}

void Vocabulary::define(std::int64_t id, std::string_view bytes, bool reachable) {
  if (id < 0 || id >= size()) {
    fail(ErrorCode::InvalidModel, "token {}: got id {}, expected 0 to {}", quote_name(bytes), id,
         size() - 1);
  }
  if (bytes.size() > kMaxTokenBytes) {
    fail(ErrorCode::InvalidModel, "token {}: got {} bytes, expected at most {}", id, bytes.size(),
         kMaxTokenBytes);
  }
  Token& token = tokens_[static_cast<std::size_t>(id)];
  if (token.defined) {
    fail(ErrorCode::InvalidModel, "token {}: got {} and {}, expected one token per id", id,
         quote_name(this->bytes(static_cast<TokenId>(id))), quote_name(bytes));
  }
  token = {arena_.size(), static_cast<std::uint32_t>(bytes.size()), true,
           reachable && !bytes.empty()};
  arena_ += bytes;
  if (!token.reachable) {
    unreachable_.emplace(bytes, static_cast<TokenId>(id));
    return;
  }
  const std::size_t at = slot(bytes);
  if (table_[at] >= 0) {
    fail(ErrorCode::InvalidModel, "token {}: got ids {} and {}, expected one id per token",
         quote_name(bytes), table_[at], id);
  }
  table_[at] = static_cast<TokenId>(id);
  longest_ = std::max(longest_, bytes.size());
}

TokenId Vocabulary::find_any(std::string_view bytes) const {
  if (const TokenId id = find(bytes); id >= 0) return id;
  const auto found = unreachable_.find(std::string(bytes));
  return found == unreachable_.end() ? -1 : found->second;
}

TokenId Vocabulary::find(std::string_view bytes) const noexcept {
  return bytes.size() > longest_ ? -1 : table_[slot(bytes)];
}

}  // namespace naru::text
