// Carried code: how compiled kernels are named and sealed in models and cache files.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "backends/generated/program_compiler.h"
#include "graph/hash.h"

namespace naru::generated {

/// The hash of all that makes a compiled kernel what it is.
Hash128 kernel_key(std::initializer_list<std::string_view> parts);

/// The key under which a model carries the kernel printed as `text` for a target of `compiler`.
Hash128 code_key(const ProgramCompiler& compiler, const std::string& target, std::string_view text);

/// The payload behind a mark and its hash, which shows damage (not forgery).
std::string sealed(std::string_view payload);
/// The payload, or nothing when the bytes are not what sealed() made.
std::optional<std::span<const std::byte>> unsealed(std::span<const std::byte> bytes);

}  // namespace naru::generated
