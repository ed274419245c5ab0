// Random graphs: the whole pipeline must not change what they compute. The operators are
// continuous, so that rounding stays rounding.
#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/scalar.h"
#include "graph/text.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

/// Grows a graph of values of rank 4, [batch, 4 or 6 channels, 5 or so, 3 or so].
class RandomGraph {
 public:
  RandomGraph(unsigned seed, DType dtype) : dtype_(dtype), random_(seed) {
    graph_.name = fmt::format("random {}", seed);
    const Dim batch = pick(2) == 0 ? Dim(2) : Dim::symbol("n");
    for (int i = 0; i < 2; ++i) {
      values_.push_back(
          graph_.add_input(fmt::format("x{}", i), Type::tensor(dtype_, SymShape{batch, 4, 5, 3})));
    }
  }

  Graph build(int nodes) {
    for (int i = 0; i < nodes; ++i) grow();
    // The last few, and now and then one in the middle.
    for (std::size_t i = 2; i < values_.size(); ++i) {
      const bool is_new = std::find(graph_.outputs.begin(), graph_.outputs.end(), values_[i]) ==
                          graph_.outputs.end();
      if (is_new && (i + 2 >= values_.size() || pick(12) == 0))
        graph_.outputs.push_back(values_[i]);
    }
    if (graph_.outputs.empty()) graph_.outputs.push_back(values_.back());
    return graph_;
  }

 private:
  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  ValueId any() {
    // Mostly recent values, so that chains grow.
    const auto size = static_cast<int>(values_.size());
    return values_[static_cast<std::size_t>(pick(2) == 0 ? size - 1 - pick(std::min(size, 3))
                                                         : pick(size))];
  }
  const SymShape& shape(ValueId id) const { return *graph_.value(id).type.shape; }
  std::int64_t dim(ValueId id, std::size_t axis) const { return shape(id)[axis].value(); }

  ValueId constant(const Shape& dims, double low = -1, double high = 1) {
    std::vector<double> values(static_cast<std::size_t>(dims.numel()));
    std::uniform_real_distribution<double> real(low, high);
    for (double& value : values) value = real(random_);
    if (pick(4) == 0) {  // neutral and other special numbers
      const double special[] = {0, 1, 2, 0.5, -1};
      std::fill(values.begin(), values.end(), special[pick(5)]);
    }
    return constant_of(dims, values);
  }
  ValueId constant_of(const Shape& dims, const std::vector<double>& values) {
    Tensor tensor(dtype_, dims);
    from_wide<double>(values, tensor);
    return graph_.add_constant("", std::move(tensor));
  }
  ValueId scalar(double value) { return constant_of({}, {value}); }
  ValueId ints(std::vector<std::int64_t> values) {
    return graph_.add_constant(
        "", Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    const ValueId id = graph_.add_node(op, std::move(inputs), 1, std::move(attributes)).outputs[0];
    infer_types(graph_);
    return id;
  }

  ValueId unary(ValueId x) {
    const char* const ops[] = {"Relu",     "Tanh",      "Sigmoid",     "HardSwish", "Neg",
                               "Abs",      "LeakyRelu", "HardSigmoid", "Identity",  "Elu",
                               "Softplus", "Gelu",      "Mish",        "Swish",     "Dropout"};
    return add(ops[pick(15)], {x});
  }

  /// A constant that broadcasts to the value in one of several ways.
  ValueId broadcastable(ValueId x) {
    switch (pick(5)) {
      case 0: return constant({});
      case 1: return constant({1});
      case 2: return constant({dim(x, 1), 1, 1});
      case 3: return constant({dim(x, 3)});
      default: return constant({1, dim(x, 1), 1, 1});
    }
  }

  ValueId binary(ValueId x) {
    const char* const ops[] = {"Add", "Mul", "Sub", "Max", "Min", "Sum", "Add", "Mul"};
    ValueId other = broadcastable(x);
    if (pick(2) == 0) {
      const ValueId candidate = any();
      if (shape(candidate) == shape(x)) other = candidate;
    }
    const bool swap = pick(3) == 0;
    return add(ops[pick(8)],
               swap ? std::vector<ValueId>{other, x} : std::vector<ValueId>{x, other});
  }

  ValueId convolution(ValueId x) {
    const std::int64_t in = dim(x, 1), groups = pick(3) == 0 ? 2 : 1, kernel = pick(2) == 0 ? 1 : 3;
    const std::int64_t out = pick(2) == 0 ? 4 : 6, pad = pick(2) * (kernel / 2);
    if (!shape(x)[2].is_known() || dim(x, 2) < kernel || dim(x, 3) < kernel) return unary(x);
    const bool transposed = pick(4) == 0;
    std::vector<ValueId> inputs{x, transposed
                                       ? constant({in, out / groups, kernel, kernel}, -0.3, 0.3)
                                       : constant({out, in / groups, kernel, kernel}, -0.3, 0.3)};
    if (pick(2) == 0) inputs.push_back(constant({out}));
    if (in % groups != 0) return unary(x);
    return add(transposed ? "ConvTranspose" : "Conv", std::move(inputs),
               {{"group", groups}, {"pads", std::vector<std::int64_t>{pad, pad, pad, pad}}});
  }

  ValueId normalization(ValueId x) {
    const std::int64_t c = dim(x, 1);
    return add("BatchNormalization",
               {x, constant({c}), constant({c}), constant({c}), constant({c}, 0.5, 2)});
  }

  ValueId product(ValueId x) {
    const ValueId scaled = pick(3) == 0 ? add("Mul", {x, constant({})}) : x;
    const ValueId turned =
        pick(2) == 0 ? add("Transpose", {scaled}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}})
                     : scaled;
    const ValueId y =
        add("MatMul", {turned, constant({dim(turned, 3), pick(2) == 0 ? 3 : 5}, -0.5, 0.5)});
    return pick(2) == 0 ? add("Add", {y, constant({dim(y, 3)})}) : y;
  }

  ValueId movement(ValueId x) {
    switch (pick(8)) {
      case 0: return add("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}});
      case 1: return add("Pad", {x, ints({0, 0, pick(2), 0, 0, 0, 0, pick(2)})});
      case 2: return add("Slice", {x, ints({pick(2)}), ints({1000}), ints({2})});
      case 3: return add("Concat", {x, x}, {{"axis", std::int64_t{2 + pick(2)}}});
      case 4: return add("Squeeze", {add("Unsqueeze", {x, ints({2})}), ints({2})});
      case 5: return add("Reshape", {x, ints({0, 0, dim(x, 3), -1})});
      case 6:
        return add("Cast", {add("Cast", {x}, {{"to", std::int64_t{11}}})},
                   {{"to", dtype_ == DType::F32   ? std::int64_t{1}
                           : dtype_ == DType::F16 ? std::int64_t{10}
                                                  : std::int64_t{11}}});
      default: return add("Expand", {x, ints({1, 1})});
    }
  }

  ValueId gate(ValueId x) {
    switch (pick(4)) {
      case 0: return add("Mul", {x, add("Sigmoid", {x})});
      case 1: return add("Mul", {x, add("ReduceMean", {x, ints({2, 3})})});
      case 2: return add("Softmax", {x}, {{"axis", std::int64_t{pick(2) == 0 ? -1 : 1}}});
      default: {
        const ValueId shifted = add("Clip", {add("Add", {x, scalar(3)}), scalar(0), scalar(6)});
        return add("Div", {add("Mul", {x, shifted}), scalar(6)});
      }
    }
  }

  void grow() {
    const ValueId x = any();
    ValueId y = kNoValue;
    switch (pick(10)) {
      case 0:
      case 1:
      case 2: y = unary(x); break;
      case 3:
      case 4:
      case 5: y = binary(x); break;
      case 6: y = pick(2) == 0 ? convolution(x) : normalization(x); break;
      case 7: y = product(x); break;
      case 8: y = movement(x); break;
      default: y = gate(x); break;
    }
    const SymShape& dims = shape(y);
    const bool small = std::all_of(dims.begin() + 1, dims.end(),
                                   [](const Dim& d) { return d.is_known() && d.value() < 40; });
    if (dims.size() == 4 && small) values_.push_back(y);
  }

  DType dtype_;
  Graph graph_;
  std::vector<ValueId> values_;
  std::mt19937 random_;
};

/// Rounding grows with the largest numbers that an output was made from.
double scale_of(const Tensor& tensor) {
  double scale = 1;
  for (double value : to_wide<double>(tensor)) {
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  }
  return scale;
}

/// Most are f32; of the others, f16 rounds coarsely and overflows soon.
DType dtype_of_seed(unsigned seed) {
  return seed % 8 == 0 ? DType::F64 : seed % 8 == 1 ? DType::F16 : DType::F32;
}

void check(unsigned seed) {
  const DType dtype = dtype_of_seed(seed);
  const Graph before = RandomGraph(seed, dtype).build(4 + static_cast<int>(seed % 23));
  Graph after = before;
  const auto show = [&] {
    return fmt::format("seed {}\n{}\n{}", seed, print(before), print(after));
  };
  try {
    testing::run(after, generic_pipeline(2));
  } catch (const std::exception& error) {
    FAIL() << error.what() << "\n" << show();
  }
  std::vector<Datum> inputs;
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> real(-2, 2);
  const std::int64_t batch = 1 + static_cast<std::int64_t>(seed % 3);
  for (ValueId id : before.inputs) {
    const Dim& first = (*before.value(id).type.shape)[0];
    Tensor tensor(dtype, {first.is_known() ? first.value() : batch, 4, 5, 3});
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      store_f64(dtype, tensor.mutable_data(), i, real(random));
    }
    inputs.emplace_back(std::move(tensor));
  }
  const std::vector<Datum> expected = evaluate(before, inputs), got = evaluate(after, inputs);
  for (std::size_t o = 0; o < expected.size(); ++o) {
    ASSERT_EQ(expected[o].tensor.shape(), got[o].tensor.shape()) << show();
    const std::vector<double> a = to_wide<double>(expected[o].tensor),
                              b = to_wide<double>(got[o].tensor);
    const double scale = scale_of(expected[o].tensor);
    if (dtype == DType::F16 && scale > 100) continue;
    const double tolerance = (dtype == DType::F16   ? 0.1
                              : dtype == DType::F64 ? 1e-6
                                                    : 2e-4) *
                             scale;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(a[i]) && std::isnan(b[i])) continue;
      ASSERT_LE(std::abs(a[i] - b[i]), tolerance)
          << "output " << o << " element " << i << ": " << a[i] << ", " << b[i] << "\n"
          << show();
    }
  }
}

TEST(RandomGraphs, ThePipelineKeepsWhatTheyCompute) {
  const char* only = std::getenv("NARU_RANDOM_SEED");
  const unsigned first = only != nullptr ? static_cast<unsigned>(std::atoi(only)) : 1;
  const char* many = std::getenv("NARU_RANDOM_COUNT");
  const unsigned count = only != nullptr   ? 1
                         : many != nullptr ? static_cast<unsigned>(std::atoi(many))
                                           : 300;
  for (unsigned seed = first; seed < first + count; ++seed) {
    check(seed);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace naru
