// Reading GGUF as hostile input: every count is held against the bytes that are left before memory
// is taken for it.
#include "graph/import/gguf.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "graph/checked.h"
#include "graph/limits.h"
#include "graph/model_file.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kFirstVersion = 2, kLastVersion = 3;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 1024;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::int64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;
constexpr std::int64_t kMemoryAlignment = 64;
constexpr std::int64_t kSmallestEntry = 8 + 4 + 1;           // empty key, kind, one byte
constexpr std::int64_t kSmallestTensorInfo = 8 + 4 + 4 + 8;  // empty name, rank 0, type, offset

/// Element types of kinds, for their sizes and for reading them.
DType dtype_of_kind(GgufKind kind) {
  switch (kind) {
    case GgufKind::U8: return DType::U8;
    case GgufKind::I8: return DType::I8;
    case GgufKind::U16: return DType::U16;
    case GgufKind::I16: return DType::I16;
    case GgufKind::U32: return DType::U32;
    case GgufKind::I32: return DType::I32;
    case GgufKind::F32: return DType::F32;
    case GgufKind::Bool: return DType::Bool;
    case GgufKind::U64: return DType::U64;
    case GgufKind::I64: return DType::I64;
    case GgufKind::F64: return DType::F64;
    default: return DType::Undefined;
  }
}

struct StoredType {
  std::uint32_t number;
  DType dtype;
};
/// The format's numbers of element types. Numbers that are missing here were withdrawn.
constexpr StoredType kStoredTypes[] = {
    {0, DType::F32},      {1, DType::F16},     {2, DType::Q4_0},     {3, DType::Q4_1},
    {6, DType::Q5_0},     {7, DType::Q5_1},    {8, DType::Q8_0},     {9, DType::Q8_1},
    {10, DType::Q2_K},    {11, DType::Q3_K},   {12, DType::Q4_K},    {13, DType::Q5_K},
    {14, DType::Q6_K},    {15, DType::Q8_K},   {16, DType::IQ2_XXS}, {17, DType::IQ2_XS},
    {18, DType::IQ3_XXS}, {19, DType::IQ1_S},  {20, DType::IQ4_NL},  {21, DType::IQ3_S},
    {22, DType::IQ2_S},   {23, DType::IQ4_XS}, {24, DType::I8},      {25, DType::I16},
    {26, DType::I32},     {27, DType::I64},    {28, DType::F64},     {29, DType::IQ1_M},
    {30, DType::BF16},    {34, DType::TQ1_0},  {35, DType::TQ2_0},   {39, DType::MXFP4},
    {40, DType::NVFP4},
};

DType stored_dtype(std::uint32_t number) {
  const auto* found = std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                                   [&](const StoredType& type) { return type.number == number; });
  if (found == std::end(kStoredTypes)) {
    fail(ErrorCode::Unsupported, "element type: got number {}, which naru does not know", number);
  }
  return found->dtype;
}

/// Takes values from the front of the bytes.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  std::int64_t position() const { return position_; }
  std::int64_t left() const { return static_cast<std::int64_t>(bytes_.size()) - position_; }

  Bytes take(std::uint64_t size) {
    if (size > static_cast<std::uint64_t>(left())) {
      fail(ErrorCode::InvalidModel, "byte {}: got {} bytes to read, expected at most the {} left",
           position_, size, left());
    }
    const Bytes taken =
        bytes_.subspan(static_cast<std::size_t>(position_), static_cast<std::size_t>(size));
    position_ += static_cast<std::int64_t>(size);
    return taken;
  }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view text(std::uint64_t longest = std::numeric_limits<std::uint64_t>::max()) {
    const auto size = number<std::uint64_t>();
    if (size > longest) {
      fail(ErrorCode::InvalidModel, "name: got {} bytes, expected at most {}", size, longest);
    }
    const Bytes bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// A count of things that take at least `smallest` bytes each.
  std::int64_t count(const char* what, std::int64_t smallest) {
    const auto value = number<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(left() / smallest)) {
      fail(ErrorCode::InvalidModel, "{}: got {}, expected at most the {} that {} bytes can hold",
           what, value, left() / smallest, left());
    }
    return static_cast<std::int64_t>(value);
  }

 private:
  Bytes bytes_;
  std::int64_t position_ = 0;
};

GgufKind read_kind(Reader& reader) {
  const auto number = reader.number<std::uint32_t>();
  if (number > static_cast<std::uint32_t>(GgufKind::F64)) {
    fail(ErrorCode::InvalidModel, "kind: got {}, expected at most {}", number,
         static_cast<std::uint32_t>(GgufKind::F64));
  }
  return static_cast<GgufKind>(number);
}

GgufValue read_value(Reader& reader) {
  GgufValue value;
  value.kind = read_kind(reader);
  value.is_array = value.kind == GgufKind::Array;
  if (value.is_array) {
    value.kind = read_kind(reader);
    if (value.kind == GgufKind::Array) {
      fail(ErrorCode::InvalidModel, "value: got an array of arrays, expected numbers or strings");
    }
  }
  const bool text = value.kind == GgufKind::String;
  const std::int64_t size = text ? 8 : dtype_info(dtype_of_kind(value.kind)).block_bytes;
  if (value.is_array) value.count = reader.count("array length", size);
  if (!text) {
    value.numbers = reader.take(static_cast<std::uint64_t>(value.count * size));
    return value;
  }
  value.strings.reserve(static_cast<std::size_t>(value.count));
  for (std::int64_t i = 0; i < value.count; ++i) value.strings.push_back(reader.text());
  return value;
}

/// What the list of tensors says of one, before the place of the data is known.
struct TensorInfo {
  std::string_view name;
  DType dtype = DType::Undefined;
  Shape shape;
  std::uint64_t offset = 0;
};

TensorInfo read_tensor_info(Reader& reader) {
  TensorInfo info;
  info.name = reader.text(kMaxTensorNameBytes);
  return with_context(
      [&] { return "reading tensor " + quote_name(info.name); },
      [&] {
        const auto rank = reader.number<std::uint32_t>();
        if (rank > kMaxRank) {
          fail(ErrorCode::InvalidModel, "rank: got {}, expected at most {}", rank, kMaxRank);
        }
        std::vector<std::int64_t> dims;  // innermost first
        for (std::uint32_t i = 0; i < rank; ++i) {
          dims.push_back(reader.number<std::int64_t>());
          if (dims.back() < 0)
            fail(ErrorCode::InvalidModel, "dimension: got {}, expected >= 0", dims.back());
        }
        info.dtype = stored_dtype(reader.number<std::uint32_t>());
        const std::int64_t block = dtype_info(info.dtype).block_elements;
        const std::int64_t row = dims.empty() ? 1 : dims.front();
        if (row % block != 0) {
          fail(ErrorCode::InvalidModel, "rows: got {} elements of {}, expected a multiple of {}",
               row, to_string(info.dtype), block);
        }
        std::reverse(dims.begin(), dims.end());
        info.shape = Shape(std::move(dims));
        info.offset = reader.number<std::uint64_t>();
        return info;
      });
}

std::int64_t alignment_of(const GgufFile& file) {
  const auto entry = std::find_if(file.entries.begin(), file.entries.end(),
                                  [](const GgufEntry& e) { return e.key == "general.alignment"; });
  if (entry == file.entries.end()) return kDefaultAlignment;
  const GgufValue& value = entry->value;
  const std::int64_t alignment = value.is_array ? 0 : value.integer().value_or(0);
  const bool power_of_two = alignment > 0 && (alignment & (alignment - 1)) == 0;
  if (value.kind != GgufKind::U32 || !power_of_two || alignment < 8 || alignment > kMaxAlignment) {
    fail(ErrorCode::InvalidModel,
         "general.alignment: got {}, expected a u32 power of two in [8, {}]", alignment,
         kMaxAlignment);
  }
  return alignment;
}

/// Places the tensors in the data section, which `data` is.
void place_tensors(GgufFile& file, std::vector<TensorInfo> infos, Bytes data,
                   std::int64_t alignment) {
  struct Range {
    std::int64_t begin, end;
    std::string_view name;
  };
  std::vector<Range> ranges;
  for (TensorInfo& info : infos) {
    with_context(
        [&] { return "placing tensor " + quote_name(info.name); },
        [&] {
          const std::int64_t size = storage_bytes(info.dtype, info.shape.numel());
          const auto available = static_cast<std::int64_t>(data.size());
          if (info.offset > static_cast<std::uint64_t>(available) ||
              size > available - static_cast<std::int64_t>(info.offset)) {
            fail(ErrorCode::InvalidModel,
                 "data: got {} bytes at offset {}, expected to end within the {} bytes of data",
                 size, info.offset, available);
          }
          const auto begin = static_cast<std::int64_t>(info.offset);
          if (begin % alignment != 0) {
            fail(ErrorCode::InvalidModel, "offset: got {}, expected a multiple of {}", begin,
                 alignment);
          }
          if (size > 0) ranges.push_back({begin, begin + size, info.name});
          auto* at = const_cast<std::byte*>(data.data() + begin);
          file.tensors.push_back({info.name, Tensor::wrap(info.dtype, std::move(info.shape), at,
                                                          file.owners.front())});
        });
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].begin < ranges[i - 1].end) {
      fail(ErrorCode::InvalidModel, "tensors {} and {}: their data overlap",
           quote_name(ranges[i - 1].name), quote_name(ranges[i].name));
    }
  }
}

void check_header(Reader& reader, GgufFile& file) {
  const Bytes magic = reader.take(4);
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    fail(ErrorCode::InvalidModel, "start: got no GGUF file");
  file.version = reader.number<std::uint32_t>();
  if ((file.version & 0xffff) == 0 && file.version != 0) {
    fail(ErrorCode::Unsupported, "GGUF: got a big-endian file, expected a little-endian one");
  }
  if (file.version < kFirstVersion || file.version > kLastVersion) {
    fail(ErrorCode::Unsupported, "GGUF version: got {}, expected {} or {}", file.version,
         kFirstVersion, kLastVersion);
  }
}

[[noreturn]] void fail_kind(std::string_view key, const GgufValue* value, const char* expected) {
  fail(ErrorCode::InvalidModel, "key {}: got {}, expected {}", quote_name(key),
       value == nullptr ? "nothing" : (value->is_array ? "an array" : "another kind of value"),
       expected);
}

/// The sibling's path when `path` ends in -<number>-of-<count>.gguf; empty otherwise.
std::filesystem::path sibling(const std::filesystem::path& path, std::int64_t number,
                              std::int64_t count) {
  const std::string name = path.filename().native();
  const std::string own = fmt::format("-{:05}-of-{:05}.gguf", 1, count);
  if (!name.ends_with(own)) return {};
  const std::string stem = name.substr(0, name.size() - own.size());
  return path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, count);
}

GgufFile map_gguf(const std::filesystem::path& path) {
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  return with_context([&] { return "reading " + quote_name(path.native()); },
                      [&] { return read_gguf(file->bytes(), file); });
}

}  // namespace

std::optional<std::uint32_t> gguf_type_number(DType dtype) {
  for (const StoredType& type : kStoredTypes) {
    if (type.dtype == dtype) return type.number;
  }
  return std::nullopt;
}

// GgufValue

std::optional<std::int64_t> GgufValue::integer(std::int64_t i) const {
  const DType dtype = dtype_of_kind(kind);
  if (dtype == DType::Undefined || is_float(dtype) || i < 0 || i >= count) return std::nullopt;
  const std::int64_t value = load_i64(dtype, numbers.data(), i);
  if (kind == GgufKind::U64 && value < 0) return std::nullopt;
  return value;
}

std::optional<double> GgufValue::number(std::int64_t i) const {
  const DType dtype = dtype_of_kind(kind);
  if (dtype == DType::Undefined || i < 0 || i >= count) return std::nullopt;
  return load_f64(dtype, numbers.data(), i);
}

// GgufFile

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &entries[found->second].value;
}

const Tensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &tensors[found->second].data;
}

std::int64_t GgufFile::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  const std::optional<std::int64_t> result =
      value == nullptr || value->is_array ? std::nullopt : value->integer();
  if (!result) fail_kind(key, value, "an integer");
  return *result;
}

std::int64_t GgufFile::integer(std::string_view key, std::int64_t otherwise) const {
  return find(key) == nullptr ? otherwise : integer(key);
}

double GgufFile::number(std::string_view key) const {
  const GgufValue* value = find(key);
  const std::optional<double> result =
      value == nullptr || value->is_array ? std::nullopt : value->number();
  if (!result) fail_kind(key, value, "a number");
  return *result;
}

double GgufFile::number(std::string_view key, double otherwise) const {
  return find(key) == nullptr ? otherwise : number(key);
}

std::string_view GgufFile::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || value->is_array || value->kind != GgufKind::String)
    fail_kind(key, value, "a string");
  return value->strings.front();
}

std::string_view GgufFile::text(std::string_view key, std::string_view otherwise) const {
  return find(key) == nullptr ? otherwise : text(key);
}

void GgufFile::append(GgufFile&& part) {
  owners.insert(owners.end(), part.owners.begin(), part.owners.end());
  tensors.insert(tensors.end(), std::make_move_iterator(part.tensors.begin()),
                 std::make_move_iterator(part.tensors.end()));
}

void GgufFile::index() {
  keys_.clear();
  names_.clear();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!keys_.emplace(entries[i].key, i).second) {
      fail(ErrorCode::InvalidModel, "key {}: occurs twice", quote_name(entries[i].key));
    }
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!names_.emplace(tensors[i].name, i).second) {
      fail(ErrorCode::InvalidModel, "tensor {}: occurs twice", quote_name(tensors[i].name));
    }
  }
}

// Reading

GgufFile read_gguf(Bytes bytes, std::shared_ptr<const void> owner) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kMemoryAlignment != 0) {
    Tensor copy(DType::U8, Shape{static_cast<std::int64_t>(bytes.size())});
    std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
    bytes = {copy.data(), bytes.size()};
    owner = copy.owner();
  }
  GgufFile file;
  file.owners.push_back(std::move(owner));
  Reader reader(bytes);
  check_header(reader, file);
  const std::int64_t tensor_count = reader.count("tensors", kSmallestTensorInfo);
  const std::int64_t entry_count = reader.count("key-values", kSmallestEntry);
  for (std::int64_t i = 0; i < entry_count; ++i) {
    const std::string_view key = reader.text(kMaxKeyBytes);
    file.entries.push_back({key, with_context([&] { return "reading key " + quote_name(key); },
                                              [&] { return read_value(reader); })});
  }
  std::vector<TensorInfo> infos;
  for (std::int64_t i = 0; i < tensor_count; ++i) infos.push_back(read_tensor_info(reader));
  const std::int64_t alignment = alignment_of(file);
  const std::int64_t data_at = CheckedSize(reader.position()).align_up(alignment).value();
  const auto size = static_cast<std::int64_t>(bytes.size());
  // A file without tensors may end before the padding.
  place_tensors(file, std::move(infos),
                bytes.subspan(static_cast<std::size_t>(std::min(data_at, size))), alignment);
  file.index();
  return file;
}

GgufFile load_gguf(const std::filesystem::path& path) {
  GgufFile file = map_gguf(path);
  const std::int64_t count = file.integer("split.count", 1);
  if (count == 1) return file;
  if (count < 1 || count > kLimits.max_external_files) {
    fail(ErrorCode::InvalidModel, "split.count: got {}, expected [1, {}]", count,
         kLimits.max_external_files);
  }
  if (file.integer("split.no", 0) != 0 || sibling(path, 1, count).empty()) {
    fail(ErrorCode::InvalidModel,
         "file {}: got one of {} parts, expected the first, named ...-00001-of-{:05}.gguf",
         quote_name(path.native()), count, count);
  }
  for (std::int64_t number = 2; number <= count; ++number) {
    GgufFile part = map_gguf(sibling(path, number, count));
    if (part.integer("split.no") != number - 1 || part.integer("split.count") != count) {
      fail(ErrorCode::InvalidModel, "part {} of {}: got part {} of {}", number, count,
           part.integer("split.no") + 1, part.integer("split.count"));
    }
    file.append(std::move(part));
  }
  const auto expected =
      file.integer("split.tensors.count", static_cast<std::int64_t>(file.tensors.size()));
  if (expected != static_cast<std::int64_t>(file.tensors.size())) {
    fail(ErrorCode::InvalidModel, "split model: got {} tensors, expected {}", file.tensors.size(),
         expected);
  }
  file.index();
  return file;
}

}  // namespace naru
