// Launches of the emulated machine: modules, parameters, groups of items as coroutines.
#include <dlfcn.h>
#include <ucontext.h>

#include <cstring>

#include "tests/backends/cuda/emulator/machine.h"

namespace naru::test::emulator {
namespace {

/// The items of a group that meet at barriers: each runs on a stack of its own until it meets or ends.
class Group {
 public:
  Group(const Function& function, void** parameters, const unsigned* size) : function_(function), parameters_(parameters) {
    const std::size_t count = std::size_t{size[0]} * size[1] * size[2];
    items_.resize(count);
    stacks_ = std::make_unique<char[]>(count * kStackBytes);
    for (std::size_t i = 0; i < count; ++i) {
      items_[i].local[0] = static_cast<int>(i % size[0]);
      items_[i].local[1] = static_cast<int>(i / size[0] % size[1]);
      items_[i].local[2] = static_cast<int>(i / size[0] / size[1]);
    }
  }

  void run() {
    current_ = this;
    *function_.meet = [] { current_->give_way(); };
    for (std::size_t i = 0; i < items_.size(); ++i) prepare(i);
    for (bool working = true; working;) {
      working = false;
      for (Item& item : items_) {
        if (item.done) continue;
        working = true;
        active_ = &item;
        std::memcpy(function_.local, item.local, sizeof(item.local));
        swapcontext(&main_, &item.context);
      }
    }
  }

 private:
  static constexpr std::size_t kStackBytes = 128 << 10;
  struct Item {
    int local[3];
    ucontext_t context;
    bool done = false;
  };

  void prepare(std::size_t index) {
    Item& item = items_[index];
    item.done = false;
    getcontext(&item.context);
    item.context.uc_stack.ss_sp = stacks_.get() + index * kStackBytes;
    item.context.uc_stack.ss_size = kStackBytes;
    item.context.uc_link = &main_;
    makecontext(&item.context, [] { current_->enter(); }, 0);
  }
  void enter() {
    Item* item = active_;
    function_.entry(parameters_);
    item->done = true;
  }
  void give_way() { swapcontext(&active_->context, &main_); }

  static Group* current_;
  const Function& function_;
  void** parameters_;
  std::vector<Item> items_;
  std::unique_ptr<char[]> stacks_;
  ucontext_t main_;
  Item* active_ = nullptr;
};

Group* Group::current_ = nullptr;

void run_alone(const Launch& launch, void** parameters) {
  int* local = launch.function->local;
  for (local[2] = 0; local[2] < static_cast<int>(launch.block[2]); ++local[2]) {
    for (local[1] = 0; local[1] < static_cast<int>(launch.block[1]); ++local[1]) {
      for (local[0] = 0; local[0] < static_cast<int>(launch.block[0]); ++local[0]) launch.function->entry(parameters);
    }
  }
}

/// An address must lie in memory that lives: an operand without elements points somewhere as well.
bool addresses_live(const Launch& launch) {
  for (std::size_t i = 0; i < launch.parameters.size(); ++i) {
    if (launch.function->kinds[i] != 'p') continue;
    const DevicePointer address = launch.parameters[i];
    if (block_at(state().memory, address, 0) == nullptr && block_at(state().host_memory, address, 0) == nullptr) return false;
  }
  return true;
}

void execute(const Launch& launch) {
  if (!addresses_live(launch)) {
    violate("a kernel runs on memory that is not there");
    state().sticky = kIllegalAddress;
    return;
  }
  std::vector<std::uint64_t> slots = launch.parameters;
  std::vector<void*> parameters;
  for (std::uint64_t& slot : slots) parameters.push_back(&slot);
  int* group = launch.function->group;
  for (int d = 0; d < 3; ++d) {
    launch.function->group_size[d] = static_cast<int>(launch.block[d]);
    launch.function->groups[d] = static_cast<int>(launch.grid[d]);
  }
  std::unique_ptr<Group> meeting;
  if (launch.function->meets) meeting = std::make_unique<Group>(*launch.function, parameters.data(), launch.block);
  for (group[2] = 0; group[2] < static_cast<int>(launch.grid[2]); ++group[2]) {
    for (group[1] = 0; group[1] < static_cast<int>(launch.grid[1]); ++group[1]) {
      for (group[0] = 0; group[0] < static_cast<int>(launch.grid[0]); ++group[0]) {
        meeting != nullptr ? meeting->run() : run_alone(launch, parameters.data());
      }
    }
  }
}

/// "sm_90" of an image runs on later GPUs of its major version, "compute_90" on all later ones.
bool fits(const std::string& target) {
  const Machine& machine = state().machine;
  const int number = std::atoi(target.substr(target.find('_') + 1).c_str());
  const int here = 10 * machine.capability_major + machine.capability_minor;
  return number <= here && (target.starts_with("compute_") || number / 10 == machine.capability_major);
}

/// The size of a shared library of the host, from where its section table ends.
std::size_t library_bytes(const char* library) {
  std::uint64_t sections = 0;
  std::uint16_t size = 0;
  std::uint16_t count = 0;
  std::memcpy(&sections, library + 0x28, 8);
  std::memcpy(&size, library + 0x3a, 2);
  std::memcpy(&count, library + 0x3c, 2);
  return sections + std::size_t{size} * count;
}

}  // namespace

bool launchable(const unsigned* grid, const unsigned* block) {
  constexpr unsigned kMostGroups[] = {2147483647, 65535, 65535};
  constexpr unsigned kMostItems[] = {1024, 1024, 64};
  for (int d = 0; d < 3; ++d) {
    if (grid[d] == 0 || grid[d] > kMostGroups[d] || block[d] == 0 || block[d] > kMostItems[d]) return false;
  }
  return std::size_t{block[0]} * block[1] * block[2] <= 1024;
}

Launch launch_of(const Function& function, const unsigned* grid, const unsigned* block, void** parameters) {
  Launch launch;
  launch.function = &function;
  std::copy(grid, grid + 3, launch.grid);
  std::copy(block, block + 3, launch.block);
  for (std::size_t i = 0; i < function.kinds.size(); ++i) {
    std::uint64_t slot = 0;
    std::memcpy(&slot, parameters[i], function.kinds[i] == '4' ? 4 : 8);
    launch.parameters.push_back(slot);
  }
  return launch;
}

void queue_launch(Stream& stream, const Launch& launch) {
  stream.work.push_back({[launch] { execute(launch); }, {launch.function->module}});
}

Status load_module(const void* image, Module& module, std::string& log) {
  const char* text = static_cast<const char*>(image);
  const std::string head = kImageHead;
  if (std::strncmp(text, head.c_str(), head.size()) != 0) {
    log = "this is no image";
    return kInvalidImage;
  }
  const char* library = std::strchr(text, '\n') + 1;
  const std::string target(text + head.size(), library - 1);
  if (!fits(target)) {
    log = "the image is for " + target;
    return kNoBinaryForGpu;
  }
  const ScratchFolder folder;
  write_file(folder / "kernels.so", std::string(library, library_bytes(library)));
  module.library = dlopen((folder / "kernels.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module.library != nullptr) return cuda::kSuccess;
  log = dlerror();
  return kInvalidImage;
}

}  // namespace naru::test::emulator
