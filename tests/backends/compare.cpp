// Runs fragments on a device and compares with the interpreter.
#include "tests/backends/compare.h"

#include <cmath>
#include <cstring>

#include "graph/block/block_format.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/scalar.h"
#include "graph/verify.h"

namespace naru::test {
namespace {

constexpr std::int64_t kGuardBytes = 64;
constexpr int kGuard = 0x5a;

/// A view into the middle of a larger buffer.
struct Guarded {
  std::unique_ptr<Buffer> buffer;
  BufferView view;
};

Guarded guarded(Device& device, std::int64_t size_bytes) {
  Guarded made;
  made.buffer = device.allocate(size_bytes + 2 * kGuardBytes);
  made.view = {made.buffer.get(), kGuardBytes, size_bytes};
  const std::vector<std::byte> fill(static_cast<std::size_t>(size_bytes + 2 * kGuardBytes), std::byte{kGuard});
  device.write({made.buffer.get(), 0, size_bytes + 2 * kGuardBytes}, fill.data());
  return made;
}

void expect_guards(Device& device, const Guarded& buffer) {
  for (const std::int64_t at : {std::int64_t{0}, kGuardBytes + buffer.view.size_bytes}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(kGuardBytes));
    device.read({buffer.buffer.get(), at, kGuardBytes}, bytes.data());
    for (const std::byte byte : bytes) ASSERT_EQ(byte, std::byte{kGuard}) << "guard at " << at;
  }
}

}  // namespace

Tensor Random::tensor(DType dtype, const Shape& shape, double low, double high) {
  Tensor tensor(dtype, shape);
  std::uniform_real_distribution<double> values(low, high);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double value = values(engine_);
    if (dtype == DType::Bool) {
      store_f64(dtype, tensor.mutable_data(), i, value > (low + high) / 2 ? 1 : 0);
    } else {
      store_f64(dtype, tensor.mutable_data(), i, is_integer(dtype) ? std::round(value) : value);
    }
  }
  return tensor;
}

std::int64_t Random::integer(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
}

ValueId Case::input(const Shape& shape, double low, double high, DType dtype) {
  feeds.push_back(random.tensor(dtype, shape, low, high));
  return graph.add_input("x" + std::to_string(feeds.size()), Type::tensor(dtype, shape));
}

ValueId Case::constant(const Shape& shape, double low, double high, DType dtype) {
  return graph.add_constant("c", random.tensor(dtype, shape, low, high));
}

ValueId Case::ints(std::vector<std::int64_t> values) {
  const Shape shape{static_cast<std::int64_t>(values.size())};
  return graph.add_constant("ints", Tensor::from<std::int64_t>(shape, std::span<const std::int64_t>(values)));
}

ValueId Case::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  return add_multi(op, std::move(inputs), 1, std::move(attributes)).front();
}

std::vector<ValueId> Case::add_multi(std::string_view op, std::vector<ValueId> inputs, std::size_t outputs,
                                     Attributes attributes) {
  const std::vector<ValueId> made =
      graph.add_node(op, std::move(inputs), outputs, std::move(attributes)).outputs;
  infer_types(graph);
  return made;
}

std::vector<Tensor> run_on(Device& device, const std::shared_ptr<const Executable>& executable,
                           const Graph& graph, const std::vector<Tensor>& feeds) {
  std::vector<Guarded> inputs;
  std::vector<Guarded> outputs;
  Submission submission;
  submission.executable = executable;
  for (const Tensor& feed : feeds) {
    inputs.push_back(guarded(device, feed.size_bytes()));
    device.write(inputs.back().view, feed.data());
    submission.inputs.push_back(inputs.back().view);
  }
  std::vector<Tensor> results;
  for (const ValueId id : graph.outputs) {
    const Type& type = graph.value(id).type;
    results.emplace_back(type.dtype, *known_shape(*type.shape));
    outputs.push_back(guarded(device, results.back().size_bytes()));
    submission.outputs.push_back(outputs.back().view);
  }
  std::vector<NodeSpan> spans;
  submission.spans = &spans;
  device.submit(submission)->wait();
  for (std::size_t i = 0; i < results.size(); ++i) {
    device.read(outputs[i].view, results[i].mutable_data());
    expect_guards(device, outputs[i]);
  }
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    Tensor after(feeds[i].dtype(), feeds[i].shape());
    device.read(inputs[i].view, after.mutable_data());
    EXPECT_TRUE(after.size_bytes() == 0 ||
                std::memcmp(after.data(), feeds[i].data(), static_cast<std::size_t>(after.size_bytes())) == 0)
        << "input " << i << " was overwritten";
  }
  return results;
}

void expect_close(const Tensor& got, const Tensor& expected, Tolerance tolerance) {
  ASSERT_EQ(got.dtype(), expected.dtype());
  ASSERT_EQ(got.shape(), expected.shape());
  if (is_block(got.dtype())) return expect_close(dequantize(got), dequantize(expected), tolerance);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < got.numel(); ++i) {
    const double a = load_f64(got.dtype(), got.data(), i);
    const double b = load_f64(expected.dtype(), expected.data(), i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (std::fabs(a - b) <= tolerance.absolute + tolerance.relative * std::fabs(b)) continue;
    if (++wrong <= 5) ADD_FAILURE() << "element " << i << " of " << to_string(got) << ": got " << a << ", expected " << b;
  }
  EXPECT_EQ(wrong, 0);
}

Case network() {
  Case test;
  ValueId x = test.input({2, 3, 12, 10});
  x = test.add("Conv", {x, test.constant({8, 3, 3, 3}), test.constant({8})}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}, {"strides", std::vector<std::int64_t>{2, 2}}});
  x = test.add("Relu", {x});
  x = test.add("Conv", {x, test.constant({12, 8, 1, 1})});
  x = test.add("GlobalAveragePool", {x});
  x = test.add("Flatten", {x});
  x = test.add("Gemm", {x, test.constant({5, 12}), test.constant({5})}, {{"transB", std::int64_t{1}}});
  test.output(test.add("Softmax", {x}));
  return test;
}

std::string expect_like_reference(Device& device, Case& test, Tolerance tolerance) {
  infer_types(test.graph);
  verify(test.graph);
  const std::vector<Datum> feeds(test.feeds.begin(), test.feeds.end());
  const std::vector<Datum> expected = evaluate(test.graph, feeds);
  const auto graph = std::make_shared<const Graph>(test.graph);
  const std::shared_ptr<const Executable> executable = device.compile(graph);
  for (int run = 0; run < 2; ++run) {
    const std::vector<Tensor> got = run_on(device, executable, *graph, test.feeds);
    for (std::size_t i = 0; i < got.size(); ++i) expect_close(got[i], expected[i].tensor, tolerance);
    if (::testing::Test::HasFailure()) break;
  }
  if (::testing::Test::HasFailure()) ADD_FAILURE() << executable->describe();
  return executable->describe();
}

}  // namespace naru::test
