// Signal processing: DFT, STFT, mel filter banks and window functions.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "graph/checked.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Complex = std::complex<double>;
constexpr TypeSet kWindowTypes = kNumbers;

/// The roots of unity exp(sign * 2 pi i k / n) for k in [0, n).
std::vector<Complex> roots_of_unity(std::int64_t n, double sign) {
  std::vector<Complex> roots;
  for (std::int64_t k = 0; k < n; ++k) {
    const double angle =
        sign * 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
    roots.emplace_back(std::cos(angle), std::sin(angle));
  }
  return roots;
}

/// The first `bins` terms of the unscaled transform of x over roots.size() points.
std::vector<Complex> transform(const std::vector<Complex>& x, const std::vector<Complex>& roots,
                               std::int64_t bins) {
  const auto n = static_cast<std::int64_t>(roots.size());
  std::vector<Complex> y(static_cast<std::size_t>(bins));
  for (std::int64_t k = 0; k < bins; ++k) {
    double real = 0, imaginary = 0;
    std::int64_t turn = 0;
    for (const Complex& value : x) {
      const Complex& root = roots[static_cast<std::size_t>(turn)];
      real += value.real() * root.real() - value.imag() * root.imag();
      imaginary += value.real() * root.imag() + value.imag() * root.real();
      turn += k;
      if (turn >= n) turn -= n;
    }
    y[static_cast<std::size_t>(k)] = {real, imaginary};
  }
  return y;
}

/// The one scalar of an integer input when known.
std::optional<Dim> scalar_dim(const InferContext& ctx, std::size_t i) {
  expect_single(ctx, i);
  const std::optional<SymValue> value = ctx.symbolic_value(i);
  if (!value || value->elements.size() != 1) return std::nullopt;
  return value->elements[0];
}

std::int64_t scalar_i64(const ReferenceContext& ctx, std::size_t i) {
  const std::vector<std::int64_t> values = to_i64_vector(ctx.input(i));
  ctx.require(values.size() == 1, "{}: got {}, expected one element", ctx.node.op->inputs[i].name,
              to_string(ctx.input(i)));
  return values[0];
}

// DFT

Dim one_sided(const Dim& length) { return floor_div(length, 2) + 1; }

void infer_dft(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  expect_type(ctx, 1, kIndices);
  expect_type(ctx, 2, {DType::I64});
  const bool inverse = ctx.node.attr_int("inverse") != 0;
  const bool half = ctx.node.attr_int("onesided") != 0;
  const SymShape* x = expect_min_rank(ctx, 0, 2);
  if (x == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const Dim& parts = x->back();
  ctx.require(!parts.is_known() || parts == Dim(1) || parts == Dim(2),
              "input: got last axis {}, expected 1 or 2", parts.to_string());
  ctx.require(inverse || !half || !parts.is_known() || parts == Dim(1),
              "input: got complex numbers, expected real ones for a one-sided transform");
  const auto rank = static_cast<std::int64_t>(x->size());
  SymShape y = *x;
  y.back() = inverse && half ? Dim(1) : Dim(2);
  std::optional<Dim> stated_axis = Dim(-2);
  if (ctx.has_input(2)) stated_axis = scalar_dim(ctx, 2);
  if (!stated_axis || !stated_axis->is_known()) {
    for (std::int64_t i = 0; i + 1 < rank; ++i) y[static_cast<std::size_t>(i)] = ctx.fresh_dim();
    return ctx.set_output(0, ctx.dtype(0), std::move(y));
  }
  const std::int64_t axis = ctx.normalize_axis(stated_axis->value(), rank);
  ctx.require(axis != rank - 1, "axis: got the last axis, expected one of the signal");
  Dim& dim = y[static_cast<std::size_t>(axis)];
  std::optional<Dim> length = inverse && half ? (dim - 1) * 2 : dim;
  if (ctx.has_input(1)) length = scalar_dim(ctx, 1);
  if (!length) length = ctx.fresh_dim();
  ctx.require(!length->is_known() || length->value() >= 1, "dft_length: got {}, expected 1 or more",
              length->to_string());
  dim = half && !inverse ? one_sided(*length) : *length;
  ctx.set_output(0, ctx.dtype(0), std::move(y));
}

/// The spectrum whose lower half is `half`: bins above the middle are conjugates.
std::vector<Complex> mirrored(std::vector<Complex> half, std::int64_t length) {
  half.resize(static_cast<std::size_t>(length / 2 + 1));
  half[0] = half[0].real();
  if (length % 2 == 0) half.back() = half.back().real();
  std::vector<Complex> full(half.begin(), half.end());
  full.resize(static_cast<std::size_t>(length));
  for (std::int64_t k = length / 2 + 1; k < length; ++k) {
    full[static_cast<std::size_t>(k)] = std::conj(half[static_cast<std::size_t>(length - k)]);
  }
  return full;
}

void reference_dft(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const bool inverse = ctx.node.attr_int("inverse") != 0;
  const bool half = ctx.node.attr_int("onesided") != 0;
  const std::int64_t axis =
      ctx.normalize_axis(ctx.has_input(2) ? scalar_i64(ctx, 2) : -2, shape.rank());
  const std::int64_t parts = shape[shape.rank() - 1];
  const std::int64_t out_parts = output.shape()[shape.rank() - 1];
  const std::int64_t size = shape[axis];
  const std::int64_t bins = output.shape()[axis];
  std::int64_t length = inverse && half ? 2 * (size - 1) : size;
  if (ctx.has_input(1)) length = scalar_i64(ctx, 1);
  const std::int64_t outer = shape.numel(0, axis);
  const std::int64_t inner = shape.numel(axis + 1, shape.rank() - 1);
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<Complex> roots = roots_of_unity(length, inverse ? 1 : -1);
  const double scale = inverse ? 1 / static_cast<double>(length) : 1;
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  std::vector<Complex> line;
  for (std::int64_t i = 0; i < outer * inner; ++i) {
    const std::int64_t before = i / inner;
    const std::int64_t after = i % inner;
    line.clear();
    for (std::int64_t k = 0; k < std::min(size, length); ++k) {
      const auto at = static_cast<std::size_t>(((before * size + k) * inner + after) * parts);
      line.emplace_back(x[at], parts == 2 ? x[at + 1] : 0.0);
    }
    if (inverse && half) line = mirrored(std::move(line), length);
    const std::vector<Complex> result = transform(line, roots, bins);
    for (std::int64_t k = 0; k < bins; ++k) {
      const auto at = static_cast<std::size_t>(((before * bins + k) * inner + after) * out_parts);
      y[at] = result[static_cast<std::size_t>(k)].real() * scale;
      if (out_parts == 2) y[at + 1] = result[static_cast<std::size_t>(k)].imag() * scale;
    }
  }
  from_wide<double>(y, output);
}

// STFT

void infer_stft(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 2});
  expect_type(ctx, 1, kIndices);
  expect_type(ctx, 3, kIndices);
  const bool half = ctx.node.attr_int("onesided") != 0;
  SymShape y{ctx.fresh_dim(), ctx.fresh_dim(), ctx.fresh_dim(), Dim(2)};
  const SymShape* signal = expect_rank(ctx, 0, 3);
  std::optional<Dim> length;
  if (signal != nullptr) {
    const Dim& parts = signal->back();
    ctx.require(!parts.is_known() || parts == Dim(1) || (parts == Dim(2) && !half),
                "signal: got last axis {}, expected {}", parts.to_string(),
                half ? "1 for a one-sided transform" : "1 or 2");
    y[0] = (*signal)[0];
    length = (*signal)[1];
  }
  if (const SymShape* window = expect_rank(ctx, 2, 1)) length = (*window)[0];
  else if (ctx.has_input(2)) length = std::nullopt;
  if (ctx.has_input(3)) {
    const std::optional<Dim> stated = scalar_dim(ctx, 3);
    if (stated && length && ctx.has_input(2)) expect_equal(ctx, *length, *stated, "window: length");
    if (stated) length = stated;
    else if (!ctx.has_input(2)) length = std::nullopt;
  }
  const std::optional<Dim> step = scalar_dim(ctx, 1);
  ctx.require(!step || !step->is_known() || step->value() >= 1,
              "frame_step: got {}, expected 1 or more", step ? step->to_string() : "");
  if (length) {
    ctx.require(!length->is_known() || length->value() >= 1,
                "frame_length: got {}, expected 1 or more", length->to_string());
    y[2] = half ? one_sided(*length) : *length;
  }
  if (length && step && signal != nullptr) {
    y[1] = floor_div((*signal)[1] - *length, *step) + 1;
    ctx.require(!y[1].is_known() || y[1].value() >= 0,
                "frame_length: got {}, expected at most the signal length {}", length->to_string(),
                (*signal)[1].to_string());
  }
  ctx.set_output(0, dtype, std::move(y));
}

void reference_stft(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const std::int64_t signal_length = shape[1];
  const std::int64_t parts = shape[2];
  const std::int64_t step = scalar_i64(ctx, 1);
  std::int64_t length = ctx.has_input(2) ? ctx.input(2).numel() : signal_length;
  if (ctx.has_input(3)) length = scalar_i64(ctx, 3);
  std::vector<double> window(static_cast<std::size_t>(length), 1.0);
  if (ctx.has_input(2)) window = to_wide<double>(ctx.input(2));
  const std::int64_t frames = output.shape()[1];
  const std::int64_t bins = output.shape()[2];
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<Complex> roots = roots_of_unity(length, -1);
  std::vector<double> y;
  y.reserve(static_cast<std::size_t>(output.numel()));
  std::vector<Complex> line(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < shape[0] * frames; ++i) {
    const std::int64_t first = i / frames * signal_length + i % frames * step;
    for (std::int64_t k = 0; k < length; ++k) {
      const auto at = static_cast<std::size_t>((first + k) * parts);
      line[static_cast<std::size_t>(k)] =
          Complex(x[at], parts == 2 ? x[at + 1] : 0.0) * window[static_cast<std::size_t>(k)];
    }
    for (const Complex& value : transform(line, roots, bins)) {
      y.push_back(value.real());
      y.push_back(value.imag());
    }
  }
  from_wide<double>(y, output);
}

/// Every output bin meets every element of its line: 8 operations for a complex multiply-add.
Cost cost_dft(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  double length = 0;
  if (inputs[0].shape && inputs[0].shape->size() >= 2) {
    const Dim& dim = (*inputs[0].shape)[inputs[0].shape->size() - 2];
    length = dim.is_known() ? static_cast<double>(dim.value()) : 0;
  }
  return {4 * length * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

Cost cost_stft(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  double length = 0;
  if (outputs[0].shape && outputs[0].shape->size() == 4 && (*outputs[0].shape)[2].is_known()) {
    length = static_cast<double>((*outputs[0].shape)[2].value());
    if (node.attr_int("onesided") != 0) length = 2 * (length - 1);
  }
  return {4 * length * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

// Windows

DType output_dtype(const InferContext& ctx) {
  const DType dtype = dtype_from_onnx(ctx.node.attr_int("output_datatype"));
  ctx.require(kWindowTypes.contains(dtype), "output_datatype: got {}, expected {}",
              to_string(dtype), to_string(kWindowTypes));
  return dtype;
}

void infer_window(InferContext& ctx) {
  expect_type(ctx, 0, kIndices);
  const std::optional<Dim> size = scalar_dim(ctx, 0);
  ctx.require(!size || !size->is_known() || size->value() >= 0, "size: got {}, expected 0 or more",
              size ? size->to_string() : "");
  ctx.set_output(0, output_dtype(ctx), {size ? *size : ctx.fresh_dim()});
}

/// A sum of cosines: terms[k] * cos(k * angle), the angle going once around over the window.
struct CosineWindow {
  const char* name;
  const char* doc;
  const char* source;
  double terms[3];
};

constexpr CosineWindow kHann{"HannWindow", "0.5 - 0.5 cos: a Hann window.", "ONNX HannWindow-17",
                             {0.5, -0.5, 0}};
constexpr CosineWindow kHamming{"HammingWindow", "25/46 - 21/46 cos: a Hamming window.",
                                "ONNX HammingWindow-17",
                                {25.0 / 46.0, -21.0 / 46.0, 0}};
constexpr CosineWindow kBlackman{"BlackmanWindow", "0.42 - 0.5 cos + 0.08 cos 2: a Blackman window.",
                                 "ONNX BlackmanWindow-17",
                                 {0.42, -0.5, 0.08}};

void fill_window(ReferenceContext& ctx, const CosineWindow& window) {
  Tensor& output = ctx.output(0);
  const std::int64_t size = output.numel();
  const std::int64_t turn = ctx.node.attr_int("periodic") != 0 ? size : size - 1;
  std::vector<double> values;
  for (std::int64_t i = 0; i < size; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(turn);
    // A symmetric window of one element is its own peak.
    values.push_back(turn == 0 ? 1.0
                               : window.terms[0] + window.terms[1] * std::cos(angle) +
                                     window.terms[2] * std::cos(2 * angle));
  }
  from_wide<double>(values, output);
}

void reference_hann(ReferenceContext& ctx) { fill_window(ctx, kHann); }
void reference_hamming(ReferenceContext& ctx) { fill_window(ctx, kHamming); }
void reference_blackman(ReferenceContext& ctx) { fill_window(ctx, kBlackman); }

OpDef window_def(const CosineWindow& window, void (*reference)(ReferenceContext&)) {
  return {
      .name = window.name,
      .since_version = 17,
      .doc = window.doc,
      .source = window.source,
      .inputs = {{"size", "i32|i64 scalar", Arity::Required, true}},
      .outputs = {{"output", "[size]"}},
      .attributes = {{"output_datatype", AttrKind::Int, "ONNX number of the result's type",
                      std::int64_t{1}},
                     {"periodic", AttrKind::Int, "0: symmetric, the last element mirrors the first",
                      std::int64_t{1}}},
      .infer = infer_window,
      .reference = reference,
  };
}

// MelWeightMatrix

void infer_mel(InferContext& ctx) {
  for (std::size_t i : {0, 1, 2}) expect_type(ctx, i, kIndices);
  for (std::size_t i : {3, 4}) expect_type(ctx, i, kFloats);
  for (std::size_t i : {2, 3, 4}) expect_single(ctx, i);
  const std::optional<Dim> bands = scalar_dim(ctx, 0);
  const std::optional<Dim> length = scalar_dim(ctx, 1);
  ctx.require(!length || !length->is_known() || length->value() >= 0,
              "dft_length: got {}, expected 0 or more", length ? length->to_string() : "");
  ctx.set_output(0, output_dtype(ctx), {length ? one_sided(*length) : ctx.fresh_dim(),
                                        bands ? *bands : ctx.fresh_dim()});
}

/// The spectrum bins at which the triangular bands begin, peak and end.
std::vector<std::int64_t> band_edges(const ReferenceContext& ctx, std::int64_t bands,
                                     std::int64_t bins) {
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(scalar_f64(ctx.input(3)));
  const double high = mel(scalar_f64(ctx.input(4)));
  const double step = (high - low) / static_cast<double>(bands + 2);
  const auto length = static_cast<double>(scalar_i64(ctx, 1));
  const auto rate = static_cast<double>(scalar_i64(ctx, 2));
  ctx.require(rate > 0, "sample_rate: got {}, expected more than 0", rate);
  std::vector<std::int64_t> edges;
  for (std::int64_t i = 0; i < bands + 2; ++i) {
    const double hertz =
        700 * (std::pow(10.0, (static_cast<double>(i) * step + low) / 2595) - 1);
    const double bin = std::floor((length + 1) * hertz / rate);
    ctx.require(bin >= 0 && bin < static_cast<double>(bins),
                "band edges: got {} Hz, expected one inside the {} spectrum bins", hertz, bins);
    edges.push_back(static_cast<std::int64_t>(bin));
  }
  return edges;
}

void reference_mel(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  const std::int64_t bins = output.shape()[0];
  const std::int64_t bands = output.shape()[1];
  const std::vector<std::int64_t> edges = band_edges(ctx, bands, bins);
  std::vector<double> weights(static_cast<std::size_t>(output.numel()), 0.0);
  for (std::int64_t band = 0; band < bands; ++band) {
    const std::int64_t begin = edges[static_cast<std::size_t>(band)];
    const std::int64_t peak = edges[static_cast<std::size_t>(band) + 1];
    const std::int64_t end = edges[static_cast<std::size_t>(band) + 2];
    const auto at = [&](std::int64_t bin) -> double& {
      return weights[static_cast<std::size_t>(bin * bands + band)];
    };
    for (std::int64_t bin = begin; bin < peak; ++bin) {
      at(bin) = static_cast<double>(bin - begin) / static_cast<double>(peak - begin);
    }
    at(peak) = 1;
    for (std::int64_t bin = peak; bin < end; ++bin) {
      at(bin) = static_cast<double>(end - bin) / static_cast<double>(end - peak);
    }
  }
  from_wide<double>(weights, output);
}

}  // namespace

void define_signal(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "DFT",
      .since_version = 20,
      .doc = "The discrete Fourier transform along one axis, or its inverse.",
      .source = "ONNX DFT-20",
      .inputs = {{"input", "[signal..., 1 or 2]: real or complex numbers"},
                 {"dft_length", "scalar: the signal is cut or padded to it", Arity::Optional, true},
                 {"axis", "scalar, i64; -2 when absent", Arity::Optional, true}},
      .outputs = {{"output", "[signal..., 2], or 1 for the inverse of a half spectrum"}},
      .attributes = {{"inverse", AttrKind::Int, "1: the inverse transform", std::int64_t{0}},
                     {"onesided", AttrKind::Int, "1: the spectrum is a half one of a real signal",
                      std::int64_t{0}}},
      .infer = infer_dft,
      .reference = reference_dft,
      .cost = cost_dft,
  });
  ops.push_back({
      .name = "STFT",
      .since_version = 17,
      .doc = "Fourier transforms of windowed frames of a signal.",
      .source = "ONNX STFT-17",
      .inputs = {{"signal", "[batch, length, 1 or 2]"},
                 {"frame_step", "scalar, i32|i64", Arity::Required, true},
                 {"window", "[frame length]", Arity::Optional},
                 {"frame_length", "scalar; that of the window or signal when absent",
                  Arity::Optional, true}},
      .outputs = {{"output", "[batch, frames, bins, 2]"}},
      .attributes = {{"onesided", AttrKind::Int, "1: only the half spectrum", std::int64_t{1}}},
      .infer = infer_stft,
      .reference = reference_stft,
      .cost = cost_stft,
  });
  ops.push_back(window_def(kHann, reference_hann));
  ops.push_back(window_def(kHamming, reference_hamming));
  ops.push_back(window_def(kBlackman, reference_blackman));
  ops.push_back({
      .name = "MelWeightMatrix",
      .since_version = 17,
      .doc = "The weights that turn a linear spectrum into bands even on the mel scale.",
      .source = "ONNX MelWeightMatrix-17",
      .inputs = {{"num_mel_bins", "scalar: the number of bands", Arity::Required, true},
                 {"dft_length", "scalar: the length of the transform", Arity::Required, true},
                 {"sample_rate", "scalar, samples per second", Arity::Required, true},
                 {"lower_edge_hertz", "scalar: begin of the lowest band", Arity::Required, true},
                 {"upper_edge_hertz", "scalar: end of the highest band", Arity::Required, true}},
      .outputs = {{"output", "[dft_length / 2 + 1, bands]"}},
      .attributes = {{"output_datatype", AttrKind::Int, "ONNX number of the result's type",
                      std::int64_t{1}}},
      .infer = infer_mel,
      .reference = reference_mel,
  });
}

}  // namespace naru
