// Reads and applies SentencePiece's precompiled character map.
//
// The blob: u32 size of the trie in bytes, the trie as u32 units of the Darts double array, then
// the replacements, each ended by a zero byte. A unit is a node: its label, whether a value
// follows, and how far away (by exclusive or) its children are.
#include "runtime/text/charsmap.h"

#include <cstring>

#include "graph/fail.h"
#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) == 1; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFU; }
std::uint32_t label_of(std::uint32_t unit) { return unit & (1U << 31 | 0xFFU); }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 1U << 9) >> 6); }

constexpr std::size_t kLongestGrapheme = 5;  // bytes of a cluster that is looked up as a whole

}  // namespace

CharsMap::CharsMap(std::string_view blob) {
  std::uint32_t size = 0;
  if (blob.size() < sizeof(size))
    fail(ErrorCode::InvalidModel, "character map: got {} bytes, expected at least 4", blob.size());
  std::memcpy(&size, blob.data(), sizeof(size));
  blob.remove_prefix(sizeof(size));
  if (size > blob.size() || size % sizeof(std::uint32_t) != 0 || size == 0) {
    fail(ErrorCode::InvalidModel,
         "character map: got a trie of {} bytes in {}, expected whole units inside", size,
         blob.size());
  }
  units_.resize(size / sizeof(std::uint32_t));
  std::memcpy(units_.data(), blob.data(), size);
  strings_ = blob.substr(size);
  if (strings_.empty() || strings_.back() != '\0')
    fail(ErrorCode::InvalidModel, "character map: got replacements without an end");
}

std::string_view CharsMap::replacement(std::uint32_t offset) const {
  if (offset >= strings_.size()) {
    fail(ErrorCode::InvalidModel,
         "character map: got a replacement at {}, expected one inside {} bytes", offset,
         strings_.size());
  }
  return strings_.c_str() + offset;
}

CharsMap::Match CharsMap::match(std::string_view text, bool longest) const {
  Match found;
  std::size_t position = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    position ^= byte;
    if (byte == 0 || position >= units_.size() || label_of(units_[position]) != byte) break;
    const std::uint32_t unit = units_[position];
    position ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (position >= units_.size()) break;
    found = {i + 1, replacement(value_of(units_[position]))};
    if (!longest) break;
  }
  return found;
}

std::string CharsMap::apply_to_graphemes(std::string_view text) const {
  std::string out;
  std::size_t begin = 0;
  for (const std::size_t end : grapheme_ends(text)) {
    const std::string_view cluster = text.substr(begin, end - begin);
    begin = end;
    if (cluster.size() <= kLongestGrapheme) {
      if (const Match whole = match(cluster, false); whole.size != 0) {
        out += whole.replacement;
        continue;
      }
    }
    for (std::size_t at = 0; at < cluster.size();) {
      const std::string_view part = cluster.substr(at, read_code_point(cluster, at).size);
      const Match single = match(part, false);
      out += single.size != 0 ? single.replacement : part;
      at += part.size();
    }
  }
  return replace_ill_formed(out);
}

std::string CharsMap::apply_longest(std::string_view text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Match found = match(text.substr(at), true);
    if (found.size != 0) {
      out += found.replacement;
      at += found.size;
      continue;
    }
    const std::size_t size = read_code_point(text, at).size;
    out += text.substr(at, size);
    at += size;
  }
  return replace_ill_formed(out);
}

std::string decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos)
      fail(ErrorCode::InvalidModel, "base64: got a byte {:#x}", static_cast<unsigned char>(c));
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

}  // namespace naru::text
