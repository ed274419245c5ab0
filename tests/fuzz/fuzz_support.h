// What all fuzz targets share: which outcomes are allowed for hostile input.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "naru/error.h"

namespace naru::fuzz {

/// A finding: prints what is wrong and stops the fuzzer.
[[noreturn]] inline void finding(const std::string& message) {
  std::fprintf(stderr, "finding: %s\n", message.c_str());
  std::abort();
}

/// Runs `body` on input that a stranger made. It may succeed or be refused with a typed error; an
/// Internal error is a bug, and so is any other exception. Returns whether it succeeded.
template <typename Body>
bool accepts(Body&& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    const bool refused = error.code() == ErrorCode::InvalidModel ||
                         error.code() == ErrorCode::Unsupported ||
                         error.code() == ErrorCode::OutOfMemory;
    if (!refused) finding(std::string(to_string(error.code())) + ": " + error.what());
    return false;
  } catch (const std::exception& error) {
    finding(std::string("untyped exception: ") + error.what());
  }
}

}  // namespace naru::fuzz
