// Text form: parses, and what parses prints to a text that parses to the same text.
#include <string>

#include "graph/infer.h"
#include "graph/text.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Graph graph;
  if (!fuzz::accepts([&] { graph = parse_text(text); })) return 0;
  const std::string printed = print(graph, {.full_data = true});
  std::string again;
  if (!fuzz::accepts([&] { again = print(parse_text(printed), {.full_data = true}); })) {
    fuzz::finding("printed text does not parse:\n" + printed);
  }
  if (again != printed) fuzz::finding("text changes when printed again:\n" + printed + again);
  fuzz::accepts([&] { infer_types(graph); });
  return 0;
}
