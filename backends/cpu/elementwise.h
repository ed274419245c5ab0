// Element-wise chains: a running value through unary and binary steps, tile by tile in L1.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "backends/cpu/layout.h"
#include "backends/cpu/node_view.h"

namespace naru::cpu {

/// The steps that loops exist for; `alpha` and `beta` are a step's parameters.
enum class Ew : std::uint8_t {
  // y = f(a)
  Abs, Neg, Relu, LeakyRelu, Elu, Selu, Celu, ThresholdedRelu, HardSigmoid, HardSwish, Sigmoid,
  Tanh, Exp, Log, Sqrt, Reciprocal, Floor, Ceil, Round, Sign, Erf, Softplus, Softsign, Mish,
  GeluErf, GeluTanh, Swish, Clip, Linear, Square, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh,
  Asinh, Acosh, Atanh,
  // y = f(a, b)
  Add, Sub, Mul, Div, Max, Min, Pow, PRelu,
};
inline constexpr std::size_t kEwCount = static_cast<std::size_t>(Ew::PRelu) + 1;
inline bool is_binary(Ew op) { return op >= Ew::Add; }

/// One step of a chain: the running value becomes f(value) or f(value, operand).
struct EwStep {
  Ew op = Ew::Relu;
  float alpha = 0;
  float beta = 0;
  std::int32_t operand = -1;  ///< of a binary step: which operand of the chain
};

/// A loop over one tile; `b` is null for unary steps; `y` may be `a` or `b`.
using EwLoop = void (*)(float* y, const float* a, const float* b, std::int64_t count, float alpha,
                        float beta);

/// The loop for this machine.
EwLoop ew_loop(Ew op);

/// A step by its operator's name and parameters; nullopt for operators without a loop.
std::optional<EwStep> ew_step(std::string_view op, float alpha, float beta);

/// The steps of a plain element-wise node: its inputs are the chain's operands in order, operand 0
/// is the first running value. nullopt when there is no loop for it.
std::optional<std::vector<EwStep>> ew_chain(const NodeView& view);

/// The steps named by attributes post_ops and post_args of a fused node; binary steps take
/// operands `first_operand`, `first_operand` + 1, ... nullopt when one has no loop.
std::optional<std::vector<EwStep>> post_chain(const Node& node, std::int32_t first_operand);

/// How an operand is read while the output is walked in its physical order.
struct EwAccess {
  DType dtype = DType::F32;
  std::vector<std::int64_t> strides;  ///< in elements, by iteration dimension; 0 repeats
};

/// A chain over concrete layouts. Operand 0 is the first running value.
class EwKernel {
 public:
  EwKernel(std::vector<EwStep> steps, Layout output, std::vector<EwAccess> operands);

  /// `pointers`: the operands in order, then the output, which may be one of them.
  void operator()(std::byte* const* pointers) const;

 private:
  struct Tiles;
  void run_tile(std::byte* const* pointers, std::int64_t outer, std::int64_t first,
                std::int64_t count, float* scratch) const;
  const float* load(const EwAccess& access, const std::byte* data, std::int64_t outer,
                    std::int64_t first, std::int64_t count, float* tile) const;
  void clear_padding(std::byte* output) const;

  std::vector<EwStep> steps_;
  std::vector<EwLoop> loops_;
  Layout output_;
  std::vector<EwAccess> operands_;
  std::vector<std::int64_t> dims_;  // iteration dimensions, collapsed; the last two are the inner run
  std::int64_t outer_ = 1;          // product of all but the last two
  std::int64_t rows_ = 1;
  std::int64_t columns_ = 1;
  double cost_ = 1;                 // of one element, in about nanoseconds
};

/// Physical dimensions of a layout, outermost first: [N, C / block, spatial..., block].
std::vector<std::int64_t> physical_dims(const Layout& layout);

/// Strides of `operand`, whose shape has the rank of `output` and broadcasts to it, along the
/// physical dimensions of `output`. `operand` must be row-major or have the block of `output`.
std::vector<std::int64_t> broadcast_strides(const Layout& operand, const Layout& output);

}  // namespace naru::cpu
