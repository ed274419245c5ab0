// The suites that come with naru, by name.
#include "benchmarks/suites/builtin.h"

#include <filesystem>
#include <span>

#include "benchmarks/log/sha256.h"
#include "benchmarks/suites/suite.h"
#include "graph/fail.h"

namespace naru::bench {
std::string suite_text(const std::string& name_or_file) {
  std::string names;
  for (const BuiltinSuite& suite : std::span(kBuiltinSuites, kBuiltinSuiteCount)) {
    if (name_or_file == suite.name) return suite.text;
    names += std::string(names.empty() ? "" : ", ") + suite.name;
  }
  if (std::filesystem::exists(name_or_file)) return read_file(name_or_file);
  fail(ErrorCode::InvalidArgument, "suite '{}': no such file, and naru comes with: {}", name_or_file, names);
}

}  // namespace naru::bench
