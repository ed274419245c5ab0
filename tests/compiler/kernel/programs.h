// Small graphs that between them reach every kernel template; run and printed by tests.
#pragma once

#include <string>
#include <vector>

#include "compiler/kernel/lowering.h"
#include "tests/backends/compare.h"

namespace naru::test {

struct NamedCase {
  std::string name;
  Case test;
};

/// One case per template and data type that matters.
std::vector<NamedCase> kernel_cases();

inline kernel::Program lower(const Case& test, const kernel::Target& target = {}) {
  return kernel::Lowering(test.graph, target).run();
}

}  // namespace naru::test
