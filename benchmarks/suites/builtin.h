// The table of suites that come with naru; made at configure time from the JSON files beside this.
#pragma once

#include <cstddef>

namespace naru::bench {

struct BuiltinSuite {
  const char* name;
  const char* text;
};
extern const BuiltinSuite kBuiltinSuites[];
extern const std::size_t kBuiltinSuiteCount;

}  // namespace naru::bench
