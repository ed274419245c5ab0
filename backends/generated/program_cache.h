// ProgramCache: compiled kernels of one device, in memory and on disk.
//
// Kernels that are missing are compiled together as one program: compilers start slowly. What comes
// out is kept under the hash of source, options, device and driver; files appear whole or not at all,
// and a file whose content does not fit its own hash is compiled again. Folders in which others can
// write are left alone. Code that a model carries comes before the files.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "backends/generated/kernel_device.h"
#include "backends/generated/program_compiler.h"
#include "graph/code_blob.h"
#include "graph/hash.h"

namespace naru::generated {

class ProgramCache {
 public:
  /// `folder` is the name of the backend's part of the cache on disk.
  ProgramCache(ProgramCompiler& compiler, const std::string& folder);

  /// Compiles what is missing. Thread-safe.
  /// @throws Error Device with the compiler's log.
  std::vector<BuiltKernel> get(std::span<const kernel::Kernel* const> kernels);
  /// Offers code that a model carries. Thread-safe.
  void add(std::span<const CodeBlob> code);
  bool has_code() const;

 private:
  struct Source {
    Hash128 key;
    std::string symbol;
    std::string text;
  };

  Source source_of(const kernel::Kernel& kernel) const;
  Program find(const Source& source);
  Program find_carried(const Source& source);
  Program find_file(const Hash128& key);
  Program load(const Hash128& batch);
  void compile(const std::vector<Source>& sources);
  std::filesystem::path file_of(const Hash128& key, const char* suffix) const;

  ProgramCompiler& compiler_;
  std::string identity_;
  std::string prelude_;
  std::filesystem::path folder_;  ///< empty: nothing is kept on disk
  mutable std::mutex mutex_;
  std::map<Hash128, Program> by_kernel_;
  std::map<Hash128, Program> by_batch_;
  std::map<std::string, CodeBlob> carried_;            // by key
  std::map<const std::byte*, Program> carried_programs_;  // by the bytes of a blob
};

}  // namespace naru::generated
