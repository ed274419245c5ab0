// ProgramCache: compiled kernels of one device, in memory and on disk.
//
// Kernels that are missing are compiled together as one program: compilers start slowly. What comes
// out is kept under the hash of source, options, device and driver; files appear whole or not at all,
// and a file whose content does not fit its own hash is compiled again.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/opencl/profile.h"
#include "compiler/kernel/ir.h"
#include "graph/hash.h"

namespace naru::opencl {

/// A kernel's program and its name there.
struct BuiltKernel {
  std::shared_ptr<const ProgramHandle> program;
  std::string symbol;
};

class ProgramCache {
 public:
  ProgramCache(cl_context context, const Profile& profile);

  /// Compiles what is missing. Thread-safe.
  /// @throws Error Device with the compiler's log.
  std::vector<BuiltKernel> get(std::span<const kernel::Kernel* const> kernels);

 private:
  struct Source {
    Hash128 key;
    std::string symbol;
    std::string text;
  };
  using Program = std::shared_ptr<const ProgramHandle>;

  Source source_of(const kernel::Kernel& kernel) const;
  Program find(const Hash128& key);
  Program load(const Hash128& batch);
  void compile(const std::vector<Source>& sources);
  ProgramHandle build(const std::string& text) const;
  Program from_binary(std::span<const std::byte> binary) const;
  std::filesystem::path file_of(const Hash128& key, const char* suffix) const;

  cl_context context_;
  const Profile& profile_;
  std::filesystem::path folder_;  ///< empty: nothing is kept on disk
  std::mutex mutex_;
  std::map<Hash128, Program> by_kernel_;
  std::map<Hash128, Program> by_batch_;
};

}  // namespace naru::opencl
