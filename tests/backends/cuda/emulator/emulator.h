// The emulated machine: a driver and a compiler for GPUs that are not there, and what tests see of them.
//
// The libraries libcuda.so.1 and libnvrtc.so.13 made from this folder run the CUDA C that naru prints
// on the host: compiled by the host's compiler, item by item. Streams are lazy: work happens when
// somebody waits for it, as late as the driver's rules allow, so that memory which is used too early or
// freed too soon shows. What breaks a rule of the driver is kept as a violation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace naru::test::emulator {

struct Machine {
  int driver_version = 12040;
  int init_status = 0;
  int gpus = 1;
  int capability_major = 9;
  int capability_minor = 0;
  std::size_t memory_bytes = std::size_t{1} << 30;
  bool memory_pools = true;
  /// What the compiler knows, as NVRTC numbers them.
  std::vector<int> architectures = {80, 90, 100, 120};
};

// The compiler's view of the machine.
const std::vector<int>& known_architectures();
/// Notes one call of nvrtcCompileProgram; what it shall return.
int record_compilation();

/// A new machine, with nothing recorded. What a fenced device has left goes; no other may be open.
void reset(const Machine& machine = {});

/// Lets `function` fail with `status` after `after` more successful calls: once, or, where the status
/// is one that leaves a context beyond use, every call of the context from then on.
void fail(const std::string& function, int status, int after = 0);

/// The driver's functions as they were called, and nvrtcCompileProgram.
std::vector<std::string> calls();
int count(const std::string& function);
void forget_calls();

/// Rules that were broken, in words.
std::vector<std::string> violations();

/// Objects that live, by kind: "memory", "host memory", "stream", "event", "module", "graph", "pool", "context".
std::map<std::string, int> living();

}  // namespace naru::test::emulator
