// Reading safetensors as hostile input. The header is taken in as it is parsed, so that what it may
// nest or repeat takes no memory.
#include "graph/import/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "graph/checked.h"
#include "graph/limits.h"
#include "graph/model_file.h"

namespace naru {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kMaxRank = 8;

struct StoredType {
  std::string_view name;
  DType dtype;
};
constexpr StoredType kStoredTypes[] = {
    {"F64", DType::F64},        {"F32", DType::F32},
    {"F16", DType::F16},        {"BF16", DType::BF16},
    {"I64", DType::I64},        {"I32", DType::I32},
    {"I16", DType::I16},        {"I8", DType::I8},
    {"U64", DType::U64},        {"U32", DType::U32},
    {"U16", DType::U16},        {"U8", DType::U8},
    {"BOOL", DType::Bool},      {"F8_E4M3", DType::F8E4M3FN},
    {"F8_E5M2", DType::F8E5M2}, {"F8_E8M0", DType::F8E8M0},
};

/// What the header says of one tensor.
struct Info {
  std::string name;
  std::optional<DType> dtype;
  std::optional<std::vector<std::int64_t>> shape;
  std::vector<std::int64_t> offsets;
};

/// Takes {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}; the member
/// "__metadata__" is passed over.
class Header final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Info> infos;

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("a truth value"); }
  bool number_integer(number_integer_t number) override { return integer(number); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > static_cast<std::uint64_t>(INT64_MAX))
      fail(ErrorCode::InvalidModel, "{}: got {}, expected at most 63 bits", place(), number);
    return integer(static_cast<std::int64_t>(number));
  }
  bool number_float(number_float_t, const string_t&) override { return value("a fraction"); }
  bool binary(binary_t&) override { return value("bytes"); }
  bool string(string_t& text) override {
    if (in_metadata_) return true;
    if (depth_ != 2 || field_ != "dtype") return value("a string");
    const auto* found = std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                                     [&](const StoredType& type) { return type.name == text; });
    if (found == std::end(kStoredTypes))
      fail(ErrorCode::Unsupported, "{}: got element type {}, which naru does not know", place(),
           quote_name(text));
    infos.back().dtype = found->dtype;
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ > 1) refuse("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1) in_metadata_ = false;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || (field_ != "shape" && field_ != "data_offsets"))
      return value("a list");
    if (field_ == "shape") infos.back().shape.emplace();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 2) {
      field_ = name;
      return true;
    }
    in_metadata_ = name == "__metadata__";
    if (!in_metadata_) infos.push_back({name, {}, {}, {}});
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(ErrorCode::InvalidModel, "header: got no JSON at byte {}", position);
  }

 private:
  std::string place() const {
    return infos.empty() ? "header" : "tensor " + quote_name(infos.back().name);
  }

  /// Anything else, which only the metadata may hold.
  bool value(const char* what) const {
    if (in_metadata_ && depth_ == 2) return true;
    refuse(what);
  }

  [[noreturn]] void refuse(const char* what) const {
    fail(ErrorCode::InvalidModel, "{}: got {} for '{}', expected dtype, shape and data_offsets",
         place(), what, field_.substr(0, 64));
  }

  bool integer(std::int64_t number) {
    if (depth_ != 3) return value("a number");
    std::vector<std::int64_t>& list =
        field_ == "shape" ? *infos.back().shape : infos.back().offsets;
    if (number < 0 || list.size() >= kMaxRank)
      fail(ErrorCode::InvalidModel, "{}: got {} in '{}', expected up to {} numbers >= 0", place(),
           number, field_, kMaxRank);
    list.push_back(number);
    return true;
  }

  int depth_ = 0;
  bool in_metadata_ = false;
  std::string field_;
};

Tensor place_tensor(const Info& info, Bytes data, const std::shared_ptr<const void>& owner) {
  if (!info.dtype || !info.shape || info.offsets.size() != 2) {
    fail(ErrorCode::InvalidModel,
         "entry: got some of dtype, shape and two data_offsets, expected all");
  }
  const std::int64_t begin = info.offsets[0], end = info.offsets[1];
  Shape shape(*info.shape);
  const std::int64_t size = storage_bytes(*info.dtype, shape.numel());
  if (begin > end || end > static_cast<std::int64_t>(data.size()) || end - begin != size) {
    fail(ErrorCode::InvalidModel, "data: got bytes {} to {} of {} for {} bytes", begin, end,
         data.size(), size);
  }
  auto* at = const_cast<std::byte*>(data.data() + begin);
  const auto alignment = static_cast<std::uintptr_t>(dtype_info(*info.dtype).block_bytes);
  if (reinterpret_cast<std::uintptr_t>(at) % alignment == 0)
    return Tensor::wrap(*info.dtype, std::move(shape), at, owner);
  Tensor copy(*info.dtype, std::move(shape));
  std::memcpy(copy.mutable_data(), at, static_cast<std::size_t>(size));
  return copy;
}

void check_apart(std::vector<Info>& infos) {
  std::sort(infos.begin(), infos.end(),
            [](const Info& a, const Info& b) { return a.offsets < b.offsets; });
  for (std::size_t i = 1; i < infos.size(); ++i) {
    if (infos[i].offsets[0] < infos[i - 1].offsets[1]) {
      fail(ErrorCode::InvalidModel, "tensors {} and {}: their data overlap",
           quote_name(infos[i - 1].name), quote_name(infos[i].name));
    }
  }
}

}  // namespace

std::vector<NamedTensor> read_safetensors(Bytes bytes, std::shared_ptr<const void> owner) {
  std::uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size)
    fail(ErrorCode::InvalidModel, "file: got {} bytes, expected a header", bytes.size());
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > kMaxHeaderBytes || header_size > bytes.size() - sizeof header_size) {
    fail(ErrorCode::InvalidModel, "header: got {} bytes, expected at most {} and the file's {}",
         header_size, kMaxHeaderBytes, bytes.size());
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header_size;
  Header header;
  nlohmann::json::sax_parse(text, text + header_size, &header);
  const Bytes data = bytes.subspan(sizeof header_size + static_cast<std::size_t>(header_size));
  std::vector<NamedTensor> tensors;
  std::unordered_set<std::string_view> names;
  for (const Info& info : header.infos) {
    with_context([&] { return "reading tensor " + quote_name(info.name); },
                 [&] {
                   if (!names.insert(info.name).second)
                     fail(ErrorCode::InvalidModel, "name: occurs twice");
                   tensors.push_back({info.name, place_tensor(info, data, owner)});
                 });
  }
  check_apart(header.infos);
  return tensors;
}

std::vector<NamedTensor> load_safetensors(const std::filesystem::path& path) {
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  return with_context([&] { return "reading " + quote_name(path.native()); },
                      [&] { return read_safetensors(file->bytes(), file); });
}

}  // namespace naru
