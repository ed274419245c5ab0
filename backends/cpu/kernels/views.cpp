// Operators that only rename elements: their output is their input's memory.
#include <algorithm>

#include "backends/cpu/kernels.h"

namespace naru::cpu {
namespace {

constexpr std::string_view kViews[] = {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};

bool lower_view(Lowering& lowering) {
  if (!lowering.has_output(0)) return true;
  const Layout target = lowering.output_layout(0);
  if (target.shape == lowering.shape(0)) {
    lowering.input(0);  // makes a constant known
    for (const Layout& layout : lowering.layouts(0)) lowering.set_output(0, lowering.as(0, layout));
    return true;
  }
  Rep rep = lowering.plain(0);
  rep.layout = target;
  lowering.set_output(0, rep);
  return true;
}

std::string refuses_dropout(const NodeView& view) {
  if (view.has_output(1)) return "its mask is used";
  const Tensor* training = view.constant(2);
  if (view.has_input(2) && (training == nullptr || training->as<bool>()[0])) {
    return "training mode";
  }
  return "";
}

}  // namespace

bool is_view(const Node& node) {
  return std::find(std::begin(kViews), std::end(kViews), node.op->full_name()) != std::end(kViews);
}

void add_view_kernels(std::vector<KernelEntry>& table) {
  for (const std::string_view name : kViews) table.push_back({name, "view", nullptr, lower_view});
  table.push_back({"Dropout", "view", refuses_dropout, lower_view});
}

}  // namespace naru::cpu
