// The passes that know no device: each is one function in the file of its name.
#pragma once

#include "graph/graph.h"

namespace naru {

// Each returns whether it changed the graph; see Pass.

/// Drops nodes whose results nothing uses, and optional outputs that nothing uses.
bool eliminate_dead(Graph& graph);

/// Replaces what constants determine, and what the shapes in the graph determine, by constants.
bool fold_constants(Graph& graph);

/// Puts the branch that a constant condition chooses in place of its If.
bool fold_branches(Graph& graph);

/// Puts the iterations of a Scan or Loop one after another where their number is known and small: shapes are
/// then known throughout, and devices run what the host would have had to drive.
bool unroll_loops(Graph& graph);

/// Moves constant captures into the sub-graphs, merges equal ones, drops those nothing uses.
bool narrow_captures(Graph& graph);

/// Merges nodes that compute the same and constants that hold the same.
bool eliminate_common(Graph& graph);

/// Removes and merges data movement that changes nothing: reshapes, transposes, casts, pads, ...
bool simplify_movement(Graph& graph);

/// Removes neutral arithmetic, merges constants, and brings arithmetic into canonical forms.
bool simplify_arithmetic(Graph& graph);

/// What dequantises, convolves or multiplies, and quantises becomes QLinearConv or QLinearMatMul:
/// products of integers. Before fold_constants, which would make floats of the weights.
bool fuse_quantised(Graph& graph);

/// Recognises operators that models write out in parts: activations, normalizations, softmax.
bool fuse_composites(Graph& graph);

/// Folds BatchNormalization and per-channel products and sums of constants into the weights and
/// biases of the convolutions and matrix products before or behind them; the rest becomes Mul and
/// Add.
bool fold_affine(Graph& graph);

/// Gemm becomes naru.FusedMatMul; matrix products take in transposes, scales and biases;
/// convolutions take in padding.
bool fuse_anchors(Graph& graph);

/// Chains of element-wise operators go into the convolution or matrix product before them, or
/// become one naru.FusedElementwise.
bool fuse_post_ops(Graph& graph);

/// As fuse_post_ops, on a graph that has been through it: what only concrete shapes allow.
bool extend_post_ops(Graph& graph);

}  // namespace naru
