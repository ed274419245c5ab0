// What this machine is, as read from it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace naru::bench {

/// Processor, memory, kernel, governor, limits of the container, devices with driver versions, and
/// the versions and hash of this program.
nlohmann::json system_facts();

/// Peaks of a device, measured now: {"flops", "bytes_per_s", "method"}; null where no probe knows it.
nlohmann::json probe_device(const std::string& device, int threads);

/// Declared facts that the read ones contradict, as [{"field", "declared", "read"}].
nlohmann::json fact_mismatches(const nlohmann::json& declared, const nlohmann::json& read);

}  // namespace naru::bench
