// NonMaxSuppression: boxes with the best scores that do not overlap a better one.
#include <algorithm>
#include <numeric>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kF32{DType::F32};

void infer_non_max_suppression(InferContext& ctx) {
  require_type(ctx, 0, kF32);
  require_type(ctx, 1, kF32);
  require_rank(ctx, 0, 3, 3);
  require_rank(ctx, 1, 3, 3);
  if (ctx.has_input(2)) require_type(ctx, 2, TypeSet{DType::I64});
  for (std::size_t i = 3; i < 5; ++i) {
    if (ctx.has_input(i)) require_type(ctx, i, kF32);
  }
  const SymShape* boxes = ctx.shape(0);
  const SymShape* scores = ctx.shape(1);
  if (boxes != nullptr) match_dims(ctx, "boxes", (*boxes)[2], 4);
  if (boxes != nullptr && scores != nullptr) {
    match_dims(ctx, "batch", (*boxes)[0], (*scores)[0]);
    match_dims(ctx, "box count", (*boxes)[1], (*scores)[2]);
  }
  ctx.set_output(0, DType::I64, {ctx.fresh_dim(), 3});
}

struct Box {
  double y1, x1, y2, x2;
  double area() const { return (y2 - y1) * (x2 - x1); }
};

Box box_at(std::span<const float> boxes, std::size_t at, bool centred) {
  const double a = boxes[at], b = boxes[at + 1], c = boxes[at + 2], d = boxes[at + 3];
  if (centred) return {b - d / 2, a - c / 2, b + d / 2, a + c / 2};
  return {std::min(a, c), std::min(b, d), std::max(a, c), std::max(b, d)};
}

double overlap(const Box& a, const Box& b) {
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (!(height > 0) || !(width > 0) || a.area() <= 0 || b.area() <= 0) return 0;
  const double shared = height * width;
  return shared / (a.area() + b.area() - shared);
}

/// The number in an optional scalar input.
double scalar_or(const ReferenceContext& ctx, std::size_t i, double otherwise) {
  if (!ctx.has_input(i)) return otherwise;
  ctx.require(ctx.input(i).numel() == 1, "input {}: got {} elements, expected a scalar", i,
              ctx.input(i).numel());
  return to_wide<double>(ctx.input(i)).front();
}

struct Thresholds {
  std::int64_t most;
  double iou, score;
  bool has_score;
};

/// Indices of the boxes kept of one class, best first; equal scores keep their order.
std::vector<std::int64_t> select(const std::vector<Box>& boxes, std::span<const float> scores, const Thresholds& limits) {
  std::vector<std::int64_t> order(boxes.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::int64_t i) {
    const double score = scores[static_cast<std::size_t>(i)];
    return limits.has_score ? !(score > limits.score) : score != score;
  });
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  std::vector<std::int64_t> kept;
  for (std::int64_t i : order) {
    if (static_cast<std::int64_t>(kept.size()) >= limits.most) break;
    const bool covered = std::any_of(kept.begin(), kept.end(), [&](std::int64_t better) {
      return overlap(boxes[static_cast<std::size_t>(better)], boxes[static_cast<std::size_t>(i)]) > limits.iou;
    });
    if (!covered) kept.push_back(i);
  }
  return kept;
}

void reference_non_max_suppression(ReferenceContext& ctx) {
  const auto boxes = ctx.input(0).as<float>();
  const auto scores = ctx.input(1).as<float>();
  const Shape& shape = ctx.input(1).shape();
  const std::int64_t batches = shape[0], classes = shape[1], count = shape[2];
  const Thresholds limits{ctx.has_input(2) ? static_cast<std::int64_t>(scalar_or(ctx, 2, 0)) : 0,
                       scalar_or(ctx, 3, 0), scalar_or(ctx, 4, 0), ctx.has_input(4)};
  ctx.require(limits.iou >= 0 && limits.iou <= 1, "iou_threshold: got {}, expected [0, 1]", limits.iou);
  const bool centred = ctx.node.attr_int("center_point_box") != 0;
  std::vector<std::int64_t> found;
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    std::vector<Box> all;
    for (std::int64_t i = 0; i < count; ++i) {
      all.push_back(box_at(boxes, static_cast<std::size_t>((batch * count + i) * 4), centred));
    }
    for (std::int64_t label = 0; label < classes; ++label) {
      const auto first = static_cast<std::size_t>((batch * classes + label) * count);
      const auto kept = select(all, scores.subspan(first, static_cast<std::size_t>(count)), limits);
      for (std::int64_t i : kept) found.insert(found.end(), {batch, label, i});
    }
  }
  ctx.set_output(0, Tensor::from<std::int64_t>({static_cast<std::int64_t>(found.size()) / 3, 3}, found));
}

}  // namespace

void define_non_max_suppression(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "NonMaxSuppression",
      .domain = "",
      .since_version = 11,
      .doc = "Selects boxes by score, dropping those that overlap a better one of their class.",
      .source = "ONNX NonMaxSuppression-11",
      .inputs = {{"boxes", "f32[batch, count, 4]"},
                 {"scores", "f32[batch, classes, count]"},
                 {"max_output_boxes_per_class", "i64 scalar; absent: 0", Arity::Optional},
                 {"iou_threshold", "f32 scalar in [0, 1]; absent: 0", Arity::Optional},
                 {"score_threshold", "f32 scalar; absent: none", Arity::Optional}},
      .outputs = {{"selected_indices", "i64[selected, 3]: batch, class, box"}},
      .attributes = {{"center_point_box", AttrKind::Int,
                      "0: two opposite corners y1, x1, y2, x2; 1: centre x, y, width, height", 0}},
      .infer = infer_non_max_suppression,
      .reference = reference_non_max_suppression,
      .dynamic_output = true,
  });
}

}  // namespace naru
