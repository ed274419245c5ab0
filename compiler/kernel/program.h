// Program: what lowering makes of a fragment: buffers and a flat list of kernel launches over them.
//
// It names no device: a backend allocates the buffers, compiles the kernels' text and launches them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/kernel/build.h"

namespace naru::kernel {

using BufferId = std::int32_t;

/// A block of memory of a program.
struct ProgramBuffer {
  enum class Kind : std::uint8_t {
    Scratch,   ///< of one run; may share memory with others whose lives do not meet
    Input,
    Output,
    Constant,  ///< host bytes, used as they are
    Prepared,  ///< made once from constants by a launch of `prepare`
    Status,    ///< one i32, 0 before the run: which node met data that break its rules
  };
  Kind kind = Kind::Scratch;
  std::int64_t size_bytes = 0;
  std::int32_t index = -1;            ///< of an Input or Output: which one of the fragment
  const std::byte* data = nullptr;    ///< of a Constant
  std::shared_ptr<const void> owner;  ///< of a Constant: keeps `data` alive
};

/// A range of a buffer that a launch touches.
struct Operand {
  BufferId buffer = -1;
  std::int64_t offset_bytes = 0;
  std::int64_t elements = 0;  ///< how many the kernel may touch
  bool written = false;
};

/// One kernel call.
struct Launch {
  std::int32_t node = -1;  ///< of the fragment; -1 for a copy between buffers
  std::shared_ptr<const Kernel> kernel;
  std::vector<Operand> operands;       ///< one per buffer of the kernel
  std::vector<ScalarValue> arguments;  ///< one per scalar of the kernel
  Grid grid;
  std::string note;                    ///< shapes, for reports
};

/// What a status value says, by status - 1.
struct Complaint {
  std::int32_t node = -1;
  std::string message;
};

struct Program {
  std::vector<ProgramBuffer> buffers;
  std::vector<Launch> prepare;   ///< once, when the program is loaded
  /// Before the launches: copies of inputs into the outputs that update them, each left out when both are the
  /// same memory.
  std::vector<Launch> takeovers;
  std::vector<Launch> launches;  ///< every run, in this order
  std::vector<Complaint> complaints;
};

}  // namespace naru::kernel
