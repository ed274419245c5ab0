// UTF-8 and the Unicode properties that tokenizers need: code points, categories, normal forms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace naru::text {

/// One code point read from UTF-8 and the bytes it took.
struct CodePoint {
  char32_t value = 0;
  std::uint32_t size = 0;
  bool valid = true;  ///< false: an ill-formed part of `size` bytes; `value` is U+FFFD
};

/// Reads the code point at `at`, which is inside `text`. An ill-formed part is its maximal subpart
/// (The Unicode Standard 15, section 3.9), so that replacing each gives what other decoders give.
CodePoint read_code_point(std::string_view text, std::size_t at) noexcept;

/// Where the code point that ends before `at` begins; `text` is well formed and `at` > 0.
std::size_t previous_code_point(std::string_view text, std::size_t at) noexcept;

void append_utf8(std::string& out, char32_t value);
std::string to_utf8(char32_t value);

/// `text` with U+FFFD for each ill-formed part.
std::string replace_ill_formed(std::string_view text);
bool is_well_formed(std::string_view text) noexcept;

/// Bytes at the end of `text` that begin a code point without completing it: 0 to 3.
std::size_t incomplete_tail(std::string_view text) noexcept;

/// General categories as bits of a set.
using CategorySet = std::uint32_t;

/// The bit of the category of `value`.
CategorySet category_bit(char32_t value) noexcept;

/// The set that a name stands for: "L", "Lu", "Nd", "P" ...; 0 for an unknown name.
CategorySet category_set(std::string_view name) noexcept;

/// The property White_Space.
bool is_white_space(char32_t value) noexcept;

std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

enum class NormalForm : std::uint8_t { Nfc, Nfd, Nfkc, Nfkd };

/// A normal form of well-formed text, in time n log n however its marks are ordered.
/// @throws Error OutOfMemory when the text is too long.
std::string normalise(std::string_view text, NormalForm form);

/// Byte ends of the grapheme clusters of well-formed text.
std::vector<std::size_t> grapheme_ends(std::string_view text);

}  // namespace naru::text
