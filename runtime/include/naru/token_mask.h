// TokenMask: which tokens may come next.
#pragma once

#include <cstdint>
#include <vector>

#include "naru/tokenizer.h"

namespace naru {

/// One bit per token of a vocabulary.
class TokenMask {
 public:
  explicit TokenMask(std::int64_t vocab_size, bool allowed = false)
      : size_(vocab_size),
        words_(static_cast<std::size_t>((vocab_size + 63) / 64), allowed ? ~std::uint64_t{0} : 0) {}

  std::int64_t size() const noexcept { return size_; }
  bool allows(TokenId id) const noexcept {
    return id >= 0 && id < size_ &&
           (words_[static_cast<std::size_t>(id) / 64] >> (id % 64) & 1) != 0;
  }
  void allow(TokenId id) noexcept {
    words_[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
  }
  /// 64 tokens a word, the lowest bit first; bits beyond the size mean nothing.
  const std::vector<std::uint64_t>& words() const noexcept { return words_; }

 private:
  std::int64_t size_;
  std::vector<std::uint64_t> words_;
};

}  // namespace naru
