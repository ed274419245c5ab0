// Block-quantised storage: blocks to floats for every block element type, floats to blocks for
// some.
#pragma once

#include <cstddef>
#include <cstdint>

#include "naru/tensor.h"

namespace naru {

/// Decodes `blocks` blocks of a block format into blocks * block_elements floats.
void dequantize_blocks(DType format, const std::byte* from, std::int64_t blocks, float* to);

/// True for the formats that quantize_blocks() writes.
bool can_quantize(DType format) noexcept;

/// Encodes blocks * block_elements floats. Values that are not finite give blocks without meaning,
/// never an access out of bounds. @throws Error Unsupported unless can_quantize(format).
void quantize_blocks(DType format, const float* from, std::int64_t blocks, std::byte* to);

/// The elements of a block-format or float tensor as f32; an f32 tensor is returned as it is.
/// @throws Error InvalidArgument for other types, InvalidModel for rows of broken blocks.
Tensor dequantize(const Tensor& tensor);

/// An f32 tensor in a block format; its last dimension must be made of whole blocks.
/// @throws Error InvalidArgument, or Unsupported as quantize_blocks().
Tensor quantize(const Tensor& tensor, DType format);

}  // namespace naru
