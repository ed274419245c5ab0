// Tiles: how the weights of linear layers lie in memory for our own kernels, and the loops over them.
//
// A weight [N, K] is packed at load, losslessly, into groups of kTileRows output rows side by side
// and blocks of kTileDepth depths. Inside a block the codes of depths 4g to 4g+3 of row r are
// neighbours: [8 depth groups][16 rows][4 depths], which is how dot-product instructions of 8-bit
// integers read them at any vector length. Codes of fewer than 8 bits are split into bit planes of
// whole vectors (see TileFormat); scales follow the codes of their block.
//
// At run time a panel of up to kPanelBlocks blocks of one group is decoded into L1 and multiplied
// with all rows of the activations. Activations are quantised to 8 bits with one f32 scale per 32
// values: the relative error of a dot product is about 0.4 % / sqrt(K), a few times less than that
// of the weights' own 8-bit format. The f32 kernels multiply the decoded weights with the unchanged
// activations instead.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "naru/tensor.h"

namespace naru::cpu {

inline constexpr int kTileRows = 16;
inline constexpr int kTileDepth = 32;
inline constexpr int kTileCodes = kTileRows * kTileDepth;
inline constexpr int kPanelBlocks = 8;
inline constexpr int kPanelDepth = kPanelBlocks * kTileDepth;

/// How a format's elements become values: value = scale * code + min, where the code is the stored
/// one minus `zero`, or an element of `codebook`; scale and min belong to `block` elements, or to
/// `sub_elements` of them when the block has further scales.
struct TileFormat {
  DType dtype = DType::Undefined;
  std::int32_t block = 32;         ///< elements of a block of the format: 1 for plain types
  std::int32_t block_bytes = 0;
  std::int32_t low_bits = 8;       ///< of a code in the first bit plane: 2, 4, 8, or 16 and 32 for floats
  std::int32_t high_bits = 0;      ///< of a code in the second bit plane: 0, 1, 2
  std::int32_t zero = 0;
  enum class Codebook : std::uint8_t { None, Iq4, Mxfp4 } codebook = Codebook::None;
  enum class Scale : std::uint8_t { None, F16, E8M0 } scale = Scale::F16;
  std::int32_t sub_elements = 0;   ///< 0, 16 or 32
  bool has_min = false;            ///< a second f16 follows the scale
  bool min_per_sub = false;        ///< it is multiplied by an own factor per sub-block, and subtracted
  bool subs_in_nibbles = false;    ///< factors of scale and min share a byte

  constexpr bool is_float() const { return scale == Scale::None; }
  constexpr bool has_codebook() const { return codebook != Codebook::None; }
  constexpr int subs() const { return sub_elements == 0 ? 0 : block / sub_elements; }
  /// Bytes of the codes of 32 depths of a group of rows.
  constexpr int code_bytes() const { return kTileCodes * (low_bits + high_bits) / 8; }
  /// Bytes of the factors of a block of a group of rows.
  constexpr int sub_bytes() const {
    return kTileRows * subs() * (min_per_sub && !subs_in_nibbles ? 2 : 1);
  }
  /// Bytes of one block (of 32 depths for plain types) of a group of rows.
  constexpr int packed_bytes() const {
    const int scales = is_float() ? 0 : scale == Scale::E8M0 ? kTileRows : 2 * kTileRows;
    return code_bytes() * (block <= kTileDepth ? 1 : block / kTileDepth) + sub_bytes() + scales +
           (has_min ? 2 * kTileRows : 0);
  }
  /// Depths of the unit that packed_bytes() counts.
  constexpr int depth() const { return block <= kTileDepth ? kTileDepth : block; }
};

/// The format of a weight's element type, or null when these kernels do not have it.
const TileFormat* find_tile_format(DType dtype);
/// All formats, in the order of the kernels' tables.
std::span<const TileFormat> tile_formats();

/// Groups of kTileRows that `rows` output rows make.
constexpr std::int64_t tile_groups(std::int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }
/// Bytes of one packed group of rows, of a packed weight. `depth` is padded to whole units.
std::int64_t packed_group_bytes(const TileFormat& format, std::int64_t depth);
std::int64_t packed_tile_bytes(const TileFormat& format, std::int64_t rows, std::int64_t depth);
/// Packs `weight`, [N, K] row-major in its own format.
void pack_tiles(const TileFormat& format, const Tensor& weight, std::byte* packed);

/// What a decoded panel holds.
enum class TileKind : std::uint8_t {
  U4,   ///< u8 codes up to 15
  U5,   ///< u8 codes up to 31
  U8,   ///< u8 codes
  I16,  ///< i16 codes, factors of sub-blocks included; no mins
  I16Min,  ///< I16 with mins
  F32,  ///< f32 values, [depth][16 rows]
};
inline constexpr std::size_t kTileKinds = 6;
constexpr bool is_i16(TileKind kind) { return kind == TileKind::I16 || kind == TileKind::I16Min; }

/// A decoded panel. Unsigned kinds: value = scale[b][row] * code + min[b][row]. I16: two lanes of
/// each row side by side, scale[b][row][lane]; min[b][half of the block][row][lane], 0 in lane 1.
struct Panel {
  alignas(64) std::byte codes[kPanelBlocks * kTileCodes * sizeof(float)];
  alignas(64) float scale[kPanelBlocks * kTileRows * 2];
  alignas(64) float min[kPanelBlocks * kTileRows * 4];
};

/// One panel's depths of all rows of activations, as a kind reads them. Per row: kPanelDepth codes
/// (s8 for the unsigned kinds, i16 for I16, f32 for F32; zero beyond the depth), kPanelBlocks
/// scales and, per block, one or (I16) two sums of codes times the scale. Rows of a panel lie side
/// by side, so that they fill the cache evenly whatever the depth.
struct Activations {
  const std::byte* codes = nullptr;
  const float* scale = nullptr;
  const float* sums = nullptr;
};

/// Rows that one call of a dot loop multiplies, at most.
inline constexpr int kMaxDotRows = 8;

/// Adds the product of a panel of `blocks` blocks with rows from `row` on to `sums`:
/// floats_per_row(kind) floats per row.
using DotLoop = void (*)(const Panel& panel, std::int64_t blocks, const Activations& x,
                         std::int64_t row, float* sums);
/// As DecodeLoop and DotLoop in one, for one row: codes go from memory into the products.
using DirectLoop = void (*)(const std::byte* packed, std::int64_t blocks, const Activations& x, float* sums);
using DecodeLoop = void (*)(const std::byte* packed, std::int64_t blocks, Panel& panel);
/// Quantises `blocks` blocks of one row.
using QuantiseLoop = void (*)(const float* x, std::int64_t blocks, std::byte* codes, float* scale,
                              float* sums);

/// The loops of one instruction set.
struct TileLoops {
  const char* name;
  bool (*present)();
  std::array<TileKind, 16> kinds;             ///< by format: what decode makes
  std::array<DecodeLoop, 16> decode;          ///< by format
  std::array<DecodeLoop, 16> decode_f32;      ///< by format: to kind F32
  std::array<std::array<DotLoop, kMaxDotRows>, kTileKinds> dot;  ///< by kind and rows - 1; null beyond
  std::array<DirectLoop, 16> direct;          ///< by format; null where panels are as good
  std::array<QuantiseLoop, kTileKinds> quantise;                 ///< by kind
  /// Makes 16 sums of one row out of what the dot loops added up.
  void (*finish)(TileKind kind, const float* sums, float* y);
};

constexpr int code_bytes(TileKind kind) { return kind == TileKind::F32 ? 4 : is_i16(kind) ? 2 : 1; }
constexpr int sums_per_block(TileKind kind) { return is_i16(kind) ? 2 : 1; }
/// Sums that dot loops keep per row of activations.
constexpr int floats_per_row(TileKind kind) { return is_i16(kind) ? 2 * kTileRows : kTileRows; }

/// All that are compiled in, best first; the last one runs anywhere.
std::span<const TileLoops* const> all_tile_loops();
/// The best that this machine has.
const TileLoops& tile_loops();

}  // namespace naru::cpu
