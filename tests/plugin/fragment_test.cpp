// The fragment reader against the graph that was written, and against damaged bytes.
#include <gtest/gtest.h>

#include <cstring>

#include "backends/plugin/fragment.h"
#include "graph/infer.h"
#include "naru/naru_fragment.h"
#include "tests/plugin/sample.h"

namespace naru::plugin_testing {
namespace {

Graph gemm_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, Shape{4, 8}));
  const ValueId w = graph.add_constant("w", Tensor::from<float>({8, 2}, std::vector<float>(16, 0.5f)));
  const ValueId y = graph.add_node("Gemm", {x, w}, 1, {{"alpha", 0.25f}}, "gemm").outputs[0];
  graph.outputs = {graph.add_node("Transpose", {y}, 1, {{"perm", std::vector<std::int64_t>{1, 0}}}).outputs[0]};
  infer_types(graph);
  return graph;
}

TEST(FragmentReader, ReadsNodesValuesAttributes) {
  const auto bytes = plugin::fragment_bytes(gemm_graph());
  naru_fragment_reader reader;
  ASSERT_TRUE(naru_fragment_open(&reader, bytes->data(), static_cast<std::uint64_t>(bytes->size_bytes())));
  ASSERT_EQ(naru_node_count(&reader), 2u);
  const naru_node gemm = naru_node_at(&reader, 0);
  EXPECT_STREQ(gemm.op, "Gemm");
  EXPECT_STREQ(gemm.name, "gemm");
  EXPECT_EQ(naru_attribute_float(&gemm, "alpha", 0), 0.25f);
  EXPECT_EQ(naru_attribute_float(&gemm, "beta", -1), 1.0f) << "defaults are spelled out";
  EXPECT_EQ(naru_attribute_int(&gemm, "transB", -1), 0);
  const naru_value x = naru_value_at(&reader, naru_node_input(&gemm, 0));
  EXPECT_STREQ(x.name, "x");
  EXPECT_EQ(x.dtype, 2);
  EXPECT_EQ(x.rank, 2);
  EXPECT_EQ(x.dims[1], 8);
  EXPECT_EQ(x.static_shape, 1);
  EXPECT_EQ(x.constant, 0);
  const naru_value w = naru_value_at(&reader, naru_node_input(&gemm, 1));
  ASSERT_EQ(w.size_bytes, 64u);
  EXPECT_EQ(static_cast<const float*>(w.data)[15], 0.5f);
  EXPECT_EQ(naru_node_input(&gemm, 2), NARU_NO_VALUE);
  const naru_node transpose = naru_node_at(&reader, 1);
  std::int64_t perm[4] = {};
  EXPECT_EQ(naru_attribute_ints(&transpose, "perm", perm, 4), 2u);
  EXPECT_EQ(perm[0], 1);
  EXPECT_EQ(naru_output_count(&reader), 1u);
  EXPECT_EQ(naru_output_id(&reader, 0), naru_node_output(&transpose, 0));
  EXPECT_STREQ(naru_node_at(&reader, 2).op, "") << "past the end reads as absent";
}

TEST(FragmentReader, QuestionsLeaveLargeConstantsOut) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, Shape{4, 64}));
  const ValueId w = graph.add_constant("w", Tensor::from<float>({64, 64}, std::vector<float>(4096, 1.0f)));
  graph.outputs = {graph.add_node("MatMul", {x, w}).outputs[0]};
  infer_types(graph);
  const auto bytes = plugin::question_bytes(graph);
  EXPECT_LT(bytes->size_bytes(), 4096);
  naru_fragment_reader reader;
  ASSERT_TRUE(naru_fragment_open(&reader, bytes->data(), static_cast<std::uint64_t>(bytes->size_bytes())));
  const naru_value weight = naru_value_at(&reader, 1);
  EXPECT_EQ(weight.constant, 1);
  EXPECT_EQ(weight.data, nullptr);
  EXPECT_EQ(weight.dims[0], 64);
}

/// Reads all that a reader offers.
std::uint64_t read_all(const std::vector<std::byte>& bytes) {
  naru_fragment_reader reader;
  if (!naru_fragment_open(&reader, bytes.data(), bytes.size())) return 0;
  std::uint64_t sum = naru_input_count(&reader) + naru_output_count(&reader);
  for (std::uint32_t i = 0; i < std::min(naru_node_count(&reader), 16u); ++i) {
    const naru_node node = naru_node_at(&reader, i);
    sum += std::strlen(node.op) + std::strlen(node.name);
    for (std::uint32_t k = 0; k < std::min(node.input_count, 8u); ++k) {
      const naru_value value = naru_value_at(&reader, naru_node_input(&node, k));
      for (std::uint64_t b = 0; b < value.size_bytes; ++b) sum += static_cast<const std::uint8_t*>(value.data)[b];
    }
    std::int64_t perm[4];
    sum += naru_attribute_ints(&node, "perm", perm, 4);
  }
  return sum;
}

TEST(FragmentReader, DamagedBytesReadAsAbsent) {
  const auto memory = plugin::fragment_bytes(gemm_graph());
  const std::vector<std::byte> bytes(memory->data(), memory->data() + memory->size_bytes());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::vector<std::byte> damaged = bytes;
      damaged[at] ^= std::byte(flip);
      read_all(damaged);
    }
    read_all({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at)});
  }
}

}  // namespace
}  // namespace naru::plugin_testing
