// ProgramCompiler: a device's compiler of generated text, as the program cache sees it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

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
    Program program;     ///< null from a compiler without a device
  };
  /// The targets whose carried code the device takes, the best first; the first is what it compiles for.
  virtual std::vector<std::string> targets() const = 0;
  /// What else than source and target makes a difference to carried code.
  virtual std::string options() const = 0;

  /// @throws Error Device with the compiler's log, Unsupported when there is no compiler.
  virtual Output compile(const std::string& text) = 0;
  /// Null when the device does not take the binary.
  virtual Program load(std::span<const std::byte> binary) = 0;
};

}  // namespace naru::generated
