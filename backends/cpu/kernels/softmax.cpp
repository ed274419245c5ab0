// Softmax and LogSoftmax: own loops; oneDNN for Softmax along other axes than the last.
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce_loops.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  const DType dtype = view.dtype(0);
  if (dtype != DType::Undefined && dtype != DType::F32) return "element type " + std::string(to_string(dtype));
  return "";
}

/// LogSoftmax along an axis with others after it, row by row: oneDNN's loses digits there.
bool lower_strided_log(Lowering& lowering, std::int64_t length, std::int64_t inner) {
  const Rep input = lowering.plain(0);
  const Rep output = lowering.output(0);
  const std::int64_t rows = lowering.shape(0).numel() / length;
  const auto loop = row_loops().log_softmax;
  lowering.emit("log softmax", to_string(input.layout) + " with stride " + std::to_string(inner),
                {Lowering::reads(input), Lowering::writes(output)}, [=](std::byte* const* p) {
                  const auto* x = reinterpret_cast<const float*>(p[0]);
                  auto* y = reinterpret_cast<float*>(p[1]);
                  parallel_ranges(rows, static_cast<double>(2 * length), [&](std::int64_t begin, std::int64_t end) {
                    std::vector<float> row(static_cast<std::size_t>(2 * length));
                    for (std::int64_t r = begin; r < end; ++r) {
                      const std::int64_t first = r / inner * length * inner + r % inner;
                      for (std::int64_t i = 0; i < length; ++i) row[static_cast<std::size_t>(i)] = x[first + i * inner];
                      loop(row.data(), row.data() + length, length);
                      for (std::int64_t i = 0; i < length; ++i) y[first + i * inner] = row[static_cast<std::size_t>(length + i)];
                    }
                  });
                });
  return true;
}

bool lower(Lowering& lowering, bool log) {
  const Shape shape = lowering.shape(0);
  std::int64_t axis = lowering.node().attr_int_or("axis", -1);
  if (shape.rank() == 0) return false;
  if (axis < 0) axis += shape.rank();
  const std::int64_t length = shape[axis];
  if (shape.numel(axis + 1, shape.rank()) == 1) {
    const std::int64_t rows = shape.numel() / length;
    const Rep input = lowering.plain(0);
    const Rep output = lowering.output(0);
    const auto loop = log ? row_loops().log_softmax : row_loops().softmax;
    lowering.emit(log ? "log softmax" : "softmax", to_string(input.layout),
                  {Lowering::reads(input), Lowering::writes(output)}, [=](std::byte* const* p) {
                    const auto* x = reinterpret_cast<const float*>(p[0]);
                    auto* y = reinterpret_cast<float*>(p[1]);
                    parallel_ranges(rows, static_cast<double>(length), [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r) loop(x + r * length, y + r * length, length);
                    });
                  });
    return true;
  }
  if (log) return lower_strided_log(lowering, length, shape.numel(axis + 1, shape.rank()));
  if (shape.rank() > 12) return false;
  return with_dnnl("softmax", [&] {
    const Rep input = lowering.input(0);
    const dnnl::memory::desc layout = desc_of(input.layout);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::softmax_forward::primitive_desc desc(
        engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::softmax_accurate, layout, layout,
        static_cast<int>(axis), attributes, true);
    if (!desc) return false;
    const Rep output = lowering.output(0, input.layout);
    lowering.emit(std::string("softmax ") + desc.impl_info_str(), dnnl::softmax_forward(desc), desc,
                  {{DNNL_ARG_SRC, layout, input, false}, {DNNL_ARG_DST, layout, output, true}});
    return true;
  });
}

bool lower_softmax(Lowering& lowering) { return lower(lowering, false); }
bool lower_log_softmax(Lowering& lowering) { return lower(lowering, true); }

}  // namespace

void add_softmax_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Softmax", "softmax", refuses, lower_softmax});
  table.push_back({"LogSoftmax", "softmax", refuses, lower_log_softmax});
}

}  // namespace naru::cpu
