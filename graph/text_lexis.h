// The words of the text form, shared by printer and parser: names, quotes, raw bytes, constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace naru {

inline constexpr std::string_view kTextHeader = "naru text 1";

/// The not-a-numbers that are printed as "nan"; others show their bits.
inline constexpr std::uint32_t kNanF32 = 0x7fc00000;
inline constexpr std::uint64_t kNanF64 = 0x7ff8000000000000;

std::string_view state_kind_name(StateKind kind) noexcept;
std::optional<StateKind> state_kind_from_name(std::string_view name) noexcept;

/// True for characters of a value name that needs no quotes.
bool is_name_char(char c) noexcept;
/// True for characters of operator and attribute names that need no quotes.
bool is_word_char(char c) noexcept;

/// Appends "text"; quotes, backslashes, control characters and what is no UTF-8 are escaped.
void append_quoted(std::string& out, std::string_view text);
/// Appends %name or %"any name".
void append_value_name(std::string& out, std::string_view name);
/// Appends word or "any word".
void append_word(std::string& out, std::string_view word);

/// Appends hex"00ff" and base64"AP8=".
void append_hex(std::string& out, std::span<const std::byte> bytes);
void append_base64(std::string& out, std::span<const std::byte> bytes);
/// Fill `bytes`; false unless `digits` are exactly its encoding.
bool decode_hex(std::string_view digits, std::span<std::byte> bytes) noexcept;
bool decode_base64(std::string_view digits, std::span<std::byte> bytes) noexcept;

}  // namespace naru
