// Tree ensembles of ai.onnx.ml: TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "graph/ops/families.h"
#include "graph/ops/ml_scores.h"
#include "graph/ops/movement.h"
#include "graph/scalar.h"

namespace naru {
namespace {

[[noreturn]] void reject(const Node& node, const std::string& message) {
  fail(ErrorCode::InvalidModel, "{}: {}", node.label(), message);
}

void require_targets(const Node& node, std::int64_t targets) {
  if (targets < 1 || targets > INT32_MAX) reject(node, fmt::format("n_targets: got {}, expected [1, 2^31)", targets));
}

/// The test of a tree node; the order is that of TreeEnsemble's codes.
enum class Test : std::uint8_t { Leq, Lt, Gte, Gt, Eq, Neq, Member, Leaf };

/// What a leaf adds to one target.
struct Vote {
  std::int64_t target;
  double weight;
};

struct TreeNode {
  Test test = Test::Leaf;
  std::int64_t feature = 0;
  double split = 0;
  bool missing_is_true = false;
  std::int64_t if_true = 0, if_false = 0;  ///< places in Forest::nodes
  std::vector<Vote> votes;                 ///< of a leaf
  std::set<double> members;                ///< of a membership test
};

enum class Aggregate : std::uint8_t { Average, Sum, Min, Max };

/// All three operators read their attributes into this.
struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<std::int64_t> roots;
  std::int64_t targets = 1;
  Aggregate aggregate = Aggregate::Sum;
  std::vector<double> base;  ///< added to each target; may be empty

  /// One past the largest feature that a test looks at.
  std::int64_t features() const {
    std::int64_t count = 0;
    for (const TreeNode& node : nodes) {
      if (node.test != Test::Leaf) count = std::max(count, node.feature + 1);
    }
    return count;
  }
};

/// Every index must fit, so that evaluation need not check, and children must never lead back.
void check_forest(const Node& node, const Forest& forest) {
  const auto count = static_cast<std::int64_t>(forest.nodes.size());
  const auto place = [&](const char* what, std::int64_t at) {
    if (at < 0 || at >= count) reject(node, fmt::format("{}: got place {}, expected [0, {})", what, at, count));
  };
  for (std::int64_t root : forest.roots) place("root", root);
  for (const TreeNode& each : forest.nodes) {
    if (each.test != Test::Leaf) {
      place("true branch", each.if_true);
      place("false branch", each.if_false);
      if (each.feature < 0 || each.feature == INT64_MAX) reject(node, fmt::format("feature: got {}, expected >= 0", each.feature));
    }
    for (const Vote& vote : each.votes) {
      if (vote.target < 0 || vote.target >= forest.targets) {
        reject(node, fmt::format("target: got {}, expected [0, {})", vote.target, forest.targets));
      }
    }
  }
  if (!forest.base.empty() && static_cast<std::int64_t>(forest.base.size()) != forest.targets) {
    reject(node, fmt::format("base_values: got {}, expected {}", forest.base.size(), forest.targets));
  }
}

bool passes(const TreeNode& node, double x) {
  if (std::isnan(x)) return node.missing_is_true;
  switch (node.test) {
    case Test::Leq: return x <= node.split;
    case Test::Lt: return x < node.split;
    case Test::Gte: return x >= node.split;
    case Test::Gt: return x > node.split;
    case Test::Eq: return x == node.split;
    case Test::Neq: return x != node.split;
    case Test::Member: return node.members.contains(x);
    case Test::Leaf: break;
  }
  return false;
}

const TreeNode& leaf_of(const ReferenceContext& ctx, const Forest& forest, std::int64_t root, std::span<const double> row) {
  std::int64_t at = root;
  for (std::size_t steps = 0; steps <= forest.nodes.size(); ++steps) {
    const TreeNode& node = forest.nodes[static_cast<std::size_t>(at)];
    if (node.test == Test::Leaf) return node;
    at = passes(node, row[static_cast<std::size_t>(node.feature)]) ? node.if_true : node.if_false;
  }
  ctx.reject("tree: got a path that leads back, expected one to a leaf");
}

/// The aggregated votes of one row, with base values.
std::vector<double> targets_of(const ReferenceContext& ctx, const Forest& forest, std::span<const double> row) {
  const auto count = static_cast<std::size_t>(forest.targets);
  std::vector<double> sums(count, 0);
  std::vector<bool> voted(count, false);
  for (std::int64_t root : forest.roots) {
    for (const Vote& vote : leaf_of(ctx, forest, root, row).votes) {
      const auto i = static_cast<std::size_t>(vote.target);
      const bool first = !voted[i];
      voted[i] = true;
      switch (forest.aggregate) {
        case Aggregate::Min: sums[i] = first ? vote.weight : std::min(sums[i], vote.weight); break;
        case Aggregate::Max: sums[i] = first ? vote.weight : std::max(sums[i], vote.weight); break;
        default: sums[i] += vote.weight; break;
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (forest.aggregate == Aggregate::Average) sums[i] /= static_cast<double>(forest.roots.size());
    if (!forest.base.empty()) sums[i] += forest.base[i];
  }
  return sums;
}

void require_features(const InferContext& ctx, const Forest& forest) {
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return;
  const Dim& width = shape->back();
  ctx.require(!width.is_known() || width.value() >= forest.features(), "input 0: got {} features, expected at least {}",
              width.to_string(), forest.features());
}

/// Evaluates all rows into output `i`.
void write_targets(ReferenceContext& ctx, const Forest& forest, PostTransform transform) {
  const Rows rows(ctx.input(0));
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    std::vector<double> row = targets_of(ctx, forest, rows.row(i));
    transform_scores(transform, row);
    values.insert(values.end(), row.begin(), row.end());
  }
  from_wide<double>(values, ctx.output(0));
}

// TreeEnsemble (version 5): inner nodes and leaves are apart

std::vector<double> tensor_values(const Node& node, std::string_view name) {
  const Tensor& tensor = node.attr_tensor(name);
  if (kind_of(tensor.dtype()) != DTypeKind::Float && !is_integer(tensor.dtype())) {
    reject(node, fmt::format("{}: got {}, expected numbers", name, to_string(tensor)));
  }
  return to_wide<double>(tensor);
}

/// Membership sets stand one after the other, each ended by NaN, in the order of their nodes.
void read_members(const Node& node, Forest& forest) {
  std::vector<double> values;
  if (node.has("membership_values")) values = tensor_values(node, "membership_values");
  std::size_t at = 0;
  for (TreeNode& each : forest.nodes) {
    if (each.test != Test::Member) continue;
    if (at >= values.size()) reject(node, "membership_values: got too few sets, expected one per membership test");
    for (; at < values.size() && !std::isnan(values[at]); ++at) each.members.insert(values[at]);
    ++at;
  }
}

Forest tree_ensemble(const Node& node) {
  Forest forest;
  forest.targets = node.attr_int_or("n_targets", 1);
  const std::int64_t aggregate = node.attr_int("aggregate_function");
  if (aggregate < 0 || aggregate > 3) reject(node, fmt::format("aggregate_function: got {}, expected [0, 3]", aggregate));
  require_targets(node, forest.targets);
  forest.aggregate = static_cast<Aggregate>(aggregate);
  const auto& features = node.attr_ints("nodes_featureids");
  const std::size_t inner = features.size();
  const std::vector<double> modes = tensor_values(node, "nodes_modes"), splits = tensor_values(node, "nodes_splits");
  const std::vector<std::int64_t> missing =
      node.attr_ints_or("nodes_missing_value_tracks_true", std::vector<std::int64_t>(inner, 0));
  const auto& leaf_targets = node.attr_ints("leaf_targetids");
  const std::vector<double> leaf_weights = tensor_values(node, "leaf_weights");
  const auto list = [&](std::string_view name) -> const std::vector<std::int64_t>& {
    const auto& values = node.attr_ints(name);
    if (values.size() != inner) reject(node, fmt::format("{}: got {} values, expected {}", name, values.size(), inner));
    return values;
  };
  if (modes.size() != inner || splits.size() != inner || missing.size() != inner) {
    reject(node, fmt::format("nodes: got {} modes, {} splits, {} missing flags, expected {} of each", modes.size(),
                             splits.size(), missing.size(), inner));
  }
  if (leaf_targets.size() != leaf_weights.size()) {
    reject(node, fmt::format("leaves: got {} targets and {} weights, expected as many", leaf_targets.size(), leaf_weights.size()));
  }
  const auto inner_count = static_cast<std::int64_t>(inner);
  // Leaves follow the inner nodes; a negative or far index stays out of range and is found later.
  const auto child = [&](std::int64_t id, std::int64_t is_leaf) {
    if (is_leaf == 0) return id < inner_count ? id : -1;
    return id >= 0 && id < static_cast<std::int64_t>(leaf_targets.size()) ? inner_count + id : -1;
  };
  const auto &true_ids = list("nodes_truenodeids"), &false_ids = list("nodes_falsenodeids");
  const auto &true_leafs = list("nodes_trueleafs"), &false_leafs = list("nodes_falseleafs");
  for (std::size_t i = 0; i < inner; ++i) {
    if (!(modes[i] >= 0 && modes[i] < 7)) reject(node, fmt::format("nodes_modes: got {}, expected [0, 7)", modes[i]));
    TreeNode each;
    each.test = static_cast<Test>(modes[i]);
    each.feature = features[i];
    each.split = splits[i];
    each.missing_is_true = missing[i] != 0;
    each.if_true = child(true_ids[i], true_leafs[i]);
    each.if_false = child(false_ids[i], false_leafs[i]);
    forest.nodes.push_back(std::move(each));
  }
  for (std::size_t i = 0; i < leaf_targets.size(); ++i) {
    TreeNode leaf;
    leaf.votes = {{leaf_targets[i], leaf_weights[i]}};
    forest.nodes.push_back(std::move(leaf));
  }
  forest.roots = node.attr_ints("tree_roots");
  read_members(node, forest);
  check_forest(node, forest);
  return forest;
}

void infer_tree_ensemble(InferContext& ctx) {
  require_type(ctx, 0, TypeSet{DType::F32, DType::F64, DType::F16});
  require_rank(ctx, 0, 2, 2);
  const Forest forest = tree_ensemble(ctx.node);
  post_transform(ctx.node);
  require_features(ctx, forest);
  ctx.set_output(0, ctx.dtype(0), {ctx.shape(0) != nullptr ? (*ctx.shape(0))[0] : ctx.fresh_dim(), forest.targets});
}

void reference_tree_ensemble(ReferenceContext& ctx) {
  write_targets(ctx, tree_ensemble(ctx.node), post_transform(ctx.node));
}

// TreeEnsembleRegressor and TreeEnsembleClassifier: nodes by (tree, node) ids, votes beside them

std::vector<double> floats_or_tensor(const Node& node, const std::string& name) {
  if (node.has(name + "_as_tensor")) return tensor_values(node, name + "_as_tensor");
  if (!node.has(name)) return {};
  return {node.attr_floats(name).begin(), node.attr_floats(name).end()};
}

Test test_of(const Node& node, const std::string& mode) {
  constexpr const char* kNames[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
  if (mode == "LEAF") return Test::Leaf;
  const auto* found = std::find(std::begin(kNames), std::end(kNames), mode);
  if (found == std::end(kNames)) reject(node, fmt::format("nodes_modes: got '{}', expected a BRANCH_ test or LEAF", mode));
  return static_cast<Test>(found - std::begin(kNames));
}

using NodeKey = std::pair<std::int64_t, std::int64_t>;

/// `prefix` is "target" or "class": the attributes that hold the votes.
Forest keyed_forest(const Node& node, const std::string& prefix, std::int64_t targets) {
  Forest forest;
  forest.targets = targets;
  forest.base = floats_or_tensor(node, "base_values");
  const auto& modes = node.attr_strings("nodes_modes");
  const std::size_t count = modes.size();
  const auto list = [&](std::string_view name) -> const std::vector<std::int64_t>& {
    const auto& values = node.attr_ints(name);
    if (values.size() != count) reject(node, fmt::format("{}: got {} values, expected {}", name, values.size(), count));
    return values;
  };
  const auto &trees = list("nodes_treeids"), &ids = list("nodes_nodeids"), &features = list("nodes_featureids");
  const auto &true_ids = list("nodes_truenodeids"), &false_ids = list("nodes_falsenodeids");
  const std::vector<double> splits = floats_or_tensor(node, "nodes_values");
  const std::vector<std::int64_t> missing =
      node.attr_ints_or("nodes_missing_value_tracks_true", std::vector<std::int64_t>(count, 0));
  if (splits.size() != count || missing.size() != count) {
    reject(node, fmt::format("nodes: got {} values and {} missing flags, expected {} of each", splits.size(), missing.size(), count));
  }
  std::map<NodeKey, std::int64_t> places;
  std::set<std::int64_t> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    if (!places.emplace(NodeKey{trees[i], ids[i]}, at).second) {
      reject(node, fmt::format("nodes: got node {} of tree {} twice, expected it once", ids[i], trees[i]));
    }
    if (seen.insert(trees[i]).second) forest.roots.push_back(at);
  }
  const auto find = [&](std::int64_t tree, std::int64_t id) {
    const auto found = places.find({tree, id});
    return found == places.end() ? std::int64_t{-1} : found->second;
  };
  for (std::size_t i = 0; i < count; ++i) {
    TreeNode each;
    each.test = test_of(node, modes[i]);
    each.feature = features[i];
    each.split = splits[i];
    each.missing_is_true = missing[i] != 0;
    each.if_true = find(trees[i], true_ids[i]);
    each.if_false = find(trees[i], false_ids[i]);
    forest.nodes.push_back(std::move(each));
  }
  const auto &vote_trees = node.attr_ints(prefix + "_treeids"), &vote_nodes = node.attr_ints(prefix + "_nodeids");
  const auto& vote_targets = node.attr_ints(prefix + "_ids");
  const std::vector<double> weights = floats_or_tensor(node, prefix + "_weights");
  if (vote_nodes.size() != vote_trees.size() || vote_targets.size() != vote_trees.size() || weights.size() != vote_trees.size()) {
    reject(node, fmt::format("votes: got {} tree ids, {} node ids, {} targets and {} weights, expected as many of each",
                             vote_trees.size(), vote_nodes.size(), vote_targets.size(), weights.size()));
  }
  for (std::size_t i = 0; i < vote_trees.size(); ++i) {
    const std::int64_t place = find(vote_trees[i], vote_nodes[i]);
    if (place < 0) reject(node, fmt::format("votes: got node {} of tree {}, expected one that is there", vote_nodes[i], vote_trees[i]));
    forest.nodes[static_cast<std::size_t>(place)].votes.push_back({vote_targets[i], weights[i]});
  }
  return forest;
}

Forest regressor(const Node& node) {
  constexpr const char* kNames[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  const std::int64_t targets = node.attr_int_or("n_targets", 1);
  require_targets(node, targets);
  Forest forest = keyed_forest(node, "target", targets);
  const std::string& name = node.attr_string("aggregate_function");
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) reject(node, fmt::format("aggregate_function: got '{}', expected AVERAGE, SUM, MIN or MAX", name));
  forest.aggregate = static_cast<Aggregate>(found - std::begin(kNames));
  check_forest(node, forest);
  return forest;
}

void infer_tree_regressor(InferContext& ctx) {
  const Forest forest = regressor(ctx.node);
  post_transform(ctx.node);
  const Dim rows = infer_rows(ctx, 0);
  require_features(ctx, forest);
  ctx.set_output(0, DType::F32, {rows, forest.targets});
}

void reference_tree_regressor(ReferenceContext& ctx) {
  write_targets(ctx, regressor(ctx.node), post_transform(ctx.node));
}

/// A forest whose votes all go to one class tells two classes apart by one score.
struct Classes {
  ClassLabels labels;
  Forest forest;
  bool binary = false;
  bool positive = true;  ///< no vote is below 0: the score is a probability

  explicit Classes(const Node& node) : labels(node, "classlabels_int64s", "classlabels_strings") {
    forest = keyed_forest(node, "class", labels.size());
    std::set<std::int64_t> voted;
    for (const TreeNode& each : forest.nodes) {
      for (const Vote& vote : each.votes) {
        voted.insert(vote.target);
        positive = positive && vote.weight >= 0;
      }
    }
    binary = labels.size() <= 2 && voted.size() == 1;
    if (binary && labels.size() == 2) {
      // One score is left, whatever class the votes name; of two base values the second counts.
      for (TreeNode& each : forest.nodes) {
        for (Vote& vote : each.votes) vote.target = 0;
      }
      if (forest.base.size() == 2) forest.base = {forest.base[1]};
      forest.targets = 1;
    }
    check_forest(node, forest);
  }
};

void infer_tree_classifier(InferContext& ctx) {
  const Classes classes(ctx.node);
  const bool doubles = classes.binary && post_transform(ctx.node) != PostTransform::Probit;
  set_classifier_outputs(ctx, classes.labels, doubles ? Dim(2) : Dim(classes.forest.targets));
  require_features(ctx, classes.forest);
}

void reference_tree_classifier(ReferenceContext& ctx) {
  const Classes classes(ctx.node);
  const PostTransform transform = post_transform(ctx.node);
  const Rows rows(ctx.input(0));
  Tensor chosen(classes.labels.dtype(), {rows.count});
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    std::vector<double> scores = targets_of(ctx, classes.forest, rows.row(i));
    SecondScore second = SecondScore::None;
    if (classes.binary) {
      const bool wins = scores[0] > (classes.positive ? 0.5 : 0);
      classes.labels.write(chosen, i, classes.labels.size() == 2 ? wins : wins ? 0 : -1);
      second = classes.positive ? SecondScore::Complement : SecondScore::Negative;
    } else {
      classes.labels.write(chosen, i, std::max_element(scores.begin(), scores.end()) - scores.begin());
    }
    const std::vector<double> written = final_scores(transform, std::move(scores), second);
    values.insert(values.end(), written.begin(), written.end());
  }
  if (ctx.has_output(1)) from_wide<double>(values, ctx.output(1));
  if (ctx.has_output(0)) ctx.set_output(0, std::move(chosen));
}

/// The attributes of version 3, less those for votes.
std::vector<AttrSpec> keyed_attributes(const std::string& prefix, std::vector<AttrSpec> more) {
  const auto required = [](std::string name, AttrKind kind, std::string doc) {
    return AttrSpec{std::move(name), kind, std::move(doc), std::nullopt, true};
  };
  std::vector<AttrSpec> attributes = {
      required("nodes_treeids", AttrKind::Ints, "tree of each node"),
      required("nodes_nodeids", AttrKind::Ints, "id of each node in its tree"),
      required("nodes_featureids", AttrKind::Ints, "feature that each node tests"),
      required("nodes_modes", AttrKind::Strings, "BRANCH_LEQ ... or LEAF"),
      required("nodes_truenodeids", AttrKind::Ints, "child when the test holds"),
      required("nodes_falsenodeids", AttrKind::Ints, "child when it does not"),
      {"nodes_values", AttrKind::Floats, "thresholds"},
      {"nodes_values_as_tensor", AttrKind::Tensor, "thresholds"},
      {"nodes_hitrates", AttrKind::Floats, "not used"},
      {"nodes_hitrates_as_tensor", AttrKind::Tensor, "not used"},
      {"nodes_missing_value_tracks_true", AttrKind::Ints, "1: NaN takes the true child; absent: 0"},
      {"base_values", AttrKind::Floats, "added to each score"},
      {"base_values_as_tensor", AttrKind::Tensor, "added to each score"},
      required(prefix + "_treeids", AttrKind::Ints, "tree of each vote"),
      required(prefix + "_nodeids", AttrKind::Ints, "leaf of each vote"),
      required(prefix + "_ids", AttrKind::Ints, "score that each vote adds to"),
      {prefix + "_weights", AttrKind::Floats, "what each vote adds"},
      {prefix + "_weights_as_tensor", AttrKind::Tensor, "what each vote adds"},
      post_transform_attribute()};
  attributes.insert(attributes.end(), more.begin(), more.end());
  return attributes;
}

std::vector<AttrSpec> tree_ensemble_attributes() {
  const auto required = [](std::string name, AttrKind kind, std::string doc) {
    return AttrSpec{std::move(name), kind, std::move(doc), std::nullopt, true};
  };
  return {{"aggregate_function", AttrKind::Int, "0 average, 1 sum, 2 min, 3 max", 1},
          {"post_transform", AttrKind::Int, "0 none, 1 softmax, 2 logistic, 3 softmax_zero, 4 probit", 0},
          {"n_targets", AttrKind::Int, "count of targets; absent: 1"},
          required("tree_roots", AttrKind::Ints, "inner node that each tree starts with"),
          required("nodes_featureids", AttrKind::Ints, "feature that each inner node tests"),
          required("nodes_modes", AttrKind::Tensor, "u8: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 member"),
          required("nodes_splits", AttrKind::Tensor, "thresholds"),
          required("nodes_truenodeids", AttrKind::Ints, "child when the test holds"),
          required("nodes_falsenodeids", AttrKind::Ints, "child when it does not"),
          required("nodes_trueleafs", AttrKind::Ints, "1: that child is a leaf"),
          required("nodes_falseleafs", AttrKind::Ints, "1: that child is a leaf"),
          required("leaf_targetids", AttrKind::Ints, "target of each leaf"),
          required("leaf_weights", AttrKind::Tensor, "what each leaf adds"),
          {"nodes_missing_value_tracks_true", AttrKind::Ints, "1: NaN takes the true child; absent: 0"},
          {"nodes_hitrates", AttrKind::Tensor, "not used"},
          {"membership_values", AttrKind::Tensor, "sets of membership tests, each ended by NaN"}};
}

}  // namespace

void define_ml_trees(std::vector<OpDef>& ops) {
  const FormalParam input{"X", "f32|f64|i64|i32, [rows, features]"};
  ops.push_back({
      .name = "TreeEnsemble",
      .domain = "ai.onnx.ml",
      .since_version = 5,
      .doc = "Evaluates decision trees and adds up their leaves.",
      .source = "ONNX ML TreeEnsemble-5",
      .inputs = {{"X", "f32|f64|f16, [rows, features]"}},
      .outputs = {{"Y", "[rows, targets]"}},
      .attributes = tree_ensemble_attributes(),
      .infer = infer_tree_ensemble,
      .reference = reference_tree_ensemble,
  });
  ops.push_back({
      .name = "TreeEnsembleRegressor",
      .domain = "ai.onnx.ml",
      .since_version = 3,
      .doc = "Evaluates decision trees whose leaves vote for targets.",
      .source = "ONNX ML TreeEnsembleRegressor-3",
      .inputs = {input},
      .outputs = {{"Y", "f32 [rows, targets]"}},
      .attributes = keyed_attributes("target", {{"aggregate_function", AttrKind::String, "AVERAGE, SUM, MIN or MAX", std::string("SUM")},
                                                {"n_targets", AttrKind::Int, "count of targets; absent: 1"}}),
      .infer = infer_tree_regressor,
      .reference = reference_tree_regressor,
  });
  ops.push_back({
      .name = "TreeEnsembleClassifier",
      .domain = "ai.onnx.ml",
      .since_version = 3,
      .doc = "Classifies by decision trees whose leaves vote for classes.",
      .source = "ONNX ML TreeEnsembleClassifier-3; two classes by one score as in ONNX Runtime",
      .inputs = {input},
      .outputs = {{"Y", "i64 or string [rows], the best class"}, {"Z", "f32 [rows, classes]"}},
      .attributes = keyed_attributes("class", {{"classlabels_int64s", AttrKind::Ints, "labels"},
                                               {"classlabels_strings", AttrKind::Strings, "labels"}}),
      .infer = infer_tree_classifier,
      .reference = reference_tree_classifier,
  });
}

}  // namespace naru
