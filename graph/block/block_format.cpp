// Dispatch over the families of block formats, and whole tensors.
#include "graph/block/block_format.h"

#include <array>

#include "graph/block/codec.h"
#include "graph/fail.h"

namespace naru {
namespace {

using block::Codec;

/// Codecs by element type.
struct CodecTable {
  std::array<const Codec*, 256> entries{};

  CodecTable() {
    using namespace block;
    for (const std::span<const Codec> family :
         {nibble_codecs(), k_codecs(), grid_codecs(), table_codecs(), ternary_codecs()}) {
      for (const Codec& codec : family) entries[static_cast<std::uint8_t>(codec.format)] = &codec;
    }
  }
};

const Codec* find_codec(DType format) noexcept {
  static const CodecTable table;
  return table.entries[static_cast<std::uint8_t>(format)];
}

/// Blocks of a tensor whose rows must be whole blocks.
std::int64_t whole_blocks(DType format, const Shape& shape, ErrorCode code) {
  const std::int64_t elements = dtype_info(format).block_elements;
  const std::int64_t row = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  if (row % elements != 0) {
    fail(code, "{} tensor: got rows of {} elements, expected a multiple of {}", to_string(format),
         row, elements);
  }
  return shape.numel() / elements;
}

}  // namespace

void dequantize_blocks(DType format, const std::byte* from, std::int64_t blocks, float* to) {
  const Codec* codec = find_codec(format);
  if (codec == nullptr) {
    fail(ErrorCode::InvalidArgument, "element type {}: got no block format", to_string(format));
  }
  const DTypeInfo& info = dtype_info(format);
  const auto* at = reinterpret_cast<const std::uint8_t*>(from);
  for (; blocks > 0; --blocks, at += info.block_bytes, to += info.block_elements) {
    codec->decode(at, to);
  }
}

bool can_quantize(DType format) noexcept {
  const Codec* codec = find_codec(format);
  return codec != nullptr && codec->encode != nullptr;
}

void quantize_blocks(DType format, const float* from, std::int64_t blocks, std::byte* to) {
  if (!can_quantize(format)) {
    fail(ErrorCode::Unsupported, "element type {}: naru reads it, but does not write it",
         to_string(format));
  }
  const Codec* codec = find_codec(format);
  const DTypeInfo& info = dtype_info(format);
  auto* at = reinterpret_cast<std::uint8_t*>(to);
  for (; blocks > 0; --blocks, at += info.block_bytes, from += info.block_elements) {
    codec->encode(from, at);
  }
}

Tensor dequantize(const Tensor& tensor) {
  if (tensor.dtype() == DType::F32) return tensor;
  Tensor result(DType::F32, tensor.shape());
  float* to = result.as_mutable<float>().data();
  if (is_block(tensor.dtype())) {
    const std::int64_t blocks =
        whole_blocks(tensor.dtype(), tensor.shape(), ErrorCode::InvalidModel);
    dequantize_blocks(tensor.dtype(), tensor.data(), blocks, to);
    return result;
  }
  if (!is_float(tensor.dtype())) {
    fail(ErrorCode::InvalidArgument, "dequantise: got {}, expected a float or block format",
         to_string(tensor));
  }
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    to[i] = static_cast<float>(load_f64(tensor.dtype(), tensor.data(), i));
  }
  return result;
}

Tensor quantize(const Tensor& tensor, DType format) {
  const std::int64_t blocks = whole_blocks(format, tensor.shape(), ErrorCode::InvalidArgument);
  Tensor result(format, tensor.shape());
  quantize_blocks(format, tensor.as<float>().data(), blocks, result.mutable_data());
  return result;
}

}  // namespace naru
