// ProgramCompiler: a device's compiler of generated text, as the program cache sees it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "compiler/kernel/print.h"

namespace naru::generated {

/// A compiled program as its device holds it.
using Program = std::shared_ptr<const void>;

class ProgramCompiler {
 public:
  virtual ~ProgramCompiler() = default;
  virtual kernel::Dialect dialect() const = 0;
  /// What tells its binaries from those of other devices, drivers, compilers and options.
  virtual std::string identity() const = 0;

  struct Output {
    std::string binary;  ///< empty when the device gives none
    Program program;
  };
  /// @throws Error Device with the compiler's log, Unsupported when there is no compiler.
  virtual Output compile(const std::string& text) = 0;
  /// Null when the device does not take the binary.
  virtual Program load(std::span<const std::byte> binary) = 0;
};

}  // namespace naru::generated
