// The state of the emulated machine, and the rules that its functions share.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "backends/cuda/driver.h"
#include "tests/backends/cuda/emulator/emulator.h"
#include "tests/backends/cuda/emulator/image.h"
#include "tests/backends/cuda/emulator/stream.h"

namespace naru::test::emulator {

using cuda::DevicePointer;
using cuda::Status;

inline constexpr Status kInvalidValue = 1;
inline constexpr Status kInvalidContext = 201;
inline constexpr Status kInvalidImage = 200;
inline constexpr Status kNoBinaryForGpu = 209;
inline constexpr Status kInvalidHandle = 400;
inline constexpr Status kNotFound = 500;
inline constexpr Status kIllegalAddress = 700;
inline constexpr Status kContextDestroyed = 709;

/// A block of emulated device memory, or of page-locked host memory, with guard bytes behind it.
struct Block {
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte[], Free> bytes;
  std::size_t size = 0;
};

struct Function {
  void (*entry)(void**) = nullptr;
  std::string kinds;  ///< per parameter: 'p' for an address, else its size
  bool meets = false; ///< items wait for each other
  int* local = nullptr;
  int* group = nullptr;
  int* group_size = nullptr;
  int* groups = nullptr;
  void (**meet)() = nullptr;
  const void* module = nullptr;
};

struct Module {
  void* library = nullptr;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

/// One launch with its parameters as they were when it was queued.
struct Launch {
  const Function* function = nullptr;
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  std::vector<std::uint64_t> parameters;
};

struct Graph {
  std::vector<std::unique_ptr<Launch>> nodes;
  std::map<const void*, std::size_t> order;  ///< of a node: its place
};

struct GraphProgram {
  std::vector<Launch> launches;
  std::map<const void*, std::size_t> order;
};

struct Fault {
  Status status = 0;
  int after = 0;
};

struct State {
  Machine machine;
  std::map<std::string, Fault> faults;
  Status sticky = 0;
  std::vector<std::string> calls;
  std::vector<std::string> violations;
  double clock = 0;
  int contexts = 0;
  std::map<DevicePointer, Block> memory;
  std::map<DevicePointer, Block> host_memory;
  std::map<const void*, std::unique_ptr<Stream>> streams;
  std::map<const void*, std::shared_ptr<Event>> events;  ///< shared with the work that records them
  std::map<const void*, std::unique_ptr<Module>> modules;
  std::map<const void*, std::unique_ptr<Graph>> graphs;
  std::map<const void*, std::unique_ptr<GraphProgram>> graph_execs;
  std::set<const void*> pools;
};

std::recursive_mutex& mutex();
State& state();

/// Records a call and says how it ends before it begins: kSuccess lets it go on.
Status begin(const char* function, bool needs_context = true);
void violate(const std::string& text);

/// The block of `memory` that holds all of [address, address + size), or null.
Block* block_at(std::map<DevicePointer, Block>& memory, DevicePointer address, std::size_t size);
Block make_block(std::size_t size);
/// Frees a block after a look at its guard bytes.
Status drop_block(std::map<DevicePointer, Block>& memory, DevicePointer address, const char* what);
std::size_t used_bytes();

void drain(Stream& stream);
void drain_all();
/// A violation when work that waits needs the object.
void check_unused(const void* object, const char* what);

/// What the driver takes of grids and groups.
bool launchable(const unsigned* grid, const unsigned* block);
Launch launch_of(const Function& function, const unsigned* grid, const unsigned* block, void** parameters);
void queue_launch(Stream& stream, const Launch& launch);
Status load_module(const void* image, Module& module, std::string& log);

}  // namespace naru::test::emulator
