// Block formats: one row per format, layouts as in GGUF.
#include "compiler/kernel/block_formats.h"

#include <algorithm>
#include <numeric>

#include "compiler/kernel/walk.h"

namespace naru::kernel {

namespace {

/// The fields of one block, seen from one chunk; places in bytes from the block's begin.
struct Fields {
  Call& call;
  Buffer bytes, halves, numbers;
  Expr first_byte, first_half;
  Expr i;  ///< of the chunk: the first element that is read
  int lanes;

  /// A float16 as f32.
  Expr half(int at) const { return call.load(halves, first_half + at / 2); }
  /// One byte as i32.
  Expr byte(int at) const { return cast(call.load(bytes, first_byte + at), Element::I32); }
  /// Bytes side by side, one for each element.
  Expr raw(int at) const { return call.load(bytes, first_byte + (i + at), lanes); }
  Expr many(int at) const { return call.let(cast(raw(at), Element::I32)); }
  /// The number of each element in its chunk.
  Expr number() const { return call.load(numbers, i, lanes); }
};

Expr bits(const Expr& value, int shift, int mask) {
  const Expr moved = shift == 0 ? value : apply(Op::ShiftRight, {value, Expr(shift)});
  return apply(Op::BitAnd, {moved, Expr(mask)});
}
Expr real(const Expr& value) { return cast(value, Element::F32); }

/// Four bits of each element: the first half of a block in the low ones.
Expr nibble(const Fields& f, int chunk, int at) { return bits(f.many(at), 4 * chunk, 15); }

/// With a fifth bit from a field of 32.
Expr five_bits(const Fields& f, int chunk, int high_at, int at) {
  const Expr word = f.call.let(f.byte(high_at + 2 * chunk) + f.byte(high_at + 2 * chunk + 1) * 256);
  const Expr high = bits(apply(Op::ShiftRight, {splat(word, f.lanes), f.number()}), 0, 1);
  return nibble(f, chunk, at) + high * 16;
}

Expr q4_0(const Fields& f, int chunk) { return real(nibble(f, chunk, 2) - 8) * f.half(0); }
Expr q4_1(const Fields& f, int chunk) { return multiply_add(real(nibble(f, chunk, 4)), f.half(0), f.half(2)); }
Expr q5_0(const Fields& f, int chunk) { return real(five_bits(f, chunk, 2, 6) - 16) * f.half(0); }
Expr q5_1(const Fields& f, int chunk) { return multiply_add(real(five_bits(f, chunk, 4, 8)), f.half(0), f.half(2)); }
Expr q8_0(const Fields& f, int chunk) { return real(bit_cast(f.raw(2 + kChunk * chunk), Element::I8)) * f.half(0); }

// Super-blocks of 256.

Expr q2_k(const Fields& f, int chunk) {
  const Expr scales = f.byte(chunk);
  const Expr q = bits(f.many(16 + 32 * (chunk / 8) + kChunk * (chunk % 2)), chunk % 8 / 2 * 2, 3);
  const Expr factor = f.call.let(f.half(80) * real(bits(scales, 0, 15)));
  return real(q) * factor - f.call.let(f.half(82) * real(bits(scales, 4, 15)));
}

Expr q3_k(const Fields& f, int chunk) {
  const int half = chunk / 8, quarter = chunk % 8 / 2, side = kChunk * (chunk % 2);
  const Expr low = bits(f.many(32 + 32 * half + side), 2 * quarter, 3);
  const Expr high = bits(f.many(side), 4 * half + quarter, 1);
  const Expr scale = bits(f.byte(96 + chunk % 8), chunk < 8 ? 0 : 4, 15) + bits(f.byte(104 + chunk % 4), chunk / 4 * 2, 3) * 16;
  return real(low + high * 4 - 4) * f.call.let(f.half(108) * real(scale - 32));
}

/// value * scale - minimum, by the six-bit scales of the eight parts of 32.
Expr scaled_part(const Fields& f, int part, const Expr& value) {
  const auto s = [&](int i) { return f.byte(4 + i); };
  const Expr scale = part < 4 ? bits(s(part), 0, 63) : bits(s(part + 4), 0, 15) + bits(s(part - 4), 6, 3) * 16;
  const Expr least = part < 4 ? bits(s(part + 4), 0, 63) : bits(s(part + 4), 4, 15) + bits(s(part), 6, 3) * 16;
  return real(value) * f.call.let(f.half(0) * real(scale)) - f.call.let(f.half(2) * real(least));
}

Expr q4_k(const Fields& f, int chunk) {
  const int part = chunk / 2;
  return scaled_part(f, part, bits(f.many(16 + part / 2 * 32 + kChunk * (chunk % 2)), part % 2 * 4, 15));
}

Expr q5_k(const Fields& f, int chunk) {
  const int part = chunk / 2, side = kChunk * (chunk % 2);
  const Expr low = bits(f.many(48 + part / 2 * 32 + side), part % 2 * 4, 15);
  return scaled_part(f, part, low + bits(f.many(16 + side), part, 1) * 16);
}

Expr q6_k(const Fields& f, int chunk) {
  const int half = chunk / 8, quarter = chunk % 8 / 2, side = kChunk * (chunk % 2);
  const Expr low = bits(f.many(64 * half + 32 * (quarter % 2) + side), quarter / 2 * 4, 15);
  const Expr high = bits(f.many(128 + 32 * half + side), 2 * quarter, 3);
  const Expr scale = cast(bit_cast(f.call.load(f.bytes, f.first_byte + (192 + chunk)), Element::I8), Element::F32);
  return real(low + high * 16 - 32) * f.call.let(f.half(208) * scale);
}

}  // namespace

struct BlockFormat {
  DType dtype;
  /// Elements of a chunk; chunks are counted from the block's begin.
  Expr (*values)(const Fields&, int chunk);
};

namespace {

constexpr BlockFormat kFormats[] = {
    {DType::Q4_0, q4_0}, {DType::Q4_1, q4_1}, {DType::Q5_0, q5_0}, {DType::Q5_1, q5_1}, {DType::Q8_0, q8_0},
    {DType::Q2_K, q2_k}, {DType::Q3_K, q3_k}, {DType::Q4_K, q4_k}, {DType::Q5_K, q5_k}, {DType::Q6_K, q6_k},
};

Rep as_halves(const Rep& bytes) { return {bytes.buffer, bytes.offset_bytes, DType::F16, Shape{bytes.numel() / 2}}; }

/// 0, 1, ... for the elements of a chunk.
Rep chunk_numbers(Lowering& lowering) {
  Tensor numbers(DType::I32, Shape{kChunk});
  const auto values = numbers.as_mutable<std::int32_t>();
  std::iota(values.begin(), values.end(), 0);
  return lowering.literal(numbers);
}

}  // namespace

const BlockFormat* find_block_format(DType dtype) {
  const auto found = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const BlockFormat& row) { return row.dtype == dtype; });
  return found == std::end(kFormats) ? nullptr : found;
}

std::string refuses_blocks(const Type& type, const Target& target) {
  if (find_block_format(type.dtype) != nullptr) return refuses_size(type, target);
  return std::string(is_block(type.dtype) ? "block format " : "no block format: ") + std::string(naru::to_string(type.dtype));
}

Rep as_bytes(Rep rep) {
  const DTypeInfo& info = dtype_info(rep.dtype);
  std::vector<std::int64_t> dims = rep.shape.dims();
  dims.back() = dims.back() / info.block_elements * info.block_bytes;
  return {rep.buffer, rep.offset_bytes, DType::U8, Shape(dims)};
}

BlockReader::BlockReader(Lowering& lowering, Call& call, const Rep& blocks)
    : call_(call),
      format_(*find_block_format(blocks.dtype)),
      lanes_(lowering.target().vector_lanes > 1 ? kChunk : 1),
      chunks_(dtype_info(blocks.dtype).block_elements / kChunk),
      bytes_(call.read(as_bytes(blocks))),
      halves_(call.read(as_halves(as_bytes(blocks)))),
      numbers_(call.read(chunk_numbers(lowering))) {}

void BlockReader::each(const Expr& block, const std::function<void(const Expr& values, const Expr& place)>& body) const {
  const int size = dtype_info(format_.dtype).block_bytes;
  const Expr first_byte = call_.let(block * size);
  const Expr first_half = call_.let(block * (size / 2));
  for (int chunk = 0; chunk < chunks_; ++chunk) {
    const auto part = [&](const Expr& i) {
      const Fields fields{call_, bytes_, halves_, numbers_, first_byte, first_half, i, lanes_};
      body(call_.let(format_.values(fields, chunk)), i + kChunk * chunk);
    };
    if (lanes_ == kChunk) part(Expr(0));
    else call_.loop(kChunk, part);
  }
}

}  // namespace naru::kernel
