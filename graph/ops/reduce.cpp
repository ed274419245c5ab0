// Reductions along axes: one table row each, and ArgMax and ArgMin.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/op_def.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/symbolic.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using I = std::int64_t;
using U = std::uint64_t;

/// What a reduction of nothing gives.
enum class Start : std::uint8_t { Zero, One, Lowest, Highest };

/// Functions on one wide type: `step` takes the next element in, `finish` sees how many there were.
template <typename T>
struct Steps {
  T (*step)(T, T) = nullptr;
  T (*finish)(T, std::int64_t count) = nullptr;
};

struct ReduceOp {
  const char* name;
  int version;
  const char* doc;
  TypeSet types;
  Start start;
  Steps<double> on_float;
  Steps<I> on_signed = {};
  Steps<U> on_unsigned = {};
  /// On symbolic shape elements; null: not known.
  Dim (*on_dims)(const Dim&, const Dim&) = nullptr;
  bool (*decompose)(DecomposeContext&) = nullptr;

  ReduceOp& ints(Steps<I> on_i64, Steps<U> on_u64) {
    on_signed = on_i64;
    on_unsigned = on_u64;
    return *this;
  }
  ReduceOp& dims(Dim (*function)(const Dim&, const Dim&)) {
    on_dims = function;
    return *this;
  }
  ReduceOp& rewrite(bool (*function)(DecomposeContext&)) {
    decompose = function;
    return *this;
  }
};

ReduceOp op(const char* name, int version, const char* doc, TypeSet types, Start start,
            Steps<double> on_float) {
  return {name, version, doc, types, start, on_float};
}

template <typename T>
T wrapping_square_sum(T sum, T x) {
  return static_cast<T>(static_cast<U>(sum) + static_cast<U>(x) * static_cast<U>(x));
}

template <typename T>
T wrapping_sum(T sum, T x) {
  return static_cast<T>(static_cast<U>(sum) + static_cast<U>(x));
}

template <typename T>
T wrapping_product(T product, T x) {
  return static_cast<T>(static_cast<U>(product) * static_cast<U>(x));
}

template <typename T>
T mean(T sum, std::int64_t count) {
  return count == 0 ? T{0} : static_cast<T>(sum / static_cast<T>(count));
}

template <typename T>
T root(T sum, std::int64_t) {
  return static_cast<T>(std::sqrt(static_cast<double>(sum)));
}

// Decompositions

ValueId reduced(DecomposeContext& ctx, std::string_view op, ValueId data, Attributes attributes) {
  std::vector<ValueId> inputs = {data};
  if (ctx.has_input(1)) inputs.push_back(ctx.input(1));
  return ctx.add(op, std::move(inputs), std::move(attributes));
}

ValueId reduced(DecomposeContext& ctx, std::string_view op, ValueId data) {
  return reduced(ctx, op, data, ctx.node.attributes);
}

bool decompose_l1(DecomposeContext& ctx) {
  ctx.set_output(0, reduced(ctx, "ReduceSum", ctx.add("Abs", {ctx.input(0)})));
  return true;
}

bool decompose_sum_square(DecomposeContext& ctx) {
  ctx.set_output(0, reduced(ctx, "ReduceSum", ctx.add("Mul", {ctx.input(0), ctx.input(0)})));
  return true;
}

bool decompose_l2(DecomposeContext& ctx) {
  if (!is_float(ctx.type(ctx.input(0)).dtype)) return false;
  ctx.set_output(0, ctx.add("Sqrt", {reduced(ctx, "ReduceSumSquare", ctx.input(0))}));
  return true;
}

bool decompose_log_sum(DecomposeContext& ctx) {
  ctx.set_output(0, ctx.add("Log", {reduced(ctx, "ReduceSum", ctx.input(0))}));
  return true;
}

double largest_finite(DType dtype) {
  switch (dtype) {
    case DType::F64: return std::numeric_limits<double>::max();
    case DType::F16: return 65504;
    case DType::BF16: return 0x1.fep127;
    default: return std::numeric_limits<float>::max();
  }
}

bool decompose_log_sum_exp(DecomposeContext& ctx) {
  const DType dtype = ctx.type(ctx.input(0)).dtype;
  if (dtype == DType::Undefined) return false;
  // The shift stays finite, so that rows of infinities do not become NaN.
  const auto finite = [&](ValueId value) {
    const double largest = largest_finite(dtype);
    const ValueId above = ctx.add("Max", {value, ctx.scalar(dtype, -largest)});
    return ctx.add("Min", {above, ctx.scalar(dtype, largest)});
  };
  Attributes keeping = ctx.node.attributes;
  keeping["keepdims"] = std::int64_t{1};
  const ValueId shift = finite(reduced(ctx, "ReduceMax", ctx.input(0), keeping));
  const ValueId scaled = ctx.add("Exp", {ctx.add("Sub", {ctx.input(0), shift})});
  const ValueId log = ctx.add("Log", {reduced(ctx, "ReduceSum", scaled)});
  const bool keeps = ctx.node.attr_int("keepdims") != 0;
  const ValueId back = keeps ? shift : finite(reduced(ctx, "ReduceMax", ctx.input(0)));
  ctx.set_output(0, ctx.add("Add", {log, back}));
  return true;
}

// The table

double maximum(double a, double b) { return a > b || std::isnan(a) ? a : b; }
double minimum(double a, double b) { return a < b || std::isnan(a) ? a : b; }
double sum(double a, double b) { return a + b; }

constexpr TypeSet kExtremeTypes = kWideNumbers | kBool | TypeSet{DType::I8, DType::U8};

const std::vector<ReduceOp>& reduce_ops() {
  static const std::vector<ReduceOp> table = {
      op("ReduceSum", 13, "The sum of the elements.", kWideNumbers, Start::Zero, {sum})
          .ints({wrapping_sum<I>}, {wrapping_sum<U>})
          .dims([](const Dim& a, const Dim& b) { return a + b; }),
      op("ReduceMean", 18, "The mean of the elements; integers truncate.", kWideNumbers, Start::Zero,
         {sum, [](double total, std::int64_t count) { return total / static_cast<double>(count); }})
          .ints({wrapping_sum<I>, mean<I>}, {wrapping_sum<U>, mean<U>}),
      op("ReduceMax", 20, "The largest element; NaN wins.", kExtremeTypes, Start::Lowest, {maximum})
          .ints({[](I a, I b) { return std::max(a, b); }}, {[](U a, U b) { return std::max(a, b); }})
          .dims([](const Dim& a, const Dim& b) { return max(a, b); }),
      op("ReduceMin", 20, "The smallest element; NaN wins.", kExtremeTypes, Start::Highest, {minimum})
          .ints({[](I a, I b) { return std::min(a, b); }}, {[](U a, U b) { return std::min(a, b); }})
          .dims([](const Dim& a, const Dim& b) { return min(a, b); }),
      op("ReduceProd", 18, "The product of the elements.", kWideNumbers, Start::One,
         {[](double product, double x) { return product * x; }})
          .ints({wrapping_product<I>}, {wrapping_product<U>})
          .dims([](const Dim& a, const Dim& b) { return a * b; }),
      op("ReduceL1", 18, "The sum of the magnitudes.", kWideNumbers, Start::Zero,
         {[](double total, double x) { return total + std::fabs(x); }})
          .ints({[](I total, I x) { return wrapping_sum<I>(total, x < 0 ? wrapping_product<I>(x, -1) : x); }},
                {wrapping_sum<U>})
          .rewrite(decompose_l1),
      op("ReduceL2", 18, "The square root of the sum of squares.", kWideNumbers, Start::Zero,
         {[](double total, double x) { return total + x * x; },
          [](double total, std::int64_t) { return std::sqrt(total); }})
          .ints({wrapping_square_sum<I>, root<I>}, {wrapping_square_sum<U>, root<U>})
          .rewrite(decompose_l2),
      op("ReduceSumSquare", 18, "The sum of squares.", kWideNumbers, Start::Zero,
         {[](double total, double x) { return total + x * x; }})
          .ints({wrapping_square_sum<I>}, {wrapping_square_sum<U>})
          .rewrite(decompose_sum_square),
      op("ReduceLogSum", 28, "The logarithm of the sum.", kFloats, Start::Zero,
         {sum, [](double total, std::int64_t) { return std::log(total); }})
          .rewrite(decompose_log_sum),
      // The elements arrive as exp(x - shift), see below.
      op("ReduceLogSumExp", 28, "The logarithm of the sum of exponentials.", kFloats, Start::Zero,
         {sum, [](double total, std::int64_t) { return std::log(total); }})
          .rewrite(decompose_log_sum_exp),
  };
  return table;
}

const ReduceOp& row_of(const Node& node) {
  const auto& table = reduce_ops();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const ReduceOp& row) { return node.op->name == row.name; });
  NARU_CHECK(found != table.end(), "no reduction " + node.op->name);
  return *found;
}

// Axes and shapes

/// Which axes are reduced; `axes` holds the values of input 1, empty when it is absent.
template <typename Context>
std::vector<bool> reduced_axes(const Context& ctx, const std::vector<std::int64_t>& axes, std::size_t rank) {
  if (axes.empty()) {
    return std::vector<bool>(rank, ctx.node.attr_int("noop_with_empty_axes") == 0);
  }
  std::vector<bool> is_reduced(rank, false);
  for (std::int64_t axis : axes) {
    const auto at = static_cast<std::size_t>(ctx.normalize_axis(axis, static_cast<std::int64_t>(rank)));
    ctx.require(!is_reduced[at], "axes: got axis {} twice, expected distinct axes", at);
    is_reduced[at] = true;
  }
  return is_reduced;
}

SymShape reduced_shape(const SymShape& shape, const std::vector<bool>& is_reduced, bool keepdims) {
  SymShape result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!is_reduced[i]) {
      result.push_back(shape[i]);
    } else if (keepdims) {
      result.emplace_back(1);
    }
  }
  return result;
}

/// Sets what can be said while the axes are not known.
void infer_open_axes(InferContext& ctx, DType dtype, const SymShape& shape, bool keepdims) {
  const SymShape* axes = ctx.shape(1);
  std::size_t rank = shape.size();
  if (!keepdims) {
    if (axes == nullptr || axes->size() != 1 || !(*axes)[0].is_known()) return ctx.set_output(0, dtype);
    const auto count = static_cast<std::size_t>((*axes)[0].value());
    if (count == 0 || count > rank) return ctx.set_output(0, dtype);
    rank -= count;
  }
  SymShape result;
  for (std::size_t i = 0; i < rank; ++i) result.push_back(ctx.fresh_dim());
  ctx.set_output(0, dtype, std::move(result));
}

/// The reduction of a whole shape vector, element by element.
void propagate_reduction(InferContext& ctx, const ReduceOp& row, const std::vector<bool>& is_reduced) {
  if (row.on_dims == nullptr || is_reduced != std::vector<bool>{true}) return;
  if (ctx.dtype(0) != DType::I64) return;
  const std::optional<SymValue> value = ctx.symbolic_value(0);
  if (!value || value->elements.empty()) return;
  try {
    Dim folded = value->elements[0];
    for (std::size_t i = 1; i < value->elements.size(); ++i) folded = row.on_dims(folded, value->elements[i]);
    ctx.set_symbolic_value(0, {{folded}, ctx.node.attr_int("keepdims") == 0});
  } catch (const Error&) {
    // Overflow of a dimension expression: the value is then simply not known here.
  }
}

void infer_reduce(InferContext& ctx) {
  const ReduceOp& row = row_of(ctx.node);
  const DType dtype = require_common_type(ctx, 0, 1, row.types);
  const bool keepdims = ctx.node.attr_int("keepdims") != 0;
  std::optional<std::vector<std::int64_t>> axes = std::vector<std::int64_t>{};
  if (ctx.has_input(1)) {
    require_type(ctx, 1, {DType::I64});
    axes = ctx.int_values(1);
  }
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, dtype);
  if (!axes) return infer_open_axes(ctx, dtype, *shape, keepdims);
  const std::vector<bool> is_reduced = reduced_axes(ctx, *axes, shape->size());
  ctx.set_output(0, dtype, reduced_shape(*shape, is_reduced, keepdims));
  propagate_reduction(ctx, row, is_reduced);
}

// Reference

/// The wide value that `start` means for elements of `dtype`.
template <typename T>
T start_value(Start start, DType dtype) {
  if (start == Start::Zero) return 0;
  if (start == Start::One) return 1;
  const bool lowest = start == Start::Lowest;
  if constexpr (std::is_same_v<T, double>) {
    const double infinity = std::numeric_limits<double>::infinity();
    return lowest ? -infinity : infinity;
  } else {
    if (dtype == DType::Bool) return lowest ? 0 : 1;
    const int bits = 8 * dtype_info(dtype).block_bytes;
    if constexpr (std::is_same_v<T, U>) return lowest ? 0 : ~U{0} >> (64 - bits);
    const I largest = static_cast<I>(~U{0} >> (65 - bits));
    return static_cast<T>(lowest ? -largest - 1 : largest);
  }
}

/// One reduction at work: where each element of the input goes.
struct Reduction {
  Shape input;
  Shape kept;  ///< the input's shape with 1 for each reduced axis
  std::int64_t count = 1;

  Reduction(const ReferenceContext& ctx, const Shape& shape) : input(shape), kept(shape) {
    const std::vector<std::int64_t> axes =
        ctx.has_input(1) ? to_i64_vector(ctx.input(1)) : std::vector<std::int64_t>{};
    const std::vector<bool> is_reduced = reduced_axes(ctx, axes, shape.dims().size());
    for (std::int64_t i = 0; i < shape.rank(); ++i) {
      if (!is_reduced[static_cast<std::size_t>(i)]) continue;
      count *= shape[i];
      kept[i] = 1;
    }
  }

  template <typename T>
  std::vector<T> run(const std::vector<T>& values, T start, T (*step)(T, T)) const {
    std::vector<T> result(static_cast<std::size_t>(kept.numel()), start);
    for_each_broadcast<1>(input, {&kept}, [&](std::int64_t at, const auto& to) {
      T& slot = result[static_cast<std::size_t>(to[0])];
      slot = step(slot, values[static_cast<std::size_t>(at)]);
    });
    return result;
  }
};

template <typename T>
void reduce(ReferenceContext& ctx, const ReduceOp& row, const Steps<T>& steps) {
  const Tensor& input = ctx.input(0);
  const Reduction reduction(ctx, input.shape());
  std::vector<T> result =
      reduction.run(to_wide<T>(input), start_value<T>(row.start, input.dtype()), steps.step);
  if (steps.finish != nullptr) {
    for (T& element : result) element = steps.finish(element, reduction.count);
  }
  from_wide<T>(result, ctx.output(0));
}

void reference_reduce(ReferenceContext& ctx) {
  const ReduceOp& row = row_of(ctx.node);
  switch (wide_of(ctx.input(0).dtype())) {
    case Wide::F64: return reduce<double>(ctx, row, row.on_float);
    case Wide::I64: return reduce<I>(ctx, row, row.on_signed);
    case Wide::U64: return reduce<U>(ctx, row, row.on_unsigned);
  }
}

void reference_log_sum_exp(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const Reduction reduction(ctx, input.shape());
  std::vector<double> values = to_wide<double>(input);
  // Subtract the maximum first: exp(89) overflows f32, exp(710) even f64.
  std::vector<double> shift =
      reduction.run(values, -std::numeric_limits<double>::infinity(), maximum);
  for (double& value : shift) {
    if (std::isinf(value)) value = 0;
  }
  for_each_broadcast<1>(reduction.input, {&reduction.kept}, [&](std::int64_t at, const auto& to) {
    double& value = values[static_cast<std::size_t>(at)];
    value = std::exp(value - shift[static_cast<std::size_t>(to[0])]);
  });
  std::vector<double> result = reduction.run(values, 0.0, sum);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = std::log(result[i]) + shift[i];
  from_wide<double>(result, ctx.output(0));
}

// ArgMax and ArgMin

void infer_arg(InferContext& ctx) {
  require_type(ctx, 0, kNumbers);
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, DType::I64);
  const auto axis = static_cast<std::size_t>(
      ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(shape->size())));
  ctx.require(!((*shape)[axis] == Dim(0)), "input 0: got shape {}, expected a dimension > 0 at axis {}",
              to_string(*shape), axis);
  std::vector<bool> is_reduced(shape->size(), false);
  is_reduced[axis] = true;
  ctx.set_output(0, DType::I64, reduced_shape(*shape, is_reduced, ctx.node.attr_int("keepdims") != 0));
}

template <typename T>
void find_extreme(ReferenceContext& ctx, bool largest) {
  const Tensor& input = ctx.input(0);
  const Shape& shape = input.shape();
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), shape.rank());
  const std::int64_t inner = shape.numel(axis + 1, shape.rank());
  const std::int64_t length = shape[axis];
  const bool last_wins = ctx.node.attr_int("select_last_index") != 0;
  const std::vector<T> values = to_wide<T>(input);
  // The first NaN is the extreme, as in NumPy.
  const auto beats = [&](T a, T b) {
    if constexpr (std::is_same_v<T, double>) {
      if (std::isnan(b)) return false;
      if (std::isnan(a)) return true;
    }
    return (largest ? a > b : a < b) || (last_wins && a == b);
  };
  std::size_t out = 0;
  for (I& best : ctx.output(0).as_mutable<I>()) {
    const std::int64_t first = static_cast<std::int64_t>(out) / inner * length * inner +
                               static_cast<std::int64_t>(out) % inner;
    best = 0;
    for (std::int64_t i = 1; i < length; ++i) {
      const auto candidate = static_cast<std::size_t>(first + i * inner);
      if (beats(values[candidate], values[static_cast<std::size_t>(first + best * inner)])) best = i;
    }
    ++out;
  }
}

void reference_arg(ReferenceContext& ctx) {
  const bool largest = ctx.node.op->name == "ArgMax";
  with_wide(ctx.input(0).dtype(), [&](auto wide) { find_extreme<decltype(wide)>(ctx, largest); });
}

OpDef arg_def(const char* name, const char* doc) {
  return {
      .name = name,
      .domain = "",
      .since_version = 13,
      .doc = doc,
      .source = fmt::format("ONNX {}-13", name),
      .inputs = {{"data", to_string(kNumbers)}},
      .outputs = {{"reduced", "i64 indices along the axis"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", I{0}},
                     {"keepdims", AttrKind::Int, "1: the axis stays as 1", I{1}},
                     {"select_last_index", AttrKind::Int, "1: the last of equal elements", I{0}}},
      .infer = infer_arg,
      .reference = reference_arg,
      .cost = cost_per_input_element<1>,
  };
}

}  // namespace

void define_reduce(std::vector<OpDef>& ops) {
  for (const ReduceOp& row : reduce_ops()) {
    ops.push_back({
        .name = row.name,
        .domain = "",
        .since_version = row.version,
        .doc = row.doc,
        .source = fmt::format("ONNX {}-{}", row.name, row.version),
        .inputs = {{"data", to_string(row.types)},
                   {"axes", "i64[n], distinct, in [-rank, rank)", Arity::Optional, true}},
        .outputs = {{"reduced", "as data"}},
        .attributes = {{"keepdims", AttrKind::Int, "1: reduced axes stay as 1", I{1}},
                       {"noop_with_empty_axes", AttrKind::Int, "1: no axes reduce none, 0: all", I{0}}},
        .infer = infer_reduce,
        .reference = row.name == std::string_view("ReduceLogSumExp") ? reference_log_sum_exp
                                                                     : reference_reduce,
        .cost = cost_per_input_element<1>,
        .decompose = row.decompose,
    });
  }
  ops.push_back(arg_def("ArgMax", "The index of the largest element along an axis."));
  ops.push_back(arg_def("ArgMin", "The index of the smallest element along an axis."));
}

}  // namespace naru
