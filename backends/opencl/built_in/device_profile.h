// DeviceProfile: what a JSON file says of a device's built-in kernels: which operators they run, under which
// conditions, with which arguments and layouts. How to write one: backends/npu_sim/README.md.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "backends/opencl/profile.h"

namespace naru::opencl {

/// The place of a tensor's elements in memory: its axes in another order, each padded to a multiple.
/// An empty order is dense and row-major, for any rank. Padding holds zeros, which kernels keep.
struct Layout {
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> align;  ///< one per axis, in the order of memory
  bool is_dense() const { return order.empty(); }
};

/// The name of the layout that every profile has: dense and row-major.
inline constexpr const char* kDense = "dense";

/// A number, or the name of a fact (facts.h).
using Quantity = std::variant<double, std::string>;

/// What a fact must be for a row to apply: one of several quantities, or within bounds.
struct Condition {
  std::string fact;
  std::optional<double> otherwise;  ///< when there is no such fact
  std::vector<Quantity> any_of;
  std::optional<double> min, max;
};

/// Names of layouts by operand; dense where none is named.
using Layouts = std::map<std::string, std::string>;

struct ArgumentRule {
  enum class Kind : std::uint8_t { Memory, Int, Float };
  Kind kind = Kind::Memory;
  Quantity value;                   ///< the operand's name, or what the scalar is
  std::optional<double> otherwise;  ///< of a scalar whose fact is not there
};

/// One way to run some operators.
struct KernelRow {
  std::vector<std::string> ops;
  std::string kernel;               ///< "{type}" stands for the name of the element type
  std::vector<std::string> types;   ///< of the first operand
  std::vector<Condition> when;
  std::vector<Layouts> layouts;     ///< alternatives; the one with the fewest conversions is taken
  std::vector<ArgumentRule> arguments;
  std::vector<std::string> fuses;   ///< functions of one number that the kernel can apply at its end
};

/// How the device's work is checked.
enum class Check : std::uint8_t {
  None,
  Canary,  ///< after each run a small product with a known result
  Repeat,  ///< each run twice, with equal results
};

/// The figures behind cost estimates.
struct CostModel {
  std::map<std::string, double> macs_per_s;  ///< by element type
  double vector_ops_per_s = 0;
  double bytes_per_s = 0;
  double launch_s = 0;
};

struct DeviceProfile {
  std::string path;
  std::string device_name;    ///< what CL_DEVICE_NAME must be; a '*' at the end stands for anything
  std::string platform_name;  ///< of CL_PLATFORM_NAME, empty: any
  std::map<std::string, Layout> layouts;
  std::map<std::string, double> type_codes;      ///< element types that the device stores, and its numbers for them
  std::map<std::string, std::string> stored_as;  ///< element types that it holds as another one
  std::map<std::string, double> codes;           ///< its numbers for functions
  std::vector<KernelRow> rows;
  CostModel cost;
  Check check = Check::None;
  bool automatic = true;      ///< taken by device "auto"
  std::int64_t time_limit_ms = 10'000;  ///< for any one command; beyond it the device counts as hung

  bool fits(const Profile& device) const;
};

/// @throws Error InvalidModel that names the place.
DeviceProfile parse_device_profile(std::string_view json, const std::string& path);

/// The profile of a device: from the files and folders in NARU_DEVICE_PROFILES (separated by ':'), else from
/// the folder of each driver listed in OCL_ICD_VENDORS, else from the system's data folders. Nothing when none fits;
/// files that cannot be read are named in `problems`.
std::optional<DeviceProfile> find_device_profile(const Profile& device, std::vector<std::string>& problems);

}  // namespace naru::opencl
