// Matrix products by oneDNN, alone or with a fused chain behind: MatMul, Gemm, naru.FusedMatMul.
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/post_ops.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const DType dtype = view.dtype(i);
    if (dtype != DType::Undefined && !is_chain_type(dtype)) {
      return "element type " + std::string(to_string(dtype));
    }
  }
  if (view.node.op->domain == "naru" && !post_chain(view.node, 3)) return "a post-op without a loop";
  return "";
}

/// A matrix operand as oneDNN reads it: batch dimensions, then rows and columns.
struct Matrix {
  std::vector<std::int64_t> batch;
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  bool transposed = false;  ///< stored as [columns, rows]
};

Matrix matrix_of(const Shape& shape, bool transposed, bool left) {
  std::vector<std::int64_t> dims = shape.dims();
  if (dims.size() == 1) dims.insert(left ? dims.begin() : dims.end(), 1);
  Matrix matrix;
  matrix.columns = dims.back();
  matrix.rows = dims[dims.size() - 2];
  matrix.batch.assign(dims.begin(), dims.end() - 2);
  matrix.transposed = transposed;
  if (transposed) std::swap(matrix.rows, matrix.columns);
  return matrix;
}

std::int64_t product_of(const std::vector<std::int64_t>& dims) {
  return Shape(dims).numel();
}

/// Joins what can be joined: batches into the rows of A where B is one matrix, equal batches into one
/// dimension; pads batch ranks with ones.
void join_batches(Matrix& a, Matrix& b) {
  if (product_of(b.batch) == 1 && !a.transposed) {
    a.rows *= product_of(a.batch);
    a.batch.clear();
    b.batch.clear();
    return;
  }
  const std::size_t rank = std::max(a.batch.size(), b.batch.size());
  a.batch.insert(a.batch.begin(), rank - a.batch.size(), 1);
  b.batch.insert(b.batch.begin(), rank - b.batch.size(), 1);
  const bool mixed = a.batch != b.batch && product_of(a.batch) != 1 && product_of(b.batch) != 1;
  if (mixed) return;
  a.batch = {product_of(a.batch)};
  b.batch = {product_of(b.batch)};
}

dnnl::memory::desc stored_desc(const Matrix& matrix, DType dtype) {
  std::vector<std::int64_t> dims = matrix.batch;
  std::vector<std::int64_t> strides(matrix.batch.size(), 0);
  std::int64_t stride = matrix.rows * matrix.columns;
  for (std::size_t i = matrix.batch.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= matrix.batch[i];
  }
  dims.insert(dims.end(), {matrix.rows, matrix.columns});
  strides.insert(strides.end(), {matrix.transposed ? 1 : matrix.columns, matrix.transposed ? matrix.rows : 1});
  return {dims, *dnnl_type(dtype), strides};
}

/// The chain behind the product: scale, addend, post-ops.
std::vector<EwStep> steps_of(const Node& node) {
  const float alpha = node.attr_float_or("alpha", 1);
  const float beta = node.attr_float_or("beta", 1);
  const bool has_addend = node.has_input(2) && node.op->name != "MatMul" && beta != 0;
  std::vector<EwStep> steps;
  // alpha A B + beta C = beta (alpha / beta A B + C)
  const float before = has_addend ? alpha / beta : alpha;
  if (before != 1) steps.push_back({Ew::Linear, before, 0});
  if (has_addend) steps.push_back({Ew::Add, 0, 0, 2});
  if (has_addend && beta != 1) steps.push_back({Ew::Linear, beta, 0});
  if (node.op->domain == "naru") {
    const std::vector<EwStep> post = *post_chain(node, 3);
    steps.insert(steps.end(), post.begin(), post.end());
  }
  return steps;
}

bool lower(Lowering& lowering) {
  const Node& node = lowering.node();
  const DType dtype = lowering.dtype(0);
  Matrix a = matrix_of(lowering.shape(0), node.attr_int_or("transA", 0) != 0, true);
  Matrix b = matrix_of(lowering.shape(1), node.attr_int_or("transB", 0) != 0, false);
  join_batches(a, b);
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < a.batch.size(); ++i) out.push_back(std::max(a.batch[i], b.batch[i]));
  out.insert(out.end(), {a.rows, b.columns});
  if (out.size() > DNNL_MAX_NDIMS) return false;

  ChainedPrimitive chained;
  chained.kernel = "matmul";
  chained.output = Layout::plain(dtype, Shape(out));
  chained.preferred = {chained.output};
  chained.channels_last = true;
  chained.steps = steps_of(node);
  chained.inputs = {lowering.input(0), lowering.input(1)};
  const dnnl::memory::desc a_desc = stored_desc(a, dtype);
  const dnnl::memory::desc b_stored = stored_desc(b, dtype);
  const bool pack = lowering.constant(1) != nullptr;
  dnnl::memory::desc b_wanted = b_stored;
  if (pack) b_wanted = {b_stored.get_dims(), *dnnl_type(dtype), dnnl::memory::format_tag::any};
  chained.make = [&](const dnnl::memory::desc& target, const dnnl::primitive_attr& attributes) {
    return static_cast<dnnl::primitive_desc>(
        dnnl::matmul::primitive_desc(engine(), a_desc, b_wanted, target, attributes, true));
  };
  chained.bind = [&](const dnnl::primitive_desc& desc) {
    const dnnl::memory::desc weights = desc.query_md(dnnl::query::weights_md);
    return std::vector<Argument>{{DNNL_ARG_SRC, a_desc, lowering.plain(0), false},
                                 {DNNL_ARG_WEIGHTS, weights, lowering.arranged(1, b_stored, weights), false}};
  };
  return emit_with_chain(lowering, chained);
}

}  // namespace

void add_matmul_kernels(std::vector<KernelEntry>& table) {
  for (const std::string_view op : {"MatMul", "Gemm", "naru.FusedMatMul"}) {
    table.push_back({op, "oneDNN matmul", refuses, lower});
  }
}

}  // namespace naru::cpu
