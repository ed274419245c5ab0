// PagePool: users, content and age of the pages of a KV cache.
#include "runtime/generate/page_pool.h"

#include <algorithm>

#include "graph/fail.h"

namespace naru {

PagePool::PagePool(std::int64_t pages, std::int64_t page_tokens)
    : page_tokens_(page_tokens), pages_(static_cast<std::size_t>(pages)) {
  // Taken from the back: low numbers first.
  for (std::int64_t id = pages; id-- > 0;) free_.push_back(static_cast<PageId>(id));
}

std::uint64_t PagePool::key(Serial before, std::span<const TokenId> tokens) {
  std::uint64_t hash = before * 0x9e3779b97f4a7c15u;
  for (const TokenId token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001b3u;
  return hash;
}

std::optional<PageId> PagePool::allocate() {
  if (free_.empty()) {
    if (idle_.empty()) return std::nullopt;
    const PageId oldest = idle_.front();
    idle_.pop_front();
    unpublish(oldest);
    free_.push_back(oldest);
  }
  const PageId id = free_.back();
  free_.pop_back();
  page(id).users = 1;
  page(id).serial = next_serial_++;
  return id;
}

void PagePool::retain(PageId id) {
  Page& p = page(id);
  if (p.users++ == 0) idle_.erase(p.idle);
}

void PagePool::release(PageId id) {
  Page& p = page(id);
  NARU_CHECK(p.users > 0, "a page was released more often than taken");
  if (--p.users > 0) return;
  if (p.published) {
    p.idle = idle_.insert(idle_.end(), id);
  } else {
    free_.push_back(id);
  }
}

std::optional<PageId> PagePool::find(Serial before, std::span<const TokenId> tokens) {
  const auto [first, last] = published_.equal_range(key(before, tokens));
  for (auto it = first; it != last; ++it) {
    const Page& p = page(it->second);
    if (p.before == before && std::ranges::equal(p.tokens, tokens)) return it->second;
  }
  return std::nullopt;
}

std::vector<PageId> PagePool::share(std::span<const TokenId> tokens) {
  std::vector<PageId> shared;
  Serial before = 0;
  const auto step = static_cast<std::size_t>(page_tokens_);
  for (; tokens.size() >= step; tokens = tokens.subspan(step)) {
    const std::optional<PageId> found = find(before, tokens.first(step));
    if (!found) break;
    retain(*found);
    shared.push_back(*found);
    before = page(*found).serial;
  }
  return shared;
}

void PagePool::publish(PageId id, std::optional<PageId> before, std::span<const TokenId> tokens) {
  Page& p = page(id);
  const Serial before_serial = before ? page(*before).serial : 0;
  if (p.published || find(before_serial, tokens)) return;
  p.published = true;
  p.before = before_serial;
  p.tokens.assign(tokens.begin(), tokens.end());
  published_.emplace(key(before_serial, tokens), id);
}

void PagePool::unpublish(PageId id) {
  Page& p = page(id);
  const auto [first, last] = published_.equal_range(key(p.before, p.tokens));
  published_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == id; }));
  p.published = false;
  p.tokens.clear();
}

void PagePool::forget() {
  for (const PageId id : idle_) {
    unpublish(id);
    free_.push_back(id);
  }
  idle_.clear();
}

}  // namespace naru
