// Broadcast: strides with zeros where an operand repeats, dimensions joined where possible.
#include "graph/ops/broadcast.h"

#include "graph/checked.h"

namespace naru {
namespace {

/// Element strides of `operand` over `output`; 0 where it repeats.
std::vector<std::int64_t> broadcast_strides(const Shape& output, const Shape& operand) {
  const std::int64_t lead = output.rank() - operand.rank();
  std::vector<std::int64_t> strides(static_cast<std::size_t>(output.rank()), 0);
  const std::vector<std::int64_t> own = operand.strides();
  bool fits = lead >= 0;
  for (std::int64_t i = 0; fits && i < operand.rank(); ++i) {
    if (operand[i] == output[lead + i]) {
      strides[static_cast<std::size_t>(lead + i)] = operand[i] == 1 ? 0 : own[static_cast<std::size_t>(i)];
    } else {
      fits = operand[i] == 1;
    }
  }
  if (!fits) {
    fail(ErrorCode::InvalidArgument, "broadcast: got an operand of shape {}, expected one that fits {}",
         to_string(operand), to_string(output));
  }
  return strides;
}

}  // namespace

void infer_broadcast(InferContext& ctx, std::size_t first, std::size_t last, DType dtype) {
  std::vector<SymShape> shapes;
  for (std::size_t i = first; i < last && i < ctx.input_count(); ++i) {
    if (!ctx.has_input(i)) continue;
    const SymShape* shape = ctx.shape(i);
    if (shape == nullptr) return ctx.set_output(0, dtype);
    shapes.push_back(*shape);
  }
  ctx.set_output(0, dtype, broadcast_shapes(std::span<const SymShape>(shapes)));
}

BroadcastRows::BroadcastRows(const Shape& output, std::span<const Shape* const> operands)
    : outer_strides_(operands.size()), offsets_(operands.size(), 0), steps_(operands.size(), 0) {
  std::vector<std::vector<std::int64_t>> strides;
  for (const Shape* operand : operands) strides.push_back(broadcast_strides(output, *operand));
  // Dimensions from the innermost out; one joins the group inside it when every stride continues.
  std::vector<std::int64_t> dims;
  std::vector<std::vector<std::int64_t>> group(operands.size());
  for (std::int64_t axis = output.rank() - 1; axis >= 0; --axis) {
    const std::int64_t dim = output[axis];
    if (dim == 1) continue;
    const auto at = static_cast<std::size_t>(axis);
    bool joins = !dims.empty();
    for (std::size_t k = 0; joins && k < operands.size(); ++k) {
      joins = strides[k][at] == group[k].back() * dims.back();
    }
    if (joins) {
      dims.back() = checked_mul(dims.back(), dim);
      continue;
    }
    dims.push_back(dim);
    for (std::size_t k = 0; k < operands.size(); ++k) group[k].push_back(strides[k][at]);
  }
  if (!dims.empty()) {
    row_length_ = dims.front();
    for (std::size_t k = 0; k < operands.size(); ++k) steps_[k] = group[k].front();
  }
  for (std::size_t i = dims.size(); i-- > 1;) {
    row_count_ = checked_mul(row_count_, dims[i]);
    outer_dims_.push_back(dims[i]);
    for (std::size_t k = 0; k < operands.size(); ++k) outer_strides_[k].push_back(group[k][i]);
  }
  counter_.assign(outer_dims_.size(), 0);
  if (row_length_ == 0) row_count_ = 0;
}

void BroadcastRows::next() {
  ++row_;
  for (std::size_t i = outer_dims_.size(); i-- > 0;) {
    const bool wraps = ++counter_[i] == outer_dims_[i];
    if (wraps) counter_[i] = 0;
    for (std::size_t k = 0; k < offsets_.size(); ++k) {
      offsets_[k] += wraps ? -outer_strides_[k][i] * (outer_dims_[i] - 1) : outer_strides_[k][i];
    }
    if (!wraps) return;
  }
}

}  // namespace naru
