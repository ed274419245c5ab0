// The fragment reader of plug-ins: reads all that damaged bytes may pretend to hold.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "naru/naru_fragment.h"

namespace {

constexpr std::uint32_t kMost = 64;  // of anything: counts are bounded by the bytes, time should be by us

std::uint64_t sum_value(const naru_value& value) {
  std::uint64_t sum = std::strlen(value.name) + static_cast<std::uint64_t>(value.dtype);
  const auto* bytes = static_cast<const std::uint8_t*>(value.data);
  if (value.data != nullptr && value.size_bytes > 0) sum += bytes[0] + bytes[value.size_bytes - 1];
  for (std::int32_t i = 0; i < value.rank; ++i) sum += static_cast<std::uint64_t>(value.dims[i]);
  return sum;
}

std::uint64_t sum_node(const naru_fragment_reader& graph, std::uint32_t index) {
  const naru_node node = naru_node_at(&graph, index);
  std::uint64_t sum = std::strlen(node.op) + std::strlen(node.name);
  for (std::uint32_t i = 0; i < kMost && i < node.input_count; ++i) sum += sum_value(naru_value_at(&graph, naru_node_input(&node, i)));
  for (std::uint32_t i = 0; i < kMost && i < node.output_count; ++i) sum += sum_value(naru_value_at(&graph, naru_node_output(&node, i)));
  std::int64_t ints[4];
  sum += naru_attribute_ints(&node, "pads", ints, 4) + static_cast<std::uint64_t>(naru_attribute_int(&node, "group", 1));
  sum += std::strlen(naru_attribute_text(&node, "auto_pad", "")) + (naru_attribute_float(&node, "alpha", 0) > 0);
  return sum;
}

}  // namespace

/// Written so that no read is optimised away.
volatile std::uint64_t fragment_fuzz_sink;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> bytes(data, data + size);  // exactly this size, so that overruns are seen
  naru_fragment_reader graph;
  if (naru_fragment_open(&graph, bytes.data(), bytes.size()) == 0) return 0;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < kMost && i < naru_node_count(&graph); ++i) sum += sum_node(graph, i);
  for (std::uint32_t i = 0; i < kMost && i < naru_input_count(&graph); ++i) sum += sum_value(naru_value_at(&graph, naru_input_id(&graph, i)));
  for (std::uint32_t i = 0; i < kMost && i < naru_output_count(&graph); ++i) sum += sum_value(naru_value_at(&graph, naru_output_id(&graph, i)));
  fragment_fuzz_sink = sum;
  return 0;
}
