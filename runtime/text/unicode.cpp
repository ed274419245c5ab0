// UTF-8 and the Unicode properties that tokenizers need, on the tables of utf8proc.
#include "runtime/text/unicode.h"

#include <algorithm>
#include <array>

#include <utf8proc.h>

#include "graph/fail.h"

namespace naru::text {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

/// What a first byte asks for: the length, and the range of the second byte.
struct Lead {
  std::uint32_t size;
  unsigned char low, high;
};

Lead lead(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// How many bytes at `at` agree with the form that the first byte asks for.
std::uint32_t agreeing_bytes(std::string_view text, std::size_t at, const Lead& form) noexcept {
  std::uint32_t size = 1;
  for (; size < form.size && at + size < text.size(); ++size) {
    const auto byte = static_cast<unsigned char>(text[at + size]);
    const unsigned char low = size == 1 ? form.low : 0x80;
    const unsigned char high = size == 1 ? form.high : 0xBF;
    if (byte < low || byte > high) break;
  }
  return size;
}

std::vector<utf8proc_int32_t> decompose(std::string_view text, bool compatibility) {
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
                                                      (compatibility ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  std::array<utf8proc_int32_t, 64> buffer{};
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    at += point.size;
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point.value),
                                               buffer.data(), buffer.size(), options, &boundary);
    if (count <= 0 || count > static_cast<utf8proc_ssize_t>(buffer.size())) {
      points.push_back(static_cast<utf8proc_int32_t>(point.value));
    } else {
      points.insert(points.end(), buffer.begin(), buffer.begin() + count);
    }
  }
  return points;
}

int combining_class(utf8proc_int32_t point) {
  return utf8proc_get_property(point)->combining_class;
}

/// Puts each run of combining marks into canonical order.
void order_marks(std::vector<utf8proc_int32_t>& points) {
  for (std::size_t begin = 0; begin < points.size();) {
    if (combining_class(points[begin]) == 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin;
    while (end < points.size() && combining_class(points[end]) != 0) ++end;
    std::stable_sort(points.begin() + static_cast<std::ptrdiff_t>(begin),
                     points.begin() + static_cast<std::ptrdiff_t>(end),
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

}  // namespace

CodePoint read_code_point(std::string_view text, std::size_t at) noexcept {
  const auto first = static_cast<unsigned char>(text[at]);
  const Lead form = lead(first);
  if (form.size == 1) return {first, 1, true};
  if (form.size == 0) return {kReplacement, 1, false};
  const std::uint32_t size = agreeing_bytes(text, at, form);
  if (size < form.size) return {kReplacement, size, false};
  char32_t value = first & (0xFFU >> (form.size + 1));
  for (std::uint32_t i = 1; i < size; ++i) {
    value = (value << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  }
  return {value, size, true};
}

std::size_t previous_code_point(std::string_view text, std::size_t at) noexcept {
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80);
  return at;
}

void append_utf8(std::string& out, char32_t value) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(value), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
}

std::string to_utf8(char32_t value) {
  std::string out;
  append_utf8(out, value);
  return out;
}

bool is_well_formed(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    if (!point.valid) return false;
    at += point.size;
  }
  return true;
}

std::string replace_ill_formed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    if (point.valid) {
      out.append(text.substr(at, point.size));
    } else {
      append_utf8(out, kReplacement);
    }
    at += point.size;
  }
  return out;
}

std::size_t incomplete_tail(std::string_view text) noexcept {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::size_t at = text.size() - back;
    const Lead form = lead(static_cast<unsigned char>(text[at]));
    if (form.size > back && agreeing_bytes(text, at, form) == back) return back;
    if (form.size != 0) return 0;
  }
  return 0;
}

CategorySet category_bit(char32_t value) noexcept {
  return CategorySet{1} << utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

CategorySet category_set(std::string_view name) noexcept {
  if (name.empty() || name.size() > 2) return 0;
  CategorySet set = 0;
  // In the order of utf8proc_category_t.
  static constexpr std::array<std::string_view, 30> kNames = {
      "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
      "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i].starts_with(name)) set |= CategorySet{1} << i;
  }
  return set;
}

bool is_white_space(char32_t value) noexcept {
  if (value < 0x80) return value == ' ' || (value >= 9 && value <= 13);
  return value == 0x85 || value == 0xA0 || value == 0x1680 ||
         (value >= 0x2000 && value <= 0x200A) || value == 0x2028 || value == 0x2029 ||
         value == 0x202F || value == 0x205F || value == 0x3000;
}

std::string lower_case(std::string_view text) {
  constexpr char32_t kDottedCapitalI = 0x130;  // the one letter whose lower case is two code points
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    at += point.size;
    if (point.value == kDottedCapitalI) {
      out += "i\xCC\x87";
      continue;
    }
    append_utf8(
        out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))));
  }
  return out;
}

std::string upper_case(std::string_view text) {
  constexpr char32_t kSharpS = 0xDF;  // its upper case is two letters
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    at += point.size;
    if (point.value == kSharpS) {
      out += "SS";
      continue;
    }
    append_utf8(
        out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(point.value))));
  }
  return out;
}

std::string normalise(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  const bool compatibility = form == NormalForm::Nfkc || form == NormalForm::Nfkd;
  std::vector<utf8proc_int32_t> points = decompose(text, compatibility);
  order_marks(points);
  if (form == NormalForm::Nfc || form == NormalForm::Nfkc) {
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const auto size = utf8proc_normalize_utf32(
        points.data(), static_cast<utf8proc_ssize_t>(points.size()), options);
    if (size < 0)
      fail(ErrorCode::OutOfMemory, "text: got {} code points, too many to normalise",
           points.size());
    points.resize(static_cast<std::size_t>(size));
  }
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t point : points) append_utf8(out, static_cast<char32_t>(point));
  return out;
}

std::vector<std::size_t> grapheme_ends(std::string_view text) {
  std::vector<std::size_t> ends;
  utf8proc_int32_t previous = -1, state = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    const auto value = static_cast<utf8proc_int32_t>(point.value);
    if (previous >= 0 && utf8proc_grapheme_break_stateful(previous, value, &state))
      ends.push_back(at);
    previous = value;
    at += point.size;
  }
  if (!text.empty()) ends.push_back(text.size());
  return ends;
}

}  // namespace naru::text
