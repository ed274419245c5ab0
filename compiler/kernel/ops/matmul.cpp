// Matrix products: MatMul, Gemm and the fused form, as blocked products of f32 or plain dot products.
#include <algorithm>

#include "compiler/kernel/chain.h"
#include "compiler/kernel/gemm.h"
#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

/// One matrix product of the current node, with 1-dimensional operands made matrices.
struct Product {
  Shape a_batch, b_batch, batch;
  std::int64_t rows = 1, columns = 1, depth = 1;
  MatrixPlace a, b;         ///< strides of one matrix; batch strides by dimension of `batch`
  double alpha = 1;
  double beta = 1;
  bool has_addend = false;
};

Shape batch_of(const Shape& shape) {
  return shape.rank() <= 2 ? Shape() : Shape(std::vector<std::int64_t>(shape.begin(), shape.end() - 2));
}

/// Strides by dimension of `batch` of a stack whose matrices have `matrix` elements.
std::vector<std::int64_t> batch_strides(const Shape& own, const Shape& batch, std::int64_t matrix) {
  std::vector<std::int64_t> strides = broadcast_strides(own, batch);
  for (std::int64_t& stride : strides) stride *= matrix;
  return strides;
}

Product product_of(const Lowering& lowering) {
  const Node& node = lowering.node();
  Shape a = lowering.shape(0);
  Shape b = lowering.shape(1);
  if (a.rank() == 1) a = Shape{1, a[0]};
  if (b.rank() == 1) b = Shape{b[0], 1};
  Product product;
  const bool turn_a = node.attr_int_or("transA", 0) != 0;
  const bool turn_b = node.attr_int_or("transB", 0) != 0;
  const std::int64_t a_height = a[a.rank() - 2], a_width = a[a.rank() - 1];
  const std::int64_t b_height = b[b.rank() - 2], b_width = b[b.rank() - 1];
  product.rows = turn_a ? a_width : a_height;
  product.depth = turn_a ? a_height : a_width;
  product.columns = turn_b ? b_height : b_width;
  product.a_batch = batch_of(a);
  product.b_batch = batch_of(b);
  const Shape batches[] = {product.a_batch, product.b_batch};
  product.batch = broadcast_shapes(std::span<const Shape>(batches));
  product.a = {batch_strides(product.a_batch, product.batch, a_height * a_width), turn_a ? 1 : a_width, turn_a ? a_width : 1};
  product.b = {batch_strides(product.b_batch, product.batch, b_height * b_width), turn_b ? 1 : b_width, turn_b ? b_width : 1};
  product.alpha = node.attr_float_or("alpha", 1);
  product.beta = node.attr_float_or("beta", 1);
  product.has_addend = lowering.has_input(2);
  // Rows of a stack that meet one matrix are rows of one product.
  if (product.b_batch.numel() == 1 && !turn_a && product.a_batch == product.batch) {
    product.rows *= product.batch.numel();
    product.batch = Shape();
    product.a.batch.clear();
    product.b.batch.clear();
  }
  return product;
}

/// alpha * value + beta * C, then the chain of post-ops.
class Epilogue {
 public:
  Epilogue(Lowering& lowering, const Product& product) : lowering_(lowering), product_(product) {}

  void bind(Call& call) {
    const Shape y = lowering_.output_shape(0);
    // The result as [batch..., rows, columns] with the product's rows.
    std::vector<std::int64_t> dims = product_.batch.dims();
    dims.insert(dims.end(), {product_.rows, product_.columns});
    shape_ = Shape(dims);
    whole_ = with_matrix(y);
    if (product_.has_addend) {
      const Rep c = lowering_.input(2);
      addend_ = call.read(c);
      addend_strides_ = sizes_of(call, broadcast_strides(c.shape, whole_));
    }
    // alpha and beta other than 1 are rare and few: literals.
    chain_.emplace(lowering_, call, whole_, whole_.rank());
    extents_ = sizes(call, whole_);
  }

  /// True when the addend and the chain's operands can be read as vectors along a row.
  bool takes_vectors() const {
    const bool addend = !product_.has_addend || (addend_.element == Element::F32 && addend_strides_.back().known().has_value());
    return addend && chain_->takes_vectors();
  }

  Expr operator()(Call& call, Expr value, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const {
    if (product_.alpha != 1) value = call.let(scaled(value, product_.alpha));
    if (!product_.has_addend && chain_->empty()) return value;
    const std::vector<Expr> at = coordinates(call, batch, row, column);
    if (product_.has_addend) {
      Expr index(0);
      for (std::size_t d = 0; d < at.size(); ++d) index = index + at[d] * addend_strides_[d];
      const bool repeats = addend_strides_.back().known() == 0;
      Expr addend = cast(call.load(addend_, index, repeats ? 1 : value.type().lanes), value.element());
      if (product_.beta != 1) addend = scaled(addend, product_.beta);
      value = call.let(wrapping(Op::Add, value, addend));
    }
    return chain_->apply(call, value, at);
  }

 private:
  static Expr scaled(const Expr& value, double factor) {
    if (is_float(value.element())) return value * number(value, factor);
    return cast(cast(value, Element::F32) * literal(Element::F32, factor), value.element());
  }

  static std::vector<Expr> sizes_of(Call& call, const std::vector<std::int64_t>& strides) {
    std::vector<Expr> result;
    for (const std::int64_t stride : strides) result.push_back(stride <= 1 ? Expr(stride) : call.size(stride));
    return result;
  }

  /// The output's shape with the matrix dimensions that 1-dimensional operands leave out.
  Shape with_matrix(const Shape& y) const {
    Shape shape = y;
    if (shape.rank() < 2 || lowering_.shape(0).rank() == 1 || lowering_.shape(1).rank() == 1) return shape_;
    return shape;
  }

  std::vector<Expr> coordinates(Call& call, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const {
    std::vector<Expr> at = batch;
    const std::size_t leading = extents_.size() - 1;
    if (batch.size() + 1 == leading) {
      at.push_back(row);
    } else {  // the rows of a whole stack
      at = unravel(call, row, {extents_.begin(), extents_.begin() + static_cast<std::ptrdiff_t>(leading)});
    }
    at.push_back(column);
    return at;
  }

  Lowering& lowering_;
  const Product& product_;
  Shape shape_, whole_;
  std::vector<Expr> extents_;
  Buffer addend_;
  std::vector<Expr> addend_strides_;
  std::optional<Chain> chain_;
};

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
