// Element-wise chains: names of steps, and the walk over tiles.
#include "backends/cpu/elementwise.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/convert_loops.h"
#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

/// Elements of a tile: a running value and an operand stay in L1 together.
constexpr std::int64_t kTile = 1024;

/// An element-wise operator: its step, and the attributes that are alpha and beta.
struct EwName {
  std::string_view op;
  Ew step;
  const char* alpha = nullptr;
  const char* beta = nullptr;
};

constexpr EwName kNames[] = {
    {"Abs", Ew::Abs}, {"Neg", Ew::Neg}, {"Relu", Ew::Relu}, {"LeakyRelu", Ew::LeakyRelu, "alpha"},
    {"Elu", Ew::Elu, "alpha"}, {"Selu", Ew::Selu, "alpha", "gamma"}, {"Celu", Ew::Celu, "alpha"},
    {"ThresholdedRelu", Ew::ThresholdedRelu, "alpha"},
    {"HardSigmoid", Ew::HardSigmoid, "alpha", "beta"}, {"HardSwish", Ew::HardSwish},
    {"Sigmoid", Ew::Sigmoid}, {"Tanh", Ew::Tanh}, {"Exp", Ew::Exp}, {"Log", Ew::Log},
    {"Sqrt", Ew::Sqrt}, {"Reciprocal", Ew::Reciprocal}, {"Floor", Ew::Floor}, {"Ceil", Ew::Ceil},
    {"Round", Ew::Round}, {"Sign", Ew::Sign}, {"Erf", Ew::Erf}, {"Softplus", Ew::Softplus},
    {"Softsign", Ew::Softsign}, {"Mish", Ew::Mish}, {"Swish", Ew::Swish, "alpha"},
    {"Sin", Ew::Sin}, {"Cos", Ew::Cos}, {"Tan", Ew::Tan}, {"Asin", Ew::Asin}, {"Acos", Ew::Acos},
    {"Atan", Ew::Atan}, {"Sinh", Ew::Sinh}, {"Cosh", Ew::Cosh}, {"Asinh", Ew::Asinh},
    {"Acosh", Ew::Acosh}, {"Atanh", Ew::Atanh}, {"Add", Ew::Add}, {"Sub", Ew::Sub},
    {"Mul", Ew::Mul}, {"Div", Ew::Div}, {"Pow", Ew::Pow}, {"PRelu", Ew::PRelu},
    {"Clip", Ew::Clip}, {"Max", Ew::Max}, {"Min", Ew::Min}, {"Sum", Ew::Add}, {"Mean", Ew::Add},
};

const EwName* find_name(std::string_view op) {
  const auto found = std::find_if(std::begin(kNames), std::end(kNames),
                                  [&](const EwName& name) { return name.op == op; });
  return found == std::end(kNames) ? nullptr : found;
}

/// The value of an optional bound of Clip: `otherwise` when absent, nullopt when not constant.
std::optional<float> bound_of(const NodeView& view, std::size_t input, float otherwise) {
  if (!view.has_input(input)) return otherwise;
  const Tensor* value = view.constant(input);
  if (value == nullptr || value->dtype() != DType::F32 || value->numel() != 1) return std::nullopt;
  return value->as<float>()[0];
}

}  // namespace

std::optional<EwStep> ew_step(std::string_view op, float alpha, float beta) {
  if (op == "Gelu") return EwStep{alpha != 0 ? Ew::GeluTanh : Ew::GeluErf};
  if (op == "Sum" || op == "Mean") return std::nullopt;
  const EwName* name = find_name(op);
  if (name == nullptr) return std::nullopt;
  return EwStep{name->step, alpha, beta};
}

std::optional<std::vector<EwStep>> ew_chain(const NodeView& view) {
  const std::string op = view.node.op->full_name();
  std::vector<EwStep> steps;
  if (op == "Gelu") {
    const bool tanh = view.node.attr_string_or("approximate", "none") == "tanh";
    return std::vector<EwStep>{{tanh ? Ew::GeluTanh : Ew::GeluErf}};
  }
  const EwName* name = find_name(op);
  if (name == nullptr) return std::nullopt;
  if (name->step == Ew::Clip) {
    const auto low = bound_of(view, 1, -std::numeric_limits<float>::infinity());
    const auto high = bound_of(view, 2, std::numeric_limits<float>::infinity());
    if (!low || !high) return std::nullopt;
    return std::vector<EwStep>{{Ew::Clip, *low, *high}};
  }
  if (!is_binary(name->step)) {
    const float alpha = name->alpha != nullptr ? view.node.attr_float_or(name->alpha, 1) : 0;
    const float beta = name->beta != nullptr ? view.node.attr_float_or(name->beta, 1) : 0;
    return std::vector<EwStep>{{name->step, alpha, beta}};
  }
  for (std::size_t i = 1; i < view.input_count(); ++i) {
    steps.push_back({name->step, 0, 0, static_cast<std::int32_t>(i)});
  }
  if (op == "Mean") steps.push_back({Ew::Linear, 1.0f / static_cast<float>(view.input_count()), 0});
  if (steps.empty()) steps.push_back({Ew::Linear, 1, 0});  // Sum of one
  return steps;
}

std::optional<std::vector<EwStep>> post_chain(const Node& node, std::int32_t first_operand) {
  std::vector<EwStep> steps;
  const std::vector<std::string> ops =
      node.has("post_ops") ? node.attr_strings("post_ops") : std::vector<std::string>();
  const std::vector<float> args =
      node.has("post_args") ? node.attr_floats("post_args") : std::vector<float>();
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const float alpha = 2 * i < args.size() ? args[2 * i] : 0;
    const float beta = 2 * i + 1 < args.size() ? args[2 * i + 1] : 0;
    std::optional<EwStep> step = ew_step(ops[i], alpha, beta);
    if (!step) return std::nullopt;
    if (is_binary(step->op)) step->operand = first_operand++;
    steps.push_back(*step);
  }
  return steps;
}

std::vector<std::int64_t> physical_dims(const Layout& layout) {
  if (layout.is_plain()) return layout.shape.dims();
  std::vector<std::int64_t> dims = {layout.shape[0], layout.channel_blocks()};
  for (std::int64_t axis = 2; axis < layout.shape.rank(); ++axis) dims.push_back(layout.shape[axis]);
  dims.push_back(layout.block);
  return dims;
}

std::vector<std::int64_t> broadcast_strides(const Layout& operand, const Layout& output) {
  NARU_CHECK(operand.shape.rank() == output.shape.rank(), "operand of another rank");
  const std::int64_t rank = output.shape.rank();
  const std::vector<std::int64_t> dims = physical_dims(operand);
  std::vector<std::int64_t> own = Shape(dims).strides();
  std::vector<std::int64_t> strides;
  for (std::int64_t axis = 0; axis < rank; ++axis) {
    strides.push_back(operand.shape[axis] == 1 ? 0 : own[static_cast<std::size_t>(axis)]);
  }
  if (output.is_plain()) {
    NARU_CHECK(operand.is_plain(), "row-major output of a blocked operand");
    return strides;
  }
  if (operand.block == output.block) {
    // One channel in a block of its own is not broadcast along the block.
    if (operand.shape[1] == 1 && output.shape[1] != 1) {
      strides.push_back(0);
    } else {
      strides.push_back(1);
    }
    return strides;
  }
  NARU_CHECK(operand.is_plain() && operand.shape[1] == 1, "operand of another channel block");
  strides.push_back(0);
  return strides;
}

EwKernel::EwKernel(std::vector<EwStep> steps, Layout output, std::vector<EwAccess> operands)
    : steps_(std::move(steps)), output_(std::move(output)), operands_(std::move(operands)) {
  for (const EwStep& step : steps_) {
    loops_.push_back(ew_loop(step.op));
    cost_ += is_binary(step.op) || step.op <= Ew::LeakyRelu ? 0.2 : 1;
  }
  // Merge neighbouring dimensions that every operand walks as one; drop those of size 1.
  const std::vector<std::int64_t> dims = physical_dims(output_);
  std::vector<std::vector<std::int64_t>> merged(operands_.size());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    const bool merges = !dims_.empty() && [&] {
      for (std::size_t i = 0; i < operands_.size(); ++i) {
        if (merged[i].back() != operands_[i].strides[d] * dims[d]) return false;
      }
      return true;
    }();
    if (merges) {
      dims_.back() *= dims[d];
    } else {
      dims_.push_back(dims[d]);
    }
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      if (merges) {
        merged[i].back() = operands_[i].strides[d];
      } else {
        merged[i].push_back(operands_[i].strides[d]);
      }
    }
  }
  while (dims_.size() < 2) {
    dims_.insert(dims_.begin(), 1);
    for (auto& strides : merged) strides.insert(strides.begin(), 0);
  }
  for (std::size_t i = 0; i < operands_.size(); ++i) operands_[i].strides = std::move(merged[i]);
  columns_ = dims_.back();
  rows_ = dims_[dims_.size() - 2];
  outer_ = 1;
  for (std::size_t d = 0; d + 2 < dims_.size(); ++d) outer_ *= dims_[d];
  if (columns_ >= kTile / 8) {  // long rows: each is an inner run of its own
    outer_ *= rows_;
    rows_ = 1;
    dims_.insert(dims_.end() - 1, 1);
    for (EwAccess& operand : operands_) operand.strides.insert(operand.strides.end() - 1, 0);
  }
}

const float* EwKernel::load(const EwAccess& access, const std::byte* data, std::int64_t outer,
                            std::int64_t first, std::int64_t count, float* tile) const {
  const std::size_t dims = dims_.size();
  std::int64_t base = 0;
  for (std::size_t d = dims - 2; d-- > 0;) {
    base += outer % dims_[d] * access.strides[d];
    outer /= dims_[d];
  }
  const std::int64_t row_stride = access.strides[dims - 2];
  const std::int64_t column_stride = access.strides[dims - 1];
  std::int64_t row = first / columns_;
  std::int64_t column = first % columns_;
  const auto element = [&](std::int64_t index) { return load_float(access.dtype, data, index); };
  const std::int64_t start = base + row * row_stride + column * column_stride;
  const bool one_run = column + count <= columns_;
  if (column_stride == 1 && (one_run || row_stride == columns_)) {
    if (access.dtype == DType::F32) return reinterpret_cast<const float*>(data) + start;
    load_floats(access.dtype, data, start, count, tile);
    return tile;
  }
  if (column_stride == 0 && (one_run || row_stride == 0)) {
    std::fill_n(tile, count, element(start));
    return tile;
  }
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t run = std::min(columns_ - column, count - done);
    const std::int64_t from = base + row * row_stride + column * column_stride;
    if (column_stride == 0) {
      std::fill_n(tile + done, run, element(from));
    } else if (column_stride == 1 && access.dtype == DType::F32) {
      std::copy_n(reinterpret_cast<const float*>(data) + from, run, tile + done);
    } else {
      for (std::int64_t i = 0; i < run; ++i) tile[done + i] = element(from + i * column_stride);
    }
    done += run;
    column = 0;
    ++row;
    if (row_stride == 0 && done < count && first % columns_ == 0) {
      // The same row again and again: double what is there.
      while (done < count) {
        const std::int64_t copy = std::min(done, count - done);
        std::copy_n(tile, copy, tile + done);
        done += copy;
      }
    }
  }
  return tile;
}

void EwKernel::run_tile(std::byte* const* pointers, std::int64_t outer, std::int64_t first,
                        std::int64_t count, float* scratch) const {
  float* running = scratch;
  float* operand = scratch + kTile;
  const std::int64_t at = outer * rows_ * columns_ + first;
  std::byte* output = pointers[operands_.size()];
  const bool direct = output_.dtype == DType::F32;
  float* target = direct ? reinterpret_cast<float*>(output) + at : running;
  const float* value = load(operands_[0], pointers[0], outer, first, count, running);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const EwStep& step = steps_[s];
    const float* other = nullptr;
    if (is_binary(step.op)) {
      const auto index = static_cast<std::size_t>(step.operand);
      other = load(operands_[index], pointers[index], outer, first, count, operand);
    }
    // Only the last step may write the output: it may lie over an operand that is read until then.
    float* to = s + 1 == steps_.size() ? target : running;
    loops_[s](to, value, other, count, step.alpha, step.beta);
    value = to;
  }
  if (!direct) store_floats(output_.dtype, output, at, count, value);
}

void EwKernel::clear_padding(std::byte* output) const {
  const std::int64_t blocks = output_.channel_blocks();
  const std::int64_t used = output_.channels() - (blocks - 1) * output_.block;
  const std::int64_t spatial = output_.spatial();
  const std::int64_t element = storage_bytes(output_.dtype, 1);
  for (std::int64_t n = 0; n < output_.shape[0]; ++n) {
    for (std::int64_t s = 0; s < spatial; ++s) {
      const std::int64_t at = ((n * blocks + blocks - 1) * spatial + s) * output_.block + used;
      std::memset(output + at * element, 0, static_cast<std::size_t>((output_.block - used) * element));
    }
  }
}

void EwKernel::operator()(std::byte* const* pointers) const {
  const std::int64_t inner = rows_ * columns_;
  // Whole rows per tile where a row fits into one.
  const std::int64_t tile = columns_ <= kTile ? kTile / columns_ * columns_ : kTile;
  const std::int64_t tiles = (inner + tile - 1) / tile;
  const double cost = cost_ * static_cast<double>(std::min(inner, tile));
  parallel_ranges(outer_ * tiles, cost, [&](std::int64_t begin, std::int64_t end) {
    thread_local std::vector<float> scratch(static_cast<std::size_t>(2 * kTile));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i % tiles * tile;
      run_tile(pointers, i / tiles, first, std::min(tile, inner - first), scratch.data());
    }
  });
  if (output_.is_padded()) clear_padding(pointers[operands_.size()]);
}

}  // namespace naru::cpu
