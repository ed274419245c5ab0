// CodeBlob: compiled code that a model carries along with its graph.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace naru {

/// Compiled code for one target. Code is as much to be trusted as a program: whoever loads a model says
/// whether it may run.
struct CodeBlob {
  std::string target;  ///< for example "cuda:sm_90"
  std::string key;     ///< which kernel, as its backend names it
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  ///< keeps `bytes` alive
};

}  // namespace naru
