// Sets of code points by category, range and combination.
#include "runtime/text/char_set.h"

#include <algorithm>

namespace naru::text {
namespace {

/// Scripts by their ranges (Unicode 15, Scripts.txt), for the patterns that name one.
const std::vector<std::pair<std::string_view, std::vector<CharSet::Range>>>& scripts() {
  static const std::vector<std::pair<std::string_view, std::vector<CharSet::Range>>> kScripts = {
      {"Han", {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},   {0x3005, 0x3005},
               {0x3007, 0x3007},   {0x3021, 0x3029},   {0x3038, 0x303B},   {0x3400, 0x4DBF},
               {0x4E00, 0x9FFF},   {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3},
               {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739}, {0x2B740, 0x2B81D},
               {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2F800, 0x2FA1D}, {0x30000, 0x3134A},
               {0x31350, 0x323AF}}},
      {"Hangul",
       {{0x1100, 0x11FF},
        {0x302E, 0x302F},
        {0x3131, 0x318E},
        {0x3200, 0x321E},
        {0x3260, 0x327E},
        {0xA960, 0xA97C},
        {0xAC00, 0xD7A3},
        {0xD7B0, 0xD7C6},
        {0xD7CB, 0xD7FB},
        {0xFFA0, 0xFFBE},
        {0xFFC2, 0xFFC7},
        {0xFFCA, 0xFFCF},
        {0xFFD2, 0xFFD7},
        {0xFFDA, 0xFFDC}}},
      {"Hiragana",
       {{0x3041, 0x3096},
        {0x309D, 0x309F},
        {0x1B001, 0x1B11F},
        {0x1B132, 0x1B132},
        {0x1B150, 0x1B152},
        {0x1F200, 0x1F200}}},
      {"Katakana",
       {{0x30A1, 0x30FA},
        {0x30FD, 0x30FF},
        {0x31F0, 0x31FF},
        {0x32D0, 0x32FE},
        {0x3300, 0x3357},
        {0xFF66, 0xFF6F},
        {0xFF71, 0xFF9D},
        {0x1AFF0, 0x1AFF3},
        {0x1AFF5, 0x1AFFB},
        {0x1AFFD, 0x1AFFE},
        {0x1B000, 0x1B000},
        {0x1B120, 0x1B122},
        {0x1B155, 0x1B155},
        {0x1B164, 0x1B167}}},
  };
  return kScripts;
}

bool covers(const std::vector<CharSet::Range>& ranges, char32_t low, char32_t high) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return range.first <= high && low <= range.second; });
}

/// Sorted, with ranges that touch made one.
std::vector<CharSet::Range> merged(std::vector<CharSet::Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<CharSet::Range> out;
  for (const CharSet::Range& range : ranges) {
    if (!out.empty() && range.first <= out.back().second + 1) {
      out.back().second = std::max(out.back().second, range.second);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

/// The code points in none of the sorted ranges.
std::vector<CharSet::Range> opposite(const std::vector<CharSet::Range>& ranges) {
  std::vector<CharSet::Range> out;
  char32_t next = 0;
  for (const auto& [low, high] : ranges) {
    if (low > next) out.emplace_back(next, low - 1);
    next = high + 1;
  }
  if (next <= 0x10FFFF) out.emplace_back(next, 0x10FFFF);
  return out;
}

struct CategoryRun {
  CharSet::Range range;
  CategorySet category;
};

/// All code points as runs of one category.
const std::vector<CategoryRun>& category_runs() {
  static const std::vector<CategoryRun> kRuns = [] {
    std::vector<CategoryRun> runs;
    for (char32_t value = 0; value <= 0x10FFFF; ++value) {
      const CategorySet category = category_bit(value);
      if (!runs.empty() && runs.back().category == category) {
        runs.back().range.second = value;
      } else {
        runs.push_back({{value, value}, category});
      }
    }
    return runs;
  }();
  return kRuns;
}

}  // namespace

CharSet CharSet::of_range(char32_t low, char32_t high) { return of_ranges({{low, high}}); }

CharSet CharSet::of_ranges(std::vector<Range> ranges) {
  CharSet set;
  set.ranges_ = std::move(ranges);
  return set;
}

CharSet CharSet::of_categories(CategorySet categories) {
  CharSet set;
  set.categories_ = categories;
  return set;
}

CharSet CharSet::of_white_space() {
  return of_ranges({{9, 13},
                    {0x20, 0x20},
                    {0x85, 0x85},
                    {0xA0, 0xA0},
                    {0x1680, 0x1680},
                    {0x2000, 0x200A},
                    {0x2028, 0x2029},
                    {0x202F, 0x202F},
                    {0x205F, 0x205F},
                    {0x3000, 0x3000}});
}

void CharSet::ignore_case() {
  const std::vector<Range> given = ranges_;
  for (char32_t lower = 'a'; lower <= 'z'; ++lower) {
    const char32_t upper = lower - 'a' + 'A';
    if (!covers(given, lower, lower) && !covers(given, upper, upper)) continue;
    ranges_.emplace_back(lower, lower);
    ranges_.emplace_back(upper, upper);
    if (lower == 's') ranges_.emplace_back(0x17F, 0x17F);    // long s
    if (lower == 'k') ranges_.emplace_back(0x212A, 0x212A);  // kelvin sign
  }
  for (CharSet& set : any_) set.ignore_case();
  for (CharSet& set : all_) set.ignore_case();
}

void CharSet::finish() {
  for (CharSet& set : any_) set.finish();
  for (CharSet& set : all_) set.finish();
  ranges_ = merged(std::move(ranges_));
  for (char32_t value = 0; value < 128; ++value) ascii_[value] = compute(value);
}

bool CharSet::compute(char32_t value) const noexcept {
  bool inside = categories_ != 0 && (category_bit(value) & categories_) != 0;
  if (!inside && !ranges_.empty()) {
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), value,
                         [](char32_t v, const Range& range) { return v < range.first; });
    inside = after != ranges_.begin() && value <= std::prev(after)->second;
  }
  const auto holds = [&](const CharSet& set) { return set.contains(value); };
  inside = inside || std::any_of(any_.begin(), any_.end(), holds);
  inside = inside && std::all_of(all_.begin(), all_.end(), holds);
  return inside != negated_;
}

std::vector<CharSet::Range> CharSet::to_ranges() const {
  std::vector<Range> ranges = ranges_;
  for (const CategoryRun& run : category_runs()) {
    if ((run.category & categories_) != 0) ranges.push_back(run.range);
  }
  for (const CharSet& set : any_) {
    const std::vector<Range> more = set.to_ranges();
    ranges.insert(ranges.end(), more.begin(), more.end());
  }
  ranges = merged(std::move(ranges));
  for (const CharSet& set : all_) {
    // What is in both is not in either's opposite.
    std::vector<Range> outside = opposite(ranges);
    const std::vector<Range> more = opposite(set.to_ranges());
    outside.insert(outside.end(), more.begin(), more.end());
    ranges = opposite(merged(std::move(outside)));
  }
  return negated_ ? opposite(ranges) : ranges;
}

bool named_char_set(std::string_view name, CharSet& out) {
  if (const CategorySet categories = category_set(name); categories != 0) {
    out = CharSet::of_categories(categories);
    return true;
  }
  for (const auto& [script, ranges] : scripts()) {
    if (script != name) continue;
    out = CharSet::of_ranges(ranges);
    return true;
  }
  return false;
}

}  // namespace naru::text
