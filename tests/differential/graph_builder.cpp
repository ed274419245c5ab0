// Random values, and nodes that are checked and evaluated as they are added.
#include "tests/differential/graph_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/scalar.h"

namespace naru::fuzz {
namespace {

constexpr std::int64_t kMaxElements = 3000;

double special_number(Chooser& choose) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return choose.of({0.0, -0.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN(), 65504.0, -65504.0, 1e-5});
}

Tensor random_strings(Chooser& choose, const Shape& shape) {
  std::vector<std::string> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    values.emplace_back(choose.of({"", "a", "Naru", "12", "-3.5", "\xEA\xB0\x80", "two words"}));
  }
  return Tensor::from_strings(shape, std::move(values));
}

}  // namespace

std::int64_t GraphBuilder::dim() {
  if (choose.one_in(40)) return 0;
  return choose.of<std::int64_t>({1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17, 31, 32, 33});
}

Shape GraphBuilder::random_shape(std::int64_t low_rank, std::int64_t high_rank) {
  const std::int64_t common = std::min<std::int64_t>(high_rank, 4);
  const std::int64_t rank = choose.between(low_rank, choose.one_in(6) ? high_rank : std::max(low_rank, common));
  Shape shape;
  std::int64_t elements = 1;
  for (std::int64_t i = 0; i < rank; ++i) {
    std::int64_t size = dim();
    if (elements * size > kMaxElements / 2) size = choose.between(1, 2);
    if (elements * size > kMaxElements / 2) size = 1;
    elements *= std::max<std::int64_t>(size, 1);
    shape.push_back(size);
  }
  return shape;
}

Tensor GraphBuilder::random_tensor(DType dtype, const Shape& shape, Range range) {
  if (dtype == DType::String) return random_strings(choose, shape);
  Tensor tensor(dtype, shape);
  const bool complex = kind_of(dtype) == DTypeKind::Complex;
  const DType part = dtype == DType::Complex64 ? DType::F32 : dtype == DType::Complex128 ? DType::F64 : dtype;
  if (kind_of(dtype) == DTypeKind::UnsignedInt) range.low = std::max(range.low, 0.0);
  const bool halves = is_float(dtype) && choose.one_in(8);
  const double factor = dtype_info(dtype).block_elements == 1 && choose.one_in(4) ? 40 : 3;
  const bool special = range.special && is_float(dtype) && choose.one_in(3);
  for (std::int64_t i = 0; i < tensor.numel() * (complex ? 2 : 1); ++i) {
    double value = choose.real(range.low, range.high);
    if (special && choose.one_in(8)) value = special_number(choose);
    if (dtype == DType::Bool) value = choose.between(0, 1) != 0 ? 1 : 0;
    if (is_integer(dtype)) value = std::round(value * factor);
    if (halves) value = std::round(value * 2) / 2;
    store_f64(part, tensor.mutable_data(), i, value);
  }
  return tensor;
}

Tensor GraphBuilder::random_indices(const Shape& shape, std::int64_t low, std::int64_t high) {
  Tensor tensor(choose.one_in(3) ? DType::I32 : DType::I64, shape);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    store_i64(tensor.dtype(), tensor.mutable_data(), i, choose.between(low, std::max(low, high)));
  }
  return tensor;
}

void GraphBuilder::keep(ValueId id, Datum value) {
  data_.resize(graph_.values.size());
  data_[static_cast<std::size_t>(id)] = std::move(value);
}

ValueId GraphBuilder::input(DType type, const Shape& dims, Range range) {
  const ValueId id = graph_.add_input(fmt::format("x{}", graph_.inputs.size()), Type::tensor(type, dims));
  keep(id, random_tensor(type, dims, range));
  usable_.push_back(id);
  return id;
}

ValueId GraphBuilder::constant(Tensor value) {
  const ValueId id = graph_.add_constant(fmt::format("c{}", graph_.values.size()), value);
  keep(id, std::move(value));
  return id;
}

ValueId GraphBuilder::constant(DType type, const Shape& dims, Range range) {
  return constant(random_tensor(type, dims, range));
}

ValueId GraphBuilder::ints(const std::vector<std::int64_t>& values) {
  return constant(Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
}

ValueId GraphBuilder::operand(DType type, const Shape& dims, Range range) {
  return choose.one_in(2) ? constant(type, dims, range) : input(type, dims, range);
}

ValueId GraphBuilder::any(TypeSet types, std::int64_t low_rank, std::int64_t high_rank) {
  std::vector<ValueId> fitting;
  for (const ValueId id : usable_) {
    const std::int64_t rank = data(id).rank();
    if (types.contains(dtype(id)) && rank >= low_rank && rank <= high_rank) fitting.push_back(id);
  }
  if (!fitting.empty() && !choose.one_in(8)) {
    const auto size = static_cast<std::int64_t>(fitting.size());
    const std::int64_t recent = choose.one_in(2) ? std::min<std::int64_t>(size, 3) : size;
    return fitting[static_cast<std::size_t>(size - choose.between(1, recent))];
  }
  std::vector<DType> possible;
  for (const DTypeInfo& info : all_dtypes()) {
    if (types.contains(info.dtype)) possible.push_back(info.dtype);
  }
  const bool plain = types.contains(DType::F32) && !choose.one_in(3);
  return input(plain ? DType::F32 : choose.of(possible), random_shape(low_rank, high_rank), {.special = choose.one_in(4)});
}

bool GraphBuilder::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes, std::size_t outputs,
                       std::vector<ValueId> captures) {
  Node node;
  node.op = &op_def(op);
  node.name = fmt::format("n{}", graph_.nodes.size());
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.captures = std::move(captures);
  node.outputs.assign(outputs, 0);
  const auto values_of = [&](const std::vector<ValueId>& ids) {
    std::vector<Datum> values;
    for (const ValueId id : ids) values.push_back(id == kNoValue ? Datum{} : data_[static_cast<std::size_t>(id)]);
    return values;
  };
  std::vector<Datum> results;
  try {
    check_signature(node);
    results = evaluate_node(node, values_of(node.inputs), values_of(node.captures));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) throw;
    return false;
  }
  for (const Datum& result : results) {
    if (!result.is_tensor() || !result.tensor.defined() || result.tensor.numel() > 4 * kMaxElements) return false;
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    node.outputs[i] = graph_.add_value(fmt::format("{}.{}", node.name, i));
    keep(node.outputs[i], std::move(results[i]));
    if (data(node.outputs[i]).numel() <= kMaxElements) usable_.push_back(node.outputs[i]);
  }
  graph_.nodes.push_back(std::move(node));
  return true;
}

/// Makes some dimensions of inputs symbols, equal numbers equal symbols.
void GraphBuilder::declare_symbols(Graph& graph) {
  const std::int64_t number = choose.of<std::int64_t>({1, 2, 3, 5, 7, 8, 16, 17});
  for (const ValueId id : graph.inputs) {
    for (Dim& dim : *graph.value(id).type.shape) {
      if (dim == Dim(number)) dim = Dim::symbol("n");
    }
  }
}

RandomCase GraphBuilder::finish() {
  RandomCase made;
  const UseIndex uses(graph_);
  for (const Node& node : graph_.nodes) {
    for (const ValueId id : node.outputs) {
      const bool unused = uses.consumers[static_cast<std::size_t>(id)].empty();
      if (unused || choose.one_in(12)) graph_.outputs.push_back(id);
    }
  }
  for (const ValueId id : graph_.inputs) made.inputs.push_back(data_[static_cast<std::size_t>(id)]);
  made.graph = graph_;
  infer_types(made.graph);
  if (choose.one_in(3)) {
    Graph dynamic = graph_;
    declare_symbols(dynamic);
    try {
      infer_types(dynamic);
      made.graph = std::move(dynamic);
    } catch (const Error& error) {
      // The graph needs that very number: it stays static.
      if (error.code() != ErrorCode::InvalidModel) throw;
    }
  }
  return made;
}

}  // namespace naru::fuzz
