// Convolution and transposed convolution by oneDNN, alone or with a fused chain behind.
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/post_ops.h"
#include "backends/cpu/window.h"

namespace naru::cpu {
namespace {

bool is_fused(const Node& node) { return node.op->domain == "naru"; }

std::string refuses(const NodeView& view) {
  const DType dtype = view.dtype(0);
  if (dtype != DType::Undefined && !is_chain_type(dtype)) {
    return "element type " + std::string(to_string(dtype));
  }
  if (view.rank(0) >= 0 && (view.rank(0) < 3 || view.rank(0) > 5)) {
    return fmt::format("rank {}, expected 3 to 5", view.rank(0));
  }
  if (is_fused(view.node) && !post_chain(view.node, 3)) return "a post-op without a loop";
  return "";
}

/// [M, C/g, k...] with groups in front where there are several; `transposed` weights are
/// [C, M/g, k...] and are read with their first two dimensions swapped.
struct Weights {
  Shape shape;
  dnnl::memory::desc stored;  ///< how the tensor's bytes are read
};

Weights weights_of(const Shape& w, DType dtype, std::int64_t groups, bool transposed) {
  std::vector<std::int64_t> dims = w.dims();
  std::vector<std::int64_t> strides = w.strides();
  if (transposed) {
    std::swap(dims[0], dims[1]);
    std::swap(strides[0], strides[1]);
  }
  if (groups > 1) {
    // The grouped dimension is the one that the whole of M (or, transposed, of C) lies in.
    const std::size_t split = transposed ? 1 : 0;
    dims[split] /= groups;
    const std::int64_t group_stride = strides[split] * dims[split];
    dims.insert(dims.begin(), groups);
    strides.insert(strides.begin(), group_stride);
  }
  return {Shape(dims), {dims, *dnnl_type(dtype), strides}};
}

/// What both directions share: operands and how the chosen descriptor binds them.
bool lower(Lowering& lowering, bool transposed) {
  const Shape x = lowering.shape(0);
  const Shape w = lowering.shape(1);
  const Layout output = lowering.output_layout(0);
  const DType dtype = lowering.dtype(0);
  const std::int64_t groups = lowering.node().attr_int_or("group", 1);
  const Weights weights = weights_of(w, dtype, groups, transposed);
  const Window window =
      transposed ? transposed_window_of(lowering.node(), spatial_shape(w), spatial_shape(x),
                                        spatial_shape(output.shape))
                 : window_of(lowering.node(), spatial_shape(w), spatial_shape(x), spatial_shape(output.shape));
  const bool has_bias = lowering.has_input(2);

  ChainedPrimitive chained;
  chained.kernel = transposed ? "deconvolution" : "convolution";
  chained.output = output;
  if (is_fused(lowering.node())) chained.steps = *post_chain(lowering.node(), 3);
  chained.inputs = {lowering.input(0)};
  const dnnl::memory::desc bias_desc =
      has_bias ? desc_of(Layout::plain(dtype, lowering.shape(2))) : dnnl::memory::desc();
  const dnnl::memory::desc any_weights = any_layout(dtype, weights.shape);
  const auto make_for = [&](const dnnl::memory::desc& source, const dnnl::memory::desc& target,
                            const dnnl::primitive_attr& attributes) {
    constexpr auto kForward = dnnl::prop_kind::forward_inference;
    if (transposed) {
      return static_cast<dnnl::primitive_desc>(dnnl::deconvolution_forward::primitive_desc(
          engine(), kForward, dnnl::algorithm::deconvolution_direct, source, any_weights, bias_desc,
          target, window.strides, window.dilations, window.begin, window.end, attributes, true));
    }
    return static_cast<dnnl::primitive_desc>(dnnl::convolution_forward::primitive_desc(
        engine(), kForward, dnnl::algorithm::convolution_direct, source, any_weights, bias_desc,
        target, window.strides, window.dilations, window.begin, window.end, attributes, true));
  };
  chained.make = [&](const dnnl::memory::desc& target, const dnnl::primitive_attr& attributes) {
    dnnl::primitive_desc desc = make_for(any_layout(dtype, x), target, attributes);
    if (desc && !layout_of(desc.query_md(dnnl::query::src_md), dtype, x)) {
      desc = make_for(desc_of(Layout::plain(dtype, x)), target, attributes);
    }
    return desc;
  };
  chained.bind = [&](const dnnl::primitive_desc& desc) {
    const dnnl::memory::desc source = desc.query_md(dnnl::query::src_md);
    const std::optional<Layout> layout = layout_of(source, dtype, x);
    NARU_CHECK(layout.has_value(), "a source layout without a name");
    std::vector<Argument> arguments = {{DNNL_ARG_SRC, source, lowering.as(0, *layout), false}};
    const dnnl::memory::desc packed = desc.query_md(dnnl::query::weights_md);
    arguments.push_back({DNNL_ARG_WEIGHTS, packed, lowering.arranged(1, weights.stored, packed), false});
    if (has_bias) arguments.push_back({DNNL_ARG_BIAS, bias_desc, lowering.plain(2), false});
    return arguments;
  };
  return emit_with_chain(lowering, chained);
}

bool lower_convolution(Lowering& lowering) { return lower(lowering, false); }
bool lower_transposed(Lowering& lowering) { return lower(lowering, true); }

}  // namespace

void add_convolution_kernels(std::vector<KernelEntry>& table) {
  for (const std::string_view op : {"Conv", "naru.FusedConv"}) {
    table.push_back({op, "oneDNN convolution", refuses, lower_convolution});
  }
  for (const std::string_view op : {"ConvTranspose", "naru.FusedConvTranspose"}) {
    table.push_back({op, "oneDNN deconvolution", refuses, lower_transposed});
  }
}

}  // namespace naru::cpu
