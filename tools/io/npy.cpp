// NumPy files: header parsing, element order, zip archives through libzip.
#include "tools/io/npy.h"

#include <zip.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <unistd.h>

#include "graph/checked.h"
#include "graph/scalar.h"

namespace naru::io {
namespace {

struct Descr {
  const char* text;
  DType dtype;
};

constexpr Descr kDescrs[] = {
    {"<f8", DType::F64}, {"<f4", DType::F32}, {"<f2", DType::F16}, {"<i8", DType::I64},
    {"<i4", DType::I32}, {"<i2", DType::I16}, {"|i1", DType::I8},  {"<u8", DType::U64},
    {"<u4", DType::U32}, {"<u2", DType::U16}, {"|u1", DType::U8},  {"|b1", DType::Bool},
    {"<c8", DType::Complex64}, {"<c16", DType::Complex128},
};

[[noreturn]] void bad(const std::string& name, const std::string& what) {
  fail(ErrorCode::InvalidArgument, "npy file '{}': {}", name, what);
}

/// The text after "'key':" in the header's dictionary, spaces skipped.
std::string_view field(std::string_view header, std::string_view key, const std::string& name) {
  const std::string quoted = "'" + std::string(key) + "'";
  std::size_t at = header.find(quoted);
  if (at == std::string_view::npos) bad(name, "its header lacks " + quoted);
  at = header.find(':', at + quoted.size());
  if (at == std::string_view::npos) bad(name, "its header is broken after " + quoted);
  at = header.find_first_not_of(' ', at + 1);
  if (at == std::string_view::npos) bad(name, "its header ends after " + quoted);
  return header.substr(at);
}

DType parse_descr(std::string_view text, const std::string& name) {
  const std::size_t end = text.size() > 1 ? text.find(text[0], 1) : std::string_view::npos;
  if (end == std::string_view::npos) bad(name, "its element type is no plain type");
  const std::string_view descr = text.substr(1, end - 1);
  for (const Descr& known : kDescrs) {
    if (descr == known.text) return known.dtype;
  }
  bad(name, "got element type '" + std::string(descr) + "', expected a little-endian number or bool");
}

Shape parse_shape(std::string_view text, const std::string& name) {
  const std::size_t close = text.find(')');
  if (text.empty() || text[0] != '(' || close == std::string_view::npos) bad(name, "its shape is broken");
  Shape shape;
  const char* at = text.data() + 1;
  const char* end = text.data() + close;
  while (at < end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    std::int64_t dim = 0;
    const auto [next, error] = std::from_chars(at, end, dim);
    if (error != std::errc{} || dim < 0) bad(name, "its shape is broken");
    shape.push_back(dim);
    at = next;
  }
  return shape;
}

Tensor from_fortran_order(const Tensor& stored) {
  // Stored with the first axis fastest: transpose of the reversed shape.
  Tensor result(stored.dtype(), stored.shape());
  const std::int64_t size = dtype_info(stored.dtype()).block_bytes;
  const std::int64_t rank = stored.rank();
  std::vector<std::int64_t> index(static_cast<std::size_t>(rank), 0);
  for (std::int64_t to = 0; to < stored.numel(); ++to) {
    std::int64_t from = 0, stride = 1;
    for (std::int64_t axis = 0; axis < rank; ++axis) {
      from += index[static_cast<std::size_t>(axis)] * stride;
      stride *= stored.shape()[axis];
    }
    std::memcpy(result.mutable_data() + to * size, stored.data() + from * size, static_cast<std::size_t>(size));
    for (std::int64_t axis = rank - 1; axis >= 0; --axis) {
      if (++index[static_cast<std::size_t>(axis)] < stored.shape()[axis]) break;
      index[static_cast<std::size_t>(axis)] = 0;
    }
  }
  return result;
}

/// The tensor in a type that NumPy has.
Tensor in_numpy_type(const Tensor& tensor) {
  for (const Descr& known : kDescrs) {
    if (known.dtype == tensor.dtype()) return tensor;
  }
  if (tensor.dtype() == DType::String || is_block(tensor.dtype())) {
    fail(ErrorCode::Unsupported, "npy: cannot store {}", to_string(tensor));
  }
  const DType target = is_float(tensor.dtype()) ? DType::F32
                       : kind_of(tensor.dtype()) == DTypeKind::SignedInt ? DType::I8 : DType::U8;
  Tensor result(target, tensor.shape());
  from_wide<double>(to_wide<double>(tensor), result);
  return result;
}

std::string header_of(const Tensor& tensor) {
  std::string text = "{'descr': '";
  for (const Descr& known : kDescrs) {
    if (known.dtype == tensor.dtype()) text += known.text;
  }
  text += "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t dim : tensor.shape()) text += std::to_string(dim) + ",";
  text += "), }";
  constexpr std::size_t kPreamble = 10;
  while ((kPreamble + text.size() + 1) % 64 != 0) text += ' ';
  return text + '\n';
}

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with("\x93NUMPY")) bad(name, "it is no .npy file");
  const int major = static_cast<unsigned char>(text[6]);
  if (major < 1 || major > 3) bad(name, "got format " + std::to_string(major) + ", expected 1 to 3");
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  std::size_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;) length = length << 8 | static_cast<unsigned char>(text[8 + i]);
  const std::size_t start = 8 + length_bytes;
  if (length > text.size() - start) bad(name, "its header is cut off");
  const std::string_view header = text.substr(start, length);
  const DType dtype = parse_descr(field(header, "descr", name), name);
  const bool fortran = field(header, "fortran_order", name).starts_with("True");
  const Shape shape = parse_shape(field(header, "shape", name), name);
  const std::int64_t size = storage_bytes(dtype, shape.numel());
  const std::size_t available = text.size() - start - length;
  if (static_cast<std::size_t>(size) > available) {
    bad(name, fmt::format("got {} bytes of data, expected {} for {}", available, size, to_string(shape)));
  }
  Tensor tensor(dtype, shape);
  if (size > 0) std::memcpy(tensor.mutable_data(), text.data() + start + length, static_cast<std::size_t>(size));
  return fortran && shape.rank() > 1 ? from_fortran_order(tensor) : tensor;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file && std::filesystem::is_regular_file(path)) content << file.rdbuf();
  if (!file || content.fail() || !std::filesystem::is_regular_file(path)) {
    fail(ErrorCode::Io, "file '{}': cannot be read", path.string());
  }
  return std::move(content).str();
}

Tensor read_npy(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  return parse_npy(std::as_bytes(std::span(content)), path.string());
}

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path) {
  int code = 0;
  const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(zip_open(path.c_str(), ZIP_RDONLY, &code), zip_discard);
  if (archive == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail(ErrorCode::Io, "npz file '{}': {}", path.string(), text);
  }
  std::map<std::string, Tensor> arrays;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t info;
    if (zip_stat_index(archive.get(), static_cast<zip_uint64_t>(i), 0, &info) != 0) continue;
    std::string name = info.name;
    if (!name.ends_with(".npy")) continue;
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> entry(
        zip_fopen_index(archive.get(), static_cast<zip_uint64_t>(i), 0), zip_fclose);
    if (entry == nullptr) bad(path.string(), "cannot open its entry '" + name + "'");
    // Grown as data come, so that a lying size in the archive costs nothing.
    std::string content;
    char block[1 << 16];
    zip_int64_t got = 0;
    while ((got = zip_fread(entry.get(), block, sizeof block)) > 0) content.append(block, static_cast<std::size_t>(got));
    if (got < 0) bad(path.string(), "its entry '" + name + "' is broken");
    name.resize(name.size() - 4);
    arrays.emplace(name, parse_npy(std::as_bytes(std::span(content)), path.string() + ":" + name));
  }
  return arrays;
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path temporary = path;
  temporary += ".tmp" + std::to_string(::getpid());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    std::filesystem::remove(temporary, error);
    fail(ErrorCode::Io, "file '{}': cannot be written", path.string());
  }
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const Tensor stored = in_numpy_type(tensor);
  const std::string header = header_of(stored);
  std::string content("\x93NUMPY\x01\x00", 8);
  content += static_cast<char>(header.size() & 0xff);
  content += static_cast<char>(header.size() >> 8);
  content += header;
  content.append(reinterpret_cast<const char*>(stored.data()), static_cast<std::size_t>(stored.size_bytes()));
  write_file(path, std::as_bytes(std::span(content)));
}

}  // namespace naru::io
