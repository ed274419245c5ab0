// The step graph of a causal language model: one graph for whole prompts, parts of prompts, single
// tokens, and any mixture of them from several sequences.
//
// A step takes `tokens` rows, those of each sequence together, and adds them to its cache:
//
//   tokens           i32[tokens]         their ids
//   positions        i32[tokens]         their places in their sequences, counted from 0
//   sequence_starts  i32[sequences + 1]  where the rows of each sequence begin, then their number
//   context_lengths  i32[sequences]      tokens of each sequence after this step
//   pages            i32[sequences, pages_per_sequence]  the pages of each sequence's cache
//   rows             i32[rows]           the rows whose logits are wanted
//   -> logits        f32[rows, vocab]
//
// States k.<layer> and v.<layer> of StateKind::KvPages hold the caches, [kv_pages, page, kv_heads,
// head_size]; whoever runs the graph decides how many pages there are and which belong to whom.
// naru.PagedAttention says how they are used. Weights stay in the format of the file; a linear
// layer is naru.FusedMatMul(x, w[out, in], transB = 1).
//
// Metadata: "naru.llm" (JSON: what is listed at llm_metadata()), "naru.tokenizer" (JSON) and
// "naru.chat_template", where the file has them.
#pragma once

#include <cstdint>
#include <string>

#include "graph/graph.h"
#include "graph/import/llm/config.h"
#include "graph/import/llm/weights.h"

namespace naru::llm {

/// How a model's caches are kept.
struct CacheOptions {
  DType kv_type = DType::F16;     ///< f32, f16, bf16, q8_0 or q4_0
  std::int64_t page_tokens = 32;  ///< positions of one page
};

/// Builds the graph. @throws Error InvalidModel when a weight is missing or of another shape than
/// the config asks for.
Graph build_step_graph(const Config& config, Weights& weights, const CacheOptions& cache);

/// {"architecture", "layers", "hidden", "heads", "kv_heads", "head_size", "vocab", "context",
/// "kv_type", "page_tokens", "windows": one per layer, 0 for none, "bos_token_id" or null,
/// "eos_token_ids"}.
std::string llm_metadata(const Config& config, const CacheOptions& cache);

}  // namespace naru::llm
