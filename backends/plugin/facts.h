// What a plug-in says about itself, as values: copied out of its structs once and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "naru/naru_plugin.h"

namespace naru::plugin {

struct TypeFact {
  std::int32_t dtype = 0;
  std::uint32_t uses = 0;
  std::uint32_t mantissa_bits = 0;
};

struct BucketFact {
  std::uint32_t axis = 0;
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
  std::int64_t multiple = 1;
  bool powers_of_2 = false;
};

/// naru_device_info and the plug-in's own name, without pointers.
struct DeviceFacts {
  std::string plugin_name, plugin_version;
  std::string name, vendor, sku, driver_version, firmware_version, compiler_version;
  std::uint32_t flags = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t buffer_alignment = 1;
  std::uint32_t queue_depth = 1;
  std::uint32_t determinism = 0;
  std::uint32_t power_sensor = 0;
  std::vector<TypeFact> types;
  std::vector<std::string> layouts;
  std::vector<BucketFact> buckets;
  std::vector<std::string> tables;  ///< the optional tables that the plug-in has
  bool can_save = false;            ///< artefacts can be kept
};

/// The facts as JSON text, and back. @throws Error Device for text that is no such JSON.
std::string to_json(const DeviceFacts& facts);
DeviceFacts facts_from_json(const std::string& text);

/// Reads the facts of device `index` out of a plug-in's structs. @throws Error Device when they make
/// no sense, naming what.
DeviceFacts read_facts(const naru_plugin& plugin, const naru_device_info& info);

}  // namespace naru::plugin
