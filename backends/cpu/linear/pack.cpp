// Packing of weights into tiles: reads blocks of each format, writes bit planes.
#include <algorithm>
#include <cstring>
#include <vector>

#include "backends/cpu/linear/formats.h"
#include "backends/cpu/parallel.h"
#include "graph/checked.h"

namespace naru::cpu {
namespace {

using Byte = std::uint8_t;

/// One block of one row, in parts.
struct BlockParts {
  Byte codes[256];     ///< as stored, before `zero` or the codebook
  std::int8_t scales[16] = {};
  Byte mins[16] = {};
  std::uint16_t scale = 0;  ///< f16 bits or the exponent
  std::uint16_t min = 0;
};

std::uint16_t load16(const Byte* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return bits;
}

/// 32 codes from 16 bytes: low halves first.
void read_nibbles(const Byte* p, Byte* codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = p[i] & 15;
    codes[16 + i] = p[i] >> 4;
  }
}

/// Bit 4 of 32 codes from 4 bytes.
void read_fifth_bits(const Byte* p, Byte* codes) {
  for (int i = 0; i < 32; ++i) codes[i] |= static_cast<Byte>(((p[i / 8] >> (i % 8)) & 1) << 4);
}

void read_q4_0(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  read_nibbles(p + 2, out.codes);
}

void read_q4_1(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  out.min = load16(p + 2);
  read_nibbles(p + 4, out.codes);
}

void read_q5_0(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  read_nibbles(p + 6, out.codes);
  read_fifth_bits(p + 2, out.codes);
}

void read_q5_1(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  out.min = load16(p + 2);
  read_nibbles(p + 8, out.codes);
  read_fifth_bits(p + 4, out.codes);
}

void read_q8_0(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  std::memcpy(out.codes, p + 2, 32);
}

void read_q2_k(const Byte* p, BlockParts& out) {
  for (int s = 0; s < 16; ++s) {
    out.scales[s] = static_cast<std::int8_t>(p[s] & 15);
    out.mins[s] = p[s] >> 4;
  }
  for (int i = 0; i < 256; ++i) out.codes[i] = (p[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
  out.scale = load16(p + 80);
  out.min = load16(p + 82);
}

void read_q3_k(const Byte* p, BlockParts& out) {
  const Byte* scales = p + 96;
  for (int s = 0; s < 16; ++s) {
    const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    const int high = (scales[8 + s % 4] >> (s / 4 * 2)) & 3;
    out.scales[s] = static_cast<std::int8_t>((low | (high << 4)) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int low = (p[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    const int high = (p[i % 32] >> (i / 32)) & 1;
    out.codes[i] = static_cast<Byte>(low | (high << 2));
  }
  out.scale = load16(p + 108);
}

/// The eight 6-bit scales and mins of Q4_K and Q5_K.
void read_k_scales(const Byte* p, BlockParts& out) {
  for (int s = 0; s < 4; ++s) {
    out.scales[s] = static_cast<std::int8_t>(p[s] & 63);
    out.mins[s] = p[s + 4] & 63;
    out.scales[s + 4] = static_cast<std::int8_t>((p[s + 8] & 15) | ((p[s] >> 6) << 4));
    out.mins[s + 4] = static_cast<Byte>((p[s + 8] >> 4) | ((p[s + 4] >> 6) << 4));
  }
}

/// Element i of 256 in nibbles: 64 elements in 32 bytes, low halves first.
int k_nibble(const Byte* p, int i) { return (p[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15; }

void read_q4_k(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  out.min = load16(p + 2);
  read_k_scales(p + 4, out);
  for (int i = 0; i < 256; ++i) out.codes[i] = static_cast<Byte>(k_nibble(p + 16, i));
}

void read_q5_k(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  out.min = load16(p + 2);
  read_k_scales(p + 4, out);
  for (int i = 0; i < 256; ++i) {
    const int high = (p[16 + i % 32] >> (i / 32)) & 1;
    out.codes[i] = static_cast<Byte>(k_nibble(p + 48, i) | (high << 4));
  }
}

void read_q6_k(const Byte* p, BlockParts& out) {
  for (int i = 0; i < 256; ++i) {
    const int low = (p[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
    const int high = (p[128 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    out.codes[i] = static_cast<Byte>(low | (high << 4));
  }
  std::memcpy(out.scales, p + 192, 16);
  out.scale = load16(p + 208);
}

void read_iq4_xs(const Byte* p, BlockParts& out) {
  out.scale = load16(p);
  const int high = load16(p + 2);
  for (int s = 0; s < 8; ++s) {
    const int low = (p[4 + s / 2] >> (s % 2 * 4)) & 15;
    out.scales[s] = static_cast<std::int8_t>((low | (((high >> (2 * s)) & 3) << 4)) - 32);
    read_nibbles(p + 8 + 16 * s, out.codes + 32 * s);
  }
}

void read_mxfp4(const Byte* p, BlockParts& out) {
  out.scale = p[0];
  read_nibbles(p + 1, out.codes);
}

using Reader = void (*)(const Byte*, BlockParts&);

Reader reader_of(DType dtype) {
  switch (dtype) {
    case DType::Q4_0: return read_q4_0;
    case DType::Q4_1: return read_q4_1;
    case DType::Q5_0: return read_q5_0;
    case DType::Q5_1: return read_q5_1;
    case DType::Q8_0: return read_q8_0;
    case DType::Q2_K: return read_q2_k;
    case DType::Q3_K: return read_q3_k;
    case DType::Q4_K: return read_q4_k;
    case DType::Q5_K: return read_q5_k;
    case DType::Q6_K: return read_q6_k;
    case DType::IQ4_NL: return read_q4_0;
    case DType::IQ4_XS: return read_iq4_xs;
    case DType::MXFP4: return read_mxfp4;
    default: return nullptr;
  }
}

/// Place of depth `k` of row `r` among the codes of a tile.
constexpr int code_index(int k, int r) { return k / 4 * 64 + r * 4 + k % 4; }

/// Puts `bits` of each code, from bit `first` on, into a plane: byte i holds the codes i,
/// i + plane, i + 2 plane, ... of the tile, lowest bits first.
void write_plane(const Byte* codes, int first, int bits, Byte* plane) {
  const int bytes = kTileCodes * bits / 8;
  std::fill_n(plane, bytes, Byte{0});
  for (int i = 0; i < kTileCodes; ++i) {
    const int code = (codes[i] >> first) & ((1 << bits) - 1);
    plane[i % bytes] |= static_cast<Byte>(code << (i / bytes * bits));
  }
}

/// A unit of format.depth() depths of a group of rows. Rows and depths beyond the weight are zero.
void pack_unit(const TileFormat& format, Reader read, const Byte* const* rows, Byte* packed) {
  std::vector<BlockParts> parts(kTileRows);
  for (int r = 0; r < kTileRows; ++r) {
    std::memset(parts[static_cast<std::size_t>(r)].codes, format.zero, sizeof(BlockParts::codes));
    if (rows[r] != nullptr) read(rows[r], parts[static_cast<std::size_t>(r)]);
  }
  Byte codes[kTileCodes];
  for (int first = 0; first < format.block; first += kTileDepth) {
    for (int r = 0; r < kTileRows; ++r) {
      for (int k = 0; k < kTileDepth; ++k) codes[code_index(k, r)] = parts[static_cast<std::size_t>(r)].codes[first + k];
    }
    write_plane(codes, 0, format.low_bits, packed);
    packed += kTileCodes * format.low_bits / 8;
    if (format.high_bits > 0) write_plane(codes, format.low_bits, format.high_bits, packed);
    packed += kTileCodes * format.high_bits / 8;
  }
  for (int s = 0; s < format.subs(); ++s) {
    for (const BlockParts& part : parts) {
      const auto scale = static_cast<Byte>(part.scales[s]);
      *packed++ = format.subs_in_nibbles ? static_cast<Byte>(scale | (part.mins[s] << 4)) : scale;
    }
  }
  for (int s = 0; format.min_per_sub && !format.subs_in_nibbles && s < format.subs(); ++s) {
    for (const BlockParts& part : parts) *packed++ = part.mins[s];
  }
  const auto put16 = [&](std::uint16_t BlockParts::*member) {
    for (const BlockParts& part : parts) {
      std::memcpy(packed, &(part.*member), 2);
      packed += 2;
    }
  };
  if (format.scale == TileFormat::Scale::E8M0) {
    for (const BlockParts& part : parts) *packed++ = static_cast<Byte>(part.scale);
  } else {
    put16(&BlockParts::scale);
  }
  if (format.has_min) put16(&BlockParts::min);
}

/// 32 depths of plain elements, [depth][row].
void pack_plain(const TileFormat& format, const Byte* const* rows, std::int64_t depths, Byte* packed) {
  const int bytes = format.block_bytes;
  for (int k = 0; k < kTileDepth; ++k) {
    for (int r = 0; r < kTileRows; ++r, packed += bytes) {
      if (rows[r] != nullptr && k < depths) {
        std::memcpy(packed, rows[r] + k * bytes, static_cast<std::size_t>(bytes));
      } else {
        std::memset(packed, 0, static_cast<std::size_t>(bytes));
      }
    }
  }
}

std::int64_t units_of(const TileFormat& format, std::int64_t depth) {
  return (depth + format.depth() - 1) / format.depth();
}

}  // namespace

const TileFormat* find_tile_format(DType dtype) {
  const auto* found = std::find_if(std::begin(kTileFormats), std::end(kTileFormats),
                                   [&](const TileFormat& format) { return format.dtype == dtype; });
  return found == std::end(kTileFormats) ? nullptr : found;
}

std::span<const TileFormat> tile_formats() { return kTileFormats; }

std::int64_t packed_group_bytes(const TileFormat& format, std::int64_t depth) {
  return checked_mul(units_of(format, depth), format.packed_bytes());
}

std::int64_t packed_tile_bytes(const TileFormat& format, std::int64_t rows, std::int64_t depth) {
  return checked_mul(tile_groups(rows), packed_group_bytes(format, depth));
}

void pack_tiles(const TileFormat& format, const Tensor& weight, std::byte* packed) {
  const std::int64_t rows = weight.shape()[0];
  const std::int64_t depth = weight.shape()[1];
  const std::int64_t row_bytes = depth / format.block * format.block_bytes;
  const Reader read = reader_of(format.dtype);
  const auto* data = reinterpret_cast<const Byte*>(weight.data());
  const std::int64_t units = units_of(format, depth);
  parallel_ranges(tile_groups(rows), 4.0 * kTileRows * static_cast<double>(depth),
                  [&](std::int64_t begin, std::int64_t end) {
    auto* to = reinterpret_cast<Byte*>(packed) + begin * units * format.packed_bytes();
    for (std::int64_t group = begin; group < end; ++group) {
      for (std::int64_t unit = 0; unit < units; ++unit, to += format.packed_bytes()) {
        const Byte* from[kTileRows];
        for (int r = 0; r < kTileRows; ++r) {
          const std::int64_t row = group * kTileRows + r;
          from[r] = row < rows ? data + row * row_bytes +
                                     unit * format.depth() / format.block * format.block_bytes
                               : nullptr;
        }
        if (format.is_float()) {
          pack_plain(format, from, depth - unit * format.depth(), to);
        } else {
          pack_unit(format, read, from, to);
        }
      }
    }
  });
}

}  // namespace naru::cpu
