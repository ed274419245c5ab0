// Feature operators of ai.onnx.ml: numbers selected, joined, scaled and replaced.
#include <algorithm>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/ml_scores.h"
#include "graph/ops/movement.h"
#include "graph/scalar.h"

namespace naru {
namespace {

void set_like_input(InferContext& ctx, DType dtype) {
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, shape != nullptr ? Type::tensor(dtype, *shape) : Type::tensor(dtype));
}

/// Values per feature: one for all, or one each along the last dimension.
class PerFeature {
 public:
  PerFeature(std::span<const double> values, std::int64_t features) : values_(values), features_(features) {}
  double at(std::int64_t element) const {
    return values_[values_.size() == 1 ? 0 : static_cast<std::size_t>(element % features_)];
  }

 private:
  std::span<const double> values_;
  std::int64_t features_;
};

void require_per_feature(const InferContext& ctx, std::string_view name, std::size_t count) {
  const SymShape* shape = ctx.shape(0);
  if (count == 1 || shape == nullptr) return;
  ctx.require(!shape->empty() && count > 0, "{}: got {} values, expected 1", name, count);
  const Dim& features = shape->back();
  ctx.require(!features.is_known() || features.value() == static_cast<std::int64_t>(count),
              "{}: got {} values, expected 1 or {}", name, count, features.to_string());
}

std::int64_t feature_count(const Tensor& x) { return x.rank() == 0 ? 1 : x.shape()[x.rank() - 1]; }

// ArrayFeatureExtractor

constexpr TypeSet kExtractable = kMlNumbers | TypeSet{DType::String};

void infer_array_feature_extractor(InferContext& ctx) {
  require_type(ctx, 0, kExtractable);
  require_type(ctx, 1, TypeSet{DType::I64});
  require_rank(ctx, 0, 1);
  const SymShape* shape = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const Dim count = indices != nullptr ? product_or_fresh(ctx, *indices, 0, indices->size()) : ctx.fresh_dim();
  SymShape result = *shape;
  result.back() = count;
  if (result.size() == 1) result.insert(result.begin(), Dim(1));
  ctx.set_output(0, ctx.dtype(0), std::move(result));
}

void reference_array_feature_extractor(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::int64_t width = feature_count(x);
  std::vector<std::int64_t> indices = to_i64_vector(ctx.input(1));
  for (std::int64_t index : indices) {
    ctx.require(index >= 0 && index < width, "indices: got {}, expected [0, {})", index, width);
  }
  Tensor& out = ctx.output(0);
  std::int64_t at = 0;
  for (std::int64_t row = 0; row < x.shape().numel(0, x.rank() - 1); ++row) {
    for (std::int64_t index : indices) copy_elements(out, at++, x, row * width + index, 1);
  }
}

// Binarizer

void infer_binarizer(InferContext& ctx) {
  require_type(ctx, 0, kMlNumbers);
  set_like_input(ctx, ctx.dtype(0));
}

void reference_binarizer(ReferenceContext& ctx) {
  std::vector<double> values = to_wide<double>(ctx.input(0));
  const auto threshold = static_cast<double>(ctx.node.attr_float("threshold"));
  for (double& value : values) value = value > threshold ? 1 : 0;
  from_wide<double>(values, ctx.output(0));
}

// FeatureVectorizer

std::vector<std::int64_t> feature_widths(const InferContext& ctx) {
  const auto& widths = ctx.node.attr_ints("inputdimensions");
  ctx.require(widths.size() == ctx.input_count(), "inputdimensions: got {} sizes, expected {}", widths.size(), ctx.input_count());
  for (std::int64_t width : widths) ctx.require(width >= 0, "inputdimensions: got {}, expected >= 0", width);
  return widths;
}

void infer_feature_vectorizer(InferContext& ctx) {
  require_common_type(ctx, 0, ctx.input_count(), kMlNumbers);
  Dim total = 0;
  for (std::int64_t width : feature_widths(ctx)) total = total + width;
  std::optional<Dim> rows;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const Dim next = infer_rows(ctx, i);
    rows = rows ? match_dims(ctx, "rows", *rows, next) : next;
  }
  ctx.set_output(0, DType::F32, {rows ? *rows : ctx.fresh_dim(), total});
}

/// An input wider than stated is cut, a narrower one is followed by zeros.
void reference_feature_vectorizer(ReferenceContext& ctx) {
  Tensor& out = ctx.output(0);
  const std::int64_t total = out.shape()[1];
  std::vector<double> values(static_cast<std::size_t>(out.numel()), 0);
  std::int64_t column = 0;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const Rows rows(ctx.input(i));
    const std::int64_t width = ctx.node.attr_ints("inputdimensions")[i];
    for (std::int64_t r = 0; r < rows.count; ++r) {
      const auto from = rows.row(r);
      std::copy_n(from.begin(), std::min(width, rows.width), values.begin() + r * total + column);
    }
    column += width;
  }
  from_wide<double>(values, out);
}

// Imputer

bool imputes_floats(const Node& node) {
  return node.has("imputed_value_floats") && !node.attr_floats("imputed_value_floats").empty();
}

std::size_t imputed_count(const Node& node) {
  if (imputes_floats(node)) return node.attr_floats("imputed_value_floats").size();
  return node.has("imputed_value_int64s") ? node.attr_ints("imputed_value_int64s").size() : 0;
}

void infer_imputer(InferContext& ctx) {
  require_type(ctx, 0, kMlNumbers);
  const std::size_t count = imputed_count(ctx.node);
  ctx.require(count > 0, "imputed values: got none, expected one or more");
  require_per_feature(ctx, "imputed values", count);
  set_like_input(ctx, ctx.dtype(0));
}

void reference_imputer(ReferenceContext& ctx) {
  const Node& node = ctx.node;
  const auto impute = [&](auto zero, const auto& list, auto replaced) {
    using T = decltype(zero);
    std::vector<T> values = to_wide<T>(ctx.input(0));
    const auto features = static_cast<std::size_t>(feature_count(ctx.input(0)));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool both_nan = values[i] != values[i] && replaced != replaced;
      if (both_nan || values[i] == replaced) values[i] = static_cast<T>(list[list.size() == 1 ? 0 : i % features]);
    }
    from_wide<T>(values, ctx.output(0));
  };
  if (imputes_floats(node)) {
    impute(double{}, node.attr_floats("imputed_value_floats"), static_cast<double>(node.attr_float("replaced_value_float")));
  } else {
    impute(std::int64_t{}, node.attr_ints("imputed_value_int64s"), node.attr_int("replaced_value_int64"));
  }
}

// Normalizer

void infer_normalizer(InferContext& ctx) {
  infer_rows(ctx, 0);
  const std::string& norm = ctx.node.attr_string("norm");
  ctx.require(norm == "MAX" || norm == "L1" || norm == "L2", "norm: got '{}', expected MAX, L1 or L2", norm);
  set_like_input(ctx, DType::F32);
}

void reference_normalizer(ReferenceContext& ctx) {
  const std::string& norm = ctx.node.attr_string("norm");
  Rows rows(ctx.input(0));
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const auto row = std::span(rows.values).subspan(static_cast<std::size_t>(r * rows.width), static_cast<std::size_t>(rows.width));
    double size = 0;
    for (double value : row) {
      if (norm == "MAX") size = std::max(size, std::abs(value));
      else size += norm == "L1" ? std::abs(value) : value * value;
    }
    if (norm == "L2") size = std::sqrt(size);
    for (double& value : row) value = size == 0 ? value : value / size;
  }
  from_wide<double>(rows.values, ctx.output(0));
}

// Scaler

std::vector<double> scaler_values(const Node& node, std::string_view name, double otherwise) {
  if (!node.has(name) || node.attr_floats(name).empty()) return {otherwise};
  return {node.attr_floats(name).begin(), node.attr_floats(name).end()};
}

void infer_scaler(InferContext& ctx) {
  require_type(ctx, 0, kMlNumbers);
  require_per_feature(ctx, "offset", scaler_values(ctx.node, "offset", 0).size());
  require_per_feature(ctx, "scale", scaler_values(ctx.node, "scale", 1).size());
  set_like_input(ctx, DType::F32);
}

void reference_scaler(ReferenceContext& ctx) {
  const std::int64_t features = feature_count(ctx.input(0));
  const std::vector<double> offsets = scaler_values(ctx.node, "offset", 0), scales = scaler_values(ctx.node, "scale", 1);
  const PerFeature offset(offsets, features), scale(scales, features);
  std::vector<double> values = to_wide<double>(ctx.input(0));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    values[i] = (values[i] - offset.at(at)) * scale.at(at);
  }
  from_wide<double>(values, ctx.output(0));
}

OpDef feature_op(std::string name, std::string doc, std::vector<FormalParam> inputs, FormalParam output,
                 std::vector<AttrSpec> attributes, void (*infer)(InferContext&), void (*reference)(ReferenceContext&)) {
  std::string source = fmt::format("ONNX ML {}-1", name);
  return {
      .name = std::move(name),
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = std::move(doc),
      .source = std::move(source),
      .inputs = std::move(inputs),
      .outputs = {std::move(output)},
      .attributes = std::move(attributes),
      .infer = infer,
      .reference = reference,
  };
}

}  // namespace

void define_ml_features(std::vector<OpDef>& ops) {
  const FormalParam numbers{"X", "f32|f64|i64|i32"};
  ops.push_back(feature_op("ArrayFeatureExtractor", "Picks features of the last dimension by index.",
                           {{"X", "numbers or strings, rank >= 1"}, {"Y", "i64 in [0, features)"}},
                           {"Z", "X's shape with the picked features last"}, {},
                           infer_array_feature_extractor, reference_array_feature_extractor));
  ops.push_back(feature_op("Binarizer", "Gives 1 for elements above a threshold, else 0.", {numbers}, {"Y", "of X's type"},
                           {{"threshold", AttrKind::Float, "the threshold", 0.0F}}, infer_binarizer, reference_binarizer));
  ops.push_back(feature_op("FeatureVectorizer", "Joins matrices along their features.",
                           {{"X", "f32|f64|i64|i32, [rows, features] or [features]", Arity::Variadic}},
                           {"Y", "f32 [rows, sum of sizes]"},
                           {{"inputdimensions", AttrKind::Ints, "features of each input", std::nullopt, true}},
                           infer_feature_vectorizer, reference_feature_vectorizer));
  ops.push_back(feature_op("Imputer", "Replaces elements of one value.", {numbers}, {"Y", "of X's type"},
                           {{"imputed_value_floats", AttrKind::Floats, "[1] or [features]"},
                            {"imputed_value_int64s", AttrKind::Ints, "[1] or [features]"},
                            {"replaced_value_float", AttrKind::Float, "what is replaced; may be NaN", 0.0F},
                            {"replaced_value_int64", AttrKind::Int, "what is replaced", 0}},
                           infer_imputer, reference_imputer));
  ops.push_back(feature_op("Normalizer", "Divides each row by its norm.", {{"X", "f32|f64|i64|i32, [rows, features] or [features]"}},
                           {"Y", "f32, of X's shape"}, {{"norm", AttrKind::String, "MAX, L1 or L2", std::string("MAX")}},
                           infer_normalizer, reference_normalizer));
  ops.push_back(feature_op("Scaler", "Subtracts an offset, then multiplies by a scale.", {numbers}, {"Y", "f32, of X's shape"},
                           {{"offset", AttrKind::Floats, "[1] or [features]; absent: 0"},
                            {"scale", AttrKind::Floats, "[1] or [features]; absent: 1"}},
                           infer_scaler, reference_scaler));
}

}  // namespace naru
