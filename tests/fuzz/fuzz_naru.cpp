// Container: loads as it is and with a right hash; what loads is written to a container that loads.
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "graph/serialize.h"
#include "graph/serialize_format.h"
#include "graph/text.h"
#include "tests/fuzz/fuzz_support.h"

namespace naru {
namespace {

/// Memory of exactly this size with a container's alignment, so that overruns are seen.
Tensor aligned_copy(std::span<const std::byte> bytes) {
  Tensor copy(DType::U8, Shape{static_cast<std::int64_t>(bytes.size())});
  if (!bytes.empty()) std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
  return copy;
}

/// Makes the hash right, which no mutation would.
void seal(Tensor& file) {
  const std::span<std::byte> all(file.mutable_data(), static_cast<std::size_t>(file.numel()));
  container::Header header;
  if (all.size() < sizeof header) return;
  std::memcpy(&header, all.data(), sizeof header);
  if (header.header_bytes < sizeof header || header.header_bytes > all.size()) return;
  if (header.metadata_offset > all.size() ||
      header.metadata_bytes > all.size() - header.metadata_offset)
    return;
  const Hash128 hash = container::metadata_hash(
      all.first(header.header_bytes), all.subspan(header.metadata_offset, header.metadata_bytes));
  header.hash_low = hash.low;
  header.hash_high = hash.high;
  std::memcpy(all.data(), &header, sizeof header);
}

std::string full_text(const Graph& graph) { return print(graph, {.full_data = true}); }

void load(const Tensor& file) {
  Container container;
  const LoadOptions structure_only{.infer = false};
  if (!fuzz::accepts([&] {
        container = load_container({file.data(), static_cast<std::size_t>(file.numel())},
                                   file.owner(), structure_only);
      }))
    return;
  const std::string text = full_text(container.graph);
  if (!fuzz::accepts([&] {
        const std::vector<std::byte> bytes = naru_bytes(container.graph, {.code = container.code});
        if (full_text(load_naru(bytes, nullptr, structure_only)) != text)
          fuzz::finding("graph changes when written again:\n" + text);
      })) {
    fuzz::finding("a graph that was loaded cannot be written and loaded again:\n" + text);
  }
  fuzz::accepts([&] {
    load_naru({file.data(), static_cast<std::size_t>(file.numel())}, file.owner(),
              {.verify_hashes = true});
  });
}

}  // namespace
}  // namespace naru

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  naru::Tensor file = naru::aligned_copy(std::as_bytes(std::span(data, size)));
  naru::load(file);
  naru::seal(file);
  naru::load(file);
  return 0;
}
