// Writes GGUF files byte by byte, sound and broken ones, for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace naru::testing {

template <typename T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string gguf_text(std::string_view text) {
  return le<std::uint64_t>(text.size()) + std::string(text);
}

/// A file of key-values and tensors; what tests break is a public member.
struct GgufBytes {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::vector<std::string> entries;
  std::vector<std::string> infos;
  std::string data;
  std::uint64_t alignment = 32;
  std::uint64_t extra_tensors = 0, extra_entries = 0;

  void add(std::string_view key, std::uint32_t kind, const std::string& value) {
    entries.push_back(gguf_text(key) + le(kind) + value);
  }
  void add_u32(std::string_view key, std::uint32_t value) { add(key, 4, le(value)); }
  void add_text(std::string_view key, std::string_view value) { add(key, 8, gguf_text(value)); }
  void add_f32(std::string_view key, float value) { add(key, 6, le(value)); }

  /// `dims` innermost first.
  void add_tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type,
                  const std::string& bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    add_info(name, dims, type, data.size());
    data += bytes;
  }
  void add_info(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                std::uint64_t offset) {
    std::string info = gguf_text(name) + le(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) info += le(dim);
    infos.push_back(info + le(type) + le(offset));
  }

  std::string bytes() const {
    std::string out = magic + le(version) + le<std::uint64_t>(infos.size() + extra_tensors) +
                      le<std::uint64_t>(entries.size() + extra_entries);
    for (const std::string& entry : entries) out += entry;
    for (const std::string& info : infos) out += info;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data;
  }
};

}  // namespace naru::testing
