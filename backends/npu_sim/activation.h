// The functions of one number, by the codes that kernels take.
#pragma once

#include <cstdint>
#include <span>

namespace npu {

/// A code below kFunctions and its two numbers; 0 leaves values as they are.
struct Activation {
  std::int64_t code = 0;
  float alpha = 0;
  float beta = 0;
};

extern const std::int64_t kFunctions;
void apply(const Activation& activation, std::span<float> values);

/// Functions of two numbers, by code below kBinaries.
extern const std::int64_t kBinaries;
float combine(std::int64_t code, float a, float b);

}  // namespace npu
