// Real models on the reference plug-in with the cpu beside it, against the cpu alone: labels, audio, text,
// ResNet-50. What the plug-in takes is printed; its outputs are the cpu's within the tolerance.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "graph/scalar.h"
#include "naru/engine.h"

namespace naru::plugin_testing {
namespace {

struct RealModel {
  const char* file;
  std::map<std::string, std::vector<std::int64_t>> dims;  ///< of symbolic inputs
  const char* mode;
};

std::ostream& operator<<(std::ostream& out, const RealModel& model) { return out << model.file; }

const RealModel kModels[] = {
    {"ppocrv5_cls.onnx", {{"x", {1, 3, 80, 160}}}, "worker"},
    {"ppocrv5_rec.onnx", {{"x", {1, 3, 48, 96}}}, "worker"},
    {"magika.onnx", {{"bytes", {1, 2048}}}, "worker"},
    {"silero_vad_16k_op15.onnx", {{"input", {1, 576}}, {"state", {2, 1, 128}}}, "worker"},
    {"light_resnet50.onnx", {}, "inprocess"},
};

Tensor fill(const PortInfo& port, const RealModel& model) {
  Shape shape;
  const auto given = model.dims.find(port.name);
  for (std::size_t i = 0; i < port.dims.size(); ++i) {
    shape.push_back(given != model.dims.end() ? given->second[i] : std::stoll(port.dims[i]));
  }
  Tensor tensor(port.dtype, shape);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  std::uint32_t state = 3;
  for (double& value : values) {
    state = state * 1664525u + 1013904223u;
    const double unit = static_cast<double>(state >> 8) / 16777216.0;
    value = port.name == "sr" ? 16000 : is_integer(port.dtype) ? static_cast<int>(unit * 250) : unit - 0.5;
  }
  if (is_integer(port.dtype)) {
    std::vector<std::int64_t> integers(values.begin(), values.end());
    from_wide<std::int64_t>(integers, tensor);
  } else {
    from_wide<double>(values, tensor);
  }
  return tensor;
}

std::vector<Datum> run(const std::filesystem::path& path, const RealModel& model, std::vector<std::string> devices, int& taken) {
  EngineOptions options;
  options.devices = std::move(devices);
  options.threads = 1;
  Engine engine(options);
  const Model loaded = engine.load(path);
  std::vector<Datum> inputs;
  for (const PortInfo& port : loaded.inputs()) inputs.emplace_back(fill(port, model));
  std::vector<Datum> outputs = loaded.create_session().run(inputs);
  EXPECT_TRUE(engine.metrics().moved.empty());
  const std::vector<PlacementRow> rows = loaded.placement(inputs);
  taken = 0;
  for (const PlacementRow& row : rows) taken += row.device == "plugin:reference";
  if (options.devices.size() > 1) std::printf("%s: %d of %zu nodes on the plug-in\n", model.file, taken, rows.size());
  return outputs;
}

class RealModels : public testing::TestWithParam<RealModel> {};

TEST_P(RealModels, AgreeWithTheCpu) {
  const RealModel& model = GetParam();
  const std::filesystem::path path = std::filesystem::path(MODELS) / model.file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here: tools/setup fetches it";
  int taken = 0, none = 0;
  const auto actual = run(path, model, {std::string("plugin:reference,mode=") + model.mode, "cpu"}, taken);
  const auto expected = run(path, model, {"cpu"}, none);
  EXPECT_GT(taken, 0);
  for (std::size_t o = 0; o < expected.size(); ++o) {
    const std::vector<double> a = to_wide<double>(actual[o].tensor), b = to_wide<double>(expected[o].tensor);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a[i], b[i], 1e-5 + 1e-3 * std::abs(b[i])) << "output " << o << " element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealModels, testing::ValuesIn(kModels), [](const auto& p) {
  return std::string(p.param.file, std::string(p.param.file).find('.'));
});

}  // namespace
}  // namespace naru::plugin_testing
