// PagePool: which pages of a KV cache belong to whom, and which still hold a known beginning.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "naru/tokenizer.h"

namespace naru {

using PageId = std::int32_t;

/// Counts the users of each page. A full page can be published under the tokens it holds and those
/// before it; sequences that begin alike then share it. Pages are shared only when full, so nobody
/// ever writes to a shared page. Published pages without users stay until memory is needed, the one
/// longest unused first. Not thread-safe.
class PagePool {
 public:
  PagePool(std::int64_t pages, std::int64_t page_tokens);

  std::int64_t pages() const { return static_cast<std::int64_t>(pages_.size()); }
  std::int64_t page_tokens() const { return page_tokens_; }
  /// Pages that allocate() could give.
  std::int64_t available() const { return static_cast<std::int64_t>(free_.size() + idle_.size()); }
  std::int64_t in_use() const { return pages() - available(); }

  /// A page with one user; nothing when all are in use.
  std::optional<PageId> allocate();
  void release(PageId page);

  /// The published pages that hold the beginning of `tokens`, each with one more user.
  std::vector<PageId> share(std::span<const TokenId> tokens);

  /// Publishes a full page that follows the page `before` (nothing for the first one) and holds `tokens`.
  /// Does nothing when another page holds the same already.
  void publish(PageId page, std::optional<PageId> before, std::span<const TokenId> tokens);

  /// Forgets all published pages that nobody uses.
  void forget();

 private:
  /// Serial numbers name contents: a page that is used anew gets a new one.
  using Serial = std::uint64_t;
  struct Page {
    int users = 0;
    bool published = false;
    Serial serial = 0;
    Serial before = 0;
    std::vector<TokenId> tokens;
    std::list<PageId>::iterator idle;
  };

  Page& page(PageId id) { return pages_[static_cast<std::size_t>(id)]; }
  void retain(PageId id);
  std::optional<PageId> find(Serial before, std::span<const TokenId> tokens);
  void unpublish(PageId id);
  static std::uint64_t key(Serial before, std::span<const TokenId> tokens);

  std::int64_t page_tokens_;
  std::vector<Page> pages_;
  std::vector<PageId> free_;   // without content
  std::list<PageId> idle_;     // published, without users; longest unused first
  std::unordered_multimap<std::uint64_t, PageId> published_;
  Serial next_serial_ = 1;
};

}  // namespace naru
