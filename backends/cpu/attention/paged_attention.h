// PagedAttention: attention of several sequences over caches of keys and values kept in pages.
//
// Work is split into items: the query rows that share one head of keys, some of the positions. An
// item walks its positions in blocks, each read once for all of its rows (into f32 tiles when they are
// many), and keeps running maxima and sums, so that no row of scores is ever stored. When a step has few items
// (one sequence that decodes) the positions are split too, and the parts are merged.
#pragma once

#include <vector>

#include "backends/cpu/linear/tiles.h"

namespace naru::cpu {

struct PagedAttentionSizes {
  std::int64_t rows = 0;  ///< of queries, all sequences
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t key_size = 0;
  std::int64_t value_size = 0;
  std::int64_t pages = 0;
  std::int64_t page = 0;  ///< positions of one
  std::int64_t sequences = 0;
  std::int64_t pages_per_sequence = 0;
  DType cache = DType::F32;
};

struct PagedAttentionRule {
  float scale = 1;
  float softcap = 0;
  std::int64_t window = 0;
  bool causal = true;
};

/// The largest head that tiles hold.
inline constexpr std::int64_t kMaxHeadSize = kPanelDepth;

class PagedAttention {
 public:
  struct Arrays {
    const float* q = nullptr;
    const float* k = nullptr;
    const float* v = nullptr;
    std::byte* keys = nullptr;  ///< caches, updated in place
    std::byte* values = nullptr;
    const std::int32_t* starts = nullptr;
    const std::int32_t* lengths = nullptr;
    const std::int32_t* pages = nullptr;
    const float* sinks = nullptr;  ///< or null
    float* y = nullptr;
    std::byte* scratch = nullptr;
  };

  /// `threads`: of the team that will run it.
  PagedAttention(const PagedAttentionSizes& sizes, const PagedAttentionRule& rule, int threads);

  std::int64_t scratch_bytes() const;
  std::int64_t cache_bytes(std::int64_t size) const;
  /// @throws Error InvalidArgument for starts, lengths and pages that do not fit the caches.
  void operator()(const Arrays& arrays) const;

 private:
  struct Sequence;
  struct Item;
  struct Workspace;
  /// One of the caches: rows of `size` elements by slot and head.
  struct CacheRows {
    std::byte* data = nullptr;
    std::int64_t size = 0;
    std::int64_t row_bytes = 0;
  };
  std::vector<Sequence> read_sequences(const Arrays& arrays) const;
  std::vector<Item> make_items(const std::vector<Sequence>& sequences) const;
  void store_rows(const Arrays& arrays, const std::vector<Sequence>& sequences) const;
  void run_item(const Arrays& arrays, const Item& item, Workspace& work) const;
  void load_queries(const Arrays& arrays, const Item& item, Workspace& work) const;
  const std::byte* decoded_row(const CacheRows& cache, std::int64_t slot, std::int64_t head, float* to) const;
  void prefetch(const CacheRows& cache, std::int64_t slot, std::int64_t head) const;
  void load_block(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const;
  void score_tiles(std::int64_t rows, std::int64_t count, Workspace& work) const;
  void score_rows(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const;
  void weigh_block(const Item& item, std::int64_t first, std::int64_t count, Workspace& work) const;
  void add_tiles(std::int64_t rows, std::int64_t count, Workspace& work) const;
  void add_rows(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const;
  void finish_item(const Arrays& arrays, const Item& item, const Workspace& work) const;
  void merge_parts(const Arrays& arrays, const std::vector<Item>& items) const;
  float* part_of(const Arrays& arrays, const Item& item, std::int64_t row) const;
  std::byte* cache_row(const CacheRows& rows, std::int64_t slot, std::int64_t head) const;
  CacheRows keys_of(const Arrays& arrays) const;
  CacheRows values_of(const Arrays& arrays) const;

  /// What cached rows are read as: those of block formats are decoded first.
  DType row_type() const { return is_block(sizes_.cache) ? DType::F32 : sizes_.cache; }

  PagedAttentionSizes sizes_;
  PagedAttentionRule rule_;
  int threads_;
  std::int64_t group_;       // query heads per head of keys
  std::int64_t item_rows_;   // query rows of one sequence in an item, at most
  std::int64_t max_parts_;   // into which an item's positions may be split
  std::int64_t dot_rows_ = kMaxDotRows;
  DotLoop dots_[kMaxDotRows];
};

}  // namespace naru::cpu
