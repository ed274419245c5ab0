// Real models over the simulated NPU and the cpu, against the cpu alone.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "graph/scalar.h"
#include "naru/engine.h"
#include "tests/npu/environment.h"

namespace naru::npu_testing {
namespace {

struct RealModel {
  const char* file;
  std::map<std::string, std::vector<std::int64_t>> dims;  ///< of symbolic inputs
  double share;                                           ///< of the nodes that the NPU must take
};

std::ostream& operator<<(std::ostream& out, const RealModel& model) { return out << model.file; }

const RealModel kModels[] = {
    {"magika.onnx", {{"bytes", {1, 2048}}}, 0.6},
    {"light_squeezenet.onnx", {}, 1},
    {"ppocrv5_cls.onnx", {{"x", {1, 3, 80, 160}}}, 0.95},
    {"ppocrv5_det.onnx", {{"x", {1, 3, 128, 160}}}, 0.85},
    {"light_resnet50.onnx", {}, 1},
};

Tensor fill(const PortInfo& port, const RealModel& model) {
  Shape shape;
  const auto given = model.dims.find(port.name);
  for (std::size_t i = 0; i < port.dims.size(); ++i) shape.push_back(given != model.dims.end() ? given->second[i] : std::stoll(port.dims[i]));
  Tensor tensor(port.dtype, shape);
  std::uint32_t state = 3;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    const double unit = static_cast<double>(state >> 8) / 16777216.0;
    store_f64(port.dtype, tensor.mutable_data(), i, is_integer(port.dtype) ? std::floor(unit * 250) : unit - 0.5);
  }
  return tensor;
}

class RealModels : public testing::TestWithParam<RealModel> {
 protected:
  std::vector<Datum> run(std::vector<std::string> devices, std::vector<PlacementRow>& rows) {
    EngineOptions options;
    options.devices = std::move(devices);
    Engine engine(options);
    const Model loaded = engine.load(std::filesystem::path(MODELS) / GetParam().file);
    std::vector<Datum> inputs;
    for (const PortInfo& port : loaded.inputs()) inputs.emplace_back(fill(port, GetParam()));
    std::vector<Datum> outputs = loaded.create_session().run(inputs);
    EXPECT_TRUE(engine.metrics().moved.empty());
    rows = loaded.placement(inputs);
    return outputs;
  }
};

TEST_P(RealModels, AgreeWithTheCpu) {
  if (!std::filesystem::exists(std::filesystem::path(MODELS) / GetParam().file)) GTEST_SKIP() << "not here: tools/setup fetches it";
  std::vector<PlacementRow> rows, none;
  const auto actual = run({"opencl:0", "cpu"}, rows);
  const auto expected = run({"cpu"}, none);
  std::size_t taken = 0;
  for (const PlacementRow& row : rows) {
    EXPECT_NE(row.device, "host") << row.op << ": " << row.reason;
    if (row.device == "opencl:0") {
      ++taken;
    } else {
      std::printf("on %s: %s %s\n", row.device.c_str(), row.op.c_str(), row.reason.c_str());
    }
  }
  std::printf("%s: %zu of %zu nodes on the NPU\n", GetParam().file, taken, rows.size());
  EXPECT_GE(static_cast<double>(taken), GetParam().share * static_cast<double>(rows.size()));
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t o = 0; o < expected.size(); ++o) {
    const std::vector<double> a = to_wide<double>(actual[o].tensor), b = to_wide<double>(expected[o].tensor);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5 + 1e-3 * std::abs(b[i])) << "output " << o << " element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealModels, testing::ValuesIn(kModels),
                         [](const auto& p) { return std::string(p.param.file, std::string(p.param.file).find('.')); });

}  // namespace
}  // namespace naru::npu_testing
