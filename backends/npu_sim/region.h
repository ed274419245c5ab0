// A region of up to four axes of a buffer, by extents and steps: how element-wise kernels and copies see any layout.
#pragma once

#include "backends/npu_sim/kernel.h"

namespace npu {

inline constexpr std::size_t kAxes = 4;

/// Steps count elements; a step of 0 repeats what lies there. Elements of the last axis behind its extent,
/// up to `pitch`, are padding that writers set to zero.
struct Region {
  std::int64_t extent[kAxes];
  std::int64_t step[kAxes];
  std::int64_t offset = 0;
  std::int64_t pitch = 0;

  std::int64_t count() const { return count_of({extent[0], extent[1], extent[2], extent[3]}); }
};

/// Parameters e0 to e3 and, for each operand's letter, its steps: a0 to a3 and so on.
std::vector<Parameter> region_parameters(std::vector<Parameter> first, std::string_view letters, const std::vector<Parameter>& last);
/// The region of the operand `letter`. `offset` and `pitch` name parameters, null for those it has not.
Region region_of(const Call& call, char letter, const char* offset, const char* pitch);

/// The elements of a region, row-major.
std::vector<float> gather(const Call& call, const char* name, Type type, const Region& region);
void scatter(const Call& call, const char* name, Type type, const Region& region, std::span<const float> values);
/// Copies elements of the same type bit by bit.
void copy_bits(const Call& call, const char* from_name, const Region& from, const char* to_name, const Region& to, Type type);

}  // namespace npu
