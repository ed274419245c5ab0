// naru.PagedAttention with f32 queries over paged caches.
#include <cmath>
#include <cstring>

#include "backends/cpu/attention/paged_attention.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

constexpr std::size_t kKeys = 3;
constexpr std::size_t kValues = 4;
constexpr std::size_t kPages = 7;
constexpr std::size_t kSinks = 8;

std::string refuses(const NodeView& view) {
  const DType q = view.dtype(0);
  if (q != DType::Undefined && q != DType::F32) return "queries of type " + std::string(to_string(q));
  for (const std::size_t cache : {kKeys, kValues}) {
    const DType dtype = view.dtype(cache);
    const bool has = dtype == DType::Undefined || dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16 ||
                     is_block(dtype);
    if (!has) return "a cache of type " + std::string(to_string(dtype));
    if (dtype != view.dtype(kKeys)) return "caches of two types";
    if (view.rank(cache) == 4) {
      const Dim& size = (*view.type(cache).shape)[3];
      if (size.is_known() && size.value() > kMaxHeadSize) return "heads of more than " + std::to_string(kMaxHeadSize);
    }
  }
  if (view.node.attr_int("heads") / view.node.attr_int("kv_heads") > 64) return "more than 64 queries per key";
  if (!view.has_output(1) || !view.has_output(2)) return "caches that are not kept";
  return "";
}

/// The cache output: the input's memory when the caller gave the same, else a copy.
void take_over(const std::byte* from, std::byte* to, std::int64_t bytes) {
  if (from == to) return;
  parallel_ranges(bytes, 0.1, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
  });
}

bool lower(Lowering& lowering) {
  const Node& node = lowering.node();
  const Shape keys = lowering.shape(kKeys);
  PagedAttentionSizes sizes;
  sizes.rows = lowering.shape(0)[0];
  sizes.heads = node.attr_int("heads");
  sizes.kv_heads = node.attr_int("kv_heads");
  sizes.key_size = keys[3];
  sizes.value_size = lowering.shape(kValues)[3];
  sizes.pages = keys[0];
  sizes.page = keys[1];
  sizes.sequences = lowering.shape(kPages)[0];
  sizes.pages_per_sequence = lowering.shape(kPages)[1];
  sizes.cache = lowering.dtype(kKeys);
  PagedAttentionRule rule;
  rule.scale = node.attr_float_or("scale", 1 / std::sqrt(static_cast<float>(sizes.key_size)));
  rule.softcap = node.attr_float("softcap");
  rule.window = node.attr_int("window");
  rule.causal = node.attr_int("causal") != 0;
  const PagedAttention attention(sizes, rule, team_threads());
  std::vector<Operand> operands;
  for (std::size_t i = 0; i <= kPages; ++i) operands.push_back(Lowering::reads(lowering.plain(i)));
  const bool has_sinks = lowering.has_input(kSinks);
  operands.push_back(Lowering::reads(lowering.plain(has_sinks ? kSinks : 0)));
  for (std::size_t i = 0; i < 3; ++i) operands.push_back(Lowering::writes(lowering.output(i)));
  operands.push_back(Lowering::writes(lowering.scratch(attention.scratch_bytes())));
  lowering.emit("paged attention", to_string(lowering.output_layout(0)) + " over " + std::string(to_string(sizes.cache)),
                std::move(operands), [attention, has_sinks, sizes](std::byte* const* p) {
                  const auto ints = [&](std::size_t i) { return reinterpret_cast<const std::int32_t*>(p[i]); };
                  const auto floats = [&](std::size_t i) { return reinterpret_cast<const float*>(p[i]); };
                  take_over(p[kKeys], p[10], attention.cache_bytes(sizes.key_size));
                  take_over(p[kValues], p[11], attention.cache_bytes(sizes.value_size));
                  attention({floats(0), floats(1), floats(2), p[10], p[11], ints(5), ints(6), ints(7),
                             has_sinks ? floats(8) : nullptr, reinterpret_cast<float*>(p[9]), p[12]});
                });
  return true;
}

}  // namespace

void add_attention_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"naru.PagedAttention", "paged attention", refuses, lower});
}

}  // namespace naru::cpu
