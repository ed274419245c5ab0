// Finds added tokens with a trie.
#include "runtime/text/added_tokens.h"

#include <algorithm>

#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

bool is_word(char32_t value) {
  static const CharSet kWord = [] {
    CharSet set = word_set();
    set.finish();
    return set;
  }();
  return kWord.contains(value);
}

bool stands_alone(std::string_view text, const Span& span) {
  if (span.begin > 0 && is_word(read_code_point(text, previous_code_point(text, span.begin)).value))
    return false;
  return span.end >= text.size() || !is_word(read_code_point(text, span.end).value);
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint point = read_code_point(text, at);
    if (!is_white_space(point.value)) break;
    at += point.size;
  }
  return at;
}

/// Back over white space from `at`, not before `limit`.
std::size_t skip_space_back(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    const std::size_t previous = previous_code_point(text, at);
    if (!is_white_space(read_code_point(text, previous).value)) break;
    at = previous;
  }
  return at;
}

/// `ranges` are in order.
bool touches(std::span<const TextRange> ranges, const Span& span) {
  const auto after =
      std::partition_point(ranges.begin(), ranges.end(),
                           [&](const TextRange& range) { return range.end <= span.begin; });
  return after != ranges.end() && after->begin < span.end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    entries.emplace_back(tokens_[i].content, static_cast<std::int32_t>(i));
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  if (!entries.empty()) trie_ = ByteTrie(std::move(entries));
}

std::int32_t AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  std::int32_t found = -1;
  std::uint32_t node = ByteTrie::kRoot;
  while (at < text.size()) {
    node = trie_.child(node, static_cast<std::uint8_t>(text[at++]));
    if (node == ByteTrie::kNone) break;
    if (const auto values = trie_.values(node); !values.empty()) found = values.front();
  }
  return found;
}

std::vector<TextPart> AddedTokens::split(std::string_view text, ParseSpecial parse_special,
                                         std::span<const TextRange> input) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;  // all before is in parts
  for (std::size_t at = 0; !trie_.empty() && at < text.size();) {
    const std::int32_t index = longest_at(text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    Span span{at, at + token.content.size()};
    at = span.end;
    if (token.special && (parse_special == ParseSpecial::No || touches(input, span))) continue;
    if (token.single_word && !stands_alone(text, span)) continue;
    if (token.strip_left) span.begin = skip_space_back(text, span.begin, done);
    if (token.strip_right) at = span.end = skip_space(text, span.end);
    if (span.begin > done) parts.push_back({{done, span.begin}, -1});
    parts.push_back({span, token.id});
    done = span.end;
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, -1});
  return parts;
}

}  // namespace naru::text
