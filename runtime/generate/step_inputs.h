// The inputs of a language model's step graph (graph/import/llm/step_graph.h) for the parts of a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "naru/tensor.h"
#include "runtime/generate/step_planner.h"

namespace naru {

/// Shapes that all steps of a generator have in common, so that few plans serve all.
struct StepShape {
  std::int64_t sequences = 0;  ///< that may take part; one more takes the padding
  std::int64_t pages_per_sequence = 0;
  std::int64_t first_spare_page = 0;  ///< of those that belong to no sequence
  std::int64_t spare_pages = 0;       ///< at least padding_pages()
};

/// `size` rounded up to four significant bits: 1 to 16, 18, 20 ... 32, 36 ... so that few sizes, and plans,
/// occur and at most an eighth of the rows is padding.
std::int64_t padded_size(std::int64_t size);

/// Pages that the padding of steps of up to `step_tokens` rows is written to.
std::int64_t padding_pages(std::int64_t step_tokens, std::int64_t page_tokens);

/// One value per input of the step graph, in its order. `logit_rows[i]` rows are wanted of part i, its
/// last ones; together they come first in `rows`.
std::vector<Datum> step_inputs(std::span<const StepPart> parts, std::span<const std::int64_t> logit_rows,
                               const StepShape& shape);

}  // namespace naru
