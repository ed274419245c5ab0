// Energy from powercap (RAPL), hardware monitors, and commands of the user.
#include "benchmarks/energy/provider.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/event_log.h"

namespace naru::bench {
namespace {

namespace fs = std::filesystem;

std::optional<double> read_number(const fs::path& path) {
  std::ifstream file(path);
  double value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

/// Joules from watts: trapezoids between readings.
class Integral {
 public:
  double add(double watts) {
    const std::int64_t now = now_ns();
    if (last_ns_ != 0) joules_ += 0.5 * (watts + last_watts_) * static_cast<double>(now - last_ns_) * 1e-9;
    last_ns_ = now;
    last_watts_ = watts;
    return joules_;
  }

 private:
  std::int64_t last_ns_ = 0;
  double last_watts_ = 0, joules_ = 0;
};

struct Zone {
  fs::path counter;
  double range = 0;  ///< microjoules at which the counter wraps to 0
  double last = 0, joules = 0;
};

class Powercap : public EnergyProvider {
 public:
  explicit Powercap(std::vector<Zone> zones) : zones_(std::move(zones)) {}
  std::string name() const override { return "powercap"; }
  std::string boundary() const override { return "package"; }
  std::optional<double> read() override {
    double sum = 0;
    for (Zone& zone : zones_) {
      const std::optional<double> value = read_number(zone.counter);
      if (!value) return std::nullopt;
      double step = *value - zone.last;
      if (step < 0) step += zone.range;
      zone.joules += step * 1e-6;
      zone.last = *value;
      sum += zone.joules;
    }
    return sum;
  }

 private:
  std::vector<Zone> zones_;
};

class HardwareMonitor : public EnergyProvider {
 public:
  explicit HardwareMonitor(std::vector<fs::path> inputs) : inputs_(std::move(inputs)) {}
  std::string name() const override { return "hwmon"; }
  std::string boundary() const override { return "board"; }
  std::optional<double> read() override {
    double watts = 0;
    for (const fs::path& input : inputs_) {
      const std::optional<double> microwatts = read_number(input);
      if (!microwatts) return std::nullopt;
      watts += *microwatts * 1e-6;
    }
    return integral_.add(watts);
  }

 private:
  std::vector<fs::path> inputs_;
  Integral integral_;
};

class CommandProvider : public EnergyProvider {
 public:
  CommandProvider(std::string command, std::string boundary) : command_(std::move(command)), boundary_(std::move(boundary)) {}
  std::string name() const override { return "command"; }
  std::string boundary() const override { return boundary_; }
  std::optional<double> read() override {
    FILE* pipe = popen(command_.c_str(), "re");
    if (pipe == nullptr) return std::nullopt;
    char buffer[256];
    const std::size_t size = fread(buffer, 1, sizeof buffer - 1, pipe);
    if (pclose(pipe) != 0) return std::nullopt;
    std::istringstream text(std::string(buffer, size));
    std::string unit;
    double value = 0;
    if (!(text >> unit >> value)) return std::nullopt;
    if (unit == "joules") return value;
    if (unit == "watts") return integral_.add(value);
    return std::nullopt;
  }

 private:
  std::string command_, boundary_;
  Integral integral_;
};

std::vector<fs::path> folders(const std::string& root) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::unique_ptr<EnergyProvider> open_powercap(const std::string& root) {
  std::vector<Zone> zones;
  for (const fs::path& folder : folders(root)) {
    // Packages only: cores and DRAM planes are parts of them or are named apart.
    const std::string name = folder.filename().string();
    if (std::count(name.begin(), name.end(), ':') != 1) continue;
    const std::optional<double> now = read_number(folder / "energy_uj"), range = read_number(folder / "max_energy_range_uj");
    if (now && range) zones.push_back({folder / "energy_uj", *range, *now, 0});
  }
  if (zones.empty()) return nullptr;
  return std::make_unique<Powercap>(std::move(zones));
}

std::unique_ptr<EnergyProvider> open_hwmon(const std::string& root) {
  std::vector<fs::path> inputs;
  for (const fs::path& folder : folders(root)) {
    for (const char* name : {"power1_input", "power1_average"}) {
      if (!read_number(folder / name)) continue;
      inputs.push_back(folder / name);
      break;
    }
  }
  if (inputs.empty()) return nullptr;
  return std::make_unique<HardwareMonitor>(std::move(inputs));
}

std::vector<std::unique_ptr<EnergyProvider>> open_energy_providers(const std::string& command, const std::string& command_boundary) {
  std::vector<std::unique_ptr<EnergyProvider>> providers;
  if (!command.empty()) providers.push_back(std::make_unique<CommandProvider>(command, command_boundary));
  if (auto powercap = open_powercap("/sys/class/powercap")) providers.push_back(std::move(powercap));
  if (auto monitor = open_hwmon("/sys/class/hwmon")) providers.push_back(std::move(monitor));
  return providers;
}

}  // namespace naru::bench
