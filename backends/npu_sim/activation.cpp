// The tables of functions; a row's place is its code, which device profiles name: rows are only added at the end.
#include "backends/npu_sim/activation.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace npu {
namespace {

using Function = float (*)(float x, float a, float b);
using Binary = float (*)(float a, float b);

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }
float softplus(float x) { return std::max(x, 0.0f) + std::log1p(std::exp(-std::fabs(x))); }
float gelu(float x, bool tanh) {
  constexpr float kRootHalf = 0.70710678f;
  constexpr float kRootTwoOverPi = 0.79788456f;
  return 0.5f * x * (1 + (tanh ? std::tanh(kRootTwoOverPi * (x + 0.044715f * x * x * x)) : std::erf(x * kRootHalf)));
}
/// NaN stays NaN, which std::clamp and std::max do not promise.
float clip(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

constexpr Function kFunctionTable[] = {
    [](float x, float, float) { return x; },                                       // 0 none
    [](float x, float, float) { return x < 0 ? 0 : x; },                           // 1 Relu
    [](float x, float a, float b) { return clip(x, a, b); },                       // 2 Clip
    [](float x, float a, float) { return x < 0 ? a * x : x; },                     // 3 LeakyRelu
    [](float x, float, float) { return sigmoid(x); },                              // 4 Sigmoid
    [](float x, float, float) { return std::tanh(x); },                            // 5 Tanh
    [](float x, float a, float b) { return clip(a * x + b, 0, 1); },               // 6 HardSigmoid
    [](float x, float, float) { return x * clip(x / 6 + 0.5f, 0, 1); },            // 7 HardSwish
    [](float x, float a, float) { return gelu(x, a != 0); },                       // 8 Gelu
    [](float x, float a, float) { return x * sigmoid(a * x); },                    // 9 Swish
    [](float x, float, float) { return std::exp(x); },                             // 10 Exp
    [](float x, float, float) { return std::sqrt(x); },                            // 11 Sqrt
    [](float x, float, float) { return -x; },                                      // 12 Neg
    [](float x, float, float) { return std::fabs(x); },                            // 13 Abs
    [](float x, float, float) { return 1 / x; },                                   // 14 Reciprocal
    [](float x, float, float) { return std::erf(x); },                             // 15 Erf
    [](float x, float, float) { return std::log(x); },                             // 16 Log
    [](float x, float a, float) { return x < 0 ? a * std::expm1(x) : x; },         // 17 Elu
    [](float x, float, float) { return softplus(x); },                             // 18 Softplus
    [](float x, float, float) { return x * std::tanh(softplus(x)); },              // 19 Mish
};

constexpr Binary kBinaryTable[] = {
    [](float a, float b) { return a + b; },                                          // 0 Add
    [](float a, float b) { return a - b; },                                          // 1 Sub
    [](float a, float b) { return a * b; },                                          // 2 Mul
    [](float a, float b) { return a / b; },                                          // 3 Div
    [](float a, float b) { return a > b || std::isnan(a) ? a : b; },                 // 4 Max
    [](float a, float b) { return a < b || std::isnan(a) ? a : b; },                 // 5 Min
    [](float a, float b) { return a < 0 ? a * b : a; },                              // 6 PRelu
};

}  // namespace

const std::int64_t kFunctions = std::size(kFunctionTable);
const std::int64_t kBinaries = std::size(kBinaryTable);

void apply(const Activation& activation, std::span<float> values) {
  if (activation.code == 0) return;
  const Function function = kFunctionTable[activation.code];
  for (float& value : values) value = function(value, activation.alpha, activation.beta);
}

float combine(std::int64_t code, float a, float b) { return kBinaryTable[code](a, b); }

}  // namespace npu
