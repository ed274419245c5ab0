// GGUF files, versions 2 and 3: key-values and tensors as they lie in the file. What they mean to a
// language model is read elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "naru/tensor.h"

namespace naru {

/// Element kinds of key-values, with the numbers that the format gives them.
enum class GgufKind : std::uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12
};

/// One value: a number or string, or an array of them (arrays of arrays are refused). Strings refer
/// to the file's bytes.
struct GgufValue {
  GgufKind kind = GgufKind::U8;  ///< of the value, or of the array's elements
  bool is_array = false;
  std::int64_t count = 1;
  std::span<const std::byte> numbers;     ///< the elements as stored, little-endian
  std::vector<std::string_view> strings;  ///< for GgufKind::String

  /// Element `i` of an integer or bool kind; nullopt for other kinds and u64 above 63 bits.
  std::optional<std::int64_t> integer(std::int64_t i = 0) const;
  /// Element `i` of any number kind.
  std::optional<double> number(std::int64_t i = 0) const;
};

struct GgufEntry {
  std::string_view key;
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  Tensor data;  ///< outermost dimension first; lies in the file
};

/// The content of one file, or of all files of a split model.
class GgufFile {
 public:
  std::uint32_t version = 0;
  std::vector<GgufEntry> entries;   ///< of the first file, in its order
  std::vector<GgufTensor> tensors;  ///< of all files

  const GgufValue* find(std::string_view key) const;
  const Tensor* find_tensor(std::string_view name) const;

  /// Typed access to single values. @throws Error InvalidModel when the key has another kind, or,
  /// without `otherwise`, is missing.
  std::int64_t integer(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::int64_t otherwise) const;
  double number(std::string_view key) const;
  double number(std::string_view key, double otherwise) const;
  std::string_view text(std::string_view key) const;
  std::string_view text(std::string_view key, std::string_view otherwise) const;

  /// Takes in the content of a further file of a split model. @throws Error InvalidModel.
  void append(GgufFile&& part);
  /// Builds the indices. @throws Error InvalidModel on a key or tensor that occurs twice.
  void index();

  std::vector<std::shared_ptr<const void>> owners;  ///< keep the bytes alive

 private:
  std::unordered_map<std::string_view, std::size_t> keys_;
  std::unordered_map<std::string_view, std::size_t> names_;
};

/// The format's number of an element type; nothing for types that it lacks.
std::optional<std::uint32_t> gguf_type_number(DType dtype);

/// Reads one file from memory, which `owner` keeps alive; misaligned bytes are copied first.
/// @throws Error InvalidModel, or Unsupported for versions and element types that naru lacks.
GgufFile read_gguf(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

/// Maps a file and, when it is the first of a split model (`-00001-of-00003.gguf`), its siblings.
/// @throws Error as read_gguf(), and Io.
GgufFile load_gguf(const std::filesystem::path& path);

}  // namespace naru
