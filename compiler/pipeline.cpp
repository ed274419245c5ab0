// The one ordered list of passes that know no device.
#include "compiler/pipeline.h"

#include "compiler/passes/passes.h"

namespace naru {
namespace {

std::vector<Pass> clean_up(int group) {
  return {
      {"eliminate_dead", eliminate_dead, group},
      {"fold_constants", fold_constants, group},
      {"fold_branches", fold_branches, group},
      {"narrow_captures", narrow_captures, group},
      {"simplify_movement", simplify_movement, group},
      {"simplify_arithmetic", simplify_arithmetic, group},
      {"eliminate_common", eliminate_common, group},
  };
}

}  // namespace

std::vector<Pass> generic_pipeline(int level) {
  if (level <= 0) return {{"eliminate_dead", eliminate_dead}};
  constexpr int kClean = 1, kFuse = 2;
  std::vector<Pass> passes = clean_up(kClean);
  if (level == 1) return passes;
  passes.insert(passes.begin(), {"fuse_quantised", fuse_quantised});
  const std::vector<Pass> fusion = {
      {"fuse_composites", fuse_composites, kFuse},
      {"fold_affine", fold_affine, kFuse},
      {"fuse_anchors", fuse_anchors, kFuse},
      {"simplify_movement", simplify_movement, kFuse},
      {"simplify_arithmetic", simplify_arithmetic, kFuse},
      {"eliminate_common", eliminate_common, kFuse},
      {"fuse_post_ops", fuse_post_ops},
      {"eliminate_common", eliminate_common},
      {"eliminate_dead", eliminate_dead},
  };
  passes.insert(passes.end(), fusion.begin(), fusion.end());
  return passes;
}

std::vector<Pass> specialised_pipeline() {
  constexpr int kFold = 1;
  return {
      {"fold_constants", fold_constants, kFold},   {"fold_branches", fold_branches, kFold},
      {"unroll_loops", unroll_loops, kFold},       {"narrow_captures", narrow_captures, kFold},
      {"simplify_movement", simplify_movement, kFold}, {"extend_post_ops", extend_post_ops},
      {"eliminate_dead", eliminate_dead},
  };
}

}  // namespace naru
