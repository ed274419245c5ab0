// Result files of other tools: they are read or refused, and what is read is finite.
#include <cmath>

#include "benchmarks/foreign/foreign.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  naru::fuzz::accepts([&] {
    for (const naru::bench::ForeignRow& row : naru::bench::read_foreign({reinterpret_cast<const char*>(data), size})) {
      for (const naru::bench::ForeignFigure& figure : row.figures) {
        if (std::isnan(figure.value)) naru::fuzz::finding("a figure that is no number");
      }
    }
  });
  return 0;
}
