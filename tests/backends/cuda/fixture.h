// The fixture of tests on the emulated machine, and what they share.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "naru/error.h"
#include "tests/backends/compare.h"
#include "tests/backends/cuda/emulator/emulator.h"
#include "tests/backends/cuda/emulator/image.h"

namespace naru::test {

/// Each test ends with nothing broken and nothing left.
class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    // Kernels that several tests run are compiled once.
    static const emulator::ScratchFolder folder;
    setenv("NARU_CACHE", (folder / "cache").c_str(), 1);
    emulator::reset();
  }
  void TearDown() override {
    EXPECT_EQ(emulator::violations(), std::vector<std::string>());
    EXPECT_EQ(emulator::living(), left_);
  }
  /// What a test leaves behind on purpose: a fenced context and its objects are the driver's to clean up.
  std::map<std::string, int> left_;
};

/// The error that `body` throws.
template <typename Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an error";
  return Error(ErrorCode::Internal, "none");
}

inline void expect_says(const Error& error, ErrorCode code, const std::string& part) {
  EXPECT_EQ(error.code(), code) << error.what();
  EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
}

}  // namespace naru::test
