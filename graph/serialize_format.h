// The fixed part of a container: its header, and the limits that reader and writer share.
//
//   0  "NARU"             16  metadata offset        48  hash, low half
//   4  major version u16  24  metadata size          56  hash, high half
//   6  minor version u16  32  data section offset    64  (end of the header of version 1.0)
//   8  header size u32    40  data section size
//  12  features u32
//
// All numbers are little-endian, offsets count from the start of the file in multiples of 64. The
// hash covers the header (its own place left out) and the metadata. An older reader loads any minor
// version; a bit in `features` it does not know makes it refuse.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "graph/hash.h"

namespace naru::container {

static_assert(std::endian::native == std::endian::little,
              "containers are used in place, so that they need a little-endian host");

inline constexpr char kMagic[4] = {'N', 'A', 'R', 'U'};
inline constexpr std::uint16_t kMajor = 1;
inline constexpr std::uint16_t kMinor = 0;
inline constexpr std::int64_t kHeaderBytes = 64;
inline constexpr std::size_t kHashOffset = 48;
inline constexpr std::int64_t kAlignment = 64;
/// FlatBuffers end at 2 GiB; the writer stops well before.
inline constexpr std::int64_t kMaxMetadataBytes = INT64_C(1) << 30;
/// Depth of nested tables: three levels per sub-graph, one per type, and some to spare.
inline constexpr std::uint32_t kMaxTableDepth = 256;

struct Header {
  char magic[4];
  std::uint16_t major;
  std::uint16_t minor;
  std::uint32_t header_bytes;
  std::uint32_t features;
  std::uint64_t metadata_offset;
  std::uint64_t metadata_bytes;
  std::uint64_t data_offset;
  std::uint64_t data_bytes;
  std::uint64_t hash_low;
  std::uint64_t hash_high;
};
static_assert(sizeof(Header) == kHeaderBytes);
static_assert(offsetof(Header, hash_low) == kHashOffset);

/// `header` is the whole header, which newer versions may have made longer.
inline Hash128 metadata_hash(std::span<const std::byte> header,
                             std::span<const std::byte> metadata) {
  Hasher hasher;
  hasher.bytes(header.data(), kHashOffset);
  hasher.bytes(header.data() + sizeof(Header), header.size() - sizeof(Header));
  hasher.bytes(metadata.data(), metadata.size());
  return hasher.finish();
}

}  // namespace naru::container
