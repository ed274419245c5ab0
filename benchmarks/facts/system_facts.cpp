// System facts from /proc, /sys and the runtime.
#include "benchmarks/facts/system_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "benchmarks/log/sha256.h"
#include "benchmarks/probe.h"
#include "naru/engine.h"
#include "naru/error.h"

namespace naru::bench {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The value of "name : value" or NAME="value" in a file of such lines.
std::string field(const std::string& path, const std::string& name, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find(separator);
    if (at == std::string::npos || line.compare(0, name.size(), name) != 0) continue;
    std::string value = line.substr(at + 1);
    const auto unwanted = [](char c) { return c == ' ' || c == '"' || c == '\t'; };
    while (!value.empty() && unwanted(value.front())) value.erase(value.begin());
    while (!value.empty() && unwanted(value.back())) value.pop_back();
    return value;
  }
  return "";
}

std::int64_t kilobytes(const std::string& text) {
  std::int64_t value = 0;
  std::istringstream(text) >> value;
  return value * 1024;
}

nlohmann::json host_facts() {
  utsname name{};
  uname(&name);
  return {{"cpu", field("/proc/cpuinfo", "model name", ':')},
          {"cores", std::thread::hardware_concurrency()},
          {"vector_isa", vector_isa()},
          {"microcode", field("/proc/cpuinfo", "microcode", ':')},
          {"memory_bytes", kilobytes(field("/proc/meminfo", "MemTotal", ':'))},
          {"os", field("/etc/os-release", "PRETTY_NAME", '=')},
          {"kernel", name.release},
          {"architecture", name.machine},
          {"governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
          {"max_frequency_khz", first_line("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")},
          {"hypervisor", field("/proc/cpuinfo", "flags", ':').find(" hypervisor") != std::string::npos},
          {"cpu_quota", first_line("/sys/fs/cgroup/cpu.max")},
          {"load_average", first_line("/proc/loadavg")},
          {"product", first_line("/sys/class/dmi/id/product_name")}};
}

nlohmann::json device_facts() {
  nlohmann::json devices = nlohmann::json::array();
  for (const DeviceDescription& device : list_devices()) {
    devices.push_back({{"id", device.id}, {"name", device.name}, {"description", device.description},
                       {"memory_bytes", device.memory_bytes}, {"features", device.features},
                       {"available", device.available}, {"reason", device.unavailable_reason}});
  }
  return devices;
}

}  // namespace

nlohmann::json system_facts() {
  return {{"host", host_facts()}, {"devices", device_facts()},
          {"software", {{"compiler", __VERSION__}, {"binary_sha256", sha256_file("/proc/self/exe")}}}};
}

nlohmann::json probe_device(const std::string& device, int threads) {
  // The probes are loops on the host's cores, which is also what an OpenCL driver for CPUs runs on.
  if (device.compare(0, 3, "cpu") != 0) return nullptr;
  const int cores = threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
  return {{"flops", peak_fma_gflops(cores) * 1e9}, {"int8_ops", peak_u8s8_gops(cores) * 1e9},
          {"bytes_per_s", read_bandwidth_gbs(cores) * 1e9}, {"threads", cores}, {"isa", vector_isa()},
          {"method", "register-only multiply-add chains; streaming read beyond the caches"}};
}

nlohmann::json fact_mismatches(const nlohmann::json& declared, const nlohmann::json& read) {
  nlohmann::json mismatches = nlohmann::json::array();
  if (!declared.is_object()) return mismatches;
  for (const auto& [name, value] : declared.items()) {
    const nlohmann::json& host = read.at("host");
    if (!host.contains(name) || host.at(name) == value) continue;
    mismatches.push_back({{"field", name}, {"declared", value}, {"read", host.at(name)}});
  }
  return mismatches;
}

}  // namespace naru::bench
