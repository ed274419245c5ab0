// Scores and labels of ai.onnx.ml's models.
#include "graph/ops/ml_scores.h"

#include <algorithm>
#include <cmath>

#include "graph/ops/movement.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr const char* kNames[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

/// Winitzki's approximation of the inverse error function, which ONNX's reference uses, too.
double inverse_erf(double x) {
  constexpr double kA = 0.147, kPi = 3.14159265358979323846;
  const double log = std::log((1 - x) * (1 + x));
  const double v = 2 / (kPi * kA) + 0.5 * log;
  const double root = std::sqrt(-v + std::sqrt(v * v - log / kA));
  return x < 0 ? -root : root;
}

double probit(double x) {
  const double y = 2 * x - 1;
  return (1 - y) * (1 + y) == 0 ? 0 : 1.41421356 * inverse_erf(y);
}

/// With `keep_zero` a score of 0 stays 0.
void softmax(std::span<double> scores, bool keep_zero) {
  if (scores.empty()) return;
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) {
    const bool zero = keep_zero && std::abs(score) <= 1e-7;
    score = zero ? score * std::exp(-largest) : std::exp(score - largest);
    sum += score;
  }
  for (double& score : scores) score = sum == 0 ? 0.5 : score / sum;
}

}  // namespace

PostTransform post_transform(const Node& node) {
  const Attribute* attribute = node.find("post_transform");
  if (attribute == nullptr) return PostTransform::None;
  if (const auto* code = std::get_if<std::int64_t>(attribute)) {
    if (*code >= 0 && *code < 5) return static_cast<PostTransform>(*code);
    fail(ErrorCode::InvalidModel, "{}: post_transform: got {}, expected [0, 5)", node.label(), *code);
  }
  const std::string& name = node.attr_string("post_transform");
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) {
    fail(ErrorCode::InvalidModel, "{}: post_transform: got '{}', expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT",
         node.label(), name);
  }
  return static_cast<PostTransform>(found - std::begin(kNames));
}

AttrSpec post_transform_attribute() {
  return {"post_transform", AttrKind::String, "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT", std::string("NONE")};
}

void transform_scores(PostTransform transform, std::span<double> scores) {
  switch (transform) {
    case PostTransform::None: return;
    case PostTransform::Softmax: return softmax(scores, false);
    case PostTransform::SoftmaxZero: return softmax(scores, true);
    case PostTransform::Logistic: for (double& score : scores) score = logistic(score); return;
    case PostTransform::Probit: for (double& score : scores) score = probit(score); return;
  }
}

std::vector<double> final_scores(PostTransform transform, std::vector<double> scores, SecondScore second) {
  if (scores.size() != 1 || second == SecondScore::None || transform == PostTransform::Probit) {
    transform_scores(transform, scores);
    return scores;
  }
  // A probability and its complement are not transformed again.
  if (second == SecondScore::Complement) return {1 - scores[0], scores[0]};
  std::vector<double> both{-scores[0], scores[0]};
  transform_scores(transform, both);
  return both;
}

Rows::Rows(const Tensor& tensor) : values(to_wide<double>(tensor)) {
  count = tensor.rank() == 2 ? tensor.shape()[0] : 1;
  width = tensor.rank() == 2 ? tensor.shape()[1] : tensor.numel();
}

Dim infer_rows(InferContext& ctx, std::size_t i) {
  require_type(ctx, i, kMlNumbers);
  require_rank(ctx, i, 1, 2);
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr) return ctx.fresh_dim();
  return shape->size() == 2 ? (*shape)[0] : Dim(1);
}

ClassLabels::ClassLabels(const Node& node, std::string_view ints, std::string_view strings) {
  if (node.has(ints) && !node.attr_ints(ints).empty()) ints_ = &node.attr_ints(ints);
  if (node.has(strings) && !node.attr_strings(strings).empty()) strings_ = &node.attr_strings(strings);
  if ((ints_ == nullptr) == (strings_ == nullptr)) {
    fail(ErrorCode::InvalidModel, "{}: class labels: expected one of {} and {}", node.label(), ints, strings);
  }
}

std::int64_t ClassLabels::size() const {
  return static_cast<std::int64_t>(strings_ != nullptr ? strings_->size() : ints_->size());
}

void ClassLabels::write(Tensor& out, std::int64_t at, std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index), k = static_cast<std::size_t>(at);
  const bool known = index >= 0 && index < size();
  if (strings_ != nullptr) out.mutable_strings()[k] = known ? (*strings_)[i] : std::string();
  else out.as_mutable<std::int64_t>()[k] = known ? (*ints_)[i] : 0;
}

void set_classifier_outputs(InferContext& ctx, const ClassLabels& labels, const Dim& columns) {
  const Dim rows = infer_rows(ctx, 0);
  ctx.set_output(0, labels.dtype(), {rows});
  ctx.set_output(1, DType::F32, {rows, columns});
}

}  // namespace naru
