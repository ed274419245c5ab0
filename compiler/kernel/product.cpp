// Product: sizes and strides from operands and attributes; the epilogue of products.
#include "compiler/kernel/product.h"

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

Shape batch_of(const Shape& shape) {
  return shape.rank() <= 2 ? Shape() : Shape(std::vector<std::int64_t>(shape.begin(), shape.end() - 2));
}

Expr scaled(const Expr& value, double factor) {
  if (is_float(value.element())) return value * number(value, factor);
  return cast(cast(value, Element::F32) * literal(Element::F32, factor), value.element());
}

std::vector<Expr> sizes_of(Call& call, const std::vector<std::int64_t>& strides) {
  std::vector<Expr> result;
  for (const std::int64_t stride : strides) result.push_back(stride <= 1 ? Expr(stride) : call.size(stride));
  return result;
}

}  // namespace

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

void Epilogue::bind(Call& call) {
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

bool Epilogue::takes_vectors() const {
  const bool addend = !product_.has_addend || (addend_.element == Element::F32 && addend_strides_.back().known().has_value());
  return addend && chain_->takes_vectors();
}

Expr Epilogue::operator()(Call& call, Expr value, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const {
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

/// The output's shape with the matrix dimensions that 1-dimensional operands leave out.
Shape Epilogue::with_matrix(const Shape& y) const {
  Shape shape = y;
  if (shape.rank() < 2 || lowering_.shape(0).rank() == 1 || lowering_.shape(1).rank() == 1) return shape_;
  return shape;
}

std::vector<Expr> Epilogue::coordinates(Call& call, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const {
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

}  // namespace naru::kernel
