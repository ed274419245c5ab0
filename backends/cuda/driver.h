// What the driver's ABI is made of, as far as the backend uses it: handles, codes, structs.
//
// Declared here so that building needs no CUDA toolkit; a test compares all of it with the toolkit's
// <cuda.h> where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace naru::cuda {

using Status = int;
using Ordinal = int;
using DevicePointer = unsigned long long;
using ContextHandle = struct ContextObject*;
using ModuleHandle = struct ModuleObject*;
using FunctionHandle = struct FunctionObject*;
using StreamHandle = struct StreamObject*;
using EventHandle = struct EventObject*;
using PoolHandle = struct PoolObject*;
using GraphHandle = struct GraphObject*;
using GraphNode = struct GraphNodeObject*;
using GraphExec = struct GraphExecObject*;

inline constexpr Status kSuccess = 0;
inline constexpr Status kOutOfMemory = 2;
inline constexpr Status kNoDevice = 100;
inline constexpr Status kNotReady = 600;

/// Attributes of a device.
enum Attribute : int {
  kMaxThreadsPerBlock = 1,
  kClockKilohertz = 13,
  kMultiprocessors = 16,
  kMemoryClockKilohertz = 36,
  kMemoryBusBits = 37,
  kCapabilityMajor = 75,
  kCapabilityMinor = 76,
  kMemoryPools = 115,
};

inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kHostMemoryPortable = 1;
inline constexpr unsigned kHostMemoryMapped = 2;
inline constexpr int kPoolReleaseThreshold = 4;
inline constexpr int kAllocationPinned = 1;
inline constexpr int kLocationDevice = 1;
inline constexpr int kJitErrorLog = 5;
inline constexpr int kJitErrorLogBytes = 6;

struct PoolProperties {
  int allocation;
  int handles;
  int location_kind;
  int location;
  void* security;
  std::size_t max_bytes;
  unsigned short usage;
  unsigned char reserved[54];
};

struct KernelNode {
  FunctionHandle function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  void** parameters;
  void** extra;
  void* kernel;
  ContextHandle context;
};

}  // namespace naru::cuda
