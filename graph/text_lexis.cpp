// Names, quotes and raw bytes of the text form.
#include "graph/text_lexis.h"

#include <algorithm>
#include <array>

#include "graph/fail.h"

namespace naru {
namespace {

constexpr std::string_view kStateKinds[] = {"tensor", "kv_pages", "kv_slot", "kv_opaque"};
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_base64_index() {
  std::array<std::int8_t, 256> index{};
  for (auto& entry : index) entry = -1;
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    index[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
  }
  return index;
}
constexpr std::array<std::int8_t, 256> kBase64Index = make_base64_index();

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Whether terminals may act on the code point instead of showing it: C1 controls, line separators
/// and the marks that reorder text.
bool is_invisible_control(std::uint32_t code) {
  return (code >= 0x80 && code < 0xa0) || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

/// Bytes of the printable multi-byte character that `text` starts with; 0 when there is none.
std::size_t printable_utf8(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  std::uint32_t code = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(text[i])) return 0;
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || code > 0x10ffff || is_invisible_control(code) ? 0 : size;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::string_view state_kind_name(StateKind kind) noexcept {
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kStateKinds) ? kStateKinds[index] : "<no kind>";
}

std::optional<StateKind> state_kind_from_name(std::string_view name) noexcept {
  const auto* found = std::find(std::begin(kStateKinds), std::end(kStateKinds), name);
  if (found == std::end(kStateKinds)) return std::nullopt;
  return static_cast<StateKind>(found - std::begin(kStateKinds));
}

bool is_name_char(char c) noexcept {
  return is_alnum(c) || c == '_' || c == '.' || c == ':' || c == '/' || c == '$' || c == '-';
}

bool is_word_char(char c) noexcept { return is_alnum(c) || c == '_' || c == '.'; }

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else if (const std::size_t size = byte < 0x80 ? 0 : printable_utf8(text.substr(i));
               size > 0) {
      out += text.substr(i, size);
      i += size - 1;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  out += '"';
}

void append_value_name(std::string& out, std::string_view name) {
  out += '%';
  const bool plain =
      !name.empty() && std::all_of(name.begin(), name.end(), is_name_char) && name.back() != ':';
  if (plain)
    out += name;
  else
    append_quoted(out, name);
}

void append_word(std::string& out, std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), is_word_char);
  if (plain)
    out += word;
  else
    append_quoted(out, word);
}

void append_hex(std::string& out, std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "hex\"";
  for (std::byte b : bytes) {
    out += kDigits[std::to_integer<unsigned>(b) >> 4];
    out += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  out += '"';
}

void append_base64(std::string& out, std::span<const std::byte> bytes) {
  out += "base64\"";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= count ? kBase64[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  out += '"';
}

bool decode_hex(std::string_view digits, std::span<std::byte> bytes) noexcept {
  if (digits.size() / 2 != bytes.size() || digits.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_value(digits[2 * i]);
    const int low = hex_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return true;
}

bool decode_base64(std::string_view digits, std::span<std::byte> bytes) noexcept {
  if (digits.size() % 4 != 0 || digits.size() / 4 != (bytes.size() + 2) / 3) return false;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = digits[i / 3 * 4 + k];
      const int value = kBase64Index[static_cast<unsigned char>(c)];
      if (k <= count ? value < 0 : c != '=') return false;
      group = group << 6 | (k <= count ? static_cast<std::uint32_t>(value) : 0);
    }
    for (std::size_t k = 0; k < count; ++k) {
      bytes[i + k] = static_cast<std::byte>(group >> (16 - 8 * k) & 255);
    }
  }
  return true;
}

}  // namespace naru
