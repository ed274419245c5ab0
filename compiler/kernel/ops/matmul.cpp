// Matrix products: MatMul, Gemm and the fused form, as blocked products of f32 or plain dot products.
#include <algorithm>

#include "compiler/kernel/gemm.h"
#include "compiler/kernel/product.h"
#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

void lower_blocked(Lowering& lowering) {
  const Product product = product_of(lowering);
  const Rep b = lowering.input(1);
  Gemm gemm;
  gemm.batch = product.batch.dims();
  gemm.rows = product.rows;
  gemm.columns = product.columns;
  gemm.depth = product.depth;
  gemm.tile = gemm_tile(lowering.target(), product.rows);
  gemm.a = lowering.input(0);
  gemm.a_place = product.a;
  const std::int64_t matrix = product.depth * product.columns;
  const std::int64_t matrices = product.b_batch.numel();
  gemm.panels = pack_panels(lowering, b, matrices, matrix, product.b, product.depth, product.columns, gemm.tile);
  for (const std::int64_t stride : product.b.batch) gemm.b_matrix.push_back(stride / std::max<std::int64_t>(matrix, 1));
  gemm.y = lowering.output(0);
  gemm.y_place = {batch_strides(product.batch, product.batch, product.rows * product.columns), product.columns, 1};
  Epilogue epilogue(lowering, product);
  gemm.bind = [&](Call& call) {
    epilogue.bind(call);
    gemm.vector_epilogue = epilogue.takes_vectors();
  };
  gemm.epilogue = [&](Call& call, Expr value, const std::vector<Expr>& batch, Expr row, Expr column) {
    return epilogue(call, std::move(value), batch, row, column);
  };
  emit_gemm(lowering, "gemm", gemm, fmt::format("{}x{}x{}", product.rows, product.columns, product.depth));
}

/// One item per element: for types without a blocked product.
void lower_dot(Lowering& lowering) {
  const Product product = product_of(lowering);
  Call call(lowering, "dot");
  const Buffer a = call.in(0);
  const Buffer b = call.in(1);
  const Buffer y = call.out(0);
  Epilogue epilogue(lowering, product);
  epilogue.bind(call);
  const Expr depth = call.size(product.depth);
  std::vector<std::int64_t> extents = product.batch.dims();
  extents.insert(extents.end(), {product.rows, product.columns});
  const std::vector<Expr> shape = sizes(call, extents);
  const std::vector<Expr> at = call.points(shape, extents);
  const std::vector<Expr> batch(at.begin(), at.end() - 2);
  const Expr row = at[at.size() - 2];
  const Expr column = at.back();
  const Expr a_base = call.let(dot(call, batch, product.a.batch) + row * call.size(product.a.row));
  const Expr b_base = call.let(dot(call, batch, product.b.batch) + column * call.size(product.b.column));
  const Expr a_step = call.size(product.a.column);
  const Expr b_step = call.size(product.b.row);
  const Variable total = call.var(literal(y.element, 0));
  call.loop(depth, [&](const Expr& k) {
    call.set(total, multiply_add(call.load(a, a_base + k * a_step), call.load(b, b_base + k * b_step), total));
  });
  call.store(y, ravel(at, shape), epilogue(call, total, batch, row, column));
  call.launch(fmt::format("{}x{}x{}", product.rows, product.columns, product.depth));
}

// Det

/// One item per matrix: elimination with row pivots in a copy.
void lower_det(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const std::int64_t n = input.shape[input.shape.rank() - 1];
  const Rep work = lowering.scratch(input.dtype, input.shape);
  lowering.copy(input, work);
  Call call(lowering, "determinant");
  const Buffer m = call.write(work);
  const Buffer y = call.out(0);
  const std::int64_t matrices = lowering.output_shape(0).numel();
  const Expr size = call.size(n);
  const Expr matrix = call.points({matrices})[0];
  const Expr base = call.let(matrix * size * size);
  const auto place = [&](const Expr& i, const Expr& j) { return call.let(base + i * size + j); };
  const Variable result = call.var(literal(computed(m.element), 1));
  call.loop(size, [&](const Expr& k) {
    const Variable pivot = call.var(k);
    const Variable largest = call.var(apply(Op::Abs, {call.load(m, place(k, k))}));
    call.loop(k + 1, size, 1, [&](const Expr& i) {
      const Expr value = call.let(apply(Op::Abs, {call.load(m, place(i, k))}));
      call.when(value > largest, [&] {
        call.set(largest, value);
        call.set(pivot, i);
      });
    });
    const Expr other = call.let(max(min(pivot, size - 1), 0));
    call.when(other != k, [&] {
      call.loop(size, [&](const Expr& j) {
        const Expr a = call.load(m, place(k, j));
        const Expr b = call.load(m, place(other, j));
        call.store(m, place(k, j), b);
        call.store(m, place(other, j), a);
      });
      call.set(result, -Expr(result));
    });
    const Expr diagonal = call.load(m, place(k, k));
    call.set(result, Expr(result) * diagonal);
    call.when(diagonal != 0, [&] {
      call.loop(k + 1, size, 1, [&](const Expr& i) {
        const Expr factor = call.let(call.load(m, place(i, k)) / diagonal);
        call.loop(k + 1, size, 1, [&](const Expr& j) {
          call.store(m, place(i, j), call.load(m, place(i, j)) - factor * call.load(m, place(k, j)));
        });
      });
    });
  });
  call.store(y, matrix, result);
  call.launch(naru::to_string(input.shape));
}

std::string refuses_det(const NodeView& view, const Target& target) {
  const DType dtype = view.dtype(0);
  if (dtype == DType::F16 || dtype == DType::BF16) return "elimination in 16 bits";
  return refuses_types(view, target);
}

std::string refuses_blocked(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  for (std::size_t i = 0; i < view.input_count(); ++i) {
    if (!view.has_input(i)) continue;
    const DType dtype = view.dtype(i);
    if (dtype != DType::Undefined && dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16) {
      return "element type " + std::string(naru::to_string(dtype));
    }
    if (i < 2 && view.type(i).is_static() && view.shape(i).numel() == 0) return "an empty operand";
  }
  return "";
}

}  // namespace

void add_matmul_kernels(std::vector<KernelEntry>& table) {
  for (const char* op : {"MatMul", "Gemm", "naru.FusedMatMul"}) {
    table.push_back({op, "blocked matrix product", refuses_blocked, lower_blocked});
    table.push_back({op, "dot products", refuses_types, lower_dot});
  }
  table.push_back({"Det", "elimination", refuses_det, lower_det});
}

}  // namespace naru::kernel
