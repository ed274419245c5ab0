// Binaries of other versions of the interface: old plug-in and new host, new plug-in and old host.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backends/plugin/fragment.h"
#include "graph/infer.h"
#include "naru/engine.h"
#include "runtime/engine_impl.h"
#include "tests/plugin/sample.h"

namespace naru::plugin_testing {
namespace {

class AbiVersions : public testing::TestWithParam<const char*> {
 protected:
  static std::string path() { return std::string(ABI_FOLDER) + "/abi_" + GetParam() + ".so"; }
};
INSTANTIATE_TEST_SUITE_P(Plugins, AbiVersions, testing::Values("v1", "today", "grown"),
                         [](const auto& p) { return std::string(p.param); });

TEST_P(AbiVersions, RunsInTodaysHost) {
  for (const char* mode : {"inprocess", "worker"}) {
    EngineOptions options;
    options.devices = {"plugin:" + path() + ",mode=" + mode};
    options.strict = true;
    const Engine engine(options);
    const Model model = make_model(engine.impl(), small_graph(), {});
    EXPECT_TRUE(is_small_output(model.create_session().run({small_input()})[0].tensor)) << mode;
  }
}

TEST_P(AbiVersions, RunsInALaterHost) {
  Graph graph = small_graph();
  infer_types(graph);
  const auto bytes = plugin::fragment_bytes(graph);
  const std::filesystem::path file = std::filesystem::path(ABI_FOLDER) / (std::string(GetParam()) + ".fragment");
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(bytes->data()), bytes->size_bytes());
  EXPECT_EQ(std::system((std::string(GROWN_HOST) + " " + path() + " " + file.string()).c_str()), 0);
}

}  // namespace
}  // namespace naru::plugin_testing
