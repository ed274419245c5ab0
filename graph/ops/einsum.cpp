// Einsum: products of tensors summed over the labels that the equation names.
#include <algorithm>
#include <map>
#include <string>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// A dimension's label: a letter, or the n-th from the right (from 0) of those an ellipsis covers.
using Label = int;
constexpr Label kEllipsis = 1000;

using Labels = std::vector<Label>;

/// An equation with its ellipses spelled out for operands of known ranks.
struct Equation {
  std::vector<Labels> inputs;
  Labels output;
};

/// One term as written: letters, and where the ellipsis stands.
struct Term {
  Labels letters;
  std::optional<std::size_t> ellipsis;  ///< before letters[*ellipsis]
};

[[noreturn]] void bad_equation(const Node& node, const std::string& why) {
  fail(ErrorCode::InvalidModel, "{}: equation '{}': {}", node.label(), node.attr_string("equation"),
       why);
}

Term parse_term(const Node& node, std::string_view text) {
  Term term;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      term.letters.push_back(c);
    } else if (text.substr(i, 3) == "..." && !term.ellipsis) {
      term.ellipsis = term.letters.size();
      i += 2;
    } else {
      bad_equation(node, fmt::format("got '{}', expected a letter, ',' or '...'", c));
    }
  }
  return term;
}

struct Terms {
  std::vector<Term> inputs;
  std::optional<Term> output;
};

Terms parse_terms(const Node& node) {
  std::string text = node.attr_string("equation");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  Terms terms;
  std::string_view rest = text;
  if (const std::size_t arrow = rest.find("->"); arrow != std::string_view::npos) {
    terms.output = parse_term(node, rest.substr(arrow + 2));
    rest = rest.substr(0, arrow);
  }
  for (;;) {
    const std::size_t comma = rest.find(',');
    terms.inputs.push_back(parse_term(node, rest.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  if (terms.inputs.size() != node.inputs.size()) {
    bad_equation(node, fmt::format("got {} terms, expected {} as of the inputs",
                                   terms.inputs.size(), node.inputs.size()));
  }
  return terms;
}

/// The labels of a term over `covered` dimensions at its ellipsis.
Labels spelled_out(const Term& term, std::size_t covered) {
  Labels labels = term.letters;
  if (!term.ellipsis) return labels;
  Labels extra;
  for (std::size_t i = covered; i-- > 0;) extra.push_back(kEllipsis + static_cast<Label>(i));
  labels.insert(labels.begin() + static_cast<std::ptrdiff_t>(*term.ellipsis), extra.begin(),
                extra.end());
  return labels;
}

/// The output that the equation leaves unsaid: the ellipsis, then letters that occur once.
Labels implicit_output(const std::vector<Term>& inputs, std::size_t covered) {
  std::map<Label, int> counts;
  for (const Term& term : inputs) {
    for (Label label : term.letters) ++counts[label];
  }
  Labels labels;
  for (std::size_t i = covered; i-- > 0;) labels.push_back(kEllipsis + static_cast<Label>(i));
  for (const auto& [label, count] : counts) {
    if (count == 1) labels.push_back(label);
  }
  return labels;
}

Equation read_equation(const Node& node, const std::vector<std::size_t>& ranks) {
  const Terms terms = parse_terms(node);
  Equation equation;
  std::size_t covered = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const Term& term = terms.inputs[i];
    const bool fits = term.ellipsis ? term.letters.size() <= ranks[i] : term.letters.size() == ranks[i];
    if (!fits) {
      bad_equation(node, fmt::format("input {} has rank {}, expected {} labels", i, ranks[i],
                                     term.letters.size()));
    }
    const std::size_t own = ranks[i] - term.letters.size();
    covered = std::max(covered, own);
    equation.inputs.push_back(spelled_out(term, own));
  }
  equation.output = terms.output ? spelled_out(*terms.output, covered)
                                 : implicit_output(terms.inputs, covered);
  for (std::size_t i = 0; i < equation.output.size(); ++i) {
    const Label label = equation.output[i];
    const bool known = std::any_of(equation.inputs.begin(), equation.inputs.end(), [&](const Labels& labels) {
      return std::find(labels.begin(), labels.end(), label) != labels.end();
    });
    const bool again = std::find(equation.output.begin(), equation.output.begin() + static_cast<std::ptrdiff_t>(i), label) !=
                       equation.output.begin() + static_cast<std::ptrdiff_t>(i);
    if (!known || again) bad_equation(node, "the output needs labels of the inputs, each once");
  }
  return equation;
}

void infer_einsum(InferContext& ctx) {
  DType dtype = DType::Undefined;
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    expect_type(ctx, i, kNumbers);
    if (dtype == DType::Undefined) dtype = ctx.dtype(i);
    ctx.require(ctx.dtype(i) == DType::Undefined || ctx.dtype(i) == dtype,
                "input {}: got element type {}, expected {}", i, to_string(ctx.dtype(i)),
                to_string(dtype));
    if (ctx.shape(i) == nullptr) {
      parse_terms(ctx.node);
      return ctx.set_output(0, dtype);
    }
    ranks.push_back(ctx.shape(i)->size());
  }
  const Equation equation = read_equation(ctx.node, ranks);
  std::map<Label, Dim> sizes;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    for (std::size_t axis = 0; axis < ranks[i]; ++axis) {
      const Label label = equation.inputs[i][axis];
      const Dim& dim = (*ctx.shape(i))[axis];
      const auto [at, added] = sizes.emplace(label, dim);
      if (added || dim == Dim(1)) continue;
      // As in NumPy, a dimension of 1 goes with any other.
      at->second = at->second == Dim(1)
                       ? dim
                       : expect_equal(ctx, dim, at->second,
                                      fmt::format("input {}: axis {}", i, axis));
    }
  }
  SymShape y;
  for (Label label : equation.output) y.push_back(sizes.at(label));
  ctx.set_output(0, dtype, std::move(y));
}

/// Dense values with a label for each dimension.
template <typename T>
struct Operand {
  Labels labels;
  std::vector<std::int64_t> dims;
  std::vector<T> values;

  /// The distance between neighbours along `label`: repeated labels walk a diagonal.
  std::int64_t stride(Label label) const {
    std::int64_t result = 0;
    std::int64_t stride = 1;
    for (std::size_t axis = labels.size(); axis-- > 0;) {
      if (labels[axis] == label && dims[axis] != 1) result += stride;
      stride *= dims[axis];
    }
    return result;
  }
};

bool contains(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

/// A loop over one label with the steps of both factors and the result.
struct LabelLoop {
  std::int64_t size;
  std::int64_t a, b, y;
};

template <typename T>
void run_loops(const std::vector<LabelLoop>& loops, std::size_t level, const T* a, const T* b, T* y) {
  if (level == loops.size()) {
    *y += *a * *b;
    return;
  }
  const LabelLoop& loop = loops[level];
  if (level + 1 == loops.size()) {
    for (std::int64_t i = 0; i < loop.size; ++i) y[i * loop.y] += a[i * loop.a] * b[i * loop.b];
    return;
  }
  for (std::int64_t i = 0; i < loop.size; ++i) {
    run_loops(loops, level + 1, a + i * loop.a, b + i * loop.b, y + i * loop.y);
  }
}

/// The product of two operands, summed over the labels that are not in `keep`.
template <typename T>
Operand<T> contract(const Operand<T>& a, const Operand<T>& b, const Labels& keep,
                    const std::map<Label, std::int64_t>& sizes) {
  Operand<T> y;
  std::int64_t count = 1;
  for (Label label : keep) {
    if (!contains(a.labels, label) && !contains(b.labels, label)) continue;
    y.labels.push_back(label);
    y.dims.push_back(sizes.at(label));
    count = checked_mul(count, y.dims.back());
  }
  y.values.assign(static_cast<std::size_t>(count), T{});
  std::vector<LabelLoop> loops;
  const auto add_loop = [&](Label label) {
    loops.push_back({sizes.at(label), a.stride(label), b.stride(label), y.stride(label)});
  };
  Labels summed;
  for (const Labels* labels : {&a.labels, &b.labels}) {
    for (Label label : *labels) {
      if (!contains(y.labels, label) && !contains(summed, label)) summed.push_back(label);
    }
  }
  for (Label label : y.labels) add_loop(label);
  for (Label label : summed) add_loop(label);
  const bool empty = std::any_of(loops.begin(), loops.end(),
                                 [](const LabelLoop& loop) { return loop.size == 0; });
  if (!empty) run_loops(loops, 0, a.values.data(), b.values.data(), y.values.data());
  return y;
}

template <typename T>
std::vector<T> einsum(const ReferenceContext& ctx) {
  std::vector<std::size_t> ranks;
  std::vector<Operand<T>> operands;
  std::map<Label, std::int64_t> sizes;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    ranks.push_back(static_cast<std::size_t>(ctx.input(i).rank()));
  }
  const Equation equation = read_equation(ctx.node, ranks);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    operands.push_back({equation.inputs[i], ctx.input(i).shape().dims(), to_wide<T>(ctx.input(i))});
    for (std::size_t axis = 0; axis < ranks[i]; ++axis) {
      std::int64_t& size = sizes.emplace(equation.inputs[i][axis], 1).first->second;
      if (operands[i].dims[axis] != 1) size = operands[i].dims[axis];
    }
  }
  // Pairs from the left, each summed over the labels that nothing later needs.
  Operand<T> result{{}, {}, {T{1}}};
  for (std::size_t i = 0; i < operands.size(); ++i) {
    Labels keep = equation.output;
    for (std::size_t later = i + 1; later < operands.size(); ++later) {
      for (Label label : operands[later].labels) {
        if (!contains(keep, label)) keep.push_back(label);
      }
    }
    result = contract(result, operands[i], keep, sizes);
  }
  return result.values;
}

void reference_einsum(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  if (is_float(output.dtype())) return from_wide<double>(einsum<double>(ctx), output);
  from_wide<std::uint64_t>(einsum<std::uint64_t>(ctx), output);
}

Cost cost_einsum(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  std::vector<std::size_t> ranks;
  for (const Type& type : inputs) {
    if (!type.shape) return {0, total_bytes(inputs, outputs)};
    ranks.push_back(type.shape->size());
  }
  // One multiply-add for each combination of all labels.
  const Equation equation = read_equation(node, ranks);
  std::map<Label, double> sizes;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    for (std::size_t axis = 0; axis < ranks[i]; ++axis) {
      const Dim& dim = (*inputs[i].shape)[axis];
      double& size = sizes[equation.inputs[i][axis]];
      size = std::max(size, dim.is_known() ? static_cast<double>(dim.value()) : 0.0);
    }
  }
  double count = 2;
  for (const auto& [label, size] : sizes) count *= size;
  return {count, total_bytes(inputs, outputs)};
}

// Decomposition into diagonals, sums, transposes and matrix products

/// Element types of sums and matrix products.
constexpr TypeSet kSummed = {DType::F16, DType::BF16, DType::F32, DType::F64, DType::I32, DType::I64, DType::U32, DType::U64};

/// A factor of what is left to multiply: a value with a label for each dimension.
struct Factor {
  ValueId value;
  Labels labels;
};

Labels joined(std::initializer_list<const Labels*> parts) {
  Labels all;
  for (const Labels* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}

class Contraction {
 public:
  Contraction(DecomposeContext& ctx, const std::map<Label, std::int64_t>& sizes) : ctx_(ctx), sizes_(sizes) {}

  /// Repeated labels walk a diagonal: that of [..., n, n] is every (n + 1)-th element of [..., n * n].
  Factor with_diagonals(Factor factor) {
    for (std::size_t i = 0; i < factor.labels.size(); ++i) {
      const auto again = std::find(factor.labels.begin() + static_cast<std::ptrdiff_t>(i) + 1, factor.labels.end(), factor.labels[i]);
      if (again == factor.labels.end()) continue;
      const auto j = static_cast<std::size_t>(again - factor.labels.begin());
      std::vector<std::int64_t> axes;
      Labels rest;
      for (std::size_t axis = 0; axis < factor.labels.size(); ++axis) {
        if (axis == i || axis == j) continue;
        axes.push_back(static_cast<std::int64_t>(axis));
        rest.push_back(factor.labels[axis]);
      }
      axes.insert(axes.end(), {static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)});
      const Label label = factor.labels[i];
      const std::int64_t size = sizes_.at(label);
      const std::int64_t square = checked_mul(size, size);
      std::vector<std::int64_t> dims = dims_of(rest);
      dims.push_back(square);
      const ValueId flat = reshape(ctx_.add("Transpose", {factor.value}, {{"perm", axes}}), std::move(dims));
      rest.push_back(label);
      factor = {ctx_.add("Slice", {flat, ctx_.ints({0}), ctx_.ints({square}), ctx_.ints({-1}), ctx_.ints({size + 1})}), rest};
      i = static_cast<std::size_t>(-1);
    }
    return factor;
  }

  /// Sums over the labels that are not in `keep`.
  Factor summed(const Factor& factor, const Labels& keep) {
    std::vector<std::int64_t> axes;
    Labels rest;
    for (std::size_t axis = 0; axis < factor.labels.size(); ++axis) {
      if (contains(keep, factor.labels[axis])) rest.push_back(factor.labels[axis]);
      else axes.push_back(static_cast<std::int64_t>(axis));
    }
    if (axes.empty()) return factor;
    return {ctx_.add("ReduceSum", {factor.value, ctx_.ints(axes)}, {{"keepdims", std::int64_t{0}}}), rest};
  }

  /// The product of two factors, summed over the labels that are not in `keep`, by one matrix product.
  Factor product(const Factor& left, const Factor& right, const Labels& keep) {
    const Factor a = summed(left, joined({&keep, &right.labels}));
    const Factor b = summed(right, joined({&keep, &left.labels}));
    Labels batch, rows, inner, columns;
    for (const Label label : a.labels) {
      if (!contains(b.labels, label)) rows.push_back(label);
      else (contains(keep, label) ? batch : inner).push_back(label);
    }
    for (const Label label : b.labels) {
      if (!contains(a.labels, label)) columns.push_back(label);
    }
    const auto matrices = [&](const Factor& factor, const Labels& height, const Labels& width) {
      const Factor turned = in_order(factor, joined({&batch, &height, &width}));
      return reshape(turned.value, {size_of(batch), size_of(height), size_of(width)});
    };
    const ValueId y = ctx_.add("MatMul", {matrices(a, rows, inner), matrices(b, inner, columns)});
    const Labels labels = joined({&batch, &rows, &columns});
    return {reshape(y, dims_of(labels)), labels};
  }

  Factor in_order(const Factor& factor, const Labels& order) {
    if (factor.labels == order) return factor;
    std::vector<std::int64_t> perm;
    for (const Label label : order) {
      perm.push_back(std::find(factor.labels.begin(), factor.labels.end(), label) - factor.labels.begin());
    }
    return {ctx_.add("Transpose", {factor.value}, {{"perm", perm}}), order};
  }

 private:
  std::vector<std::int64_t> dims_of(const Labels& labels) const {
    std::vector<std::int64_t> dims;
    for (const Label label : labels) dims.push_back(sizes_.at(label));
    return dims;
  }

  std::int64_t size_of(const Labels& labels) const {
    std::int64_t size = 1;
    for (const Label label : labels) size = checked_mul(size, sizes_.at(label));
    return size;
  }

  ValueId reshape(ValueId value, std::vector<std::int64_t> dims) {
    return ctx_.add("Reshape", {value, ctx_.ints(std::move(dims))}, {{"allowzero", std::int64_t{1}}});
  }

  DecomposeContext& ctx_;
  const std::map<Label, std::int64_t>& sizes_;
};

bool decompose_einsum(DecomposeContext& ctx) {
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    if (!ctx.type(ctx.input(i)).is_static() || !kSummed.contains(ctx.type(ctx.input(i)).dtype)) return false;
    ranks.push_back(ctx.type(ctx.input(i)).shape->size());
  }
  const Equation equation = read_equation(ctx.node, ranks);
  std::map<Label, std::int64_t> sizes;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    for (std::size_t axis = 0; axis < ranks[i]; ++axis) {
      const std::int64_t size = (*ctx.type(ctx.input(i)).shape)[axis].value();
      const auto [at, added] = sizes.emplace(equation.inputs[i][axis], size);
      if (!added && at->second != size) return false;  // broadcasting is left to the reference
    }
  }
  Contraction contraction(ctx, sizes);
  Factor result = contraction.with_diagonals({ctx.input(0), equation.inputs[0]});
  for (std::size_t i = 1; i < ranks.size(); ++i) {
    Labels keep = equation.output;
    for (std::size_t later = i + 1; later < ranks.size(); ++later) keep = joined({&keep, &equation.inputs[later]});
    result = contraction.product(result, contraction.with_diagonals({ctx.input(i), equation.inputs[i]}), keep);
  }
  result = contraction.in_order(contraction.summed(result, equation.output), equation.output);
  ctx.set_output(0, result.value);
  return true;
}

}  // namespace

void define_einsum(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Einsum",
      .since_version = 28,
      .doc = "Multiplies tensors and sums over labels, as an equation such as 'ij,jk->ik' says.",
      .source = "ONNX Einsum-28",
      .inputs = {{"Inputs", "one per term of the equation", Arity::Variadic}},
      .outputs = {{"Output", "one dimension per label of the output term"}},
      .attributes = {{"equation", AttrKind::String, "letters, ',', '...' and '->'", std::nullopt,
                      true}},
      .infer = infer_einsum,
      .reference = reference_einsum,
      .cost = cost_einsum,
      .decompose = decompose_einsum,
  });
}

}  // namespace naru
