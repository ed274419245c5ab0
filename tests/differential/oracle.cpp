// Interpretation with moved numbers, and comparison.
#include "tests/differential/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "graph/evaluate.h"
#include "graph/fail.h"
#include "graph/scalar.h"
#include "tests/differential/numerics.h"

namespace naru::fuzz {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// The spread of a few runs underestimates what a worst case does.
constexpr double kSpreads = 6;
// A device may flush denormals of f32, those in the middle of a function too, where a factor of up to
// 88 (the range of exp) is still to come.
constexpr double kMayFlush = 88 * 0x1p-126;

bool all_finite(const Datum& value) {
  if (!value.is_tensor() || kind_of(value.tensor.dtype()) != DTypeKind::Float) return true;
  const std::vector<double> elements = to_wide<double>(value.tensor);
  return std::all_of(elements.begin(), elements.end(), [](double x) { return std::isfinite(x); });
}

/// A copy whose elements are moved by at most `units` roundings each, and `absolute` roundings of 1.
Datum moved(const Datum& value, double units, double absolute, Chooser& choose) {
  if (!value.is_tensor() || units + absolute == 0) return value;
  const double unit = rounding_unit(value.tensor.dtype());
  if (unit == 0) return value;
  Tensor copy(value.tensor.dtype(), value.tensor.shape());
  std::vector<double> elements = to_wide<double>(value.tensor);
  for (double& element : elements) {
    if (!std::isfinite(element)) continue;
    if (std::abs(element) < kMayFlush && choose.one_in(2)) element = std::copysign(0.0, element);
    if (element == 0 && choose.one_in(2)) element = -element;
    const double change = unit * (units * element + absolute) * choose.real(-1, 1);
    if (change != 0) element += change;  // keeps the sign of a zero
  }
  from_wide<double>(elements, copy);
  return copy;
}

NodeHooks moving_hooks(Chooser& choose) {
  NodeHooks hooks;
  hooks.before = [&choose](Node& node, std::vector<Datum>& inputs) {
    const Contract& contract = contract_of(node.op->full_name());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const FormalParam& formal = node.op->inputs[std::min(i, node.op->inputs.size() - 1)];
      // What is exact in its operand's type may only meet one that was not rounded to 16 bits.
      const bool exact = contract.result + contract.absolute == 0 && inputs[i].is_tensor() && rounding_unit(inputs[i].tensor.dtype()) < 0x1p-20;
      if (!formal.value_needed && !exact) inputs[i] = moved(inputs[i], 2 * contract.operand, 0, choose);
    }
  };
  hooks.after = [&choose](const Node& node, const std::vector<Datum>&, std::vector<Datum>& outputs) {
    const Contract& contract = contract_of(node.op->full_name());
    for (Datum& output : outputs) output = moved(output, 2 * contract.result, 2 * contract.absolute, choose);
  };
  return hooks;
}

/// Whether the node, or one in its bodies, has a contract for finite operands only.
bool wants_finite(const Node& node) {
  if (contract_of(node.op->full_name()).finite) return true;
  const auto in_body = [](const auto& attribute) {
    const auto* body = std::get_if<GraphPtr>(&attribute.second);
    return body != nullptr && std::any_of((*body)->nodes.begin(), (*body)->nodes.end(), wants_finite);
  };
  return std::any_of(node.attributes.begin(), node.attributes.end(), in_body);
}

/// For each value, whether no contract says what it is: it comes from an infinity or NaN through an
/// operator whose contract is for finite operands only.
std::vector<bool> undecided_values(const Graph& graph, const std::vector<Datum>& values) {
  std::vector<bool> undecided(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    const bool for_finite = wants_finite(node);
    const auto undecides = [&](ValueId id) {
      const auto i = static_cast<std::size_t>(id);
      return id != kNoValue && (undecided[i] || (for_finite && !all_finite(values[i])));
    };
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), undecides) ||
                     std::any_of(node.captures.begin(), node.captures.end(), undecides);
    for (const ValueId id : node.outputs) {
      if (any && id != kNoValue) undecided[static_cast<std::size_t>(id)] = true;
    }
  }
  return undecided;
}

/// Elements as doubles; the parts of complex numbers one after the other. Strings have none.
std::vector<double> numbers(const Tensor& tensor) {
  if (!tensor.defined() || tensor.dtype() == DType::String) return {};
  if (kind_of(tensor.dtype()) != DTypeKind::Complex) return to_wide<double>(tensor);
  const DType part = tensor.dtype() == DType::Complex64 ? DType::F32 : DType::F64;
  std::vector<double> parts;
  for (std::int64_t i = 0; i < 2 * tensor.numel(); ++i) parts.push_back(load_f64(part, tensor.data(), i));
  return parts;
}

bool same_class(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return !std::isinf(a) && !std::isinf(b) ? true : a == b;
}

void undecide(Expected& expected) {
  expected.fixed_shape = false;
  std::fill(expected.tolerance.begin(), expected.tolerance.end(), kInfinity);
}

/// Widens the tolerances by what one moved run gave.
void take_in(Expected& expected, const Tensor& moved_run) {
  const Tensor& value = expected.value.tensor;
  if (moved_run.shape() != value.shape()) {
    expected.fixed_shape = false;
    return;
  }
  const std::vector<double> a = numbers(value), b = numbers(moved_run);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool decided = same_class(a[i], b[i]);
    const double difference = !decided ? kInfinity : std::isfinite(a[i]) ? kSpreads * std::abs(a[i] - b[i]) : 0;
    expected.tolerance[i] = std::max(expected.tolerance[i], difference);
  }
}

/// What a right result may differ by even where no run moved it: a rounding, a flushed denormal.
double least_tolerance(DType dtype, double value) {
  const double unit = rounding_unit(dtype);
  return unit == 0 || !std::isfinite(value) ? 0 : 4 * unit * std::abs(value) + (dtype == DType::F64 ? 1e-300 : dtype == DType::F16 ? 1e-7 : kMayFlush);
}

std::optional<std::string> numbers_mismatch(const Tensor& got, const Expected& expected, Match match) {
  const Tensor& value = expected.value.tensor;
  const std::vector<double> a = numbers(got), b = numbers(value);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double tolerance = match == Match::Exact ? 0 : expected.tolerance[i];
    if (tolerance == kInfinity) continue;
    if (same_class(a[i], b[i]) && (!std::isfinite(b[i]) || std::abs(a[i] - b[i]) <= tolerance)) continue;
    return fmt::format("element {} of {}: got {:.9g}, expected {:.9g} within {:.3g}", i, to_string(value), a[i], b[i], tolerance);
  }
  return std::nullopt;
}

std::optional<std::string> one_mismatch(const Datum& got, const Expected& expected, Match match) {
  const Tensor& value = expected.value.tensor;
  if (!got.is_tensor()) return "got no tensor";
  if (got.tensor.dtype() != value.dtype()) {
    return fmt::format("got {}, expected {}", to_string(got.tensor), to_string(value));
  }
  if (!expected.fixed_shape && match == Match::Spread) return std::nullopt;
  if (got.tensor.shape() != value.shape()) {
    return fmt::format("got {}, expected {}", to_string(got.tensor), to_string(value));
  }
  if (value.dtype() != DType::String) return numbers_mismatch(got.tensor, expected, match);
  const auto a = got.tensor.strings(), b = value.strings();
  if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return std::nullopt;
  return "strings differ";
}

}  // namespace

std::vector<Datum> interpret(const Graph& graph, std::span<const Datum> inputs, const NodeHooks& hooks) {
  std::vector<Datum> values(graph.values.size());
  const auto at = [&](ValueId id) -> Datum& { return values[static_cast<std::size_t>(id)]; };
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (graph.values[i].is_constant()) values[i] = graph.values[i].constant;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) at(graph.inputs[i]) = inputs[i];
  const auto gather = [&](const std::vector<ValueId>& ids) {
    std::vector<Datum> data;
    for (const ValueId id : ids) data.push_back(id == kNoValue ? Datum{} : at(id));
    return data;
  };
  const ReferenceContext::SubgraphRunner body = [&hooks](const Graph& inner, std::vector<Datum> formal) {
    return outputs_of(inner, interpret(inner, formal, hooks));
  };
  for (const Node& original : graph.nodes) {
    Node node = original;
    std::vector<Datum> operands = gather(node.inputs);
    if (hooks.before) hooks.before(node, operands);
    std::vector<Datum> results = evaluate_node(node, operands, gather(node.captures), &body);
    if (hooks.after) hooks.after(node, operands, results);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) at(node.outputs[i]) = std::move(results[i]);
    }
  }
  return values;
}

std::vector<Datum> outputs_of(const Graph& graph, const std::vector<Datum>& values) {
  std::vector<Datum> outputs;
  for (const ValueId id : graph.outputs) outputs.push_back(values[static_cast<std::size_t>(id)]);
  return outputs;
}

std::vector<Expected> expect(const RandomCase& test, int runs, std::uint64_t seed) {
  std::vector<Expected> expected;
  const std::vector<Datum> values = interpret(test.graph, test.inputs);
  const std::vector<bool> undecided = undecided_values(test.graph, values);
  for (const ValueId id : test.graph.outputs) {
    const auto v = static_cast<std::size_t>(id);
    Expected output;
    output.value = values[v];
    const DType dtype = output.value.tensor.dtype();
    for (const double number : numbers(output.value.tensor)) output.tolerance.push_back(least_tolerance(dtype, number));
    if (undecided[v]) undecide(output);
    expected.push_back(std::move(output));
  }
  Chooser choose(seed);
  const NodeHooks hooks = moving_hooks(choose);
  for (int run = 0; run < runs; ++run) {
    std::vector<Datum> moved_values;
    try {
      moved_values = interpret(test.graph, test.inputs, hooks);
    } catch (const Error&) {
      // A moved number led where the graph has no meaning: nothing is decided.
      for (Expected& output : expected) output.fixed_shape = false;
      break;
    }
    const std::vector<bool> also_undecided = undecided_values(test.graph, moved_values);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto v = static_cast<std::size_t>(test.graph.outputs[i]);
      if (also_undecided[v]) undecide(expected[i]);
      else take_in(expected[i], moved_values[v].tensor);
    }
  }
  return expected;
}

std::optional<std::string> mismatch(std::span<const Datum> got, std::span<const Expected> expected, Match match) {
  if (got.size() != expected.size()) return fmt::format("got {} outputs, expected {}", got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (auto text = one_mismatch(got[i], expected[i], match)) return fmt::format("output {}: {}", i, *text);
  }
  return std::nullopt;
}

}  // namespace naru::fuzz
