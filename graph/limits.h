// The limits that untrusted models and files must keep; one table, read by every loader.
#pragma once

#include <cstdint>

namespace naru {

/// Upper bounds on what a model may ask for. Exceeding one is Error InvalidModel, or OutOfMemory
/// where the bound is a memory budget.
struct Limits {
  std::int64_t max_rank = 64;
  std::int64_t max_dim_terms = 64;  ///< terms of one symbolic dimension
  std::int64_t max_dim_term_bytes = 4096;  ///< text of one term, which nested products multiply
  std::int64_t max_nodes = 10'000'000;
  std::int64_t max_values = 40'000'000;
  std::int64_t max_subgraph_depth = 32;
  std::int64_t max_function_depth = 64;
  std::int64_t max_inlined_nodes = 500'000;        ///< after functions are inlined
  std::int64_t max_inlined_bytes = INT64_C(1) << 30;  ///< names and attributes copied with them
  std::int64_t max_name_bytes = 1 << 20;
  std::int64_t max_text_depth = 100;               ///< nesting in parsed text and protobuf
  std::int64_t max_external_files = 1024;
  std::int64_t max_model_bytes = INT64_C(1) << 42;
  std::int64_t max_tensor_bytes = INT64_C(1) << 40;
  std::int64_t max_folded_tensor_bytes = INT64_C(1) << 30;  ///< one folded constant
  std::int64_t max_folded_total_bytes = INT64_C(4) << 30;   ///< all folded constants of a graph
  std::int64_t max_loop_iterations = INT64_C(1) << 40;
};

/// The limits in force.
inline constexpr Limits kLimits{};

}  // namespace naru
