// The backend's own declarations of the driver and of NVRTC against the toolkit's.
#include <cuda.h>
#include <gtest/gtest.h>
#include <nvrtc.h>

#include <type_traits>

#include "backends/cuda/api.h"

namespace naru::cuda {
namespace {

using TextHandle = struct TextObject*;
using Result = int;

/// The same number of parameters, each of the same size and kind, and a status as the result.
template <typename Ours, typename Theirs>
inline constexpr bool kSameAbi = false;
template <typename R, typename... Ours, typename... Theirs>
inline constexpr bool kSameAbi<Status (*)(Ours...), R (*)(Theirs...)> = [] {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
    return false;
  } else {
    return sizeof(R) == sizeof(Status) &&
           ((sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>) && ...);
  }
}();

#define CU(name, symbol, parameters) static_assert(kSameAbi<decltype(Api::name), decltype(&::symbol)>, #symbol);
#include "backends/cuda/api.def"
#undef CU
#define NVRTC(name, symbol, parameters) static_assert(kSameAbi<Result(*) parameters, decltype(&::symbol)>, #symbol);
#include "backends/cuda/nvrtc.def"
#undef NVRTC

static_assert(sizeof(PoolProperties) == sizeof(CUmemPoolProps));
static_assert(offsetof(PoolProperties, location) == offsetof(CUmemPoolProps, location.id));
static_assert(offsetof(PoolProperties, max_bytes) == offsetof(CUmemPoolProps, maxSize));
static_assert(sizeof(KernelNode) == sizeof(CUDA_KERNEL_NODE_PARAMS));
static_assert(offsetof(KernelNode, block) == offsetof(CUDA_KERNEL_NODE_PARAMS, blockDimX));
static_assert(offsetof(KernelNode, parameters) == offsetof(CUDA_KERNEL_NODE_PARAMS, kernelParams));
static_assert(offsetof(KernelNode, context) == offsetof(CUDA_KERNEL_NODE_PARAMS, ctx));

struct ConstantRow {
  const char* name;
  long long ours;
  long long theirs;
};
#define ROW(ours, theirs) ConstantRow{#theirs, ours, theirs}

TEST(CudaAbi, HasTheConstantsOfTheToolkit) {
  const ConstantRow rows[] = {
      ROW(kSuccess, CUDA_SUCCESS),
      ROW(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY),
      ROW(kNoDevice, CUDA_ERROR_NO_DEVICE),
      ROW(kNotReady, CUDA_ERROR_NOT_READY),
      ROW(kMaxThreadsPerBlock, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
      ROW(kClockKilohertz, CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
      ROW(kMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
      ROW(kMemoryClockKilohertz, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
      ROW(kMemoryBusBits, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
      ROW(kCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
      ROW(kCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
      ROW(kMemoryPools, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED),
      ROW(kStreamNonBlocking, CU_STREAM_NON_BLOCKING),
      ROW(kHostMemoryPortable, CU_MEMHOSTALLOC_PORTABLE),
      ROW(kHostMemoryMapped, CU_MEMHOSTALLOC_DEVICEMAP),
      ROW(kPoolReleaseThreshold, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD),
      ROW(kAllocationPinned, CU_MEM_ALLOCATION_TYPE_PINNED),
      ROW(kLocationDevice, CU_MEM_LOCATION_TYPE_DEVICE),
      ROW(kJitErrorLog, CU_JIT_ERROR_LOG_BUFFER),
      ROW(kJitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES),
  };
  for (const ConstantRow& row : rows) EXPECT_EQ(row.ours, row.theirs) << row.name;
}

TEST(CudaAbi, KnowsWhichErrorsLeaveAContextBeyondUse) {
  for (const CUresult status : {CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_TIMEOUT, CUDA_ERROR_ASSERT,
                                CUDA_ERROR_MISALIGNED_ADDRESS, CUDA_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_DEVICE_UNAVAILABLE,
                                CUDA_ERROR_CONTEXT_IS_DESTROYED, CUDA_ERROR_UNKNOWN}) {
    EXPECT_TRUE(is_sticky(status)) << status;
  }
  for (const CUresult status : {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_NOT_READY,
                                CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES}) {
    EXPECT_FALSE(is_sticky(status)) << status;
  }
}

}  // namespace
}  // namespace naru::cuda
