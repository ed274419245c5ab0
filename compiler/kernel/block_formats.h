// Block formats: how kernels read block-quantised tensors, a chunk of sixteen elements at a time.
#pragma once

#include "compiler/kernel/lowering.h"

namespace naru::kernel {

/// Elements that one step decodes; the elements of a block are whole chunks.
inline constexpr int kChunk = 16;

/// The bytes of a tensor of blocks. Its last dimension counts bytes.
Rep as_bytes(Rep rep);

/// One format: how the fields of a block make its elements.
struct BlockFormat;
/// Null for a format that kernels cannot read.
const BlockFormat* find_block_format(DType dtype);
/// Why a tensor of this type cannot be read as blocks, or empty; an unknown type is none of blocks.
std::string refuses_blocks(const Type& type, const Target& target);

/// Decodes a bound tensor of blocks.
class BlockReader {
 public:
  /// Reads `lanes` elements at once: a whole chunk, or 1 where items are lanes.
  BlockReader(Lowering& lowering, Call& call, const Rep& blocks);

  int lanes() const { return lanes_; }
  int chunks() const { return chunks_; }
  /// Runs `body` for each part of each chunk of block number `block`: with its values as f32, and the place of the
  /// first of them in the block.
  void each(const Expr& block, const std::function<void(const Expr& values, const Expr& place)>& body) const;

 private:
  Call& call_;
  const BlockFormat& format_;
  int lanes_, chunks_;
  Buffer bytes_, halves_, numbers_;
};

}  // namespace naru::kernel
