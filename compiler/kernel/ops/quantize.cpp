// Quantisation: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, integer products
// and convolutions.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/windows.h"
#include "graph/ops/conv.h"

namespace naru::kernel {
namespace {

/// round(scaled) + zero, kept in the range of `to`; NaN becomes the lowest.
Expr quantized(Call& call, const Expr& scaled, const Expr& zero, Element to) {
  const int bits = static_cast<int>(8 * size_of(to));
  const double low = is_signed(to) ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, is_signed(to) ? bits - 1 : bits) - 1;
  const Expr value = call.let(apply(Op::Round, {scaled}) + zero);
  const Expr bounded = select(value >= number(value, low), select(value > number(value, high), number(value, high), value), number(value, low));
  return cast(call.let(bounded), to);
}

/// How a scale or zero point lies over a tensor seen as [outer, axis, inner].
struct Granularity {
  std::vector<std::int64_t> extents;
  std::int64_t block = 1;
  bool blocked = false;

  Granularity(const Node& node, const Shape& x) {
    const std::int64_t axis = x.rank() <= 1 ? 0 : positive_axis(node.attr_int("axis"), x.rank());
    extents = x.rank() == 0 ? std::vector<std::int64_t>{1, 1, 1}
                            : std::vector<std::int64_t>{x.numel(0, axis), x[axis], x.numel(axis + 1, x.rank())};
    blocked = node.attr_int("block_size") > 0;
    block = std::max<std::int64_t>(node.attr_int("block_size"), 1);
  }
};

/// The parameter's element for each point.
class Parameter {
 public:
  Parameter(Lowering& lowering, Call& call, std::size_t input, const Granularity& granularity)
      : buffer_(call.in(input)), single_(lowering.input(input).numel() == 1), blocked_(granularity.blocked) {
    if (!blocked_ || single_) return;
    block_ = call.size(granularity.block);
    blocks_ = call.size((granularity.extents[1] + granularity.block - 1) / granularity.block);
  }
  Expr load(Call& call, const std::vector<Expr>& at, const std::vector<Expr>& shape) const {
    if (single_) return call.load(buffer_, 0);
    if (!blocked_) return call.load(buffer_, at[1]);
    return call.load(buffer_, (at[0] * blocks_ + at[1] / block_) * shape[2] + at[2]);
  }

 private:
  Buffer buffer_;
  bool single_, blocked_;
  Expr block_, blocks_;
};

template <bool quantizes>
void lower_linear(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Granularity granularity(lowering.node(), input.shape);
  const bool shifted = lowering.has_input(2);
  Call call(lowering, quantizes ? "quantize" : "dequantize");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Parameter scale(lowering, call, 1, granularity);
  std::optional<Parameter> zero;
  if (shifted) zero.emplace(lowering, call, 2, granularity);
  const std::vector<Expr> shape = sizes(call, granularity.extents);
  const auto at = call.points(shape, granularity.extents);
  const Expr index = call.let(ravel(at, shape));
  const Expr value = cast(call.load(x, index), Element::F32);
  const Expr factor = cast(scale.load(call, at, shape), Element::F32);
  const Expr shift = shifted ? cast(zero->load(call, at, shape), Element::F32) : literal(Element::F32, 0);
  if (quantizes) {
    call.store(y, index, quantized(call, call.let(value / factor), shift, y.element));
  } else {
    call.store(y, index, cast((value - shift) * factor, y.element));
  }
  call.launch(naru::to_string(input.shape));
}

void lower_dynamic(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const auto output = [&](std::size_t i, DType dtype) {
    return lowering.has_output(i) ? lowering.output(i) : lowering.scratch(dtype, Shape{});
  };
  const Rep scale = output(1, DType::F32);
  const Rep zero = output(2, DType::U8);
  const auto real = [](double v) { return literal(Element::F32, v); };
  {
    Call call(lowering, "quantize_range");
    const Buffer x = call.read(input);
    const Buffer s = call.write(scale);
    const Buffer z = call.write(zero);
    const Expr count = call.size(input.numel());
    call.points({1});
    const Variable low = call.var(real(0));
    const Variable high = call.var(real(0));
    call.loop(count, [&](const Expr& i) {
      const Expr value = call.load(x, i);
      call.set(low, apply(Op::Min, {low, value}));
      call.set(high, apply(Op::Max, {high, value}));
    });
    const Expr range = select(Expr(high) == Expr(low), real(1), Expr(high) - Expr(low));
    const Expr step = call.let(range / real(255));
    call.store(s, 0, step);
    const Expr shift = apply(Op::Max, {apply(Op::Min, {-Expr(low) / step, real(255)}), real(0)});
    call.store(z, 0, cast(apply(Op::Round, {shift}), Element::U8));
    call.launch(naru::to_string(input.shape));
  }
  Call call(lowering, "quantize_dynamic");
  const Buffer x = call.read(input);
  const Buffer s = call.read(scale);
  const Buffer z = call.read(zero);
  const Buffer y = call.out(0);
  const Expr i = call.points({input.numel()})[0];
  call.store(y, i, quantized(call, call.let(call.load(x, i) / call.load(s, 0)), cast(call.load(z, 0), Element::F32), y.element));
  call.launch(naru::to_string(input.shape));
}

// Integer matrix products

/// Where the operands of an integer product stand among a node's inputs.
struct ProductInputs {
  std::size_t a, a_zero, b, b_zero;
};

/// A value per row or column of a stack of matrices: one, one per line, or one per line of each matrix.
Expr line_value(Lowering& lowering, Call& call, std::size_t input, const Expr& matrix, const Expr& line, std::int64_t lines) {
  const std::int64_t own = lowering.input(input).numel();
  const Buffer buffer = call.in(input);
  if (own == 1) return call.load(buffer, 0);
  return call.load(buffer, own == lines ? line : matrix * call.size(lines) + line);
}

/// Sums of (a - zero)(b - zero), handed to `finish` with matrix, row and column.
void emit_product(Lowering& lowering, const char* name, const ProductInputs& in,
                  const std::function<Expr(Call&, Expr sum, Expr matrix, Expr row, Expr column)>& finish) {
  Shape a = lowering.shape(in.a);
  Shape b = lowering.shape(in.b);
  if (a.rank() == 1) a = Shape{1, a[0]};
  if (b.rank() == 1) b = Shape{b[0], 1};
  const std::int64_t rows = a[a.rank() - 2], depth = a[a.rank() - 1], columns = b[b.rank() - 1];
  const Shape a_batch(std::vector<std::int64_t>(a.begin(), a.end() - 2));
  const Shape b_batch(std::vector<std::int64_t>(b.begin(), b.end() - 2));
  const Shape both[] = {a_batch, b_batch};
  const Shape batch = broadcast_shapes(std::span<const Shape>(both));
  // Which operands are single changes the kernel, so it belongs to its name.
  Call call(lowering, name);
  const Buffer x = call.in(in.a);
  const Buffer w = call.in(in.b);
  const Buffer y = call.out(0);
  std::vector<std::int64_t> extents = batch.dims();
  extents.insert(extents.end(), {rows, columns});
  const std::vector<Expr> shape = sizes(call, extents);
  const Expr inner = call.size(depth);
  const auto at = call.points(shape, extents);
  const std::vector<Expr> place(at.begin(), at.end() - 2);
  const std::vector<Expr> stack(shape.begin(), shape.end() - 2);
  const Expr row = at[at.size() - 2];
  const Expr column = at.back();
  const auto matrix_of = [&](const Shape& own) { return call.let(dot(call, place, broadcast_strides(own, batch))); };
  const Expr a_matrix = matrix_of(a_batch);
  const Expr b_matrix = matrix_of(b_batch);
  const auto zero = [&](std::size_t input, const Expr& matrix, const Expr& line, std::int64_t lines) {
    return lowering.has_input(input) ? call.let(cast(line_value(lowering, call, input, matrix, line, lines), Element::I32)) : Expr(0);
  };
  const Expr a_zero = zero(in.a_zero, a_matrix, row, rows);
  const Expr b_zero = zero(in.b_zero, b_matrix, column, columns);
  const Expr a_base = call.let((a_matrix * shape[shape.size() - 2] + row) * inner);
  const Expr b_base = call.let(b_matrix * inner * shape.back() + column);
  const Variable sum = call.var(Expr(0));
  call.loop(inner, [&](const Expr& k) {
    const Expr left = cast(call.load(x, a_base + k), Element::I32) - a_zero;
    const Expr right = cast(call.load(w, b_base + k * shape.back()), Element::I32) - b_zero;
    call.set(sum, Expr(sum) + left * right);
  });
  const Expr matrix = batch.rank() == 0 ? Expr(0) : call.let(ravel(place, stack));
  call.store(y, ravel(at, shape), finish(call, sum, matrix, row, column));
  call.launch(naru::to_string(a) + " x " + naru::to_string(b));
}

void lower_matmul_integer(Lowering& lowering) {
  emit_product(lowering, "matmul_integer", {0, 2, 1, 3}, [](Call&, Expr sum, Expr, Expr, Expr) { return sum; });
}

void lower_qlinear_matmul(Lowering& lowering) {
  const Shape y = lowering.output_shape(0);
  const std::int64_t rows = y.rank() >= 2 ? y[y.rank() - 2] : 1;
  const std::int64_t columns = y.rank() >= 1 ? y[y.rank() - 1] : 1;
  const Element to = *element_of(lowering.view().output_dtype(0));
  emit_product(lowering, "qlinear_matmul", {0, 2, 3, 5}, [&](Call& call, Expr sum, Expr matrix, Expr row, Expr column) {
    const auto real = [&](std::size_t input, const Expr& line, std::int64_t lines) {
      return call.let(cast(line_value(lowering, call, input, matrix, line, lines), Element::F32));
    };
    const Expr factor = real(1, row, rows) * real(4, column, columns) / real(6, row, rows);
    return quantized(call, call.let(cast(sum, Element::F32) * factor), real(7, row, rows), to);
  });
}

// Integer convolutions

struct ConvInputs {
  std::size_t x, x_zero, w, w_zero;
};

/// Sums of (x - zero)(w - zero) over the taps inside the image, handed to `finish` with the channel.
void emit_convolution(Lowering& lowering, const char* name, const ConvInputs& in,
                      const std::function<Expr(Call&, Expr sum, Expr channel)>& finish) {
  const Shape y_shape = lowering.output_shape(0);
  const ConvSizes conv = conv_sizes(lowering.node(), lowering.shape(in.x), lowering.shape(in.w), y_shape);
  Call call(lowering, name);
  const Buffer x = call.in(in.x);
  const Buffer w = call.in(in.w);
  const Buffer y = call.out(0);
  const WindowArgs window = window_args(call, conv.grid);
  const Expr fine = call.size(conv.grid.fine_size());
  const Expr taps = call.size(conv.grid.kernel_size());
  const Expr channels = call.size(conv.in_channels);
  const Expr groups = call.size(conv.groups);
  const Expr per_group = call.size(conv.out_channels);
  const std::vector<Expr> shape = sizes(call, y_shape);
  const auto at = call.points(shape, y_shape.dims());
  const auto zero = [&](std::size_t input) {
    return lowering.has_input(input)
               ? call.let(cast(line_value(lowering, call, input, Expr(0), at[1], y_shape[1]), Element::I32))
               : Expr(0);
  };
  const Expr x_zero = zero(in.x_zero);
  const Expr w_zero = zero(in.w_zero);
  const Expr x_base = call.let((at[0] * groups + at[1] / per_group) * channels);
  const Expr w_base = call.let(at[1] * channels);
  const Variable sum = call.var(Expr(0));
  call.loop(channels, [&](const Expr& c) {
    const Expr x_plane = call.let((x_base + c) * fine);
    const Expr w_plane = call.let((w_base + c) * taps);
    each_tap(call, window, {at.begin() + 2, at.end()}, [&](const Expr& from, const Expr& tap) {
      const Expr left = cast(call.load(x, x_plane + from), Element::I32) - x_zero;
      const Expr right = cast(call.load(w, w_plane + tap), Element::I32) - w_zero;
      call.set(sum, Expr(sum) + left * right);
    });
  });
  call.store(y, ravel(at, shape), finish(call, sum, at[1]));
  call.launch(naru::to_string(lowering.shape(in.x)) + " * " + naru::to_string(lowering.shape(in.w)));
}

void lower_conv_integer(Lowering& lowering) {
  emit_convolution(lowering, "conv_integer", {0, 2, 1, 3}, [](Call&, Expr sum, Expr) { return sum; });
}

void lower_qlinear_conv(Lowering& lowering) {
  const Element to = *element_of(lowering.view().output_dtype(0));
  const std::int64_t channels = lowering.output_shape(0)[1];
  emit_convolution(lowering, "qlinear_conv", {0, 2, 3, 5}, [&](Call& call, Expr sum, Expr channel) {
    const auto real = [&](std::size_t input) {
      return call.let(cast(line_value(lowering, call, input, Expr(0), channel, channels), Element::F32));
    };
    if (lowering.has_input(8)) sum = call.let(sum + call.load(call.in(8), channel));
    const Expr factor = call.let(real(1) * real(4) / real(6));
    return quantized(call, call.let(cast(sum, Element::F32) * factor), real(7), to);
  });
}

}  // namespace

void add_quantize_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"QuantizeLinear", "quantisation", refuses_types, lower_linear<true>});
  table.push_back({"DequantizeLinear", "quantisation", refuses_types, lower_linear<false>});
  table.push_back({"DynamicQuantizeLinear", "quantisation", refuses_types, lower_dynamic});
  table.push_back({"ConvInteger", "direct convolution", refuses_types, lower_conv_integer});
  table.push_back({"QLinearConv", "direct convolution", refuses_types, lower_qlinear_conv});
  table.push_back({"MatMulInteger", "dot products", refuses_types, lower_matmul_integer});
  table.push_back({"QLinearMatMul", "dot products", refuses_types, lower_qlinear_matmul});
}

}  // namespace naru::kernel
