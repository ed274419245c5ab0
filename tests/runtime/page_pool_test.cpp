// PagePool: users, sharing and age of pages.
#include "runtime/generate/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace naru {
namespace {

std::vector<TokenId> tokens(int count, int first = 0) {
  std::vector<TokenId> result;
  for (int i = 0; i < count; ++i) result.push_back(first + i);
  return result;
}

TEST(PagePool, GivesEachPageOnceUntilAllAreInUse) {
  PagePool pool(3, 4);
  std::set<PageId> given;
  for (int i = 0; i < 3; ++i) given.insert(*pool.allocate());
  EXPECT_EQ(given.size(), 3u);
  EXPECT_FALSE(pool.allocate());
  EXPECT_EQ(pool.in_use(), 3);
  pool.release(*given.begin());
  EXPECT_EQ(pool.allocate(), *given.begin());
}

TEST(PagePool, SharesPagesThatHoldTheSameBeginning) {
  PagePool pool(4, 4);
  const PageId first = *pool.allocate(), second = *pool.allocate();
  const std::vector<TokenId> text = tokens(8);
  pool.publish(first, std::nullopt, std::span(text).first(4));
  pool.publish(second, first, std::span(text).last(4));
  EXPECT_EQ(pool.share(tokens(11)), (std::vector<PageId>{first, second}));
  EXPECT_EQ(pool.share(tokens(7)), std::vector<PageId>{first});
  // The second page alone is no beginning.
  EXPECT_TRUE(pool.share(tokens(4, 4)).empty());
}

TEST(PagePool, KeepsPublishedPagesUntilTheMemoryIsNeeded) {
  PagePool pool(2, 2);
  const PageId first = *pool.allocate(), second = *pool.allocate();
  pool.publish(first, std::nullopt, tokens(2));
  pool.publish(second, std::nullopt, tokens(2, 10));
  pool.release(second);
  pool.release(first);
  EXPECT_EQ(pool.available(), 2);
  // `second` has been idle longer.
  EXPECT_EQ(pool.allocate(), second);
  EXPECT_TRUE(pool.share(tokens(2, 10)).empty());
  EXPECT_EQ(pool.share(tokens(2)), std::vector<PageId>{first});
  EXPECT_EQ(pool.available(), 0);
}

TEST(PagePool, AReusedPageIsNoLongerTheBeginningOfWhatFollowedIt) {
  PagePool pool(2, 1);
  const PageId first = *pool.allocate(), second = *pool.allocate();
  pool.publish(first, std::nullopt, tokens(1, 1));
  pool.publish(second, first, tokens(1, 2));
  pool.release(first);
  const PageId again = *pool.allocate();
  ASSERT_EQ(again, first);
  pool.publish(again, std::nullopt, tokens(1, 7));
  EXPECT_EQ(pool.share(std::vector<TokenId>{7, 2}), std::vector<PageId>{again});
}

/// Random use against a plain count of users per page.
TEST(PagePool, CountsUsersUnderRandomUse) {
  std::mt19937 random(1);
  PagePool pool(8, 2);
  std::vector<std::vector<PageId>> holders;
  std::multiset<PageId> users;
  for (int step = 0; step < 5000; ++step) {
    std::vector<TokenId> text;
    for (int i = 0; i < 6; ++i) text.push_back(static_cast<TokenId>(random() % 2));
    if (random() % 2 == 0) {
      std::vector<PageId> pages = pool.share(text);
      while (pages.size() < 3) {
        const std::optional<PageId> page = pool.allocate();
        if (!page) break;
        ASSERT_EQ(users.count(*page) + static_cast<std::size_t>(std::ranges::count(pages, *page)), 0u);
        pages.push_back(*page);
      }
      for (std::size_t i = 0; i < pages.size(); ++i) {
        pool.publish(pages[i], i == 0 ? std::nullopt : std::optional(pages[i - 1]), std::span(text).subspan(2 * i, 2));
      }
      users.insert(pages.begin(), pages.end());
      holders.push_back(std::move(pages));
    } else if (!holders.empty()) {
      std::swap(holders[random() % holders.size()], holders.back());
      for (const PageId page : holders.back()) {
        pool.release(page);
        users.erase(users.find(page));
      }
      holders.pop_back();
    }
    ASSERT_EQ(pool.in_use(), static_cast<std::int64_t>(std::set<PageId>(users.begin(), users.end()).size()));
  }
}

}  // namespace
}  // namespace naru
