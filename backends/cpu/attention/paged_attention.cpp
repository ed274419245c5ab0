// PagedAttention: items, their blocks of positions, merging of parts.
#include "backends/cpu/attention/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/attention/attention_loops.h"
#include "backends/cpu/convert_loops.h"
#include "backends/cpu/elementwise.h"
#include "backends/cpu/parallel.h"
#include "graph/block/block_format.h"
#include "graph/checked.h"

namespace naru::cpu {
namespace {

constexpr std::int64_t kMaxRows = 64;    // query rows times heads of an item
constexpr std::int64_t kBlock = 64;      // positions of a block
constexpr std::int64_t kPartLength = 32;  // positions that are worth a part of their own
constexpr std::int64_t kFewRows = 12;    // query rows for which tiles cost more than they save
constexpr std::int64_t kBlockGroups = kBlock / kTileRows;
constexpr std::int64_t kValueGroups = kMaxHeadSize / kTileRows;
constexpr std::int64_t kAhead = 16;      // rows are fetched that many positions before they are read
constexpr float kMasked = -std::numeric_limits<float>::infinity();

float* floats_of(Panel& panel) { return reinterpret_cast<float*>(panel.codes); }

std::int64_t blocks_of(std::int64_t depth) { return (depth + kTileDepth - 1) / kTileDepth; }

}  // namespace

struct PagedAttention::Sequence {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t length = 0;
  const std::int32_t* pages = nullptr;
};

struct PagedAttention::Item {
  Sequence sequence;
  std::int64_t head = 0;  ///< of keys and values
  std::int64_t first_row = 0;  ///< within the sequence
  std::int64_t rows = 0;
  std::int64_t part = 0;
  std::int64_t parts = 1;

  std::int64_t position(std::int64_t row) const { return sequence.length - sequence.rows + first_row + row; }
};

/// What a thread needs for an item.
struct PagedAttention::Workspace {
  alignas(64) float q[kMaxRows * kPanelDepth];
  alignas(64) float p[kMaxRows * kPanelDepth];
  alignas(64) float scores[kBlockGroups][kMaxRows * kTileRows];
  alignas(64) float y[kValueGroups][kMaxRows * kTileRows];
  alignas(64) float row[kMaxHeadSize * kTileRows];  // of a cache in a block format
  float max[kMaxRows];
  float sum[kMaxRows];
  std::int64_t slots[kBlock + kAhead];  // of the block's positions, and of the next ones
  std::int64_t slots_known = 0;
  Panel keys[kBlockGroups];
  Panel values[kValueGroups];
};

PagedAttention::PagedAttention(const PagedAttentionSizes& sizes, const PagedAttentionRule& rule, int threads)
    : sizes_(sizes), rule_(rule), threads_(threads), group_(sizes.heads / sizes.kv_heads) {
  item_rows_ = std::max<std::int64_t>(kMaxRows / group_, 1);
  const std::int64_t items = sizes.kv_heads * std::max<std::int64_t>(sizes.sequences, 1) *
                             ((sizes.rows + item_rows_ - 1) / item_rows_);
  max_parts_ = std::clamp<std::int64_t>(4 * threads / std::max<std::int64_t>(items, 1), 1, 64);
  const auto& dots = tile_loops().dot[static_cast<std::size_t>(TileKind::F32)];
  std::copy(dots.begin(), dots.end(), dots_);
  while (dots_[dot_rows_ - 1] == nullptr) --dot_rows_;
}

std::int64_t PagedAttention::scratch_bytes() const {
  const std::int64_t parts = max_parts_ == 1 ? 0 : max_parts_ * sizes_.rows * sizes_.heads * (sizes_.value_size + 2) * 4;
  return checked_add(checked_mul(threads_, sizeof(Workspace)), parts);
}

std::int64_t PagedAttention::cache_bytes(std::int64_t size) const {
  return storage_bytes(sizes_.cache, sizes_.pages * sizes_.page * sizes_.kv_heads * size);
}

std::byte* PagedAttention::cache_row(const CacheRows& rows, std::int64_t slot, std::int64_t head) const {
  return rows.data + (slot * sizes_.kv_heads + head) * rows.row_bytes;
}

PagedAttention::CacheRows PagedAttention::keys_of(const Arrays& arrays) const {
  return {arrays.keys, sizes_.key_size, storage_bytes(sizes_.cache, sizes_.key_size)};
}

PagedAttention::CacheRows PagedAttention::values_of(const Arrays& arrays) const {
  return {arrays.values, sizes_.value_size, storage_bytes(sizes_.cache, sizes_.value_size)};
}

std::vector<PagedAttention::Sequence> PagedAttention::read_sequences(const Arrays& arrays) const {
  if (arrays.starts[0] != 0 || arrays.starts[sizes_.sequences] != sizes_.rows) {
    fail(ErrorCode::InvalidArgument, "sequence_starts: got {} to {}, expected 0 to {}", arrays.starts[0],
         arrays.starts[sizes_.sequences], sizes_.rows);
  }
  std::vector<Sequence> sequences;
  for (std::int64_t s = 0; s < sizes_.sequences; ++s) {
    const Sequence sequence{arrays.starts[s], std::int64_t{arrays.starts[s + 1]} - arrays.starts[s], arrays.lengths[s],
                            arrays.pages + s * sizes_.pages_per_sequence};
    if (sequence.rows < 0 || sequence.rows > sequence.length) {
      fail(ErrorCode::InvalidArgument, "sequence {}: got {} rows of {} tokens, expected 0 to all of them", s,
           sequence.rows, sequence.length);
    }
    if (sequence.length > sizes_.pages_per_sequence * sizes_.page) {
      fail(ErrorCode::InvalidArgument, "sequence {}: got {} tokens, expected at most {} pages of {}", s,
           sequence.length, sizes_.pages_per_sequence, sizes_.page);
    }
    for (std::int64_t p = 0; p * sizes_.page < sequence.length; ++p) {
      if (sequence.pages[p] < 0 || sequence.pages[p] >= sizes_.pages) {
        fail(ErrorCode::InvalidArgument, "pages: got {}, expected [0, {})", sequence.pages[p], sizes_.pages);
      }
    }
    if (sequence.rows > 0) sequences.push_back(sequence);
  }
  return sequences;
}

void PagedAttention::store_rows(const Arrays& arrays, const std::vector<Sequence>& sequences) const {
  const auto store = [&](const float* from, const CacheRows& cache, std::int64_t slot) {
    const std::int64_t size = cache.size;
    for (std::int64_t h = 0; h < sizes_.kv_heads; ++h, from += size) {
      std::byte* to = cache_row(cache, slot, h);
      if (is_block(sizes_.cache)) {
        quantize_blocks(sizes_.cache, from, size / dtype_info(sizes_.cache).block_elements, to);
      } else {
        store_floats(sizes_.cache, to, 0, size, from);
      }
    }
  };
  for (const Sequence& sequence : sequences) {
    const double cost = static_cast<double>(sizes_.kv_heads * (sizes_.key_size + sizes_.value_size)) * 0.3;
    parallel_ranges(sequence.rows, cost, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t position = sequence.length - sequence.rows + i;
        const std::int64_t slot = sequence.pages[position / sizes_.page] * sizes_.page + position % sizes_.page;
        const std::int64_t row = (sequence.first_row + i) * sizes_.kv_heads;
        store(arrays.k + row * sizes_.key_size, keys_of(arrays), slot);
        store(arrays.v + row * sizes_.value_size, values_of(arrays), slot);
      }
    });
  }
}

std::vector<PagedAttention::Item> PagedAttention::make_items(const std::vector<Sequence>& sequences) const {
  std::vector<Item> items;
  for (const Sequence& sequence : sequences) {
    const std::int64_t parts = std::clamp<std::int64_t>(sequence.length / kPartLength, 1, max_parts_);
    for (std::int64_t first = 0; first < sequence.rows; first += item_rows_) {
      for (std::int64_t head = 0; head < sizes_.kv_heads; ++head) {
        for (std::int64_t part = 0; part < parts; ++part) {
          items.push_back({sequence, head, first, std::min(item_rows_, sequence.rows - first), part, parts});
        }
      }
    }
  }
  // Late rows see more positions: the longest items first.
  std::reverse(items.begin(), items.end());
  return items;
}

void PagedAttention::operator()(const Arrays& arrays) const {
  const std::vector<Sequence> sequences = read_sequences(arrays);
  store_rows(arrays, sequences);
  const std::vector<Item> items = make_items(sequences);
  double work = 0;
  for (const Item& item : items) {
    work += static_cast<double>(item.rows * group_ * item.sequence.length / item.parts * sizes_.key_size) * 0.3;
  }
  const auto count = static_cast<std::int64_t>(items.size());
  parallel_claims(count, 1, work / static_cast<double>(std::max<std::int64_t>(count, 1)),
                  [&](std::int64_t begin, std::int64_t end, int self) {
    auto& own = reinterpret_cast<Workspace*>(arrays.scratch)[self];
    for (std::int64_t i = begin; i < end; ++i) run_item(arrays, items[static_cast<std::size_t>(i)], own);
  });
  merge_parts(arrays, items);
}

void PagedAttention::run_item(const Arrays& arrays, const Item& item, Workspace& work) const {
  const std::int64_t rows = item.rows * group_;
  load_queries(arrays, item, work);
  std::fill_n(work.max, rows, kMasked);
  std::fill_n(work.sum, rows, 0.0f);
  const std::int64_t value_groups = (sizes_.value_size + kTileRows - 1) / kTileRows;
  for (std::int64_t g = 0; g < value_groups; ++g) std::fill_n(work.y[g], rows * kTileRows, 0.0f);
  const std::int64_t end = rule_.causal ? item.position(item.rows - 1) + 1 : item.sequence.length;
  const std::int64_t begin = rule_.window > 0 ? std::max<std::int64_t>(item.position(0) + 1 - rule_.window, 0) : 0;
  const std::int64_t first = begin + (end - begin) * item.part / item.parts;
  const std::int64_t last = begin + (end - begin) * (item.part + 1) / item.parts;
  for (std::int64_t at = first; at < last; at += kBlock) {
    const std::int64_t count = std::min(kBlock, last - at);
    for (std::int64_t i = 0; i < std::min(count + kAhead, last - at); ++i) {
      const std::int64_t position = at + i;
      work.slots[i] = item.sequence.pages[position / sizes_.page] * sizes_.page + position % sizes_.page;
    }
    work.slots_known = std::min(count + kAhead, last - at);
    if (rows <= kFewRows) {
      score_rows(arrays, item, count, work);
      weigh_block(item, at, count, work);
      add_rows(arrays, item, count, work);
    } else {
      load_block(arrays, item, count, work);
      score_tiles(rows, count, work);
      weigh_block(item, at, count, work);
      add_tiles(rows, count, work);
    }
  }
  finish_item(arrays, item, work);
}

/// Rows of queries with the scale, [row][head of the group].
void PagedAttention::load_queries(const Arrays& arrays, const Item& item, Workspace& work) const {
  const std::int64_t size = sizes_.key_size;
  const std::int64_t padded = blocks_of(size) * kTileDepth;
  for (std::int64_t r = 0; r < item.rows * group_; ++r) {
    const std::int64_t row = item.sequence.first_row + item.first_row + r / group_;
    const float* from = arrays.q + (row * sizes_.heads + item.head * group_ + r % group_) * size;
    float* to = work.q + r * kPanelDepth;
    for (std::int64_t d = 0; d < size; ++d) to[d] = from[d] * rule_.scale;
    std::fill(to + size, to + padded, 0.0f);
  }
  for (Panel& keys : work.keys) {  // what pads a key must be finite
    std::fill_n(floats_of(keys) + size * kTileRows, (padded - size) * kTileRows, 0.0f);
  }
}

/// A row of a cache as row_type(): where it lies, or decoded to `to`.
const std::byte* PagedAttention::decoded_row(const CacheRows& cache, std::int64_t slot, std::int64_t head, float* to) const {
  const std::byte* row = cache_row(cache, slot, head);
  if (!is_block(sizes_.cache)) return row;
  dequantize_blocks(sizes_.cache, row, cache.size / dtype_info(sizes_.cache).block_elements, to);
  return reinterpret_cast<const std::byte*>(to);
}

/// Fetches a row into the cache: rows of one head lie apart, which hardware does not foresee.
void PagedAttention::prefetch(const CacheRows& cache, std::int64_t slot, std::int64_t head) const {
  const std::byte* row = cache_row(cache, slot, head);
  for (std::int64_t i = 0; i < cache.row_bytes; i += 64) __builtin_prefetch(row + i);
}

void PagedAttention::score_rows(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const {
  const std::int64_t rows = item.rows * group_;
  const CacheRows keys = keys_of(arrays);
  const CacheRows values = values_of(arrays);
  const auto score = attention_loops().score;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i + kAhead < work.slots_known) prefetch(keys, work.slots[i + kAhead], item.head);
    prefetch(values, work.slots[i], item.head);
    const std::byte* key = decoded_row(keys, work.slots[i], item.head, work.row);
    score(row_type(), key, keys.size, work.q, rows, &work.scores[i / kTileRows][i % kTileRows], kTileRows);
  }
}

void PagedAttention::add_rows(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const {
  const CacheRows values = values_of(arrays);
  const auto add = attention_loops().add;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::byte* row = decoded_row(values, work.slots[i], item.head, work.row);
    add(row_type(), row, values.size, work.p + i, item.rows * group_, work.y[0], kMaxRows * kTileRows);
  }
}

/// The block's keys and values as tiles; what fills the last tile is zero.
void PagedAttention::load_block(const Arrays& arrays, const Item& item, std::int64_t count, Workspace& work) const {
  const AttentionLoops& loops = attention_loops();
  const auto row_of = [&](const CacheRows& cache, std::int64_t i, float* to) {
    return i < count ? decoded_row(cache, work.slots[i], item.head, to) : nullptr;
  };
  for (std::int64_t g = 0; g * kTileRows < count; ++g) {
    const std::byte* rows[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      rows[r] = row_of(keys_of(arrays), g * kTileRows + r, work.row + r * kMaxHeadSize);
    }
    loops.transpose(row_type(), rows, sizes_.key_size, floats_of(work.keys[g]));
  }
  constexpr std::int64_t kStride = sizeof(Panel) / sizeof(float);
  const std::int64_t groups = (sizes_.value_size + kTileRows - 1) / kTileRows;
  for (std::int64_t i = 0; i < blocks_of(count) * kTileDepth; ++i) {
    float* to = floats_of(work.values[0]) + i * kTileRows;
    if (const std::byte* row = row_of(values_of(arrays), i, work.row)) {
      loops.spread(row_type(), row, sizes_.value_size, to, kStride);
    } else {
      for (std::int64_t g = 0; g < groups; ++g) std::fill_n(to + g * kStride, kTileRows, 0.0f);
    }
  }
}

void PagedAttention::score_tiles(std::int64_t rows, std::int64_t count, Workspace& work) const {
  const Activations q{reinterpret_cast<const std::byte*>(work.q), nullptr, nullptr};
  for (std::int64_t g = 0; g * kTileRows < count; ++g) {
    std::fill_n(work.scores[g], rows * kTileRows, 0.0f);
    for (std::int64_t r = 0; r < rows;) {
      const std::int64_t many = std::min<std::int64_t>(dot_rows_, rows - r);
      dots_[many - 1](work.keys[g], blocks_of(sizes_.key_size), q, r, work.scores[g] + r * kTileRows);
      r += many;
    }
  }
}

/// The block's scores, capped and masked, as weights in work.p; earlier sums are scaled to the new
/// maxima.
void PagedAttention::weigh_block(const Item& item, std::int64_t first, std::int64_t count, Workspace& work) const {
  const std::int64_t rows = item.rows * group_;
  const std::int64_t groups = (count + kTileRows - 1) / kTileRows;
  for (std::int64_t g = 0; rule_.softcap > 0 && g < groups; ++g) {
    float* scores = work.scores[g];
    ew_loop(Ew::Linear)(scores, scores, nullptr, rows * kTileRows, 1 / rule_.softcap, 0);
    ew_loop(Ew::Tanh)(scores, scores, nullptr, rows * kTileRows, 0, 0);
    ew_loop(Ew::Linear)(scores, scores, nullptr, rows * kTileRows, rule_.softcap, 0);
  }
  const AttentionLoops& loops = attention_loops();
  const std::int64_t value_groups = (sizes_.value_size + kTileRows - 1) / kTileRows;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t position = item.position(r / group_);
    const std::int64_t end = rule_.causal ? position + 1 : item.sequence.length;
    const std::int64_t begin = rule_.window > 0 ? position + 1 - rule_.window : 0;
    const std::int64_t seen_from = std::clamp<std::int64_t>(begin - first, 0, groups * kTileRows);
    const std::int64_t seen_to = std::clamp<std::int64_t>(std::min(end - first, count), seen_from, groups * kTileRows);
    const auto mask = [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t j = from; j < to; ++j) work.scores[j / kTileRows][r * kTileRows + j % kTileRows] = kMasked;
    };
    mask(0, seen_from);
    mask(seen_to, groups * kTileRows);
    float* p = work.p + r * kPanelDepth;
    const float kept = loops.softmax(work.scores[0] + r * kTileRows, groups, kMaxRows * kTileRows, p, work.max + r, work.sum + r);
    std::fill(p + groups * kTileRows, p + blocks_of(count) * kTileDepth, 0.0f);
    if (kept == 1) continue;
    for (std::int64_t g = 0; g < value_groups; ++g) {
      float* y = work.y[g] + r * kTileRows;
      for (int i = 0; i < kTileRows; ++i) y[i] *= kept;
    }
  }
}

void PagedAttention::add_tiles(std::int64_t rows, std::int64_t count, Workspace& work) const {
  const Activations p{reinterpret_cast<const std::byte*>(work.p), nullptr, nullptr};
  for (std::int64_t g = 0; g * kTileRows < sizes_.value_size; ++g) {
    for (std::int64_t r = 0; r < rows;) {
      const std::int64_t many = std::min<std::int64_t>(dot_rows_, rows - r);
      dots_[many - 1](work.values[g], blocks_of(count), p, r, work.y[g] + r * kTileRows);
      r += many;
    }
  }
}

/// Where a part of a row of one head is kept: its values, maximum and sum.
float* PagedAttention::part_of(const Arrays& arrays, const Item& item, std::int64_t row) const {
  auto* parts = reinterpret_cast<float*>(reinterpret_cast<Workspace*>(arrays.scratch) + threads_);
  const std::int64_t head_row = (item.sequence.first_row + item.first_row + row / group_) * sizes_.heads +
                                item.head * group_ + row % group_;
  return parts + (head_row * max_parts_ + item.part) * (sizes_.value_size + 2);
}

void PagedAttention::finish_item(const Arrays& arrays, const Item& item, const Workspace& work) const {
  for (std::int64_t r = 0; r < item.rows * group_; ++r) {
    const std::int64_t row = item.sequence.first_row + item.first_row + r / group_;
    const std::int64_t head = item.head * group_ + r % group_;
    float* to = item.parts > 1 ? part_of(arrays, item, r) : arrays.y + (row * sizes_.heads + head) * sizes_.value_size;
    float factor = 1;
    if (item.parts > 1) {
      to[sizes_.value_size] = work.max[r];
      to[sizes_.value_size + 1] = work.sum[r];
    } else {
      factor = 1 / (work.sum[r] + (arrays.sinks != nullptr ? std::exp(arrays.sinks[head] - work.max[r]) : 0.0f));
    }
    for (std::int64_t d = 0; d < sizes_.value_size; ++d) {
      to[d] = factor * work.y[d / kTileRows][r * kTileRows + d % kTileRows];
    }
  }
}

void PagedAttention::merge_parts(const Arrays& arrays, const std::vector<Item>& items) const {
  for (const Item& item : items) {
    if (item.parts == 1 || item.part != 0) continue;
    for (std::int64_t r = 0; r < item.rows * group_; ++r) {
      const float* parts = part_of(arrays, item, r);
      const std::int64_t width = sizes_.value_size + 2;
      const std::int64_t row = item.sequence.first_row + item.first_row + r / group_;
      const std::int64_t head = item.head * group_ + r % group_;
      float largest = arrays.sinks != nullptr ? arrays.sinks[head] : kMasked;
      for (std::int64_t p = 0; p < item.parts; ++p) largest = std::max(largest, parts[p * width + sizes_.value_size]);
      float sum = arrays.sinks != nullptr ? std::exp(arrays.sinks[head] - largest) : 0.0f;
      float* y = arrays.y + (row * sizes_.heads + head) * sizes_.value_size;
      std::fill_n(y, sizes_.value_size, 0.0f);
      for (std::int64_t p = 0; p < item.parts; ++p) {
        const float* part = parts + p * width;
        const float weight = std::exp(part[sizes_.value_size] - largest);
        sum += weight * part[sizes_.value_size + 1];
        for (std::int64_t d = 0; d < sizes_.value_size; ++d) y[d] += weight * part[d];
      }
      for (std::int64_t d = 0; d < sizes_.value_size; ++d) y[d] /= sum;
    }
  }
}

}  // namespace naru::cpu
