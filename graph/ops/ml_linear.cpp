// Linear and support-vector models of ai.onnx.ml.
#include <algorithm>
#include <cmath>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/ml_scores.h"
#include "graph/scalar.h"

namespace naru {
namespace {

[[noreturn]] void reject(const Node& node, const std::string& message) {
  fail(ErrorCode::InvalidModel, "{}: {}", node.label(), message);
}

std::vector<double> floats_of(const Node& node, std::string_view name) {
  if (!node.has(name)) return {};
  const std::vector<float>& values = node.attr_floats(name);
  return {values.begin(), values.end()};
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Rows of `count` values in a flat list.
std::span<const double> part(const std::vector<double>& values, std::int64_t row, std::int64_t count) {
  return std::span(values).subspan(static_cast<std::size_t>(row * count), static_cast<std::size_t>(count));
}

// LinearRegressor and LinearClassifier

/// Scores of a linear model: [outputs, features] coefficients and an intercept each.
struct Linear {
  std::vector<double> coefficients, intercepts;
  std::int64_t outputs = 0;

  explicit Linear(const Node& node, std::int64_t outputs_stated) {
    coefficients = floats_of(node, "coefficients");
    intercepts = floats_of(node, "intercepts");
    outputs = outputs_stated;
    const auto count = static_cast<std::int64_t>(coefficients.size());
    if (outputs < 1 || count < outputs || count % outputs != 0) {
      reject(node, fmt::format("coefficients: got {}, expected a multiple of {}", count, outputs));
    }
    if (!intercepts.empty() && static_cast<std::int64_t>(intercepts.size()) != outputs) {
      reject(node, fmt::format("intercepts: got {}, expected {}", intercepts.size(), outputs));
    }
  }

  std::int64_t features() const { return static_cast<std::int64_t>(coefficients.size()) / outputs; }
  std::vector<double> scores(std::span<const double> row) const {
    std::vector<double> result;
    for (std::int64_t i = 0; i < outputs; ++i) {
      const double intercept = intercepts.empty() ? 0 : intercepts[static_cast<std::size_t>(i)];
      result.push_back(dot(row, part(coefficients, i, features())) + intercept);
    }
    return result;
  }
};

void require_features(const InferContext& ctx, std::int64_t features) {
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return;
  const Dim& width = shape->back();
  ctx.require(!width.is_known() || width.value() == features, "input 0: got {} features, expected {}",
              width.to_string(), features);
}

void infer_linear_regressor(InferContext& ctx) {
  const Linear model(ctx.node, ctx.node.attr_int("targets"));
  post_transform(ctx.node);
  const Dim rows = infer_rows(ctx, 0);
  require_features(ctx, model.features());
  ctx.set_output(0, DType::F32, {rows, model.outputs});
}

void reference_linear_regressor(ReferenceContext& ctx) {
  const Linear model(ctx.node, ctx.node.attr_int("targets"));
  const PostTransform transform = post_transform(ctx.node);
  const Rows rows(ctx.input(0));
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    std::vector<double> scores = model.scores(rows.row(i));
    transform_scores(transform, scores);
    values.insert(values.end(), scores.begin(), scores.end());
  }
  from_wide<double>(values, ctx.output(0));
}

/// One row of coefficients may stand for two classes; otherwise there is one row a class.
Linear linear_classifier(const Node& node, const ClassLabels& labels) {
  const auto intercepts = static_cast<std::int64_t>(floats_of(node, "intercepts").size());
  return Linear(node, intercepts > 0 ? intercepts : labels.size());
}

void infer_linear_classifier(InferContext& ctx) {
  const ClassLabels labels(ctx.node, "classlabels_ints", "classlabels_strings");
  const Linear model = linear_classifier(ctx.node, labels);
  const bool doubles = model.outputs == 1 && labels.size() == 2 && post_transform(ctx.node) != PostTransform::Probit;
  ctx.require(model.outputs <= labels.size(), "classes: got {} rows of coefficients for {} labels", model.outputs,
              labels.size());
  set_classifier_outputs(ctx, labels, doubles ? 2 : model.outputs);
  require_features(ctx, model.features());
}

void reference_linear_classifier(ReferenceContext& ctx) {
  const ClassLabels labels(ctx.node, "classlabels_ints", "classlabels_strings");
  const Linear model = linear_classifier(ctx.node, labels);
  const PostTransform transform = post_transform(ctx.node);
  const Rows rows(ctx.input(0));
  Tensor chosen(labels.dtype(), {rows.count});
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    const std::vector<double> scores = model.scores(rows.row(i));
    if (scores.size() == 1) {
      const bool positive = scores[0] > 0;
      labels.write(chosen, i, labels.size() == 2 ? positive : positive ? 0 : -1);
    } else {
      labels.write(chosen, i, std::max_element(scores.begin(), scores.end()) - scores.begin());
    }
    const SecondScore second = labels.size() == 2 ? SecondScore::Negative : SecondScore::None;
    const std::vector<double> written = final_scores(transform, scores, second);
    values.insert(values.end(), written.begin(), written.end());
  }
  if (ctx.has_output(1)) from_wide<double>(values, ctx.output(1));
  if (ctx.has_output(0)) ctx.set_output(0, std::move(chosen));
}

// Support vectors

enum class Kernel { Linear, Poly, Rbf, Sigmoid };

/// The kernel and its vectors; without vectors the coefficients are a plain linear model.
struct Machine {
  Kernel kernel = Kernel::Linear;
  double gamma = 0, coef0 = 0, degree = 0;
  std::vector<double> coefficients, vectors, rho;
  std::int64_t count = 0, width = 0;

  Machine(const Node& node, std::int64_t vector_count) : count(vector_count) {
    coefficients = floats_of(node, "coefficients");
    vectors = floats_of(node, "support_vectors");
    rho = floats_of(node, "rho");
    if (rho.empty() || coefficients.empty()) reject(node, "rho and coefficients: expected one or more of each");
    const std::vector<double> params = floats_of(node, "kernel_params");
    if (params.size() >= 3) gamma = params[0], coef0 = params[1], degree = std::trunc(params[2]);
    if (count < 0) reject(node, fmt::format("support vectors: got a count of {}, expected >= 0", count));
    if (count == 0) return;
    kernel = kernel_of(node);
    const auto size = static_cast<std::int64_t>(vectors.size());
    if (size == 0 || size % count != 0) {
      reject(node, fmt::format("support_vectors: got {} values, expected a multiple of {}", size, count));
    }
    width = size / count;
  }

  double apply(std::span<const double> a, std::span<const double> b) const {
    switch (kernel) {
      case Kernel::Linear: return dot(a, b);
      case Kernel::Poly: return std::pow(dot(a, b) * gamma + coef0, degree);
      case Kernel::Sigmoid: return std::tanh(dot(a, b) * gamma + coef0);
      case Kernel::Rbf: break;
    }
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return std::exp(-gamma * sum);
  }

  std::vector<double> kernels(std::span<const double> row) const {
    std::vector<double> result;
    for (std::int64_t i = 0; i < count; ++i) result.push_back(apply(row, part(vectors, i, width)));
    return result;
  }

 private:
  static Kernel kernel_of(const Node& node) {
    const std::string& name = node.attr_string("kernel_type");
    if (name == "LINEAR") return Kernel::Linear;
    if (name == "POLY") return Kernel::Poly;
    if (name == "RBF") return Kernel::Rbf;
    if (name == "SIGMOID") return Kernel::Sigmoid;
    reject(node, fmt::format("kernel_type: got '{}', expected LINEAR, POLY, RBF or SIGMOID", name));
  }
};

Machine regressor(const Node& node) {
  Machine machine(node, node.attr_int("n_supports"));
  const auto count = static_cast<std::int64_t>(machine.coefficients.size());
  if (machine.count == 0) machine.width = count;
  else if (count < machine.count) reject(node, fmt::format("coefficients: got {}, expected {}", count, machine.count));
  return machine;
}

void infer_svm_regressor(InferContext& ctx) {
  const Machine machine = regressor(ctx.node);
  post_transform(ctx.node);
  const Dim rows = infer_rows(ctx, 0);
  require_features(ctx, machine.width);
  ctx.set_output(0, DType::F32, {rows, 1});
}

void reference_svm_regressor(ReferenceContext& ctx) {
  const Machine machine = regressor(ctx.node);
  const PostTransform transform = post_transform(ctx.node);
  const Rows rows(ctx.input(0));
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    const std::vector<double> kernels = machine.kernels(rows.row(i));
    const double score = machine.rho[0] + (machine.count == 0 ? dot(rows.row(i), machine.coefficients)
                                                              : dot(kernels, machine.coefficients));
    values.push_back(ctx.node.attr_int("one_class") != 0 ? (score > 0 ? 1 : -1) : score);
    transform_scores(transform, std::span(values).last(1));
  }
  from_wide<double>(values, ctx.output(0));
}

// SVMClassifier

struct Classifier {
  ClassLabels labels;
  std::int64_t classes;
  std::vector<std::int64_t> per_class, first;  ///< vectors of each class, and where they start
  Machine machine;
  std::vector<double> prob_a, prob_b;

  explicit Classifier(const Node& node)
      : labels(node, "classlabels_ints", "classlabels_strings"),
        classes(labels.size()),
        per_class(node.attr_ints_or("vectors_per_class", {})),
        machine(node, count_vectors(node, per_class, first)) {
    const auto coefficients = static_cast<std::int64_t>(machine.coefficients.size());
    if (machine.count == 0) {
      if (coefficients % classes != 0) reject(node, fmt::format("coefficients: got {}, expected a multiple of {}", coefficients, classes));
      machine.width = coefficients / classes;
      return;
    }
    prob_a = floats_of(node, "prob_a");
    prob_b = floats_of(node, "prob_b");
    const std::int64_t pairs = classes * (classes - 1) / 2;
    const auto at_least = [&](const char* name, std::size_t got, std::int64_t wanted) {
      if (static_cast<std::int64_t>(got) < wanted) reject(node, fmt::format("{}: got {}, expected {}", name, got, wanted));
    };
    at_least("vectors_per_class", per_class.size(), classes);
    at_least("coefficients", machine.coefficients.size(), checked_mul(classes - 1, machine.count));
    at_least("rho", machine.rho.size(), pairs);
    if (!prob_a.empty()) {
      at_least("prob_a", prob_a.size(), pairs);
      at_least("prob_b", prob_b.size(), pairs);
    }
  }

  bool has_probabilities() const { return !prob_a.empty(); }

 private:
  static std::int64_t count_vectors(const Node& node, const std::vector<std::int64_t>& per_class,
                                    std::vector<std::int64_t>& first) {
    std::int64_t count = 0;
    for (std::int64_t size : per_class) {
      if (size < 0) reject(node, fmt::format("vectors_per_class: got {}, expected >= 0", size));
      first.push_back(count);
      count = checked_add(count, size);
    }
    return count;
  }
};

/// Votes of all pairs of classes, and the score of each pair.
struct Duel {
  std::vector<double> votes, scores;
};

Duel duel(const Classifier& model, std::span<const double> row) {
  const std::vector<double> kernels = model.machine.kernels(row);
  const std::int64_t count = model.machine.count;
  // Coefficient row `r` over the vectors of class `c`.
  const auto side = [&](std::int64_t r, std::int64_t c) {
    const auto at = static_cast<std::size_t>(c);
    const auto first = static_cast<std::size_t>(model.first[at]), size = static_cast<std::size_t>(model.per_class[at]);
    return dot(part(model.machine.coefficients, r, count).subspan(first, size), std::span(kernels).subspan(first, size));
  };
  Duel result{std::vector<double>(static_cast<std::size_t>(model.classes), 0), {}};
  for (std::int64_t i = 0; i < model.classes; ++i) {
    for (std::int64_t k = i + 1; k < model.classes; ++k) {
      const double score = model.machine.rho[result.scores.size()] + side(k - 1, i) + side(i, k);
      result.votes[static_cast<std::size_t>(score > 0 ? i : k)] += 1;
      result.scores.push_back(score);
    }
  }
  return result;
}

/// Couples pairwise probabilities into one per class (Wu, Lin and Weng 2004, as in LIBSVM).
std::vector<double> couple(std::size_t k, const std::vector<std::vector<double>>& r) {
  std::vector<std::vector<double>> q(k, std::vector<double>(k, 0));
  std::vector<double> p(k, 1.0 / static_cast<double>(k)), qp(k);
  for (std::size_t t = 0; t < k; ++t) {
    for (std::size_t j = 0; j < k; ++j) {
      if (j == t) continue;
      q[t][t] += r[j][t] * r[j][t];
      q[t][j] = -r[j][t] * r[t][j];
    }
  }
  for (std::size_t round = 0; round < std::max<std::size_t>(100, k); ++round) {
    double pqp = 0, error = 0;
    for (std::size_t t = 0; t < k; ++t) pqp += p[t] * (qp[t] = dot(q[t], p));
    for (std::size_t t = 0; t < k; ++t) error = std::max(error, std::abs(qp[t] - pqp));
    if (error < 0.005 / static_cast<double>(k)) break;
    for (std::size_t t = 0; t < k; ++t) {
      const double change = (pqp - qp[t]) / q[t][t];
      p[t] += change;
      pqp = (pqp + change * (change * q[t][t] + 2 * qp[t])) / ((1 + change) * (1 + change));
      for (std::size_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + change * q[t][j]) / (1 + change);
        p[j] /= 1 + change;
      }
    }
  }
  return p;
}

std::vector<double> probabilities(const Classifier& model, const std::vector<double>& scores) {
  const auto k = static_cast<std::size_t>(model.classes);
  std::vector<std::vector<double>> pairwise(k, std::vector<double>(k, 0));
  std::size_t at = 0;
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = i + 1; j < k; ++j, ++at) {
      const double p = 1 / (1 + std::exp(scores[at] * model.prob_a[at] + model.prob_b[at]));
      pairwise[i][j] = std::clamp(p, 1e-7, 1 - 1e-7);
      pairwise[j][i] = 1 - pairwise[i][j];
    }
  }
  return couple(k, pairwise);
}

std::int64_t score_columns(const Classifier& model) {
  const bool pairs = model.machine.count > 0 && !model.has_probabilities();
  const std::int64_t scores = pairs ? model.classes * (model.classes - 1) / 2 : model.classes;
  return scores == 1 && model.classes == 2 ? 2 : scores;
}

void infer_svm_classifier(InferContext& ctx) {
  const Classifier model(ctx.node);
  ctx.require(post_transform(ctx.node) != PostTransform::Probit || model.classes != 2,
              "post_transform: got PROBIT for two classes, expected another one");
  set_classifier_outputs(ctx, model.labels, score_columns(model));
  require_features(ctx, model.machine.width);
}

void reference_svm_classifier(ReferenceContext& ctx) {
  const Classifier model(ctx.node);
  const PostTransform transform = post_transform(ctx.node);
  const Rows rows(ctx.input(0));
  Tensor chosen(model.labels.dtype(), {rows.count});
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows.count; ++i) {
    std::vector<double> scores, ranking;
    if (model.machine.count == 0) {
      for (std::int64_t c = 0; c < model.classes; ++c) {
        scores.push_back(model.machine.rho[0] + dot(rows.row(i), part(model.machine.coefficients, c, model.machine.width)));
      }
      ranking = scores;
    } else {
      Duel result = duel(model, rows.row(i));
      scores = model.has_probabilities() ? probabilities(model, result.scores) : std::move(result.scores);
      ranking = std::move(result.votes);
    }
    model.labels.write(chosen, i, std::max_element(ranking.begin(), ranking.end()) - ranking.begin());
    const SecondScore second = model.classes == 2 ? SecondScore::Negative : SecondScore::None;
    const std::vector<double> written = final_scores(transform, std::move(scores), second);
    values.insert(values.end(), written.begin(), written.end());
  }
  if (ctx.has_output(1)) from_wide<double>(values, ctx.output(1));
  if (ctx.has_output(0)) ctx.set_output(0, std::move(chosen));
}

const FormalParam kInput{"X", "f32|f64|i64|i32, [rows, features] or [features]"};
const FormalParam kLabels{"Y", "i64 or string [rows], the best class"};
const FormalParam kScores{"Z", "f32 [rows, classes]"};

std::vector<AttrSpec> svm_attributes(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> attributes = {
      {"coefficients", AttrKind::Floats, "of the support vectors, or of a linear model"},
      {"kernel_params", AttrKind::Floats, "gamma, coef0, degree"},
      {"kernel_type", AttrKind::String, "LINEAR, POLY, RBF or SIGMOID", std::string("LINEAR")},
      {"rho", AttrKind::Floats, "offsets"},
      {"support_vectors", AttrKind::Floats, "[vectors, features]"},
      post_transform_attribute()};
  attributes.insert(attributes.end(), more.begin(), more.end());
  return attributes;
}

}  // namespace

void define_ml_linear(std::vector<OpDef>& ops) {
  const AttrSpec ints{"classlabels_ints", AttrKind::Ints, "labels"};
  const AttrSpec strings{"classlabels_strings", AttrKind::Strings, "labels"};
  ops.push_back({
      .name = "LinearRegressor",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Evaluates linear models.",
      .source = "ONNX ML LinearRegressor-1",
      .inputs = {kInput},
      .outputs = {{"Y", "f32 [rows, targets]"}},
      .attributes = {{"coefficients", AttrKind::Floats, "[targets, features]"},
                     {"intercepts", AttrKind::Floats, "[targets]; absent: 0"},
                     {"targets", AttrKind::Int, "count of targets", 1},
                     post_transform_attribute()},
      .infer = infer_linear_regressor,
      .reference = reference_linear_regressor,
  });
  ops.push_back({
      .name = "LinearClassifier",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Classifies by linear scores.",
      .source = "ONNX ML LinearClassifier-1; one score for two classes becomes -score and score",
      .inputs = {kInput},
      .outputs = {kLabels, kScores},
      .attributes = {ints, strings,
                     {"coefficients", AttrKind::Floats, "[scores, features]", std::nullopt, true},
                     {"intercepts", AttrKind::Floats, "[scores]; absent: 0"},
                     {"multi_class", AttrKind::Int, "how it was trained; not used", 0},
                     post_transform_attribute()},
      .infer = infer_linear_classifier,
      .reference = reference_linear_classifier,
  });
  ops.push_back({
      .name = "SVMRegressor",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Evaluates a support-vector regression or one-class model.",
      .source = "ONNX ML SVMRegressor-1",
      .inputs = {kInput},
      .outputs = {{"Y", "f32 [rows, 1]"}},
      .attributes = svm_attributes({{"n_supports", AttrKind::Int, "count of support vectors; 0: linear", 0},
                                    {"one_class", AttrKind::Int, "1: gives 1 inside and -1 outside", 0}}),
      .infer = infer_svm_regressor,
      .reference = reference_svm_regressor,
  });
  ops.push_back({
      .name = "SVMClassifier",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Classifies by the votes of pairwise support-vector machines.",
      .source = "ONNX ML SVMClassifier-1",
      .inputs = {kInput},
      .outputs = {kLabels, kScores},
      .attributes = svm_attributes({ints, strings,
                                    {"prob_a", AttrKind::Floats, "[pairs] slopes of probabilities"},
                                    {"prob_b", AttrKind::Floats, "[pairs] offsets of probabilities"},
                                    {"vectors_per_class", AttrKind::Ints, "[classes]; absent: linear"}}),
      .infer = infer_svm_classifier,
      .reference = reference_svm_classifier,
  });
}

}  // namespace naru
