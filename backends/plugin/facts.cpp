// Facts: copied from C structs, checked, and carried as JSON between processes.
#include "backends/plugin/facts.h"

#include <nlohmann/json.hpp>

#include "graph/fail.h"

namespace naru::plugin {
namespace {

constexpr std::uint32_t kMaxRows = 256;
constexpr std::size_t kMaxText = 256;
/// No device has more, so that more is a claim to refuse.
constexpr std::uint64_t kMaxMemory = UINT64_C(1) << 48;
constexpr std::uint32_t kMaxAlignment = 4096;

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text, strnlen(text, kMaxText)); }

template <typename Row, typename Add>
void for_rows(const char* what, std::uint32_t count, const Row* const* rows, Add&& add) {
  if (count > kMaxRows || (count > 0 && rows == nullptr)) {
    fail(ErrorCode::Device, "plug-in: got {} rows of {}, expected at most {}", count, what, kMaxRows);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (rows[i] == nullptr) fail(ErrorCode::Device, "plug-in: row {} of {} is missing", i, what);
    add(*rows[i]);
  }
}

void check(const DeviceFacts& facts) {
  if (facts.memory_bytes > kMaxMemory) {
    fail(ErrorCode::Device, "plug-in {}: claims {} bytes of memory, expected at most {}", facts.plugin_name,
         facts.memory_bytes, kMaxMemory);
  }
  const std::uint32_t alignment = facts.buffer_alignment;
  if (alignment > kMaxAlignment || (alignment & (alignment - 1)) != 0) {
    fail(ErrorCode::Device, "plug-in {}: asks for an alignment of {}, expected a power of two up to {}",
         facts.plugin_name, alignment, kMaxAlignment);
  }
}

std::vector<std::string> tables_of(const naru_plugin& plugin) {
  std::vector<std::string> names;
  const auto add = [&](bool present, const char* name) {
    if (present) names.emplace_back(name);
  };
  add(NARU_HAS(&plugin, artefact) && plugin.artefact != nullptr, "artefact");
  add(NARU_HAS(&plugin, memory) && plugin.memory != nullptr, "memory");
  add(NARU_HAS(&plugin, record) && plugin.record != nullptr, "record");
  add(NARU_HAS(&plugin, state) && plugin.state != nullptr, "state");
  add(NARU_HAS(&plugin, group) && plugin.group != nullptr, "group");
  add(NARU_HAS(&plugin, observe) && plugin.observe != nullptr, "observe");
  return names;
}

}  // namespace

DeviceFacts read_facts(const naru_plugin& plugin, const naru_device_info& info) {
  DeviceFacts facts;
  facts.plugin_name = text_of(plugin.name);
  facts.plugin_version = text_of(plugin.version);
  facts.name = text_of(info.name);
  facts.vendor = text_of(info.vendor);
  facts.sku = text_of(info.sku);
  facts.driver_version = text_of(info.driver_version);
  facts.firmware_version = text_of(info.firmware_version);
  facts.compiler_version = text_of(info.compiler_version);
  facts.flags = info.flags;
  facts.memory_bytes = info.memory_bytes;
  facts.buffer_alignment = std::max(info.buffer_alignment, 1u);
  facts.queue_depth = std::clamp(info.queue_depth, 1u, 16u);
  facts.determinism = info.determinism;
  facts.power_sensor = info.power_sensor;
  for_rows("types", info.type_count, info.types, [&](const naru_type_row& row) {
    facts.types.push_back({row.dtype, row.uses, row.mantissa_bits});
  });
  for_rows("layouts", info.layout_count, info.layouts,
           [&](const naru_layout_row& row) { facts.layouts.push_back(text_of(row.name)); });
  for_rows("buckets", info.bucket_count, info.buckets, [&](const naru_bucket_rule& rule) {
    facts.buckets.push_back({rule.axis, rule.minimum, rule.maximum, rule.multiple, rule.powers_of_2 != 0});
  });
  facts.tables = tables_of(plugin);
  facts.can_save = NARU_HAS(&plugin, artefact) && plugin.artefact != nullptr;
  check(facts);
  return facts;
}

std::string to_json(const DeviceFacts& f) {
  nlohmann::json json = {{"plugin", {f.plugin_name, f.plugin_version}},
                         {"device", {f.name, f.vendor, f.sku, f.driver_version, f.firmware_version, f.compiler_version}},
                         {"flags", f.flags},
                         {"memory_bytes", f.memory_bytes},
                         {"buffer_alignment", f.buffer_alignment},
                         {"queue_depth", f.queue_depth},
                         {"determinism", f.determinism},
                         {"power_sensor", f.power_sensor},
                         {"types", nlohmann::json::array()},
                         {"layouts", f.layouts},
                         {"buckets", nlohmann::json::array()},
                         {"tables", f.tables},
                         {"can_save", f.can_save}};
  for (const TypeFact& t : f.types) json["types"].push_back({t.dtype, t.uses, t.mantissa_bits});
  for (const BucketFact& b : f.buckets) json["buckets"].push_back({b.axis, b.minimum, b.maximum, b.multiple, b.powers_of_2});
  // What a plug-in calls itself need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

DeviceFacts facts_from_json(const std::string& text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    DeviceFacts f;
    json.at("plugin").at(0).get_to(f.plugin_name);
    json.at("plugin").at(1).get_to(f.plugin_version);
    std::size_t i = 0;
    for (std::string* field : {&f.name, &f.vendor, &f.sku, &f.driver_version, &f.firmware_version, &f.compiler_version})
      json.at("device").at(i++).get_to(*field);
    json.at("flags").get_to(f.flags);
    json.at("memory_bytes").get_to(f.memory_bytes);
    json.at("buffer_alignment").get_to(f.buffer_alignment);
    json.at("queue_depth").get_to(f.queue_depth);
    json.at("determinism").get_to(f.determinism);
    json.at("power_sensor").get_to(f.power_sensor);
    json.at("layouts").get_to(f.layouts);
    json.at("tables").get_to(f.tables);
    json.at("can_save").get_to(f.can_save);
    for (const auto& row : json.at("types")) f.types.push_back({row.at(0), row.at(1), row.at(2)});
    for (const auto& row : json.at("buckets")) f.buckets.push_back({row.at(0), row.at(1), row.at(2), row.at(3), row.at(4)});
    check(f);
    return f;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::Device, "plug-in: its description is damaged: {}", error.what());
  }
}

}  // namespace naru::plugin
