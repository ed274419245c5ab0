// The table of suites that come with naru; and the schema of all suites; made at configure time from the files beside this.
#pragma once

#include <cstddef>

namespace naru::bench {

struct BuiltinSuite {
  const char* name;
  const char* text;
};
extern const BuiltinSuite kBuiltinSuites[];
extern const std::size_t kBuiltinSuiteCount;
/// The JSON schema of suite files.
extern const char* const kSuiteSchema;

}  // namespace naru::bench
