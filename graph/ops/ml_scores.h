// What classifiers and regressors of ai.onnx.ml share: rows, labels, and what is done to scores.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/op_def.h"
#include "graph/ops/type_set.h"

namespace naru {

inline constexpr TypeSet kMlNumbers{DType::F64, DType::F32, DType::I64, DType::I32};

/// What is done to the scores of one row at the end; the order is that of TreeEnsemble's codes.
enum class PostTransform : std::uint8_t { None, Softmax, Logistic, SoftmaxZero, Probit };
/// Reads the attribute post_transform, a name or a code.
PostTransform post_transform(const Node& node);
AttrSpec post_transform_attribute();

void transform_scores(PostTransform transform, std::span<double> scores);

/// How one score of a two-class model becomes two.
enum class SecondScore : std::uint8_t { None, Complement, Negative };
/// The scores of one row as they are written: transformed, with a second one where asked for.
std::vector<double> final_scores(PostTransform transform, std::vector<double> scores, SecondScore second);

/// A matrix of features; a vector is one row.
struct Rows {
  std::int64_t count = 0, width = 0;
  std::vector<double> values;

  explicit Rows(const Tensor& tensor);
  std::span<const double> row(std::int64_t i) const {
    return std::span(values).subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
  }
};
/// The rows of an input as a dimension; checks its element type and rank.
Dim infer_rows(InferContext& ctx, std::size_t i);

/// The labels of a classifier: integers or strings, one of which must be there.
class ClassLabels {
 public:
  ClassLabels(const Node& node, std::string_view ints, std::string_view strings);

  DType dtype() const { return strings_ != nullptr ? DType::String : DType::I64; }
  std::int64_t size() const;
  /// Writes label `index` as element `at`; a negative model's label beyond a single one is 0 or "".
  void write(Tensor& out, std::int64_t at, std::int64_t index) const;

 private:
  const std::vector<std::int64_t>* ints_ = nullptr;
  const std::vector<std::string>* strings_ = nullptr;
};

/// Sets a classifier's outputs: [rows] labels and [rows, columns] scores.
void set_classifier_outputs(InferContext& ctx, const ClassLabels& labels, const Dim& columns);

}  // namespace naru
