// fuse_anchors: matrix products take in transposes, scales and biases; convolutions take in
// padding.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Ints = std::vector<std::int64_t>;

/// A MatMul or FusedMatMul without operands, in parts.
struct Product {
  ValueId a = kNoValue;
  ValueId b = kNoValue;
  ValueId c = kNoValue;
  bool trans_a = false;
  bool trans_b = false;
  float alpha = 1;
};

bool is_float_product(const Rewriter& rw, const Node& node) {
  return is_float(rw.type(node.outputs[0]).dtype);
}

std::optional<Product> product_of(const Rewriter& rw, const Node* node) {
  if (node == nullptr || !is_float_product(rw, *node)) return std::nullopt;
  if (node->op->full_name() == "MatMul") return Product{node->inputs[0], node->inputs[1]};
  if (node->op->full_name() != "naru.FusedMatMul" || !node->attr_strings("post_ops").empty())
    return std::nullopt;
  return Product{node->inputs[0],
                 node->inputs[1],
                 node->has_input(2) ? node->inputs[2] : kNoValue,
                 node->attr_int("transA") != 0,
                 node->attr_int("transB") != 0,
                 node->attr_float("alpha")};
}

void replace(Rewriter& rw, const Product& product) {
  std::vector<ValueId> inputs{product.a, product.b};
  if (product.c != kNoValue) inputs.push_back(product.c);
  Attributes attributes;
  if (product.trans_a) attributes["transA"] = std::int64_t{1};
  if (product.trans_b) attributes["transB"] = std::int64_t{1};
  if (product.alpha != 1) attributes["alpha"] = product.alpha;
  rw.replace("naru.FusedMatMul", std::move(inputs), std::move(attributes));
}

bool from_gemm(Rewriter& rw, const Node& root) {
  if (!is_float_product(rw, root)) return false;
  Product product{root.inputs[0],
                  root.inputs[1],
                  kNoValue,
                  root.attr_int("transA") != 0,
                  root.attr_int("transB") != 0,
                  root.attr_float("alpha")};
  const float beta = root.attr_float("beta");
  if (root.has_input(2) && beta != 0) {
    product.c = root.inputs[2];
    if (beta != 1) {
      const Tensor* addend = rw.constant(product.c);
      if (addend == nullptr) return false;
      Tensor factor(addend->dtype(), Shape{});
      store_f64(addend->dtype(), factor.mutable_data(), 0, beta);
      product.c =
          rw.add_constant(root.name + "/addend", evaluate_constant("Mul", {*addend, factor}));
    }
  }
  replace(rw, product);
  return true;
}

/// The input of a Transpose that swaps the last two axes and keeps the rest.
std::optional<ValueId> untransposed(const Rewriter& rw, ValueId id) {
  const Node* node = rw.producer(id, "Transpose");
  if (node == nullptr) return std::nullopt;
  const std::int64_t rank = rank_of(rw.type(node->inputs[0]));
  if (rank < 2 || (!node->has("perm") && rank != 2)) return std::nullopt;
  const Ints perm = node->attr_ints_or("perm", {1, 0});
  for (std::int64_t i = 0; i < rank; ++i) {
    const std::int64_t wanted = i == rank - 2 ? rank - 1 : i == rank - 1 ? rank - 2 : i;
    if (perm[static_cast<std::size_t>(i)] != wanted) return std::nullopt;
  }
  return node->inputs[0];
}

bool transposes_into_product(Rewriter& rw, const Node& root) {
  std::optional<Product> product = product_of(rw, &root);
  if (!product) return false;
  const std::optional<ValueId> a = untransposed(rw, product->a), b = untransposed(rw, product->b);
  if (a) {
    product->a = *a;
    product->trans_a = !product->trans_a;
  }
  if (b) {
    product->b = *b;
    product->trans_b = !product->trans_b;
  }
  if (!a && !b) return false;
  replace(rw, *product);
  return true;
}

/// The factor by which a Mul or Div by a constant scalar changes its first input.
std::optional<float> factor_of(const Rewriter& rw, const Node& node) {
  const std::string op = node.op->full_name();
  if (op != "Mul" && op != "Div") return std::nullopt;
  const std::optional<double> value = scalar_constant(rw, node.inputs[1]);
  if (!value || !same_shape(rw.type(node.inputs[0]), rw.type(node.outputs[0]))) return std::nullopt;
  const DType dtype = rw.type(node.inputs[0]).dtype;
  const auto factor = static_cast<float>(op == "Mul" ? *value : 1 / *value);
  // alpha is a float: it holds no factor of f64 products in full.
  if (dtype == DType::F64 || !std::isfinite(factor) || factor == 0) return std::nullopt;
  return factor;
}

bool scale_result(Rewriter& rw, const Node& root) {
  const std::optional<float> factor = factor_of(rw, root);
  std::optional<Product> product = product_of(rw, rw.producer(root.inputs[0]));
  if (!factor || !product || product->c != kNoValue || !rw.single_use(root.inputs[0])) return false;
  product->alpha *= *factor;
  replace(rw, *product);
  return true;
}

/// Models in f16 scale the operands lest the product leave the range; those stay.
bool scale_operands(Rewriter& rw, const Node& root) {
  std::optional<Product> product = product_of(rw, &root);
  if (!product || rw.type(root.outputs[0]).dtype == DType::F16) return false;
  bool changed = false;
  for (ValueId* operand : {&product->a, &product->b}) {
    const Node* scaled = rw.producer(*operand);
    if (scaled == nullptr || !rw.single_use(*operand)) continue;
    const std::optional<float> factor = factor_of(rw, *scaled);
    if (!factor) continue;
    product->alpha *= *factor;
    *operand = scaled->inputs[0];
    changed = true;
  }
  if (changed) replace(rw, *product);
  return changed;
}

/// True for what one row of the product's result can be: its last dimension or one element.
bool is_row(const Type& type, const Type& result) {
  const std::int64_t rank = rank_of(type);
  if (rank < 0 || rank > rank_of(result) || type.dtype != result.dtype) return false;
  for (std::int64_t axis = 0; axis + 1 < rank; ++axis) {
    if (known_dim(type, axis) != 1) return false;
  }
  return rank == 0 || known_dim(type, -1) == 1 || type.shape->back() == result.shape->back();
}

bool bias_into_product(Rewriter& rw, const Node& root) {
  for (std::size_t side : {0, 1}) {
    const ValueId value = root.inputs[side], addend = root.inputs[1 - side];
    std::optional<Product> product = product_of(rw, rw.producer(value));
    if (!product || product->c != kNoValue || !rw.single_use(value)) continue;
    if (!same_shape(rw.type(value), rw.type(root.outputs[0])) ||
        !is_row(rw.type(addend), rw.type(value)))
      continue;
    product->c = addend;
    replace(rw, *product);
    return true;
  }
  return false;
}

/// The gated activation of products in its parts, which then follow the products one by one.
bool gate_behind_products(Rewriter& rw, const Node& root) {
  for (const ValueId input : root.inputs) {
    if (!product_of(rw, rw.producer(input)) || !rw.single_use(input)) return false;
  }
  const ValueId gate = rw.add("Swish", {root.inputs[0]}, {{"alpha", root.attr_float("alpha")}});
  rw.replace("Mul", {root.inputs[1], gate});
  return true;
}

/// The begin and end pads of a constant zero Pad per axis, when they are constant and crop nothing.
std::optional<Ints> zero_pads(const Rewriter& rw, const Node& pad) {
  if (pad.attr_string_or("mode", "constant") != "constant" || pad.has_input(3)) return std::nullopt;
  if (pad.has_input(2) && scalar_constant(rw, pad.inputs[2]) != 0.0) return std::nullopt;
  std::optional<Ints> pads = int_constant(rw, pad.inputs[1]);
  if (!pads || std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p < 0; }))
    return std::nullopt;
  return pads;
}

bool pad_into_convolution(Rewriter& rw, const Node& root) {
  const Node* pad = rw.producer(root.inputs[0], "Pad");
  if (pad == nullptr || !rw.single_use(root.inputs[0])) return false;
  const std::optional<Ints> extra = zero_pads(rw, *pad);
  const std::string mode = root.attr_string_or("auto_pad", "NOTSET");
  if (!extra || (mode != "NOTSET" && mode != "VALID")) return false;
  const std::size_t rank = extra->size() / 2;
  if (rank < 3 || (*extra)[0] != 0 || (*extra)[1] != 0 || (*extra)[rank] != 0 ||
      (*extra)[rank + 1] != 0)
    return false;
  const std::size_t spatial = rank - 2;
  Ints pads(2 * spatial, 0);
  if (mode == "NOTSET") pads = root.attr_ints_or("pads", pads);
  if (pads.size() != 2 * spatial) return false;
  for (std::size_t i = 0; i < spatial; ++i) {
    pads[i] += (*extra)[2 + i];
    pads[spatial + i] += (*extra)[rank + 2 + i];
  }
  Attributes attributes = root.attributes;
  attributes.erase("auto_pad");
  attributes.insert_or_assign("pads", std::move(pads));
  std::vector<ValueId> inputs = root.inputs;
  inputs[0] = pad->inputs[0];
  rw.replace("Conv", std::move(inputs), std::move(attributes));
  return true;
}

constexpr std::array kRules{
    Rule{"gemm_to_product", "Gemm", from_gemm},
    Rule{"transposes_into_matmul", "MatMul", transposes_into_product},
    Rule{"transposes_into_product", "naru.FusedMatMul", transposes_into_product},
    Rule{"scale_matmul_operands", "MatMul", scale_operands},
    Rule{"scale_product_operands", "naru.FusedMatMul", scale_operands},
    Rule{"scale_product", "Mul", scale_result},
    Rule{"divide_product", "Div", scale_result},
    Rule{"bias_into_product", "Add", bias_into_product},
    Rule{"gate_behind_products", "SwiGLU", gate_behind_products},
    Rule{"pad_into_convolution", "Conv", pad_into_convolution},
};

}  // namespace

bool fuse_anchors(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
