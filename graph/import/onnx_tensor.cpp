// TensorProto to Tensor: raw bytes, typed fields, external files and sparse tensors.
#include "graph/import/onnx_tensor.h"

#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "graph/checked.h"
#include "graph/limits.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using onnx::TensorProto;

// Below this, a copy into aligned storage is cheaper than keeping the message's own allocation.
constexpr std::int64_t kMoveBytes = 4096;

// Few bytes of sparse data can ask for a large dense tensor.
constexpr std::int64_t kDensePerStored = 256;

/// The field of TensorProto that holds a type's elements when they are not raw.
enum class Field : std::uint8_t { Float, Double, Int32, Int64, Uint64, String };

/// How the typed fields store one type; `least` and `most` bound an entry of int32_data.
struct Encoding {
  TensorProto::DataType data_type;
  DType dtype;
  Field field;
  std::int32_t least = 0;
  std::int32_t most = 0;
};

// Types of 8 bits and less may be stored as signed or unsigned bytes: exporters do both.
constexpr Encoding kEncodings[] = {
    {TensorProto::FLOAT, DType::F32, Field::Float},
    {TensorProto::DOUBLE, DType::F64, Field::Double},
    {TensorProto::COMPLEX64, DType::Complex64, Field::Float},
    {TensorProto::COMPLEX128, DType::Complex128, Field::Double},
    {TensorProto::INT64, DType::I64, Field::Int64},
    {TensorProto::UINT64, DType::U64, Field::Uint64},
    {TensorProto::UINT32, DType::U32, Field::Uint64},
    {TensorProto::INT32, DType::I32, Field::Int32, INT32_MIN, INT32_MAX},
    {TensorProto::INT16, DType::I16, Field::Int32, INT16_MIN, INT16_MAX},
    {TensorProto::UINT16, DType::U16, Field::Int32, 0, UINT16_MAX},
    {TensorProto::FLOAT16, DType::F16, Field::Int32, 0, UINT16_MAX},
    {TensorProto::BFLOAT16, DType::BF16, Field::Int32, 0, UINT16_MAX},
    {TensorProto::INT8, DType::I8, Field::Int32, INT8_MIN, INT8_MAX},
    {TensorProto::UINT8, DType::U8, Field::Int32, 0, UINT8_MAX},
    {TensorProto::BOOL, DType::Bool, Field::Int32, 0, 1},
    {TensorProto::FLOAT8E4M3FN, DType::F8E4M3FN, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT8E4M3FNUZ, DType::F8E4M3FNUZ, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT8E5M2, DType::F8E5M2, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT8E5M2FNUZ, DType::F8E5M2FNUZ, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT8E8M0, DType::F8E8M0, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT4E2M1, DType::F4E2M1, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::FLOAT6E2M3, DType::F6E2M3, Field::Int32, 0, 63},
    {TensorProto::FLOAT6E3M2, DType::F6E3M2, Field::Int32, 0, 63},
    {TensorProto::INT4, DType::I4, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::UINT4, DType::U4, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::INT2, DType::I2, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::UINT2, DType::U2, Field::Int32, INT8_MIN, UINT8_MAX},
    {TensorProto::STRING, DType::String, Field::String},
};

const Encoding& encoding_of(std::int32_t data_type) {
  for (const Encoding& encoding : kEncodings) {
    if (encoding.data_type == data_type) return encoding;
  }
  if (TensorProto::DataType_IsValid(data_type) && data_type != TensorProto::UNDEFINED) {
    fail(ErrorCode::Unsupported, "element type: naru has none for the ONNX type {}", data_type);
  }
  fail(ErrorCode::InvalidModel, "element type: got {}, expected an ONNX data type", data_type);
}

/// What type and dims ask for; every data source is checked against it.
struct Layout {
  const Encoding* encoding;
  Shape shape;
  std::int64_t count;
  std::int64_t bytes;
};

Shape shape_of(const google::protobuf::RepeatedField<std::int64_t>& dims) {
  if (dims.size() > kLimits.max_rank) {
    fail(ErrorCode::InvalidModel, "dims: got {} of them, expected at most {}", dims.size(),
         kLimits.max_rank);
  }
  for (const std::int64_t dim : dims) {
    if (dim < 0) fail(ErrorCode::InvalidModel, "dims: got {}, expected a value >= 0", dim);
  }
  return Shape(std::vector<std::int64_t>(dims.begin(), dims.end()));
}

Layout layout_of(const TensorProto& proto) {
  Layout layout{&encoding_of(proto.data_type()), shape_of(proto.dims()), 0, 0};
  layout.count = layout.shape.numel();
  layout.bytes = storage_bytes(layout.encoding->dtype, layout.count);
  if (layout.bytes > kLimits.max_tensor_bytes) {
    fail(ErrorCode::InvalidModel, "dims: {} takes {} bytes, expected at most {}",
         to_string(layout.shape), layout.bytes, kLimits.max_tensor_bytes);
  }
  return layout;
}

void expect_count(std::int64_t got, std::int64_t expected, const char* what, const Layout& layout) {
  if (got != expected) {
    fail(ErrorCode::InvalidModel, "{}: got {}, expected {} for {}{}", what, got, expected,
         to_string(layout.encoding->dtype), to_string(layout.shape));
  }
}

/// Any byte but 0 and 1 in a bool is undefined behaviour for whoever reads it.
void check_bools(const Layout& layout, const std::byte* data) {
  if (layout.encoding->dtype != DType::Bool) return;
  for (std::int64_t i = 0; i < layout.bytes; ++i) {
    if (std::to_integer<int>(data[i]) > 1) {
      fail(ErrorCode::InvalidModel, "bool element {}: got {}, expected 0 or 1", i,
           std::to_integer<int>(data[i]));
    }
  }
}

bool is_aligned(const void* data, DType dtype) {
  const int bytes = dtype_info(dtype).block_bytes;
  const int alignment = bytes > 8 ? 8 : bytes;
  return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(alignment) == 0;
}

/// A tensor over `data`, which `owner` keeps alive and which is only read; a copy where it is small
/// or not aligned.
Tensor adopt(const Layout& layout, const void* data, std::shared_ptr<const void> owner) {
  const DType dtype = layout.encoding->dtype;
  check_bools(layout, static_cast<const std::byte*>(data));
  if (layout.bytes >= kMoveBytes && is_aligned(data, dtype)) {
    return Tensor::wrap(dtype, layout.shape, const_cast<void*>(data), std::move(owner));
  }
  Tensor tensor(dtype, layout.shape);
  if (layout.bytes > 0)
    std::memcpy(tensor.mutable_data(), data, static_cast<std::size_t>(layout.bytes));
  return tensor;
}

Tensor take_raw(TensorProto& proto, const Layout& layout) {
  if (layout.encoding->field == Field::String) {
    fail(ErrorCode::InvalidModel, "raw_data: got some for strings, which go into string_data");
  }
  expect_count(static_cast<std::int64_t>(proto.raw_data().size()), layout.bytes,
               "bytes of raw_data", layout);
  auto owner = std::make_shared<const std::string>(std::move(*proto.mutable_raw_data()));
  const void* data = owner->data();
  return adopt(layout, data, std::move(owner));
}

/// A field whose entries are stored just as the tensor's elements are (two entries a complex).
template <typename T>
Tensor take_field(google::protobuf::RepeatedField<T>& field, const Layout& layout,
                  const char* name) {
  expect_count(checked_mul(field.size(), sizeof(T)), layout.bytes, name, layout);
  auto owner = std::make_shared<google::protobuf::RepeatedField<T>>(std::move(field));
  const void* data = owner->data();
  return adopt(layout, data, std::move(owner));
}

Tensor read_u32(const TensorProto& proto, const Layout& layout) {
  expect_count(proto.uint64_data_size(), layout.count, "entries of uint64_data", layout);
  Tensor tensor(DType::U32, layout.shape);
  std::uint32_t* out = tensor.as_mutable<std::uint32_t>().data();
  for (const std::uint64_t value : proto.uint64_data()) {
    if (value > UINT32_MAX) {
      fail(ErrorCode::InvalidModel, "uint64_data: got {}, expected a value of 32 bits", value);
    }
    *out++ = static_cast<std::uint32_t>(value);
  }
  return tensor;
}

void expect_in_range(std::int32_t value, const Encoding& encoding) {
  if (value >= encoding.least && value <= encoding.most) return;
  fail(ErrorCode::InvalidModel, "int32_data: got {}, expected [{}, {}] for {}", value,
       encoding.least, encoding.most, to_string(encoding.dtype));
}

/// Each int32 holds the bits of one element, which the tensor packs.
Tensor read_unpacked(const TensorProto& proto, const Layout& layout) {
  expect_count(proto.int32_data_size(), layout.count, "entries of int32_data", layout);
  Tensor tensor(layout.encoding->dtype, layout.shape);
  std::int64_t at = 0;
  for (const std::int32_t value : proto.int32_data()) {
    expect_in_range(value, *layout.encoding);
    store_bits(tensor.dtype(), tensor.mutable_data(), at++, static_cast<std::uint8_t>(value));
  }
  return tensor;
}

/// Narrow types: each int32 holds one element of 8 or 16 bits, or one byte of packed elements.
Tensor read_narrow(const TensorProto& proto, const Layout& layout) {
  const Encoding& encoding = *layout.encoding;
  const int entry_bytes = dtype_info(encoding.dtype).block_bytes;
  expect_count(proto.int32_data_size(), layout.bytes / entry_bytes, "entries of int32_data",
               layout);
  Tensor tensor(encoding.dtype, layout.shape);
  std::byte* out = tensor.mutable_data();
  for (const std::int32_t value : proto.int32_data()) {
    expect_in_range(value, encoding);
    const auto bits = static_cast<std::uint32_t>(value);
    for (int i = 0; i < entry_bytes; ++i) *out++ = static_cast<std::byte>(bits >> (8 * i));
  }
  return tensor;
}

Tensor take_strings(TensorProto& proto, const Layout& layout) {
  expect_count(proto.string_data_size(), layout.count, "entries of string_data", layout);
  std::vector<std::string> strings;
  strings.reserve(static_cast<std::size_t>(layout.count));
  for (std::string& text : *proto.mutable_string_data()) strings.push_back(std::move(text));
  return Tensor::from_strings(layout.shape, std::move(strings));
}

Tensor take_typed(TensorProto& proto, const Layout& layout) {
  switch (layout.encoding->field) {
    case Field::Float:
      return take_field(*proto.mutable_float_data(), layout, "bytes of float_data");
    case Field::Double:
      return take_field(*proto.mutable_double_data(), layout, "bytes of double_data");
    case Field::Int64:
      return take_field(*proto.mutable_int64_data(), layout, "bytes of int64_data");
    case Field::String: return take_strings(proto, layout);
    case Field::Uint64:
      if (layout.encoding->dtype == DType::U32) return read_u32(proto, layout);
      return take_field(*proto.mutable_uint64_data(), layout, "bytes of uint64_data");
    case Field::Int32: break;
  }
  if (layout.encoding->dtype == DType::I32) {
    return take_field(*proto.mutable_int32_data(), layout, "bytes of int32_data");
  }
  return element_bits(layout.encoding->dtype) == 6 ? read_unpacked(proto, layout)
                                                    : read_narrow(proto, layout);
}

/// The entries of external_data.
struct ExternalRecord {
  std::string location;
  std::optional<std::int64_t> offset;
  std::optional<std::int64_t> length;
};

std::int64_t parse_size(const std::string& key, const std::string& text) {
  std::int64_t value = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc{} || end != last || value < 0) {
    fail(ErrorCode::InvalidModel, "external data: {} is {}, expected a decimal number >= 0", key,
         quote_name(text));
  }
  return value;
}

ExternalRecord read_record(const TensorProto& proto) {
  ExternalRecord record;
  bool located = false;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      if (located) fail(ErrorCode::InvalidModel, "external data: got two locations");
      located = true;
      record.location = entry.value();
    } else if (entry.key() == "offset") {
      record.offset = parse_size(entry.key(), entry.value());
    } else if (entry.key() == "length") {
      record.length = parse_size(entry.key(), entry.value());
    } else if (entry.key() != "checksum" && entry.key() != "basepath") {
      fail(ErrorCode::InvalidModel,
           "external data: got the key {}, expected location, offset, "
           "length or checksum",
           quote_name(entry.key()));
    }
  }
  if (!located) fail(ErrorCode::InvalidModel, "external data: the location is missing");
  return record;
}

Tensor map_external(const TensorProto& proto, const Layout& layout, ModelDirectory* directory) {
  if (layout.encoding->field == Field::String) {
    fail(ErrorCode::InvalidModel, "external data: got some for strings, which go into string_data");
  }
  const ExternalRecord record = read_record(proto);
  if (directory == nullptr) {
    fail(ErrorCode::InvalidArgument,
         "external data: the model names the file {}, but no folder "
         "was given to look in",
         quote_name(record.location));
  }
  if (record.length) expect_count(*record.length, layout.bytes, "length of external data", layout);
  const std::int64_t offset = record.offset.value_or(0);
  const auto file = directory->open(record.location);
  const std::int64_t end = checked_add(offset, layout.bytes);
  if (end > file->size_bytes()) {
    fail(ErrorCode::InvalidModel, "external data: bytes {} to {} are asked of {}, which has {}",
         offset, end, quote_name(record.location), file->size_bytes());
  }
  const std::byte* data = layout.bytes == 0 ? nullptr : file->bytes().data() + offset;
  return adopt(layout, data, file);
}

bool has_typed_data(const TensorProto& proto) {
  return proto.float_data_size() > 0 || proto.double_data_size() > 0 ||
         proto.int32_data_size() > 0 || proto.int64_data_size() > 0 ||
         proto.uint64_data_size() > 0 || proto.string_data_size() > 0;
}

/// Positions in the dense tensor, from linear indices [nnz] or coordinates [nnz, rank].
std::vector<std::int64_t> dense_positions(const Tensor& indices, std::int64_t count,
                                          const Shape& shape) {
  if (indices.dtype() != DType::I64) {
    fail(ErrorCode::InvalidModel, "sparse indices: got {}, expected i64", to_string(indices));
  }
  const bool linear = indices.rank() == 1;
  if (!linear && (indices.rank() != 2 || indices.shape()[1] != shape.rank())) {
    fail(ErrorCode::InvalidModel, "sparse indices: got {}, expected i64[{}] or i64[{},{}]",
         to_string(indices), count, count, shape.rank());
  }
  if (indices.shape()[0] != count) {
    fail(ErrorCode::InvalidModel, "sparse indices: got {} of them, expected {}", indices.shape()[0],
         count);
  }
  const std::int64_t numel = shape.numel();
  const std::int64_t width = linear ? 1 : shape.rank();
  const auto values = indices.as<std::int64_t>();
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t position = 0;
    for (std::int64_t axis = 0; axis < width; ++axis) {
      const std::int64_t index = values[static_cast<std::size_t>(i * width + axis)];
      const std::int64_t dim = linear ? numel : shape[axis];
      if (index < 0 || index >= dim) {
        fail(ErrorCode::InvalidModel, "sparse index: got {}, expected [0, {})", index, dim);
      }
      position = linear ? index : position * dim + index;
    }
    positions.push_back(position);
  }
  return positions;
}

}  // namespace

DType dtype_from_onnx(std::int32_t data_type) { return encoding_of(data_type).dtype; }

Tensor TensorSource::take(TensorProto& proto) {
  const Layout layout = layout_of(proto);
  if (proto.has_segment()) {
    fail(ErrorCode::Unsupported, "tensor: got a segment; naru reads whole tensors only");
  }
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  const bool raw = !proto.raw_data().empty();
  const int sources = (external ? 1 : 0) + (raw ? 1 : 0) + (has_typed_data(proto) ? 1 : 0);
  if (sources > 1) {
    fail(ErrorCode::InvalidModel,
         "tensor: got data in {} places, expected one of raw_data, a typed "
         "field and external data",
         sources);
  }
  if (external) return map_external(proto, layout, directory_);
  return raw ? take_raw(proto, layout) : take_typed(proto, layout);
}

Tensor TensorSource::take(onnx::SparseTensorProto& proto) {
  const Shape shape = shape_of(proto.dims());
  const Tensor values = take(*proto.mutable_values());
  const Tensor indices = take(*proto.mutable_indices());
  if (values.rank() != 1) {
    fail(ErrorCode::InvalidModel, "sparse values: got {}, expected rank 1", to_string(values));
  }
  const DTypeInfo& info = dtype_info(values.dtype());
  if (info.kind == DTypeKind::String || info.block_elements != 1) {
    fail(ErrorCode::Unsupported, "sparse values: naru reads none of type {}", info.name);
  }
  const std::int64_t bytes = storage_bytes(values.dtype(), shape.numel());
  dense_bytes_ = checked_add(dense_bytes_, bytes);
  allowed_dense_bytes_ += kDensePerStored * values.size_bytes();
  if (dense_bytes_ > allowed_dense_bytes_) {
    fail(ErrorCode::InvalidModel,
         "sparse tensors: {} takes {} bytes when dense ({} with others), which is over {} times "
         "the bytes that are stored",
         to_string(shape), bytes, dense_bytes_, kDensePerStored);
  }
  const auto positions = dense_positions(indices, values.numel(), shape);
  Tensor dense(values.dtype(), shape);
  const auto width = static_cast<std::size_t>(info.block_bytes);
  if (bytes > 0) std::memset(dense.mutable_data(), 0, static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    std::memcpy(dense.mutable_data() + static_cast<std::size_t>(positions[i]) * width,
                values.data() + i * width, width);
  }
  return dense;
}

}  // namespace naru
