// Energy providers: counters of joules with the boundary that they cover.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace naru::bench {

/// One counter. read() is called from one thread, ten times a second.
class EnergyProvider {
 public:
  virtual ~EnergyProvider() = default;
  virtual std::string name() const = 0;
  /// wall, board, soc, package or estimate.
  virtual std::string boundary() const = 0;
  /// Joules since some fixed start; absent when the reading failed.
  virtual std::optional<double> read() = 0;
};

/// The counters that can be read on this machine, the best witness first; may be none.
/// @param command a program whose standard output is "joules X" or "watts X"; empty: none.
/// @param command_boundary what that program covers.
std::vector<std::unique_ptr<EnergyProvider>> open_energy_providers(const std::string& command, const std::string& command_boundary);

/// Sums powercap counters below `root`, with their wrap-around; null when none can be read.
std::unique_ptr<EnergyProvider> open_powercap(const std::string& root);
/// Integrates the power inputs of hardware monitors below `root`; null when there are none.
std::unique_ptr<EnergyProvider> open_hwmon(const std::string& root);

}  // namespace naru::bench
