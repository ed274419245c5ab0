// Built-in kernels: their names and parameters as data, and what a kernel sees of one call.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backends/npu_sim/timing.h"

namespace npu {

enum class Role : std::uint8_t { Input, OptionalInput, Output, Int, Float };

struct Parameter {
  const char* name;
  Role role;
};

/// The memory of a buffer (empty: an optional one that is absent), or a scalar.
using Argument = std::variant<std::span<std::byte>, std::int32_t, float>;

class Call;

struct Kernel {
  std::string name;  ///< "npu.conv2d.f16"
  Type type;
  std::vector<Parameter> parameters;
  Work (*run)(Call&);
};

/// All kernels; the same order always.
std::span<const Kernel> kernels();
/// Null when there is none of that name.
const Kernel* find_kernel(std::string_view name);

/// Arguments that a kernel cannot run with; `what()` says which and why.
struct BadArguments : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One call: arguments by their parameters' names, checked when they are asked for.
class Call {
 public:
  Call(const Chip& chip, const Kernel& kernel, std::span<const Argument> arguments)
      : chip_(chip), kernel_(kernel), arguments_(arguments) {}

  const Chip& chip() const { return chip_; }
  Type type() const { return kernel_.type; }

  /// @throws BadArguments unless low <= value <= high.
  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high = INT32_MAX) const;
  float real(std::string_view name) const;
  bool has(std::string_view name) const { return !memory(name).empty(); }
  /// The first `count` elements of a buffer. @throws BadArguments when it is smaller.
  std::vector<float> read(std::string_view name, Type type, std::int64_t count) const;
  void write(std::string_view name, Type type, std::span<const float> values) const;
  /// The bytes of `count` elements. @throws BadArguments when the buffer is smaller.
  std::span<std::byte> bytes(std::string_view name, Type type, std::int64_t count) const;

 private:
  std::size_t index_of(std::string_view name) const;
  std::span<std::byte> memory(std::string_view name) const { return std::get<std::span<std::byte>>(arguments_[index_of(name)]); }

  const Chip& chip_;
  const Kernel& kernel_;
  std::span<const Argument> arguments_;
};

/// A product of counts. @throws BadArguments when it leaves what any memory holds.
std::int64_t count_of(std::initializer_list<std::int64_t> factors);

// The rows of each file of kernels/.
void add_product_kernels(std::vector<Kernel>& table);
void add_window_kernels(std::vector<Kernel>& table);
void add_elementwise_kernels(std::vector<Kernel>& table);
void add_softmax_kernels(std::vector<Kernel>& table);
void add_attention_kernels(std::vector<Kernel>& table);
void add_movement_kernels(std::vector<Kernel>& table);

/// Adds `name`.f32, .f16 and .bf16.
void add_float_kernels(std::vector<Kernel>& table, const char* name, const std::vector<Parameter>& parameters, Work (*run)(Call&));

}  // namespace npu
