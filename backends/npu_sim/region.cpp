// Walks over regions.
#include "backends/npu_sim/region.h"

#include <algorithm>
#include <cstring>

namespace npu {
namespace {

// Parameters are known by name for as long as the table of kernels lives.
constexpr const char* kNames[][kAxes] = {
    {"e0", "e1", "e2", "e3"}, {"a0", "a1", "a2", "a3"}, {"b0", "b1", "b2", "b3"}, {"x0", "x1", "x2", "x3"}, {"y0", "y1", "y2", "y3"}};

const char* const* names_of(char letter) {
  const auto found = std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& row) { return row[0][0] == letter; });
  return *found;
}

/// Elements from the start of the buffer to behind the last that the region touches.
std::int64_t reach(const Region& region) {
  std::int64_t last = region.offset;
  for (std::size_t i = 0; i + 1 < kAxes; ++i) last += count_of({region.extent[i] - 1, region.step[i]});
  return last + std::max(region.pitch, count_of({region.extent[3] - 1, region.step[3]}) + 1);
}

/// Calls body(offset of the row in the buffer, index of its first element) for each row of the last axis.
template <typename Body>
void for_each_row(const Region& region, Body body) {
  std::int64_t index = 0;
  for (std::int64_t i = 0; i < region.extent[0]; ++i) {
    for (std::int64_t j = 0; j < region.extent[1]; ++j) {
      for (std::int64_t k = 0; k < region.extent[2]; ++k) {
        body(region.offset + i * region.step[0] + j * region.step[1] + k * region.step[2], index);
        index += region.extent[3];
      }
    }
  }
}

}  // namespace

std::vector<Parameter> region_parameters(std::vector<Parameter> first, std::string_view letters, const std::vector<Parameter>& last) {
  std::string all(1, 'e');
  all += letters;
  for (const char letter : all) {
    for (std::size_t i = 0; i < kAxes; ++i) first.push_back({names_of(letter)[i], Role::Int});
  }
  first.insert(first.end(), last.begin(), last.end());
  return first;
}

Region region_of(const Call& call, char letter, const char* offset, const char* pitch) {
  Region region;
  for (std::size_t i = 0; i < kAxes; ++i) {
    region.extent[i] = call.integer(names_of('e')[i], 1);
    region.step[i] = call.integer(names_of(letter)[i], 0);
  }
  if (offset != nullptr) region.offset = call.integer(offset, 0);
  if (pitch != nullptr) region.pitch = call.integer(pitch, 0);
  if (region.pitch > region.extent[3] && region.step[3] != 1) throw BadArguments("a padded axis is not dense");
  region.count();
  return region;
}

std::vector<float> gather(const Call& call, const char* name, Type type, const Region& region) {
  const std::vector<float> all = call.read(name, type, reach(region));
  std::vector<float> values(static_cast<std::size_t>(region.count()));
  for_each_row(region, [&](std::int64_t at, std::int64_t index) {
    float* to = values.data() + index;
    const float* from = all.data() + at;
    for (std::int64_t i = 0; i < region.extent[3]; ++i) to[i] = from[i * region.step[3]];
  });
  return values;
}

void scatter(const Call& call, const char* name, Type type, const Region& region, std::span<const float> values) {
  const std::int64_t size = size_of(type);
  std::byte* all = call.bytes(name, type, reach(region)).data();
  for_each_row(region, [&](std::int64_t at, std::int64_t index) {
    std::byte* to = all + at * size;
    const std::span<const float> row = values.subspan(static_cast<std::size_t>(index), static_cast<std::size_t>(region.extent[3]));
    if (region.step[3] == 1) {
      encode(type, row, to);
    } else {
      for (std::size_t i = 0; i < row.size(); ++i) encode(type, row.subspan(i, 1), to + static_cast<std::int64_t>(i) * region.step[3] * size);
    }
    if (region.pitch > region.extent[3]) std::memset(to + region.extent[3] * size, 0, static_cast<std::size_t>((region.pitch - region.extent[3]) * size));
  });
}

void copy_bits(const Call& call, const char* from_name, const Region& from, const char* to_name, const Region& to, Type type) {
  const auto size = static_cast<std::size_t>(size_of(type));
  const std::span<const std::byte> source = call.bytes(from_name, type, reach(from));
  const std::span<std::byte> target = call.bytes(to_name, type, reach(to));
  std::vector<std::byte> values(static_cast<std::size_t>(from.count()) * size);
  for_each_row(from, [&](std::int64_t at, std::int64_t index) {
    for (std::int64_t i = 0; i < from.extent[3]; ++i) {
      std::memcpy(values.data() + static_cast<std::size_t>(index + i) * size, source.data() + static_cast<std::size_t>(at + i * from.step[3]) * size, size);
    }
  });
  for_each_row(to, [&](std::int64_t at, std::int64_t index) {
    std::byte* row = target.data() + static_cast<std::size_t>(at) * size;
    for (std::int64_t i = 0; i < to.extent[3]; ++i) {
      std::memcpy(row + static_cast<std::size_t>(i * to.step[3]) * size, values.data() + static_cast<std::size_t>(index + i) * size, size);
    }
    if (to.pitch > to.extent[3]) std::memset(row + static_cast<std::size_t>(to.extent[3]) * size, 0, static_cast<std::size_t>(to.pitch - to.extent[3]) * size);
  });
}

}  // namespace npu
