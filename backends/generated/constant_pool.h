// ConstantPool: device memory of constants, shared by all executables that use them.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "backends/generated/kernel_device.h"
#include "graph/hash.h"

namespace naru::generated {

/// Keeps no memory alive by itself. Thread-safe.
class ConstantPool {
 public:
  /// The memory made for this key while someone still holds it, else what `make` returns.
  Memory get(const Hash128& key, const std::function<Memory()>& make) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<const Location>& shared = memory_[key];
    Memory memory = shared.lock();
    if (memory == nullptr) {
      memory = make();
      shared = memory;
    }
    return memory;
  }

 private:
  std::mutex mutex_;
  std::map<Hash128, std::weak_ptr<const Location>> memory_;
};

}  // namespace naru::generated
