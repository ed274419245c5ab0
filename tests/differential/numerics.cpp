// The table of contracts. Units are of the type that the operator computes in and stores.
#include "tests/differential/numerics.h"

#include <cmath>
#include <unordered_map>

namespace naru::fuzz {
namespace {

struct Row {
  std::string_view ops;  ///< names, separated by spaces
  Contract contract;
};

constexpr Contract kFunction{1, 4, 0, false, "a polynomial or library function of one or two operands: 4 units, and one more rounding "
                                   "of the operand where a chain is computed without storing what is between"};

constexpr Row kRows[] = {
    {"Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Concat Split Gather GatherElements GatherND Expand Tile "
     "DepthToSpace SpaceToDepth Trilu ReverseSequence Compress TopK OneHot Where Shape Size NonZero EyeLike "
     "ConstantOfShape Range Pad Dropout If Loop Scan",
     {0, 0, 0, false, "elements move and keep their bits; what bodies compute has its own rows"}},
    {"Abs Neg Relu Max Min Sign Ceil Floor Round Hardmax GlobalMaxPool ReduceMax ReduceMin IsNaN IsInf Equal "
     "Greater GreaterOrEqual Less LessOrEqual Not And Or Xor ArgMax ArgMin",
     {1, 0, 0, false, "exact in floating point; the operand may not have been rounded to 16 bits before"}},
    {"Add Sub Mul Div Sum Mean Sqrt Reciprocal Cast CastLike LeakyRelu PRelu ScatterElements ScatterND",
     {1, 1, 0, false, "IEEE 754 rounds once; a division may be a product with the reciprocal"}},
    {"Gelu LogSoftmax Softplus Mish Elu Selu Celu", {1, 4, 8, false, "a difference of nearly equal numbers: exact to a part of 1, not of the result"}},
    {"MaxPool", {0, 0, 0, true, "vector maxima skip NaN, and windows begin with the lowest finite number"}},
    {"Clip HardSigmoid", {1, 2, 0, true, "a clamp in vector registers drops NaN"}},
    {"MatMul Gemm Conv ConvTranspose Einsum naru.FusedMatMul naru.FusedConv Det",
     {8, 2, 0, false, "sums of products in f32 in any order: the error is that of operands moved by a few units, growing with the "
            "square root of the terms"}},
    {"ReduceSum ReduceMean ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare CumSum CumProd "
     "AveragePool GlobalAveragePool LpPool GlobalLpPool",
     {4, 4, 0, false, "sums in f32 in any order"}},
    {"Softmax LayerNormalization RMSNormalization InstanceNormalization GroupNormalization BatchNormalization "
     "LpNormalization MeanVarianceNormalization LRN Attention",
     {8, 8, 0, false, "a sum in any order, a function of it, and a product; a difference from the mean cancels"}},
    {"LSTM GRU RNN", {16, 16, 2, false, "sums of products and functions over all steps before; gates are exact to a part of 1"}},
    {"Resize GridSample", {8, 8, 0, true, "interpolation weights of positions in f32; a neighbour of weight 0 may be multiplied or skipped"}},
    {"DequantizeLinear", {2, 2, 0, false, "one difference of integers and one product"}},
    {"QuantizeLinear DynamicQuantizeLinear", {2, 2, 0, true, "one product and one rounding: a tie may fall either way; NaN has no integer"}},
};

}  // namespace

const Contract& contract_of(std::string_view op) {
  static const std::unordered_map<std::string_view, const Contract*> index = [] {
    std::unordered_map<std::string_view, const Contract*> made;
    for (const Row& row : kRows) {
      std::string_view names = row.ops;
      while (!names.empty()) {
        const std::size_t space = names.find(' ');
        made.emplace(names.substr(0, space), &row.contract);
        names = space == std::string_view::npos ? std::string_view() : names.substr(space + 1);
      }
    }
    return made;
  }();
  const auto found = index.find(op);
  return found == index.end() ? kFunction : *found->second;
}

double rounding_unit(DType dtype) {
  switch (dtype) {
    case DType::F64: return 0x1p-53;
    case DType::F32: return 0x1p-24;
    case DType::F16: return 0x1p-11;
    case DType::BF16: return 0x1p-8;
    default: return 0;
  }
}

}  // namespace naru::fuzz
