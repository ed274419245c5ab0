// Runs fragments on a device and compares with the interpreter.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace naru::test {

/// Reproducible values.
class Random {
 public:
  explicit Random(unsigned seed = 1) : engine_(seed) {}
  /// Uniform in [low, high]; integers are rounded, bool is above the middle.
  Tensor tensor(DType dtype, const Shape& shape, double low = -1, double high = 1);
  std::int64_t integer(std::int64_t low, std::int64_t high);

 private:
  std::mt19937 engine_;
};

/// A graph under construction with values for its inputs.
struct Case {
  Graph graph;
  std::vector<Tensor> feeds;
  Random random;

  explicit Case(unsigned seed = 1) : random(seed) {}
  ValueId input(const Shape& shape, double low = -1, double high = 1, DType dtype = DType::F32);
  ValueId constant(const Shape& shape, double low = -1, double high = 1, DType dtype = DType::F32);
  ValueId ints(std::vector<std::int64_t> values);
  /// Adds a node; types are inferred at once.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  std::vector<ValueId> add_multi(std::string_view op, std::vector<ValueId> inputs, std::size_t outputs,
                                 Attributes attributes = {});
  void output(ValueId id) { graph.outputs.push_back(id); }
};

/// A small network: convolution, pooling, product, softmax.
Case network();

/// Allowed difference: absolute + relative * |expected|.
struct Tolerance {
  double absolute = 1e-5;
  double relative = 1e-4;
};

/// Runs a static graph once; buffers have guard bytes around them.
std::vector<Tensor> run_on(Device& device, const std::shared_ptr<const Executable>& executable,
                           const Graph& graph, const std::vector<Tensor>& feeds);

/// Compiles, runs twice, and compares every output with the interpreter's.
/// Returns what describe() says.
std::string expect_like_reference(Device& device, Case& test, Tolerance tolerance = {});

/// Compares element by element; NaN equals NaN.
void expect_close(const Tensor& got, const Tensor& expected, Tolerance tolerance);

}  // namespace naru::test
