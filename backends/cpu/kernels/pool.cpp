// Pooling by oneDNN, in the layout of its input.
#include <algorithm>

#include "backends/cpu/chain.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/reduce_loops.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/window.h"

namespace naru::cpu {
namespace {

std::string refuses_common(const NodeView& view) {
  if (view.dtype(0) != DType::Undefined && !is_chain_type(view.dtype(0))) {
    return "element type " + std::string(to_string(view.dtype(0)));
  }
  if (view.rank(0) >= 0 && (view.rank(0) < 3 || view.rank(0) > 5)) {
    return fmt::format("rank {}, expected 3 to 5", view.rank(0));
  }
  return "";
}

std::string refuses_max(const NodeView& view) {
  if (view.has_output(1)) return "its indices are used";
  return refuses_common(view);
}

/// The divisor of ONNX counts padding only as far as it was asked for; oneDNN's counts all.
bool counts_alike(const Node& node, const Window& window, std::size_t rank) {
  if (node.attr_string_or("auto_pad", "NOTSET") != "NOTSET") return true;
  const std::vector<std::int64_t> pads = node.attr_ints_or("pads", {});
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t asked = pads.empty() ? 0 : pads[rank + i];
    if (window.end[i] > asked) return false;
  }
  return true;
}

bool lower_pool(Lowering& lowering, bool average) {
  const Node& node = lowering.node();
  const Shape x = lowering.shape(0);
  const Shape y = lowering.output_layout(0).shape;
  const DType dtype = lowering.dtype(0);
  const Window window =
      window_of(node, Shape(node.attr_ints("kernel_shape")), spatial_shape(x), spatial_shape(y));
  dnnl::algorithm algorithm = dnnl::algorithm::pooling_max;
  const auto any_above_0 = [](const auto& numbers) {
    return std::any_of(numbers.begin(), numbers.end(), [](std::int64_t number) { return number > 0; });
  };
  const bool dilated = any_above_0(window.dilations);
  // A dilated window may see padding only, of which oneDNN makes the lowest finite number.
  if (!average && dilated && (any_above_0(window.begin) || any_above_0(window.end))) return false;
  if (average) {
    const bool padding = node.attr_int_or("count_include_pad", 0) != 0;
    if (dilated || (padding && !counts_alike(node, window, window.kernel.size()))) return false;
    algorithm = padding ? dnnl::algorithm::pooling_avg_include_padding
                        : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  return with_dnnl("pooling", [&] {
    const Rep input = lowering.input(0);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const Layout output{dtype, y, input.layout.is_plain() ? 1 : input.layout.block};
    const dnnl::memory::desc source = desc_of(input.layout);
    const dnnl::pooling_forward::primitive_desc desc(
        engine(), dnnl::prop_kind::forward_inference, algorithm, source, desc_of(output),
        window.strides, window.kernel, window.dilations, window.begin, window.end, attributes, true);
    if (!desc) return false;
    const Rep result = lowering.output(0, output);
    lowering.emit(std::string("pooling ") + desc.impl_info_str(), dnnl::pooling_forward(desc), desc,
                  {{DNNL_ARG_SRC, source, input, false}, {DNNL_ARG_DST, desc_of(output), result, true}});
    return true;
  });
}

bool lower_max(Lowering& lowering) { return lower_pool(lowering, false); }
bool lower_average(Lowering& lowering) { return lower_pool(lowering, true); }

std::string refuses_global(const NodeView& view) {
  if (view.dtype(0) != DType::Undefined && view.dtype(0) != DType::F32) {
    return "element type " + std::string(to_string(view.dtype(0)));
  }
  return view.rank(0) >= 0 && view.rank(0) < 2 ? "rank" : "";
}

/// Global pooling: one value per channel, in the input's channel blocks.
bool lower_global(Lowering& lowering, bool average) {
  const Rep input = lowering.input(0);
  const Layout output{DType::F32, lowering.output_layout(0).shape, input.layout.block};
  const Rep result = lowering.output(0, output);
  const std::int64_t lanes = input.layout.block;
  const std::int64_t spatial = input.layout.spatial();
  const std::int64_t rows = input.layout.shape[0] * input.layout.channel_blocks();
  const ReduceLoop loop = reduce_loop(average ? Reduce::Sum : Reduce::Max);
  const float scale = average ? 1.0f / static_cast<float>(spatial) : 1.0f;
  lowering.emit(average ? "global average" : "global maximum",
                to_string(input.layout) + " -> " + to_string(output),
                {Lowering::reads(input), Lowering::writes(result)}, [=](std::byte* const* p) {
                  const auto* x = reinterpret_cast<const float*>(p[0]);
                  auto* y = reinterpret_cast<float*>(p[1]);
                  parallel_ranges(rows, static_cast<double>(spatial * lanes) * 0.1,
                                  [&](std::int64_t begin, std::int64_t end) {
                                    for (std::int64_t i = begin; i < end; ++i) {
                                      loop(x + i * spatial * lanes, spatial, lanes, y + i * lanes, scale);
                                    }
                                  });
                });
  return true;
}

bool lower_global_average(Lowering& lowering) { return lower_global(lowering, true); }
bool lower_global_max(Lowering& lowering) { return lower_global(lowering, false); }

}  // namespace

void add_pool_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"MaxPool", "oneDNN pooling", refuses_max, lower_max});
  table.push_back({"AveragePool", "oneDNN pooling", refuses_common, lower_average});
  table.push_back({"GlobalAveragePool", "global pooling", refuses_global, lower_global_average});
  table.push_back({"GlobalMaxPool", "global pooling", refuses_global, lower_global_max});
}

}  // namespace naru::cpu
