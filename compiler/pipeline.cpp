// The one ordered list of passes that know no device.
#include "compiler/pipeline.h"

#include "compiler/passes/passes.h"

namespace naru {

std::vector<Pass> generic_pipeline(int level) {
  if (level <= 0) return {{"eliminate_dead", eliminate_dead}};
  constexpr int kClean = 1;
  return {
      {"eliminate_dead", eliminate_dead, kClean},
      {"narrow_captures", narrow_captures, kClean},
      {"fold_constants", fold_constants, kClean},
      {"fold_branches", fold_branches, kClean},
      {"simplify_movement", simplify_movement, kClean},
      {"simplify_arithmetic", simplify_arithmetic, kClean},
      {"eliminate_common", eliminate_common, kClean},
  };
}

std::vector<Pass> specialised_pipeline() {
  constexpr int kFold = 1;
  return {
      {"narrow_captures", narrow_captures, kFold},
      {"fold_constants", fold_constants, kFold},
      {"fold_branches", fold_branches, kFold},
      {"simplify_movement", simplify_movement, kFold},
      {"eliminate_dead", eliminate_dead},
  };
}

}  // namespace naru
