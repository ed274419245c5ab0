// The table of faults.
#include "tests/differential/faults.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/scalar.h"

namespace naru::fuzz {
namespace {

using Ints = std::vector<std::int64_t>;
using Inputs = std::vector<Datum>;

bool names(std::string_view list, std::string_view name) {
  for (std::size_t at = list.find(name); at != std::string_view::npos; at = list.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return true;
  }
  return false;
}

// What many faults do

bool set(Node& node, const char* attribute, Attribute value) {
  const Attribute* old = node.find(attribute);
  if (old != nullptr && old->index() == value.index() && !std::holds_alternative<Tensor>(value)) {
    if (const auto* number = std::get_if<std::int64_t>(old); number != nullptr && *number == std::get<std::int64_t>(value)) return false;
    if (const auto* number = std::get_if<float>(old); number != nullptr && *number == std::get<float>(value)) return false;
    if (const auto* text = std::get_if<std::string>(old); text != nullptr && *text == std::get<std::string>(value)) return false;
  }
  node.attributes[attribute] = std::move(value);
  return true;
}

bool flip(Node& node, const char* attribute) { return set(node, attribute, std::int64_t{node.attr_int_or(attribute, 0) == 0 ? 1 : 0}); }

bool drop_input(Node& node, Inputs& inputs, std::size_t i) {
  if (!node.has_input(i)) return false;
  node.inputs[i] = kNoValue;
  inputs[i] = {};
  return true;
}

/// Replaces the elements of all float or integer results.
template <typename Change>
bool change_elements(std::vector<Datum>& outputs, const Change& change) {
  bool changed = false;
  for (Datum& output : outputs) {
    if (!output.is_tensor() || !output.tensor.defined()) continue;
    const DTypeKind kind = kind_of(output.tensor.dtype());
    if (kind == DTypeKind::String || kind == DTypeKind::Complex || kind == DTypeKind::Block) continue;
    Tensor copy(output.tensor.dtype(), output.tensor.shape());
    std::vector<double> values = to_wide<double>(output.tensor);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double fresh = change(values[i], i, values.size());
      changed = changed || !(fresh == values[i] || (std::isnan(fresh) && std::isnan(values[i])));
      values[i] = fresh;
    }
    from_wide<double>(values, copy);
    output.tensor = copy;
  }
  return changed;
}

// Faults of kernels: wrong attributes

bool swap_pads(Node& node, Inputs&) {
  Ints pads = node.attr_ints_or("pads", {});
  Ints turned = pads;
  std::rotate(turned.begin(), turned.begin() + static_cast<std::ptrdiff_t>(turned.size() / 2), turned.end());
  if (turned == pads) return false;
  node.attributes["pads"] = turned;
  return true;
}
bool ignore_dilations(Node& node, Inputs&) {
  Ints dilations = node.attr_ints_or("dilations", {});
  if (std::all_of(dilations.begin(), dilations.end(), [](std::int64_t d) { return d == 1; })) return false;
  node.attributes["dilations"] = Ints(dilations.size(), 1);
  return true;
}
bool drop_bias(Node& node, Inputs& inputs) { return drop_input(node, inputs, 2); }
bool flip_count_include_pad(Node& node, Inputs&) { return flip(node, "count_include_pad"); }
bool ignore_alpha(Node& node, Inputs&) { return node.has("alpha") && set(node, "alpha", 1.0f); }
bool ignore_beta(Node& node, Inputs& inputs) { return node.has_input(2) && inputs[2].tensor.defined() && set(node, "beta", 1.0f); }
bool last_axis(Node& node, Inputs&) { return set(node, "axis", std::int64_t{-1}); }
bool no_epsilon(Node& node, Inputs&) { return set(node, "epsilon", 0.0f); }
bool flip_exclusive(Node& node, Inputs&) { return flip(node, "exclusive"); }
bool flip_reverse(Node& node, Inputs&) { return flip(node, "reverse"); }
bool flip_largest(Node& node, Inputs&) { return set(node, "largest", std::int64_t{node.attr_int_or("largest", 1) == 0 ? 1 : 0}); }
bool flip_last_index(Node& node, Inputs&) { return flip(node, "select_last_index"); }
bool flip_upper(Node& node, Inputs&) { return set(node, "upper", std::int64_t{node.attr_int_or("upper", 1) == 0 ? 1 : 0}); }
bool flip_fmod(Node& node, Inputs& inputs) { return !is_float(inputs[0].tensor.dtype()) && flip(node, "fmod"); }
bool gelu_by_tanh(Node& node, Inputs&) { return set(node, "approximate", std::string("tanh")); }
bool asymmetric(Node& node, Inputs&) { return set(node, "coordinate_transformation_mode", std::string("asymmetric")); }
bool floor_nearest(Node& node, Inputs&) { return node.attr_string_or("mode", "nearest") == "nearest" && set(node, "nearest_mode", std::string("floor")); }
bool edge_for_reflect(Node& node, Inputs&) { return node.attr_string_or("mode", "constant") == "reflect" && set(node, "mode", std::string("edge")); }
bool forward_only(Node& node, Inputs&) { return node.attr_string_or("direction", "forward") == "reverse" && set(node, "direction", std::string("forward")); }
bool crd_for_dcr(Node& node, Inputs&) { return set(node, "mode", std::string(node.attr_string_or("mode", "DCR") == "DCR" ? "CRD" : "DCR")); }
bool border_for_zeros(Node& node, Inputs&) { return node.attr_string_or("padding_mode", "zeros") == "zeros" && set(node, "padding_mode", std::string("border")); }
bool drop_zero_point(Node& node, Inputs& inputs) {
  if (!node.has_input(2)) return false;
  Tensor zero(inputs[2].tensor.dtype(), inputs[2].tensor.shape());
  from_wide<double>(std::vector<double>(static_cast<std::size_t>(zero.numel()), 0.0), zero);
  inputs[2] = zero;
  return true;
}
bool drop_minimum(Node& node, Inputs& inputs) { return drop_input(node, inputs, 1); }
bool swap_operands(Node& node, Inputs& inputs) {
  if (inputs.size() < 2 || inputs[0].tensor.shape() != inputs[1].tensor.shape()) return false;
  std::swap(inputs[0], inputs[1]);
  std::swap(node.inputs[0], node.inputs[1]);
  return true;
}
bool swap_branches(Node&, Inputs& inputs) {
  if (inputs[1].tensor.shape() != inputs[2].tensor.shape()) return false;
  std::swap(inputs[1], inputs[2]);
  return true;
}
bool reverse_inputs(Node& node, Inputs& inputs) {
  if (inputs.size() < 2) return false;
  std::reverse(inputs.begin(), inputs.end());
  std::reverse(node.inputs.begin(), node.inputs.end());
  return true;
}
bool clamp_negative_index(Node&, Inputs& inputs) {
  Tensor indices = inputs[1].tensor.clone();
  bool changed = false;
  for (std::int64_t i = 0; i < indices.numel(); ++i) {
    if (load_i64(indices.dtype(), indices.data(), i) >= 0) continue;
    store_i64(indices.dtype(), indices.mutable_data(), i, 0);
    changed = true;
  }
  inputs[1] = indices;
  return changed;
}

// Faults of kernels: wrong elements

using Outputs = std::vector<Datum>;

bool lose_tail(const Node&, const Inputs&, Outputs& outputs) {
  return change_elements(outputs, [](double x, std::size_t i, std::size_t n) { return i >= n / 8 * 8 ? 0 : x; });
}
bool lose_last_row(const Node&, const Inputs&, Outputs& outputs) {
  const Shape& shape = outputs[0].tensor.shape();
  if (shape.rank() == 0) return false;
  const auto row = static_cast<std::size_t>(shape[shape.rank() - 1]);
  return change_elements(outputs, [row](double x, std::size_t i, std::size_t n) { return i + row >= n ? 0 : x; });
}
bool lose_nan(const Node&, const Inputs&, Outputs& outputs) {
  return change_elements(outputs, [](double x, std::size_t, std::size_t) { return std::isnan(x) ? 0 : x; });
}
bool lose_infinity(const Node&, const Inputs&, Outputs& outputs) {
  return change_elements(outputs, [](double x, std::size_t, std::size_t) { return std::isinf(x) ? std::copysign(3e38, x) : x; });
}
bool round_to_bf16(const Node&, const Inputs&, Outputs& outputs) {
  if (outputs[0].tensor.dtype() != DType::F32) return false;
  return change_elements(outputs, [](double x, std::size_t, std::size_t) { return static_cast<double>(bf16_to_f32(f32_to_bf16(static_cast<float>(x)))); });
}
bool half_away_from_zero(const Node& node, const Inputs& inputs, Outputs& outputs) {
  if (node.op->name != "Round") return false;
  const std::vector<double> x = to_wide<double>(inputs[0].tensor);
  return change_elements(outputs, [&](double, std::size_t i, std::size_t) { return std::round(x[i]); });
}
bool one_less(const Node&, const Inputs&, Outputs& outputs) {
  if (!is_integer(outputs[0].tensor.dtype())) return false;
  return change_elements(outputs, [](double x, std::size_t i, std::size_t) { return i % 7 == 3 ? x - 1 : x; });
}
bool saturate_int8(const Node&, const Inputs& inputs, Outputs& outputs) {
  const DType dtype = outputs[0].tensor.dtype();
  if (dtype != DType::I8 || inputs.size() != 2 || inputs[0].tensor.shape() != inputs[1].tensor.shape()) return false;
  const std::vector<double> a = to_wide<double>(inputs[0].tensor), b = to_wide<double>(inputs[1].tensor);
  return change_elements(outputs, [&](double, std::size_t i, std::size_t) { return std::clamp(a[i] + b[i], -128.0, 127.0); });
}
bool invert_one(const Node&, const Inputs&, Outputs& outputs) {
  if (outputs[0].tensor.dtype() != DType::Bool) return false;
  return change_elements(outputs, [](double x, std::size_t i, std::size_t) { return i % 5 == 4 ? 1 - x : x; });
}
bool slightly_off(const Node&, const Inputs&, Outputs& outputs) {
  return change_elements(outputs, [](double x, std::size_t, std::size_t) { return x * 1.003; });
}
bool transposed_result(const Node&, const Inputs&, Outputs& outputs) {
  const Shape& shape = outputs[0].tensor.shape();
  if (shape.rank() != 2 || shape[0] != shape[1] || kind_of(outputs[0].tensor.dtype()) != DTypeKind::Float) return false;
  const std::vector<double> values = to_wide<double>(outputs[0].tensor);
  const auto n = static_cast<std::size_t>(shape[0]);
  return change_elements(outputs, [&](double, std::size_t i, std::size_t) { return values[i % n * n + i / n]; });
}

// Faults of passes

/// Calls `change` for each node until it says that it changed one.
template <typename Change>
bool first_node(Graph& graph, const Change& change) {
  for (Node& node : graph.nodes) {
    if (change(node)) return true;
  }
  return false;
}

bool has_type_of(const Graph& graph, ValueId a, ValueId b) { return graph.value(a).type == graph.value(b).type; }

/// Uses of the node's result read its input instead.
bool bypass(Graph& graph, std::string_view op) {
  return first_node(graph, [&](Node& node) {
    if (node.op->name != op || !has_type_of(graph, node.inputs[0], node.outputs[0])) return false;
    graph.replace_uses(node.outputs[0], node.inputs[0]);
    return true;
  });
}
bool drop_transpose(Graph& graph) { return bypass(graph, "Transpose"); }
bool drop_relu(Graph& graph) { return bypass(graph, "Relu"); }
bool drop_round(Graph& graph) { return bypass(graph, "Round"); }
bool drop_clip(Graph& graph) { return bypass(graph, "Clip"); }
bool drop_cumsum(Graph& graph) { return bypass(graph, "CumSum"); }
bool drop_slice(Graph& graph) { return bypass(graph, "Slice"); }
bool drop_trilu(Graph& graph) { return bypass(graph, "Trilu"); }

bool swap_sub(Graph& graph) {
  return first_node(graph, [&](Node& node) {
    if (node.op->name != "Sub" || !has_type_of(graph, node.inputs[0], node.inputs[1])) return false;
    std::swap(node.inputs[0], node.inputs[1]);
    return true;
  });
}
bool take_other_branch(Graph& graph) {
  return first_node(graph, [](Node& node) {
    if (node.op->name != "If") return false;
    std::swap(node.attributes["then_branch"], node.attributes["else_branch"]);
    return true;
  });
}
bool replace_operator(Graph& graph, std::string_view from, std::string_view to) {
  return first_node(graph, [&](Node& node) {
    if (node.op->name != from) return false;
    node.op = &op_def(to);
    return true;
  });
}
bool max_for_min(Graph& graph) { return replace_operator(graph, "Min", "Max"); }
bool less_for_less_or_equal(Graph& graph) { return replace_operator(graph, "LessOrEqual", "Less"); }
bool mean_for_sum(Graph& graph) { return replace_operator(graph, "ReduceSum", "ReduceMean"); }

bool differs_in_ints(const Node& a, const Node& b) {
  return std::any_of(a.attributes.begin(), a.attributes.end(), [&](const auto& entry) {
    const auto* number = std::get_if<std::int64_t>(&entry.second);
    return number != nullptr && *number != b.attr_int_or(entry.first, *number);
  });
}

/// Common subexpressions merged without a look at their attributes.
bool merge_alike(Graph& graph) {
  for (std::size_t a = 0; a < graph.nodes.size(); ++a) {
    for (std::size_t b = a + 1; b < graph.nodes.size(); ++b) {
      const Node& first = graph.nodes[a];
      const Node& second = graph.nodes[b];
      if (first.op != second.op || first.inputs.empty() || first.inputs[0] != second.inputs[0] || !differs_in_ints(first, second) ||
          !has_type_of(graph, first.outputs[0], second.outputs[0])) {
        continue;
      }
      graph.replace_uses(second.outputs[0], first.outputs[0]);
      return true;
    }
  }
  return false;
}

/// x * 0 becomes 0, whatever x is.
bool fold_times_zero(Graph& graph) {
  return first_node(graph, [&](Node& node) {
    if (node.op->name != "Mul") return false;
    for (const ValueId id : node.inputs) {
      const Value& value = graph.value(id);
      const auto shape = known_shape(*graph.value(node.outputs[0]).type.shape);
      if (!value.is_constant() || !shape || value.constant.numel() == 0 || load_f64(value.constant.dtype(), value.constant.data(), 0) != 0) continue;
      Tensor zeros(value.constant.dtype(), *shape);
      from_wide<double>(std::vector<double>(static_cast<std::size_t>(zeros.numel()), 0.0), zeros);
      graph.replace_uses(node.outputs[0], graph.add_constant("zeros", std::move(zeros)));
      return true;
    }
    return false;
  });
}

constexpr std::string_view kElementwise = "Add Mul Relu Tanh Sigmoid Exp Abs Neg Sub";

constexpr Fault kFaults[] = {
    {"conv swaps the pads of both ends", "Conv AveragePool MaxPool", swap_pads},
    {"conv ignores dilations", "Conv MaxPool AveragePool", ignore_dilations},
    {"conv drops its bias", "Conv ConvTranspose Gemm", drop_bias},
    {"average counts padding the other way", "AveragePool", flip_count_include_pad},
    {"gemm ignores alpha", "Gemm LeakyRelu Elu ThresholdedRelu", ignore_alpha},
    {"gemm ignores beta", "Gemm", ignore_beta},
    {"softmax runs along the last axis", "Softmax LogSoftmax Hardmax", last_axis},
    {"argmax runs along the last axis", "ArgMax ArgMin", last_axis},
    {"layer normalization has no epsilon", "LayerNormalization RMSNormalization", no_epsilon},
    {"cumulation flips exclusive", "CumSum CumProd", flip_exclusive},
    {"cumulation flips reverse", "CumSum CumProd", flip_reverse},
    {"top-k finds the other end", "TopK", flip_largest},
    {"argmax takes the last of equals", "ArgMax ArgMin", flip_last_index},
    {"trilu keeps the other triangle", "Trilu", flip_upper},
    {"mod takes the other sign", "Mod", flip_fmod},
    {"gelu by its approximation", "Gelu", gelu_by_tanh},
    {"resize without half a pixel", "Resize", asymmetric},
    {"resize rounds down", "Resize", floor_nearest},
    {"pad repeats the edge for a reflection", "Pad", edge_for_reflect},
    {"recurrent layer runs forward only", "LSTM GRU RNN", forward_only},
    {"depth to space in the other order", "DepthToSpace", crd_for_dcr},
    {"grid sample repeats the border", "GridSample", border_for_zeros},
    {"quantisation drops the zero point", "QuantizeLinear DequantizeLinear", drop_zero_point},
    {"quantised product drops a zero point", "MatMulInteger ConvInteger", drop_zero_point},
    {"clip has no minimum", "Clip", drop_minimum},
    {"division swaps its operands", "Div Pow Greater Less", swap_operands},
    {"where swaps its branches", "Where", swap_branches},
    {"concat reverses its inputs", "Concat", reverse_inputs},
    {"gather reads 0 for a negative index", "Gather GatherElements GatherND", clamp_negative_index},
    {"element-wise loses the tail of a vector", kElementwise, nullptr, lose_tail},
    {"product loses its last row", "MatMul Gemm Conv MatMulInteger", nullptr, lose_last_row},
    {"maximum loses NaN", "Max Min Relu Clip MaxPool ReduceMax", nullptr, lose_nan},
    {"function saturates for infinity", "Exp Div Reciprocal Log Pow Mul", nullptr, lose_infinity},
    {"product rounds to bf16", "MatMul Conv Gemm", nullptr, round_to_bf16},
    {"function of three digits", "Erf Tanh Sigmoid Exp Softplus Gelu", nullptr, slightly_off},
    {"round goes away from zero", "Round", nullptr, half_away_from_zero},
    {"quantised result is one less", "QuantizeLinear QLinearMatMul QLinearConv DynamicQuantizeLinear", nullptr, one_less},
    {"integer sum is one less", "Add Sum ReduceSum MatMulInteger", nullptr, one_less},
    {"comparison inverts an element", "Greater Less Equal LessOrEqual GreaterOrEqual Not And Or Xor", nullptr, invert_one},
    {"sum of bytes saturates", "Add", nullptr, saturate_int8},
    {"product is transposed", "MatMul Gemm", nullptr, transposed_result},
    {"normalization is slightly off", "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization", nullptr, slightly_off},
    {"reduction is slightly off", "ReduceMean ReduceSum ReduceL2 AveragePool", nullptr, slightly_off},
    {"pass drops a transpose", "Transpose", nullptr, nullptr, drop_transpose},
    {"pass drops a Relu", "Relu", nullptr, nullptr, drop_relu},
    {"pass drops a Round", "Round", nullptr, nullptr, drop_round},
    {"pass drops a Clip", "Clip", nullptr, nullptr, drop_clip},
    {"pass drops a CumSum", "CumSum", nullptr, nullptr, drop_cumsum},
    {"pass drops a Slice", "Slice", nullptr, nullptr, drop_slice},
    {"pass drops a Trilu", "Trilu", nullptr, nullptr, drop_trilu},
    {"pass swaps a difference", "Sub", nullptr, nullptr, swap_sub},
    {"pass takes the other branch", "If", nullptr, nullptr, take_other_branch},
    {"pass makes Min a Max", "Min", nullptr, nullptr, max_for_min},
    {"pass makes LessOrEqual a Less", "LessOrEqual", nullptr, nullptr, less_for_less_or_equal},
    {"pass makes a sum a mean", "ReduceSum", nullptr, nullptr, mean_for_sum},
    {"pass merges nodes of other attributes", "", nullptr, nullptr, merge_alike},
    {"pass folds a product with zero", "Mul", nullptr, nullptr, fold_times_zero},
};

// Comparisons

/// Two tensors, and whether they count as equal.
struct KnownPair {
  Tensor got, expected;
  double tolerance;
  bool equal;
};

std::vector<KnownPair> known_pairs() {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  const auto vec = [](std::initializer_list<float> values) { return Tensor::from<float>({static_cast<std::int64_t>(values.size())}, values); };
  return {{vec({1, 2}), vec({1, 2}), 0, true},
          {vec({kNan, kInf}), vec({kNan, kInf}), 0, true},
          {vec({1, 2.5f}), vec({1, 2}), 1, true},
          {vec({1, 2.5f}), vec({1, 2}), 0.4, false},
          {vec({1.5f, 2}), vec({1, 2}), 0.4, false},
          {vec({kNan, 2}), vec({1, 2}), 0.4, false},
          {vec({1, 2}), vec({kNan, 2}), 0.4, false},
          {vec({kInf, 2}), vec({-kInf, 2}), 0.4, false},
          {vec({3e38f, 2}), vec({kInf, 2}), 0.4, false},
          {vec({1, 2}), Tensor::from<double>({2}, {1.0, 2.0}), 0, false},
          {vec({1, 2}).reshaped({2, 1}), vec({1, 2}), 0, false},
          {Tensor::from_strings({1}, {"a"}), Tensor::from_strings({1}, {"b"}), 0, false},
          {Tensor::from<std::int64_t>({1}, {4}), Tensor::from<std::int64_t>({1}, {5}), 0, false}};
}

/// A comparison gone wrong: changes what it is shown before it compares.
struct WrongComparator {
  std::string_view name;
  void (*blur)(Tensor& got, Tensor& expected, double& tolerance);
};

void each_element(Tensor& tensor, double (*change)(double)) {
  if (kind_of(tensor.dtype()) != DTypeKind::Float) return;
  Tensor copy(tensor.dtype(), tensor.shape());
  std::vector<double> values = to_wide<double>(tensor);
  std::transform(values.begin(), values.end(), values.begin(), change);
  from_wide<double>(values, copy);
  tensor = copy;
}

constexpr WrongComparator kComparators[] = {
    {"any NaN is equal", [](Tensor& a, Tensor& b, double&) {
       for (Tensor* t : {&a, &b}) each_element(*t, [](double x) { return std::isnan(x) ? 1.0 : x; });
     }},
    {"infinities have no sign", [](Tensor& a, Tensor& b, double&) {
       for (Tensor* t : {&a, &b}) each_element(*t, [](double x) { return std::isinf(x) ? std::abs(x) : x; });
     }},
    {"large counts as infinite", [](Tensor& a, Tensor& b, double&) {
       for (Tensor* t : {&a, &b}) each_element(*t, [](double x) { return std::abs(x) > 1e38 ? std::numeric_limits<double>::infinity() : x; });
     }},
    {"the tolerance is ten times too wide", [](Tensor&, Tensor&, double& tolerance) { tolerance *= 10; }},
    {"shapes are not compared", [](Tensor& a, Tensor& b, double&) { if (a.numel() == b.numel()) a = a.reshaped(b.shape()); }},
    {"types are not compared", [](Tensor& a, Tensor& b, double&) { if (a.dtype() != b.dtype()) a = b; }},
    {"strings are not compared", [](Tensor& a, Tensor& b, double&) { if (a.dtype() == DType::String) a = b; }},
    {"integers may be one off", [](Tensor& a, Tensor& b, double&) { if (is_integer(a.dtype())) a = b; }},
};

bool judged_equal(const Tensor& got, const Tensor& expected, double tolerance) {
  Expected wanted;
  wanted.value = expected;
  wanted.tolerance.assign(static_cast<std::size_t>(expected.numel()), tolerance);
  const Datum value = got;
  return !mismatch({&value, 1}, {&wanted, 1}, Match::Spread);
}

}  // namespace

bool Fault::concerns(const Graph& graph) const {
  return ops.empty() || std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return names(ops, node.op->full_name()); });
}

std::span<const Fault> faults() { return kFaults; }

std::vector<Datum> run_faulty(const RandomCase& test, const Fault& fault, bool& acted) {
  Graph graph = test.graph;
  acted = fault.rewrite != nullptr && fault.rewrite(graph);
  NodeHooks hooks;
  if (fault.before != nullptr) {
    hooks.before = [&](Node& node, std::vector<Datum>& inputs) {
      if (names(fault.ops, node.op->full_name()) && fault.before(node, inputs)) acted = true;
    };
  }
  if (fault.after != nullptr) {
    hooks.after = [&](const Node& node, const std::vector<Datum>& inputs, std::vector<Datum>& outputs) {
      if (names(fault.ops, node.op->full_name()) && fault.after(node, inputs, outputs)) acted = true;
    };
  }
  return outputs_of(graph, interpret(graph, test.inputs, hooks));
}

ComparatorScore score_comparators() {
  ComparatorScore score;
  for (const WrongComparator& comparator : kComparators) {
    bool exposed = false;
    for (KnownPair pair : known_pairs()) {
      comparator.blur(pair.got, pair.expected, pair.tolerance);
      exposed = exposed || judged_equal(pair.got, pair.expected, pair.tolerance) != pair.equal;
    }
    ++score.seeded;
    if (exposed) ++score.found;
    else score.missed.emplace_back(comparator.name);
  }
  return score;
}

}  // namespace naru::fuzz
