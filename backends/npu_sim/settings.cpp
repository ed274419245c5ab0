// Reading of settings.
#include "backends/npu_sim/settings.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace npu {
namespace {

using Json = nlohmann::json;

constexpr const char* kFaultNames[] = {"none", "time-out", "device-lost", "wrong-result", "out-of-memory"};

Fault fault_of(const std::string& name) {
  for (std::size_t i = 0; i < std::size(kFaultNames); ++i) {
    if (name == kFaultNames[i]) return static_cast<Fault>(i);
  }
  throw std::runtime_error("fault kind: got '" + name + "', expected time-out, device-lost, wrong-result or out-of-memory");
}

void expect_object(const Json& json, std::initializer_list<std::string_view> keys) {
  if (!json.is_object()) throw std::runtime_error("expected a JSON object");
  for (const auto& item : json.items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) == keys.end()) throw std::runtime_error("unknown key '" + item.key() + "'");
  }
}

std::int64_t number(const Json& json, const char* key, std::int64_t otherwise, std::int64_t low, std::int64_t high) {
  if (!json.contains(key)) return otherwise;
  const Json& value = json.at(key);
  if (!value.is_number_integer() || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    throw std::runtime_error(std::string(key) + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value.get<std::int64_t>();
}

FaultPlan parse_faults(const Json& json) {
  expect_object(json, {"kind", "after", "every", "count"});
  FaultPlan plan;
  plan.fault = fault_of(json.value("kind", "none"));
  plan.after = number(json, "after", plan.after, 0, INT64_MAX);
  plan.every = number(json, "every", plan.every, 1, INT64_MAX);
  plan.count = number(json, "count", plan.count, 0, INT64_MAX);
  return plan;
}

}  // namespace

Settings parse_settings(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    expect_object(json, {"memory_mb", "time_out_ms", "report", "fault"});
    Settings settings;
    settings.memory_bytes = number(json, "memory_mb", 0, 1, 1 << 20) << 20;
    settings.time_out_ms = number(json, "time_out_ms", settings.time_out_ms, 1, 3'600'000);
    settings.report = json.value("report", "");
    if (json.contains("fault")) settings.faults = parse_faults(json.at("fault"));
    return settings;
  } catch (const Json::exception& error) {
    throw std::runtime_error(error.what());
  }
}

Settings settings_of_environment() {
  const char* value = std::getenv("NARU_NPU_CONFIG");
  if (value == nullptr || *value == '\0') return {};
  if (*value == '{') return parse_settings(value);
  std::ifstream file(value);
  if (!file) throw std::runtime_error("NARU_NPU_CONFIG: cannot read '" + std::string(value) + "'");
  return parse_settings({std::istreambuf_iterator<char>(file), {}});
}

}  // namespace npu
