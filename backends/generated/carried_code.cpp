// Carried code: keys and seals.
#include "backends/generated/carried_code.h"

#include <algorithm>

namespace naru::generated {
namespace {

constexpr std::string_view kMark = "NARUPRG\n";
constexpr std::size_t kHashDigits = 32;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace

Hash128 kernel_key(std::initializer_list<std::string_view> parts) {
  Hasher hasher;
  for (const std::string_view part : parts) hasher.text(part);
  return hasher.finish();
}

Hash128 code_key(const ProgramCompiler& compiler, const std::string& target, std::string_view text) {
  return kernel_key({target, compiler.options(), kernel::prelude(compiler.dialect()), text});
}

std::string sealed(std::string_view payload) {
  return std::string(kMark) + to_string(hash_bytes(bytes_of(payload))) + std::string(payload);
}

std::optional<std::span<const std::byte>> unsealed(std::span<const std::byte> bytes) {
  constexpr std::size_t kHead = kMark.size() + kHashDigits;
  if (bytes.size() < kHead) return std::nullopt;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), kHead);
  const std::span<const std::byte> payload = bytes.subspan(kHead);
  if (!head.starts_with(kMark) || head.substr(kMark.size()) != to_string(hash_bytes(payload))) return std::nullopt;
  return payload;
}

}  // namespace naru::generated
