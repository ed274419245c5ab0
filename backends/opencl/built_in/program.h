// A fragment as calls of built-in kernels over blocks of memory, and how it is made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/opencl/built_in/choice.h"

namespace naru::opencl {

/// A piece of device memory that calls read and write.
struct Block {
  enum class Kind : std::uint8_t { Scratch, Input, Output, Constant };
  Kind kind = Kind::Scratch;
  std::int64_t size_bytes = 0;
  std::size_t index = 0;             ///< of an input or output of the fragment
  const Tensor* constant = nullptr;  ///< arranged as `layout` and `dtype` say
  Layout layout;
  DType dtype = DType::Undefined;
};

struct CallArgument {
  ArgumentRule::Kind kind = ArgumentRule::Kind::Memory;
  int block = -1;  ///< of memory; -1: absent
  std::int32_t integer = 0;
  float real = 0;
};

struct KernelCall {
  std::int32_t node = -1;  ///< of the fragment; -1: a conversion of layout or type
  std::string kernel;
  std::vector<CallArgument> arguments;
};

struct CallProgram {
  std::vector<Block> blocks;
  std::vector<KernelCall> calls;
};

/// @throws Error Unsupported for nodes that the profile does not run.
CallProgram lower(const Graph& fragment, const Chooser& chooser);

/// The bytes of a tensor as a layout and an element type have them in memory, zeros as padding.
std::vector<std::byte> arrange(const Tensor& tensor, const Layout& layout, DType dtype);

}  // namespace naru::opencl
