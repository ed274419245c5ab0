// simplify_movement: data movement that changes nothing goes; neighbouring moves merge.
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Ints = std::vector<std::int64_t>;

bool bypass_first(Rewriter& rw, const Node& node) { return rw.bypass(node.inputs[0]); }

/// For operators that keep the order of elements: equal shapes mean equal values.
bool same_shape_out(Rewriter& rw, const Node& node) {
  return same_shape(rw.type(node.inputs[0]), rw.type(node.outputs[0])) && bypass_first(rw, node);
}

bool inference_dropout(Rewriter& rw, const Node& node) {
  if (node.has_input(2)) {
    const Tensor* training = rw.constant(node.inputs[2]);
    if (training == nullptr || training->numel() != 1 || training->dtype() != DType::Bool)
      return false;
    if (load_u64(DType::Bool, training->data(), 0) != 0) return false;
  }
  return bypass_first(rw, node);
}

bool cast_to_same(Rewriter& rw, const Node& node) {
  const DType from = rw.type(node.inputs[0]).dtype;
  return from != DType::Undefined && from == rw.type(node.outputs[0]).dtype &&
         bypass_first(rw, node);
}

/// True when each value of `from` has an equal one in `to`.
bool widens(DType from, DType to) {
  if (from == to) return true;
  const auto rank = [](DType type) {
    switch (type) {
      case DType::F16:
      case DType::BF16: return 1;
      case DType::F32: return 2;
      case DType::F64: return 3;
      default: return 0;
    }
  };
  if (is_float(from)) return rank(from) > 0 && rank(from) < rank(to);
  if (!is_integer(from) || !is_integer(to))
    return from == DType::Bool && (is_integer(to) || rank(to) > 0);
  const bool from_signed = kind_of(from) == DTypeKind::SignedInt;
  const bool to_signed = kind_of(to) == DTypeKind::SignedInt;
  if (dtype_info(from).block_elements != 1 || dtype_info(to).block_elements != 1) return false;
  const bool wider = dtype_info(from).block_bytes < dtype_info(to).block_bytes;
  return wider && (to_signed || !from_signed);
}

bool cast_of_widening_cast(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0], "Cast");
  if (inner == nullptr) return false;
  if (!widens(rw.type(inner->inputs[0]).dtype, rw.type(inner->outputs[0]).dtype)) return false;
  rw.replace("Cast", {inner->inputs[0]}, node.attributes);
  return true;
}

/// True when dimension `i` is known to be equal in both.
bool same_dim(const Type& a, const Type& b, std::size_t i) {
  return a.shape && b.shape && i < a.shape->size() && i < b.shape->size() &&
         (*a.shape)[i] == (*b.shape)[i];
}

bool is_reshaping(const Node& node) {
  constexpr std::array<std::string_view, 4> kReshaping{"Reshape", "Flatten", "Squeeze",
                                                       "Unsqueeze"};
  return node.op->domain.empty() &&
         std::find(kReshaping.begin(), kReshaping.end(), node.op->name) != kReshaping.end();
}

/// A constant target for Reshape: known dimensions, and 0 for those that stay in their place or -1
/// for one other. Not both: with a copied dimension that turns out to be 0, -1 has no answer.
std::optional<Ints> target_of(const Type& input, const Type& output) {
  Ints target;
  for (std::size_t i = 0; i < output.shape->size(); ++i) {
    const Dim& dim = (*output.shape)[i];
    if (dim.is_known() && dim.value() == 0) return std::nullopt;
    target.push_back(dim.is_known() ? dim.value() : same_dim(input, output, i) ? 0 : -1);
  }
  const auto open = std::count(target.begin(), target.end(), -1);
  const auto copied = std::count(target.begin(), target.end(), 0);
  if (open > 1 || (open == 1 && copied > 0)) return std::nullopt;
  return target;
}

/// Reshape after what only reshapes. A 0 in the target copies a dimension of the inner result,
/// which must then be that of the inner input.
bool reshape_of_reshape(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0]);
  if (inner == nullptr || !is_reshaping(*inner)) return false;
  const std::optional<Ints> target = int_constant(rw, node.inputs[1]);
  if (!target) return false;
  for (std::size_t i = 0; i < target->size(); ++i) {
    if ((*target)[i] == 0 && !same_dim(rw.type(inner->inputs[0]), rw.type(node.inputs[0]), i))
      return false;
  }
  rw.replace("Reshape", {inner->inputs[0], node.inputs[1]}, node.attributes);
  return true;
}

/// A target shape that inference knows well enough becomes a constant.
bool reshape_to_constant(Rewriter& rw, const Node& node) {
  if (rw.constant(node.inputs[1]) != nullptr) return false;
  const Type& output = rw.type(node.outputs[0]);
  if (!output.shape) return false;
  const std::optional<Ints> target = target_of(rw.type(node.inputs[0]), output);
  if (!target) return false;
  const auto rank = static_cast<std::int64_t>(target->size());
  const ValueId shape =
      rw.add_constant(node.name + "/shape", Tensor::from<std::int64_t>(Shape{rank}, *target));
  rw.replace("Reshape", {node.inputs[0], shape});
  return true;
}

/// Squeeze, Unsqueeze or Flatten of what only reshapes: one Reshape, when its target can be
/// written.
bool reshaping_of_reshape(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0]);
  const Type& output = rw.type(node.outputs[0]);
  if (inner == nullptr || !is_reshaping(*inner) || !output.shape) return false;
  const std::optional<Ints> target = target_of(rw.type(inner->inputs[0]), output);
  if (!target) return false;
  const auto rank = static_cast<std::int64_t>(target->size());
  const ValueId shape =
      rw.add_constant(node.name + "/shape", Tensor::from<std::int64_t>(Shape{rank}, *target));
  rw.replace("Reshape", {inner->inputs[0], shape});
  return true;
}

/// Squeeze of Unsqueeze, or the reverse, over the same axes.
bool inverse_of(Rewriter& rw, const Node& node, std::string_view inverse) {
  const Node* inner = rw.producer(node.inputs[0], inverse);
  if (inner == nullptr) return false;
  return same_shape(rw.type(inner->inputs[0]), rw.type(node.outputs[0])) &&
         rw.bypass(inner->inputs[0]);
}
bool squeeze_of_unsqueeze(Rewriter& rw, const Node& node) {
  return inverse_of(rw, node, "Unsqueeze");
}
bool unsqueeze_of_squeeze(Rewriter& rw, const Node& node) {
  return inverse_of(rw, node, "Squeeze");
}

Ints permutation(const Rewriter& rw, const Node& node) {
  if (node.has("perm")) return node.attr_ints("perm");
  const std::int64_t rank = rank_of(rw.type(node.inputs[0]));
  Ints reversed(static_cast<std::size_t>(std::max<std::int64_t>(rank, 0)));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return reversed;
}

bool transpose_nothing(Rewriter& rw, const Node& node) {
  if (rank_of(rw.type(node.inputs[0])) < 0) return false;
  const Ints perm = permutation(rw, node);
  return std::is_sorted(perm.begin(), perm.end()) && bypass_first(rw, node);
}

bool transpose_of_transpose(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0], "Transpose");
  if (inner == nullptr || rank_of(rw.type(node.inputs[0])) < 0) return false;
  const Ints first = permutation(rw, *inner);
  Ints both = permutation(rw, node);
  for (std::int64_t& axis : both) axis = first[static_cast<std::size_t>(axis)];
  rw.replace("Transpose", {inner->inputs[0]}, {{"perm", both}});
  return true;
}

/// A transpose that moves only dimensions of 1 is a reshape, which costs nothing.
bool transpose_of_ones(Rewriter& rw, const Node& node) {
  const Type& input = rw.type(node.inputs[0]);
  if (!input.shape) return false;
  Ints moved, target;
  for (std::int64_t axis : permutation(rw, node)) {
    const std::int64_t dim = known_dim(input, axis);
    if (dim != 1) moved.push_back(axis);
    target.push_back(dim);
  }
  const bool one_unknown = std::count(target.begin(), target.end(), -1) <= 1;
  const bool no_empty = std::find(target.begin(), target.end(), 0) == target.end();
  if (!std::is_sorted(moved.begin(), moved.end()) || !one_unknown || !no_empty) return false;
  const auto rank = static_cast<std::int64_t>(target.size());
  const ValueId shape =
      rw.add_constant(node.name + "/shape", Tensor::from<std::int64_t>(Shape{rank}, target));
  rw.replace("Reshape", {node.inputs[0], shape});
  return true;
}

/// Padding by nothing (negative pads crop, so that equal shapes do not suffice).
bool pad_nothing(Rewriter& rw, const Node& node) {
  const std::optional<Ints> pads = int_constant(rw, node.inputs[1]);
  return pads && std::all_of(pads->begin(), pads->end(), [](std::int64_t p) { return p == 0; }) &&
         bypass_first(rw, node);
}

bool slice_everything(Rewriter& rw, const Node& node) {
  if (node.has_input(4)) {
    const std::optional<Ints> steps = int_constant(rw, node.inputs[4]);
    if (!steps ||
        std::any_of(steps->begin(), steps->end(), [](std::int64_t s) { return s != 1; })) {
      return false;
    }
  }
  return same_shape_out(rw, node);
}

bool single_input(Rewriter& rw, const Node& node) {
  return node.inputs.size() == 1 && bypass_first(rw, node);
}

bool single_output(Rewriter& rw, const Node& node) {
  return node.outputs.size() == 1 && same_shape_out(rw, node);
}

/// An inner Concat along the same axis that nothing else uses is spread into the outer one.
bool concat_of_concat(Rewriter& rw, const Node& node) {
  const std::int64_t rank = rank_of(rw.type(node.outputs[0]));
  const auto axis_of = [&](const Node& n) {
    const std::int64_t axis = n.attr_int("axis");
    return axis < 0 ? axis + rank : axis;
  };
  constexpr std::size_t kMaxInputs = 1024;
  std::vector<ValueId> inputs;
  for (ValueId id : node.inputs) {
    const Node* inner = rw.producer(id, "Concat");
    if (inner != nullptr && rank >= 0 && rw.single_use(id) && axis_of(*inner) == axis_of(node)) {
      inputs.insert(inputs.end(), inner->inputs.begin(), inner->inputs.end());
    } else {
      inputs.push_back(id);
    }
  }
  if (inputs.size() == node.inputs.size() || inputs.size() > kMaxInputs) return false;
  rw.replace("Concat", inputs, node.attributes);
  return true;
}

/// With equal sizes every coordinate mode maps each sample to itself, but for cropping.
bool resize_to_same(Rewriter& rw, const Node& node) {
  const std::string mode = node.attr_string_or("coordinate_transformation_mode", "half_pixel");
  if (mode == "tf_crop_and_resize") return false;
  const std::optional<Shape> shape =
      rw.type(node.inputs[0]).shape ? known_shape(*rw.type(node.inputs[0]).shape) : std::nullopt;
  if (!shape) return false;
  // Scales that only round to the same size still move the samples.
  if (node.has_input(2)) {
    const std::optional<double> scale = uniform_constant(rw, node.inputs[2]);
    if (!scale || *scale != 1.0) return false;
  }
  return same_shape_out(rw, node);
}

/// A Reshape or Unsqueeze that puts back the dimensions which a reduction dropped.
bool reduce_keeping_dims(Rewriter& rw, const Node& node) {
  const Node* reduce = rw.producer(node.inputs[0]);
  if (reduce == nullptr || !reduce->op->name.starts_with("Reduce") ||
      !rw.single_use(node.inputs[0]))
    return false;
  if (!reduce->has_input(1) || reduce->attr_int_or("keepdims", 1) != 0) return false;
  const Type& input = rw.type(reduce->inputs[0]);
  const Type& output = rw.type(node.outputs[0]);
  const std::optional<Ints> axes = int_constant(rw, reduce->inputs[1]);
  if (!input.shape || !output.shape || !axes || axes->empty()) return false;
  SymShape kept = *input.shape;
  for (std::int64_t axis : *axes)
    kept[static_cast<std::size_t>(axis < 0 ? axis + rank_of(input) : axis)] = 1;
  if (kept != *output.shape) return false;
  Attributes attributes = reduce->attributes;
  attributes.insert_or_assign("keepdims", std::int64_t{1});
  rw.replace(reduce->op->full_name(), reduce->inputs, std::move(attributes));
  return true;
}

constexpr std::array kRules{
    Rule{"bypass_identity", "Identity", bypass_first},
    Rule{"bypass_inference_dropout", "Dropout", inference_dropout},
    Rule{"cast_to_same", "Cast", cast_to_same},
    Rule{"cast_like_same", "CastLike", cast_to_same},
    Rule{"cast_of_widening_cast", "Cast", cast_of_widening_cast},
    Rule{"reshape_to_same", "Reshape", same_shape_out},
    Rule{"reshape_of_reshape", "Reshape", reshape_of_reshape},
    Rule{"reshape_to_constant", "Reshape", reshape_to_constant},
    Rule{"flatten_to_same", "Flatten", same_shape_out},
    Rule{"squeeze_nothing", "Squeeze", same_shape_out},
    Rule{"unsqueeze_nothing", "Unsqueeze", same_shape_out},
    Rule{"squeeze_of_unsqueeze", "Squeeze", squeeze_of_unsqueeze},
    Rule{"unsqueeze_of_squeeze", "Unsqueeze", unsqueeze_of_squeeze},
    Rule{"squeeze_of_reshape", "Squeeze", reshaping_of_reshape},
    Rule{"unsqueeze_of_reshape", "Unsqueeze", reshaping_of_reshape},
    Rule{"flatten_of_reshape", "Flatten", reshaping_of_reshape},
    Rule{"transpose_nothing", "Transpose", transpose_nothing},
    Rule{"transpose_of_transpose", "Transpose", transpose_of_transpose},
    Rule{"transpose_of_ones", "Transpose", transpose_of_ones},
    Rule{"pad_nothing", "Pad", pad_nothing},
    Rule{"slice_everything", "Slice", slice_everything},
    Rule{"expand_to_same", "Expand", same_shape_out},
    Rule{"tile_once", "Tile", same_shape_out},
    Rule{"resize_to_same", "Resize", resize_to_same},
    Rule{"concat_of_one", "Concat", single_input},
    Rule{"concat_of_concat", "Concat", concat_of_concat},
    Rule{"split_into_one", "Split", single_output},
    Rule{"reshape_of_reduce", "Reshape", reduce_keeping_dims},
    Rule{"unsqueeze_of_reduce", "Unsqueeze", reduce_keeping_dims},
    // Reducing axes of size 1, or none.
    Rule{"reduce_sum_nothing", "ReduceSum", same_shape_out},
    Rule{"reduce_mean_nothing", "ReduceMean", same_shape_out},
    Rule{"reduce_max_nothing", "ReduceMax", same_shape_out},
    Rule{"reduce_min_nothing", "ReduceMin", same_shape_out},
    Rule{"reduce_prod_nothing", "ReduceProd", same_shape_out},
};

}  // namespace

bool simplify_movement(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
