// Fourier transforms by their definition, and patches put back into images.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "compiler/kernel/windows.h"
#include "graph/scalar.h"

namespace naru::kernel {
namespace {

/// cos and sin of turn / length of a circle, for every turn: a table, since a device's sin(pi) is not 0.
class Roots {
 public:
  Roots(Lowering& lowering, Call& call, std::int64_t length, DType dtype, bool inverse) {
    Tensor table(dtype, Shape{length, 2});
    for (std::int64_t k = 0; k < length; ++k) {
      const double angle = (inverse ? 2 : -2) * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
      store_f64(dtype, table.mutable_data(), 2 * k, std::cos(angle));
      store_f64(dtype, table.mutable_data(), 2 * k + 1, std::sin(angle));
    }
    buffer_ = call.read(lowering.literal(std::move(table)));
    last_ = call.size(length - 1);
  }
  Expr cosine(Call& call, const Expr& turn) const { return call.load(buffer_, place(call, turn)); }
  Expr sine(Call& call, const Expr& turn) const { return call.load(buffer_, place(call, turn) + 1); }

 private:
  Expr place(Call& call, const Expr& turn) const { return call.let(max(min(turn, last_), 0) * 2); }

  Buffer buffer_;
  Expr last_;
};

DType wide_of_input(const Lowering& lowering) { return lowering.dtype(0) == DType::F64 ? DType::F64 : DType::F32; }

/// Adds (a + b i) times the root of `turn`.
void accumulate(Call& call, const Variable& real, const Variable& imaginary, const Expr& a, const Expr& b, const Roots& roots,
                const Expr& turn) {
  const Expr cosine = roots.cosine(call, turn);
  const Expr sine = roots.sine(call, turn);
  call.set(real, Expr(real) + (a * cosine - b * sine));
  call.set(imaginary, Expr(imaginary) + (a * sine + b * cosine));
}

void lower_dft(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape& shape = input.shape;
  const Shape out = lowering.output_shape(0);
  const bool inverse = node.attr_int("inverse") != 0;
  const bool half = inverse && node.attr_int("onesided") != 0;
  const std::int64_t axis = positive_axis(lowering.has_input(2) ? lowering.ints(2)[0] : -2, shape.rank());
  const std::int64_t parts = shape[shape.rank() - 1];
  const std::int64_t out_parts = out[out.rank() - 1];
  std::int64_t length = half ? 2 * (shape[axis] - 1) : shape[axis];
  if (lowering.has_input(1)) length = lowering.ints(1)[0];
  Call call(lowering, fmt::format("dft{}{}_{}_{}", inverse ? "_inverse" : "", half ? "_half" : "", parts, out_parts));
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const Roots roots(lowering, call, length, wide_of_input(lowering), inverse);
  const Expr size = call.size(shape[axis]);
  const Expr period = call.size(length);
  const Expr taken = call.size(half ? length : std::min(shape[axis], length));
  const std::vector<std::int64_t> extents = {shape.numel(0, axis), out[axis], shape.numel(axis + 1, shape.rank() - 1)};
  const std::vector<Expr> box = sizes(call, extents);
  const auto at = call.points(box, extents);
  const Variable real = call.var(literal(element, 0));
  const Variable imaginary = call.var(literal(element, 0));
  const Variable turn = call.var(Expr(0));
  const Expr first = call.let(at[0] * size);
  call.loop(taken, [&](const Expr& k) {
    // The upper half of the spectrum of a real signal mirrors the lower.
    const Expr mirrored = k > period / 2;
    const Expr from = half ? call.let(select(mirrored, period - k, k)) : k;
    const Expr place = call.let(((first + max(min(from, size - 1), 0)) * box[2] + at[2]) * static_cast<int>(parts));
    Expr a = call.load(x, place);
    Expr b = parts == 2 ? call.load(x, place + 1) : literal(element, 0);
    if (half) {
      const Expr zero = literal(element, 0);
      const Expr single = from == 0 || (period % 2 == 0 && from == period / 2);
      const Expr absent = from >= size;
      a = call.let(select(absent, zero, a));
      b = call.let(select(absent || single, zero, select(mirrored, -b, b)));
    }
    accumulate(call, real, imaginary, a, b, roots, turn);
    call.set(turn, (Expr(turn) + at[1]) % period);
  });
  const Expr scale = inverse ? literal(element, 1) / cast(period, element) : literal(element, 1);
  const Expr to = call.let(ravel(at, box) * static_cast<int>(out_parts));
  call.store(y, to, Expr(real) * scale);
  if (out_parts == 2) call.store(y, to + 1, Expr(imaginary) * scale);
  call.launch(naru::to_string(shape));
}

void lower_stft(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Shape out = lowering.output_shape(0);
  const std::int64_t parts = input.shape[2];
  const bool windowed = lowering.has_input(2);
  std::int64_t length = windowed ? lowering.shape(2).numel() : input.shape[1];
  if (lowering.has_input(3)) length = lowering.ints(3)[0];
  Call call(lowering, fmt::format("stft{}_{}", windowed ? "_window" : "", parts));
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  std::optional<Buffer> window;
  if (windowed) window = call.in(2);
  const Element element = computed(x.element);
  const Roots roots(lowering, call, length, wide_of_input(lowering), false);
  const Expr signal = call.size(input.shape[1]);
  const Expr step = call.size(lowering.ints(1)[0]);
  const Expr period = call.size(length);
  const std::vector<std::int64_t> extents = {out[0], out[1], out[2]};
  const std::vector<Expr> box = sizes(call, extents);
  const auto at = call.points(box, extents);
  const Variable real = call.var(literal(element, 0));
  const Variable imaginary = call.var(literal(element, 0));
  const Variable turn = call.var(Expr(0));
  const Expr first = call.let(at[0] * signal + at[1] * step);
  call.loop(period, [&](const Expr& k) {
    const Expr place = call.let((first + k) * static_cast<int>(parts));
    const Expr factor = window ? call.load(*window, k) : literal(element, 1);
    const Expr a = call.let(call.load(x, place) * factor);
    const Expr b = parts == 2 ? call.let(call.load(x, place + 1) * factor) : literal(element, 0);
    accumulate(call, real, imaginary, a, b, roots, turn);
    call.set(turn, (Expr(turn) + at[2]) % period);
  });
  const Expr to = call.let(ravel(at, box) * 2);
  call.store(y, to, real);
  call.store(y, to + 1, imaginary);
  call.launch(naru::to_string(input.shape));
}

// Col2Im

void lower_col2im(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape out = lowering.output_shape(0);
  const std::vector<std::int64_t> block = lowering.ints(2);
  const std::vector<std::int64_t> ones(block.size(), 1);
  PatchGrid grid;
  grid.fine = {out.begin() + 2, out.end()};
  grid.kernel = block;
  grid.strides = node.attr_ints_or("strides", ones);
  grid.dilations = node.attr_ints_or("dilations", ones);
  const std::vector<std::int64_t> pads = node.attr_ints_or("pads", std::vector<std::int64_t>(2 * block.size(), 0));
  for (std::size_t d = 0; d < block.size(); ++d) {
    grid.pads.push_back(pads[d]);
    const std::int64_t room = grid.fine[d] + pads[d] + pads[d + block.size()] - (grid.dilations[d] * (block[d] - 1) + 1);
    grid.coarse.push_back(room / grid.strides[d] + 1);
  }
  Call call(lowering, "col2im");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const WindowArgs window = window_args(call, grid);
  const Expr taps = call.size(grid.kernel_size());
  const Expr coarse = call.size(grid.coarse_size());
  std::vector<std::int64_t> extents = {out[0] * out[1]};
  extents.insert(extents.end(), grid.fine.begin(), grid.fine.end());
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Variable total = call.var(literal(computed(x.element), 0));
  const Expr base = call.let(at[0] * taps);
  each_source(call, window, {at.begin() + 1, at.end()}, [&](const Expr& from, const Expr& tap) {
    call.set(total, wrapping(Op::Add, total, call.load(x, (base + tap) * coarse + from)));
  });
  call.store(y, ravel(at, shape), total);
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(out));
}

}  // namespace

void add_signal_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"DFT", "Fourier transform", refuses_unless_constant<1, 2>, lower_dft});
  table.push_back({"STFT", "Fourier transform", refuses_unless_constant<1, 3>, lower_stft});
  table.push_back({"Col2Im", "patches to image", refuses_unless_constant<1, 2>, lower_col2im});
}

}  // namespace naru::kernel
