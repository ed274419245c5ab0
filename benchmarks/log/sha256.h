// SHA-256 of texts and files, as lower-case hexadecimal.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace naru::bench {

std::string sha256(std::string_view bytes);
/// @throws Error Io.
std::string sha256_file(const std::filesystem::path& path);
/// The whole file. @throws Error Io.
std::string read_file(const std::filesystem::path& path);
/// Replaces the file whole or not at all. @throws Error Io.
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace naru::bench
