// Matrix products and convolutions: packed panels, the tile loop, bias and activation.
#include <algorithm>

#include "backends/npu_sim/activation.h"
#include "backends/npu_sim/kernel.h"
#include "backends/npu_sim/tile.h"

namespace npu {
namespace {

constexpr std::int64_t kRows = kTileRows;
constexpr std::int64_t kColumns = kTileColumns;

Activation activation_of(const Call& call) {
  return {call.integer("activation", 0, kFunctions - 1), call.real("alpha"), call.real("beta")};
}

/// Columns of B in blocks of a tile's width, zeros behind the last: panel[block][depth][kColumns].
template <typename T, typename At>
std::vector<T> pack(std::int64_t depth, std::int64_t columns, At at) {
  const std::int64_t blocks = (columns + kColumns - 1) / kColumns;
  std::vector<T> panel(static_cast<std::size_t>(count_of({blocks, depth, kColumns})));
  for (std::int64_t c = 0; c < columns; ++c) {
    T* to = panel.data() + c / kColumns * depth * kColumns + c % kColumns;
    for (std::int64_t k = 0; k < depth; ++k) to[k * kColumns] = at(k, c);
  }
  return panel;
}

// --- Matrix products --------------------------------------------------------------------------------------

struct Shape {
  std::int64_t m, n, k;
};

/// y[m, n] = a[m, k] * panel, row by row of tiles.
template <typename T>
void multiply(const Shape& shape, const T* a, const std::vector<T>& panel, T* y) {
  const T* rows[kRows];
  for (std::int64_t c = 0; c < shape.n; c += kColumns) {
    const std::int64_t width = std::min(kColumns, shape.n - c);
    for (std::int64_t r = 0; r < shape.m; r += kRows) {
      // The last tile computes its last row several times rather than have a loop of its own.
      for (std::int64_t i = 0; i < kRows; ++i) rows[i] = a + std::min(r + i, shape.m - 1) * shape.k;
      T sums[kRows * kColumns] = {};
      multiply_tile(rows, shape.k, panel.data() + c * shape.k, sums);
      for (std::int64_t i = 0; i < std::min(kRows, shape.m - r); ++i) {
        std::copy_n(sums + i * kColumns, width, y + (r + i) * shape.n + c);
      }
    }
  }
}

/// Stored [rows, columns], read as it is or with its axes swapped.
template <typename T>
std::vector<T> rows_of(const T* from, std::int64_t rows, std::int64_t columns, bool swapped) {
  std::vector<T> to(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) to[static_cast<std::size_t>(r * columns + c)] = swapped ? from[c * rows + r] : from[r * columns + c];
  }
  return to;
}

/// The operands of a batch of products; a step of 0 uses one matrix for the whole batch.
struct Batch {
  Shape shape;
  std::int64_t count, a_step, b_step;
  bool a_swapped, b_swapped;
};

Batch batch_of(const Call& call) {
  Batch batch{{call.integer("m", 1), call.integer("n", 1), call.integer("k", 1)}, call.integer("batch", 1), 0, 0,
              call.integer("a_swapped", 0, 1) != 0, call.integer("b_swapped", 0, 1) != 0};
  batch.a_step = call.integer("a_batch", 1) > 1 ? count_of({batch.shape.m, batch.shape.k}) : 0;
  batch.b_step = call.integer("b_batch", 1) > 1 ? count_of({batch.shape.k, batch.shape.n}) : 0;
  for (const char* name : {"a_batch", "b_batch"}) {
    const std::int64_t count = call.integer(name, 1);
    if (count != 1 && count != batch.count) throw BadArguments(std::string("matmul: ") + name + " is neither 1 nor the batch");
  }
  return batch;
}

template <typename T>
void run_batch(const Batch& batch, const std::vector<T>& a, const std::vector<T>& b, std::vector<T>& y) {
  const auto [m, n, k] = batch.shape;
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const T* b_data = b.data() + i * batch.b_step;
    const auto at = [&, n = n, k = k](std::int64_t row, std::int64_t column) {
      return batch.b_swapped ? b_data[column * k + row] : b_data[row * n + column];
    };
    const std::vector<T> rows = rows_of(a.data() + i * batch.a_step, m, k, batch.a_swapped);
    multiply(batch.shape, rows.data(), pack<T>(k, n, at), y.data() + i * m * n);
  }
}

Work work_of_batch(const Call& call, const Batch& batch) {
  return work_of(call.chip(), {call.type(), batch.count, batch.shape.m, batch.shape.n, batch.shape.k});
}

Work matmul(Call& call) {
  const Batch batch = batch_of(call);
  const auto [m, n, k] = batch.shape;
  const std::vector<float> a = call.read("A", call.type(), count_of({call.integer("a_batch", 1), m, k}));
  const std::vector<float> b = call.read("B", call.type(), count_of({call.integer("b_batch", 1), k, n}));
  std::vector<float> y(static_cast<std::size_t>(count_of({batch.count, m, n})));
  run_batch(batch, a, b, y);
  const float scale = call.real("scale");
  if (scale != 1) {
    for (float& value : y) value *= scale;
  }
  if (call.has("bias")) {
    const std::vector<float> bias = call.read("bias", call.type(), n);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  }
  apply(activation_of(call), y);
  call.write("Y", call.type(), y);
  return work_of_batch(call, batch);
}

/// Bytes as i32, less their zero point; `is_signed` says how they are read.
std::vector<std::int32_t> centred(const Call& call, const char* name, std::int64_t count, const char* zero, const char* is_signed) {
  const Type type = call.integer(is_signed, 0, 1) != 0 ? Type::I8 : Type::U8;
  const std::vector<float> values = call.read(name, type, count);
  const float offset = call.has(zero) ? call.read(zero, type, 1)[0] : 0;
  std::vector<std::int32_t> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [&](float v) { return static_cast<std::int32_t>(v - offset); });
  return result;
}

void write_sums(const Call& call, const std::vector<std::int32_t>& sums) {
  const std::span<std::byte> to = call.bytes("Y", Type::I32, static_cast<std::int64_t>(sums.size()));
  std::copy_n(reinterpret_cast<const std::byte*>(sums.data()), to.size(), to.data());
}

Work matmul_i8(Call& call) {
  const Batch batch = batch_of(call);
  const auto [m, n, k] = batch.shape;
  const auto a = centred(call, "A", count_of({call.integer("a_batch", 1), m, k}), "a_zero", "a_signed");
  const auto b = centred(call, "B", count_of({call.integer("b_batch", 1), k, n}), "b_zero", "b_signed");
  std::vector<std::int32_t> y(static_cast<std::size_t>(count_of({batch.count, m, n})));
  run_batch(batch, a, b, y);
  write_sums(call, y);
  return work_of_batch(call, batch);
}

// --- Convolutions -----------------------------------------------------------------------------------------

std::int64_t padded(std::int64_t channels, const Chip& chip) { return (channels + chip.channel_block - 1) / chip.channel_block * chip.channel_block; }

/// Input [n, h, w, c], output [n, oh, ow, m], weights [kh, kw, c / groups, m], each with its last axis padded.
struct Convolution {
  std::int64_t n, h, w, c, oh, ow, m, kh, kw, sh, sw, dh, dw, ph, pw, groups;
  std::int64_t c_pitch, m_pitch;

  explicit Convolution(const Call& call)
      : n(call.integer("n", 1)), h(call.integer("h", 1)), w(call.integer("w", 1)), c(call.integer("c", 1)), oh(call.integer("oh", 1)),
        ow(call.integer("ow", 1)), m(call.integer("m", 1)), kh(call.integer("kh", 1)), kw(call.integer("kw", 1)), sh(call.integer("sh", 1)),
        sw(call.integer("sw", 1)), dh(call.integer("dh", 1)), dw(call.integer("dw", 1)), ph(call.integer("ph", INT32_MIN)),
        pw(call.integer("pw", INT32_MIN)), groups(call.integer("groups", 1)), c_pitch(padded(c, call.chip())), m_pitch(padded(m, call.chip())) {
    if (c % groups != 0 || m % groups != 0) throw BadArguments("conv2d: the channels are no multiple of the groups");
  }
  std::int64_t taps() const { return kh * kw; }
  std::int64_t depth() const { return c / groups; }
  std::int64_t width() const { return m / groups; }
  std::int64_t inputs() const { return count_of({n, h, w, c_pitch}); }
  std::int64_t outputs() const { return count_of({n, oh, ow, m_pitch}); }
  std::int64_t weights() const { return count_of({kh, kw, depth(), m_pitch}); }

  /// Where the window of output (y, x) of a picture reads for tap (i, j); null in the padding.
  template <typename T>
  const T* pixel(const T* picture, std::int64_t y, std::int64_t x, std::int64_t i, std::int64_t j) const {
    const std::int64_t row = y * sh + i * dh - ph;
    const std::int64_t column = x * sw + j * dw - pw;
    return row >= 0 && row < h && column >= 0 && column < w ? picture + (row * w + column) * c_pitch : nullptr;
  }
};

/// One row of outputs of one group and block of columns.
template <typename T>
void convolve_row(const Convolution& g, const T* picture, std::int64_t group, std::int64_t block, std::int64_t y, const std::vector<T>& zeros,
                  const T* panel, T* to) {
  const std::int64_t width = std::min(kColumns, g.width() - block);
  for (std::int64_t x = 0; x < g.ow; x += kRows) {
    const std::int64_t count = std::min(kRows, g.ow - x);
    T sums[kRows * kColumns] = {};
    for (std::int64_t tap = 0; tap < g.taps(); ++tap) {
      const T* rows[kRows];
      for (std::int64_t r = 0; r < kRows; ++r) {
        const T* pixel = g.pixel(picture, y, x + std::min(r, count - 1), tap / g.kw, tap % g.kw);
        rows[r] = pixel != nullptr ? pixel + group * g.depth() : zeros.data();
      }
      multiply_tile(rows, g.depth(), panel + tap * g.depth() * kColumns, sums);
    }
    for (std::int64_t r = 0; r < count; ++r) {
      std::copy_n(sums + r * kColumns, width, to + (y * g.ow + x + r) * g.m_pitch + group * g.width() + block);
    }
  }
}

template <typename T>
std::vector<T> convolve(const Convolution& g, const std::vector<T>& x, const std::vector<T>& w) {
  std::vector<T> y(static_cast<std::size_t>(g.outputs()));
  const std::vector<T> zeros(static_cast<std::size_t>(g.depth()));
  const std::int64_t depth = g.taps() * g.depth();
  for (std::int64_t group = 0; group < g.groups; ++group) {
    const std::vector<T> panel = pack<T>(depth, g.width(), [&](std::int64_t k, std::int64_t c) {
      return w[static_cast<std::size_t>(k * g.m_pitch + group * g.width() + c)];
    });
    for (std::int64_t image = 0; image < g.n; ++image) {
      const T* picture = x.data() + image * g.h * g.w * g.c_pitch;
      T* to = y.data() + image * g.oh * g.ow * g.m_pitch;
      for (std::int64_t block = 0; block < g.width(); block += kColumns) {
        for (std::int64_t row = 0; row < g.oh; ++row) convolve_row(g, picture, group, block, row, zeros, panel.data() + block * depth, to);
      }
    }
  }
  return y;
}

/// Each channel by itself: long loops over channels instead of tiles.
std::vector<float> convolve_channels(const Convolution& g, const std::vector<float>& x, const std::vector<float>& w) {
  std::vector<float> y(static_cast<std::size_t>(g.outputs()));
  for (std::int64_t i = 0; i < g.n * g.oh * g.ow; ++i) {
    const float* picture = x.data() + i / (g.oh * g.ow) * g.h * g.w * g.c_pitch;
    float* to = y.data() + i * g.m_pitch;
    for (std::int64_t tap = 0; tap < g.taps(); ++tap) {
      const float* from = g.pixel(picture, i / g.ow % g.oh, i % g.ow, tap / g.kw, tap % g.kw);
      if (from == nullptr) continue;
      const float* weights = w.data() + tap * g.m_pitch;
      for (std::int64_t c = 0; c < g.c; ++c) to[c] += from[c] * weights[c];
    }
  }
  return y;
}

/// Adds the bias, then the activation; what pads the channels stays zero.
void finish(const Call& call, const Convolution& g, std::vector<float>& y) {
  const std::vector<float> bias = call.has("B") ? call.read("B", call.type(), g.m) : std::vector<float>(static_cast<std::size_t>(g.m));
  const Activation activation = activation_of(call);
  for (std::int64_t pixel = 0; pixel < g.n * g.oh * g.ow; ++pixel) {
    const std::span<float> values(y.data() + pixel * g.m_pitch, static_cast<std::size_t>(g.m));
    for (std::size_t c = 0; c < values.size(); ++c) values[c] += bias[c];
    apply(activation, values);
  }
}

Work work_of_convolution(const Call& call, const Convolution& g) {
  return work_of(call.chip(), {call.type(), g.groups, g.n * g.oh * g.ow, g.width(), g.taps() * g.depth(), g.taps()});
}

Work conv2d(Call& call) {
  const Convolution g(call);
  const bool channels = g.groups == g.c && g.c == g.m;
  const std::vector<float> x = call.read("X", call.type(), g.inputs());
  const std::vector<float> w = call.read("W", call.type(), g.weights());
  std::vector<float> y = channels ? convolve_channels(g, x, w) : convolve(g, x, w);
  finish(call, g, y);
  call.write("Y", call.type(), y);
  if (!channels) return work_of_convolution(call, g);
  // A matrix engine cannot use its width here; the vector engine does one product an operation.
  const std::int64_t products = g.n * g.oh * g.ow * g.m * g.taps();
  return {call.type(), 0, products, size_of(call.type()) * (g.inputs() + g.weights() + g.outputs()), 0};
}

Work conv2d_i8(Call& call) {
  const Convolution g(call);
  const auto x = centred(call, "X", g.inputs(), "x_zero", "x_signed");
  const auto w = centred(call, "W", g.weights(), "w_zero", "w_signed");
  std::vector<std::int32_t> y = convolve(g, x, w);
  write_sums(call, y);
  return work_of_convolution(call, g);
}

using Parameters = std::vector<Parameter>;

Parameters joined(Parameters parameters, std::initializer_list<const char*> integers, const Parameters& last) {
  for (const char* name : integers) parameters.push_back({name, Role::Int});
  parameters.insert(parameters.end(), last.begin(), last.end());
  return parameters;
}

}  // namespace

void add_product_kernels(std::vector<Kernel>& table) {
  const Parameters activation = {{"activation", Role::Int}, {"alpha", Role::Float}, {"beta", Role::Float}};
  const std::initializer_list<const char*> matrices = {"batch", "a_batch", "b_batch", "m", "n", "k", "a_swapped", "b_swapped"};
  const std::initializer_list<const char*> windows = {"n", "h", "w", "c", "oh", "ow", "m", "kh", "kw", "sh", "sw", "dh", "dw", "ph", "pw", "groups"};
  Parameters scaled = {{"scale", Role::Float}};
  scaled.insert(scaled.end(), activation.begin(), activation.end());
  add_float_kernels(table, "npu.matmul",
                    joined({{"A", Role::Input}, {"B", Role::Input}, {"bias", Role::OptionalInput}, {"Y", Role::Output}}, matrices, scaled), matmul);
  add_float_kernels(table, "npu.conv2d",
                    joined({{"X", Role::Input}, {"W", Role::Input}, {"B", Role::OptionalInput}, {"Y", Role::Output}}, windows, activation), conv2d);
  table.push_back({"npu.matmul.i8", Type::I8,
                   joined({{"A", Role::Input}, {"B", Role::Input}, {"a_zero", Role::OptionalInput}, {"b_zero", Role::OptionalInput}, {"Y", Role::Output}},
                          matrices, {{"a_signed", Role::Int}, {"b_signed", Role::Int}}),
                   matmul_i8});
  table.push_back({"npu.conv2d.i8", Type::I8,
                   joined({{"X", Role::Input}, {"W", Role::Input}, {"x_zero", Role::OptionalInput}, {"w_zero", Role::OptionalInput}, {"Y", Role::Output}},
                          windows, {{"x_signed", Role::Int}, {"w_signed", Role::Int}}),
                   conv2d_i8});
}

}  // namespace npu
