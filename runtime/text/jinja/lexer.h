// Cuts a template into text, tags and their tokens, with the white-space rules of chat templates.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "naru/error.h"

namespace naru::jinja {

/// A place in the template, from 1.
struct Place {
  std::uint32_t line = 1, column = 1;
};

enum class TokenKind : std::uint8_t {
  Text,        ///< outside of tags
  OpenOutput,  ///< {{
  CloseOutput,
  OpenBlock,  ///< {%
  CloseBlock,
  Name,
  String,
  Integer,
  Float,
  Operator,
  End,
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string text;  ///< of strings, their value
  Place place;
};

/// @throws Error InvalidModel for tags that do not end, bad characters and bad literals.
std::vector<Token> tokenize_template(std::string_view source);

/// Throws Error `code` whose message begins with the place.
[[noreturn]] void fail_at(ErrorCode code, const Place& place, const std::string& message);

}  // namespace naru::jinja
