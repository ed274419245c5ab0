// Reductions of f32 over any axes, and ArgMax/ArgMin.
#include <algorithm>
#include <cmath>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce_loops.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

/// A reduction operator: its first pass, the pass that joins partial results, what comes last.
struct ReduceName {
  std::string_view op;
  Reduce first;
  Reduce join;
  bool mean = false;
  bool root = false;
};

constexpr ReduceName kNames[] = {
    {"ReduceSum", Reduce::Sum, Reduce::Sum},
    {"ReduceMean", Reduce::Sum, Reduce::Sum, true},
    {"ReduceMax", Reduce::Max, Reduce::Max},
    {"ReduceMin", Reduce::Min, Reduce::Min},
    {"ReduceProd", Reduce::Prod, Reduce::Prod},
    {"ReduceSumSquare", Reduce::SumSquares, Reduce::Sum},
    {"ReduceL1", Reduce::SumAbs, Reduce::Sum},
    {"ReduceL2", Reduce::SumSquares, Reduce::Sum, false, true},
};

const ReduceName& name_of(const Node& node) {
  return *std::find_if(std::begin(kNames), std::end(kNames),
                       [&](const ReduceName& name) { return name.op == node.op->name; });
}

std::string refuses(const NodeView& view) {
  const DType dtype = view.dtype(0);
  if (dtype != DType::Undefined && dtype != DType::F32) return "element type " + std::string(to_string(dtype));
  if (view.has_input(1) && view.constant(1) == nullptr) return "axes are not constant";
  return "";
}

/// Runs of neighbouring axes that are all reduced or all kept, outermost first.
struct AxisRun {
  std::int64_t size = 1;
  bool reduced = false;
};

std::vector<AxisRun> runs_of(const Shape& shape, const std::vector<bool>& reduced) {
  std::vector<AxisRun> runs;
  for (std::size_t axis = 0; axis < reduced.size(); ++axis) {
    const std::int64_t size = shape[static_cast<std::int64_t>(axis)];
    if (size == 1) continue;
    if (!runs.empty() && runs.back().reduced == reduced[axis]) {
      runs.back().size *= size;
    } else {
      runs.push_back({size, reduced[axis]});
    }
  }
  return runs;
}

std::vector<bool> reduced_axes(const Lowering& lowering, std::int64_t rank) {
  std::vector<std::int64_t> axes;
  if (lowering.has_input(1)) axes = to_i64_vector(*lowering.constant(1));
  if (axes.empty()) {
    return std::vector<bool>(static_cast<std::size_t>(rank), lowering.node().attr_int_or("noop_with_empty_axes", 0) == 0);
  }
  std::vector<bool> reduced(static_cast<std::size_t>(rank), false);
  for (const std::int64_t axis : axes) reduced[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
  return reduced;
}

/// One pass over x[outer, rows, lanes] to y[outer, lanes].
struct Pass {
  std::int64_t outer = 1;
  std::int64_t rows = 1;
  std::int64_t lanes = 1;
  Reduce kind = Reduce::Sum;
  float scale = 1;
  bool root = false;
};

/// Lanes of one task: partial sums of a task stay in L1.
constexpr std::int64_t kLanesPerTask = 1024;

void run_pass(const Pass& pass, const float* x, float* y) {
  const ReduceLoop loop = reduce_loop(pass.kind);
  const std::int64_t parts = (pass.lanes + kLanesPerTask - 1) / kLanesPerTask;
  const double cost = static_cast<double>(pass.rows) * static_cast<double>(std::min(pass.lanes, kLanesPerTask)) * 0.15;
  parallel_ranges(pass.outer * parts, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t outer = i / parts;
      const float* from = x + outer * pass.rows * pass.lanes;
      float* to = y + outer * pass.lanes;
      if (parts == 1) {
        loop(from, pass.rows, pass.lanes, to, pass.scale);
      } else {
        // The loop wants whole rows of lanes: a part of the lanes goes row by row.
        const std::int64_t first = i % parts * kLanesPerTask;
        const std::int64_t count = std::min(kLanesPerTask, pass.lanes - first);
        strided_reduce(pass.kind)(from + first, pass.rows, pass.lanes, count, to + first, pass.scale);
      }
      if (pass.root) {
        const std::int64_t first = parts == 1 ? 0 : i % parts * kLanesPerTask;
        const std::int64_t count = std::min(kLanesPerTask, pass.lanes - first);
        for (std::int64_t l = 0; l < count; ++l) to[first + l] = std::sqrt(to[first + l]);
      }
    }
  });
}

bool lower(Lowering& lowering) {
  const ReduceName& name = name_of(lowering.node());
  const Layout logical = lowering.output_layout(0);
  Rep input = lowering.input(0);
  const std::vector<bool> reduced = reduced_axes(lowering, input.layout.shape.rank());
  // Channel blocks can stay where exactly the spatial axes go and the shape keeps its rank.
  bool spatial = !input.layout.is_plain() && logical.shape.rank() == input.layout.shape.rank();
  for (std::size_t axis = 0; axis < reduced.size(); ++axis) spatial &= reduced[axis] == (axis >= 2);
  std::vector<AxisRun> runs;
  Layout layout = logical;
  if (spatial) {
    layout.block = input.layout.block;
    runs = {{input.layout.shape[0] * input.layout.channel_blocks(), false},
            {input.layout.spatial(), true},
            {input.layout.block, false}};
  } else {
    input = lowering.plain(0);
    runs = runs_of(input.layout.shape, reduced);
  }
  std::int64_t total = 1;
  for (const AxisRun& run : runs) total *= run.reduced ? run.size : 1;
  std::vector<Pass> passes;
  std::int64_t lanes = 1;
  for (std::size_t i = runs.size(); i-- > 0;) {
    if (!runs[i].reduced) {
      lanes *= runs[i].size;
      continue;
    }
    Pass pass{1, runs[i].size, lanes, passes.empty() ? name.first : name.join};
    for (std::size_t o = 0; o < i; ++o) pass.outer *= runs[o].size;
    passes.push_back(pass);
  }
  if (passes.empty()) {  // nothing to reduce: |x| or x * x may remain
    if (name.first != name.join) return false;
    passes.push_back({1, 1, layout.physical_elements(), name.first});
  }
  passes.back().scale = name.mean ? 1.0f / static_cast<float>(total) : 1.0f;
  passes.back().root = name.root;
  Rep from = input;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const Pass pass = passes[i];
    const bool last = i + 1 == passes.size();
    const Rep to = last ? lowering.output(0, layout) : lowering.scratch(pass.outer * pass.lanes * 4);
    lowering.emit("reduce", to_string(from.layout) + " -> " + to_string(to.layout),
                  {Lowering::reads(from), Lowering::writes(to)}, [pass](std::byte* const* p) {
                    run_pass(pass, reinterpret_cast<const float*>(p[0]), reinterpret_cast<float*>(p[1]));
                  });
    from = to;
  }
  return true;
}

std::string refuses_arg(const NodeView& view) {
  const DType dtype = view.dtype(0);
  return dtype != DType::Undefined && dtype != DType::F32 ? "element type " + std::string(to_string(dtype)) : "";
}

/// The extreme of x[outer, length, inner] along the middle; the first NaN wins.
template <bool kLargest>
std::int64_t find_extreme(const float* x, std::int64_t length, std::int64_t stride, bool last_wins) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < length; ++i) {
    const float a = x[i * stride];
    const float b = x[best * stride];
    if (b != b) return best;
    if (a != a || (kLargest ? a > b : a < b) || (last_wins && a == b)) best = i;
  }
  return best;
}

bool lower_arg(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  std::int64_t axis = lowering.node().attr_int_or("axis", 0);
  if (axis < 0) axis += shape.rank();
  const bool largest = lowering.node().op->name == "ArgMax";
  const bool last_wins = lowering.node().attr_int_or("select_last_index", 0) != 0;
  const std::int64_t length = shape[axis];
  const std::int64_t inner = shape.numel(axis + 1, shape.rank());
  const std::int64_t count = shape.numel(0, axis) * inner;
  const Rep input = lowering.plain(0);
  const Rep output = lowering.output(0);
  lowering.emit("arg", to_string(input.layout), {Lowering::reads(input), Lowering::writes(output)},
                [=](std::byte* const* p) {
                  const auto* x = reinterpret_cast<const float*>(p[0]);
                  auto* y = reinterpret_cast<std::int64_t*>(p[1]);
                  parallel_ranges(count, static_cast<double>(length), [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      const float* from = x + i / inner * length * inner + i % inner;
                      y[i] = largest ? find_extreme<true>(from, length, inner, last_wins)
                                     : find_extreme<false>(from, length, inner, last_wins);
                    }
                  });
                });
  return true;
}

}  // namespace

void add_reduce_kernels(std::vector<KernelEntry>& table) {
  for (const ReduceName& name : kNames) table.push_back({name.op, "reduction", refuses, lower});
  table.push_back({"ArgMax", "arg", refuses_arg, lower_arg});
  table.push_back({"ArgMin", "arg", refuses_arg, lower_arg});
}

}  // namespace naru::cpu
