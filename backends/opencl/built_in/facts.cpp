// Facts of operands, layouts, windows, axes and functions.
#include "backends/opencl/built_in/facts.h"

#include <algorithm>
#include <array>

#include "graph/checked.h"
#include "graph/op_def.h"
#include "graph/ops/window.h"
#include "graph/scalar.h"

namespace naru::opencl {
namespace {

constexpr std::int64_t kAxes = 4;
constexpr std::int64_t kSmallConstant = 16;

std::string indexed(std::string_view name, std::int64_t i) { return fmt::format("{}[{}]", name, i); }

class FactBuilder {
 public:
  FactBuilder(const Task& task, const std::vector<Term>& terms, const Layouts& layouts, const DeviceProfile& profile)
      : task_(task), terms_(terms), layouts_(layouts), profile_(profile), flat_(is_flat()) {}

  Facts run(const Task* fused) {
    for (const Operand& operand : task_.inputs) add_operand(operand);
    add_operand(task_.output);
    add_places();
    if (task_.op == kCopy) add_copy();
    if (task_.node != nullptr && task_.op != kCopy) {
      add_attributes();
      add_window();
      add_axis();
    }
    add_function(task_, "");
    static const Task kNone;
    add_function(fused != nullptr ? *fused : kNone, "fused.");
    return std::move(facts_);
  }

 private:
  const Term& term(const Operand& operand) const { return terms_[static_cast<std::size_t>(operand.term)]; }
  void set(std::string name, std::int64_t value) { facts_[std::move(name)] = static_cast<double>(value); }
  void set(std::string name, double value) { facts_[std::move(name)] = value; }
  void set(std::string name, float value) { facts_[std::move(name)] = value; }

  void add_operand(const Operand& operand) {
    set(operand.name + ".present", std::int64_t{operand.term >= 0});
    if (operand.term < 0) return;
    const Term& t = term(operand);
    const std::int64_t rank = t.shape.rank();
    const std::string& name = operand.name;
    set(name + ".rank", rank);
    set(name + ".count", t.shape.numel());
    for (std::int64_t i = 0; i < rank; ++i) {
      set(indexed(name + ".shape", i), t.shape[i]);
      set(indexed(name + ".shape", i - rank), t.shape[i]);
    }
    for (std::int64_t k = 0; k <= rank; ++k) {
      set(indexed(name + ".leading", k), t.shape.numel(0, rank - k));
      set(indexed(name + ".trailing", k), t.shape.numel(k, rank));
    }
    const std::string type(to_string(stored_type(profile_, t)));
    if (const auto code = profile_.type_codes.find(type); code != profile_.type_codes.end()) set(name + ".type", code->second);
    set(name + ".signed", std::int64_t{kind_of(t.dtype) != DTypeKind::UnsignedInt});
    if (t.constant != nullptr && is_integer(t.dtype) && t.shape.numel() <= kSmallConstant) {
      const std::vector<std::int64_t> values = to_i64_vector(*t.constant);
      for (std::size_t i = 0; i < values.size(); ++i) set(indexed(name, static_cast<std::int64_t>(i)), values[i]);
    }
  }

  /// The shape whose axes become places: dense operands of one shape are a row, whatever their rank.
  Shape place_shape(const Operand& operand) const { return flat_ ? Shape{term(operand).shape.numel()} : term(operand).shape; }
  bool is_flat() const {
    const Shape& shape = term(task_.output).shape;
    if (shape.rank() <= kAxes || !task_.permutation.empty() || task_.part_axis >= 0 || !layouts_.empty()) return false;
    return std::all_of(task_.inputs.begin(), task_.inputs.end(), [&](const Operand& o) { return o.term < 0 || term(o).shape == shape; });
  }

  /// Extents of every operand, and steps along the axes of the output's layout.
  void add_places() {
    const std::optional<Physical> output = physical_of(layout_of(profile_, layouts_, task_.output.name), place_shape(task_.output));
    std::vector<Operand> operands = task_.inputs;
    operands.push_back(task_.output);
    for (const Operand& operand : operands) {
      if (operand.term < 0) continue;
      const std::optional<Physical> own = physical_of(layout_of(profile_, layouts_, operand.name), place_shape(operand));
      if (!own) continue;
      for (std::int64_t i = 0; i < kAxes; ++i) set(indexed(operand.name + ".extent", i), own->extent[i]);
      set(operand.name + ".pitch", own->dims[kAxes - 1]);
      if (output) add_steps(operand, *own, *output);
    }
  }

  void add_steps(const Operand& operand, const Physical& own, const Physical& output) {
    const Shape shape = place_shape(operand);
    for (std::int64_t i = 0; i < kAxes; ++i) {
      std::int64_t axis = output.axis[i];
      // A transposing copy reads another axis than it writes.
      if (!task_.permutation.empty() && operand.name == "X") {
        const std::int64_t rank = shape.rank();
        const std::int64_t own_axis = axis - (kAxes - rank);
        if (own_axis >= 0) axis = task_.permutation[static_cast<std::size_t>(own_axis)] + kAxes - rank;
      }
      const std::int64_t at = axis - (kAxes - shape.rank());
      const std::int64_t length = at < 0 ? 1 : shape[at];
      const bool repeats = length == 1 && output.extent[i] != 1;
      // Whether a shape broadcasts at all is the kernel's row to ask; here it is only described.
      set(indexed(operand.name + ".step", i), repeats ? 0 : own.stride[axis]);
    }
  }

  void add_copy() {
    const Operand& from = task_.inputs[0];
    const std::optional<Physical> to = physical_of(layout_of(profile_, layouts_, "Y"), place_shape(task_.output));
    const std::optional<Physical> source = physical_of(layout_of(profile_, layouts_, "X"), place_shape(from));
    if (!to || !source) return;
    const std::int64_t rank = term(task_.output).shape.rank();
    const std::int64_t axis = task_.part_axis < 0 ? -1 : task_.part_axis + kAxes - rank;
    for (std::int64_t i = 0; i < kAxes; ++i) {
      const std::int64_t length = to->axis[i] == axis ? term(from).shape[task_.part_axis] : to->extent[i];
      set(indexed("part", i), length);
      // Parts repeat nothing, whatever the length of the whole.
      if (axis >= 0) set(indexed("X.step", i), source->stride[to->axis[i]]);
    }
    const bool innermost = axis >= 0 && to->axis[kAxes - 1] == axis;
    set("X.begin", std::int64_t{0});
    set("Y.begin", axis < 0 ? 0 : task_.part_begin * to->stride[axis]);
    set("room", to->dims[kAxes - 1] - (innermost ? task_.part_begin : 0));
  }

  void add_attributes() {
    for (const AttrSpec& spec : task_.node->op->attributes) {
      const Attribute* value = task_.node->find(spec.name);
      if (value == nullptr) continue;
      if (const auto* number = std::get_if<std::int64_t>(value)) set(spec.name, *number);
      if (const auto* number = std::get_if<float>(value)) set(spec.name, *number);
      if (const auto* list = std::get_if<std::vector<std::int64_t>>(value)) {
        for (std::size_t i = 0; i < list->size() && i < kSmallConstant; ++i) set(indexed(spec.name, static_cast<std::int64_t>(i)), (*list)[i]);
      }
    }
  }

  /// Convolutions and pools: attributes with their defaults, padding resolved.
  void add_window() {
    const int x = task_.inputs[0].term;
    const int w = std::max(task_.input("W"), task_.input("w"));
    const bool is_pool = task_.node->has("kernel_shape") && w < 0;
    const bool is_convolution = w >= 0 && (task_.op == "Conv" || task_.op == "ConvInteger");
    if (!is_pool && !is_convolution) return;
    const Shape& input = terms_[static_cast<std::size_t>(x)].shape;
    const Shape& output = term(task_.output).shape;
    std::vector<std::int64_t> kernel;
    for (std::int64_t i = 2; is_convolution && i < terms_[static_cast<std::size_t>(w)].shape.rank(); ++i) {
      kernel.push_back(terms_[static_cast<std::size_t>(w)].shape[i]);
    }
    const Window window = is_pool ? read_pool_window(*task_.node) : read_window(*task_.node, std::move(kernel));
    for (std::size_t i = 0; i < window.rank(); ++i) {
      const auto axis = static_cast<std::int64_t>(i);
      if (axis + 2 >= input.rank() || axis + 2 >= output.rank()) return;
      set(indexed("kernel", axis), window.kernel[i]);
      set(indexed("strides", axis), window.strides[i]);
      set(indexed("dilations", axis), window.dilations[i]);
      set(indexed("pad_begin", axis), window_pad_begin(window, i, input[axis + 2], output[axis + 2]));
    }
  }

  /// Operators along one axis, or several that follow each other.
  void add_axis() {
    const Shape& shape = term(task_.inputs[0]).shape;
    std::vector<std::int64_t> axes;
    if (task_.node->has("axis")) axes = {task_.node->attr_int("axis")};
    if (const int list = task_.input("axes"); list >= 0 && terms_[static_cast<std::size_t>(list)].constant != nullptr) {
      axes = to_i64_vector(*terms_[static_cast<std::size_t>(list)].constant);
    }
    for (std::int64_t& axis : axes) axis += axis < 0 ? shape.rank() : 0;
    std::sort(axes.begin(), axes.end());
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] < 0 || axes[i] >= shape.rank() || axes[i] != axes[0] + static_cast<std::int64_t>(i)) return;
    }
    if (axes.empty()) return;
    set("before_axis", shape.numel(0, axes.front()));
    set("axis_length", shape.numel(axes.front(), axes.back() + 1));
    set("after_axis", shape.numel(axes.back() + 1, shape.rank()));
  }

  void add_function(const Task& task, const std::string& prefix) {
    const auto code = profile_.codes.find(task.op);
    if (code != profile_.codes.end()) set(prefix + "code", code->second);
    if (task.op.empty()) set(prefix + "code", std::int64_t{0});
    if (prefix.empty() && code == profile_.codes.end()) return;
    set(prefix + "alpha", task.alpha);
    set(prefix + "beta", task.beta);
  }

  const Task& task_;
  const std::vector<Term>& terms_;
  const Layouts& layouts_;
  const DeviceProfile& profile_;
  const bool flat_;
  Facts facts_;
};

}  // namespace

std::optional<Physical> physical_of(const Layout& layout, const Shape& shape) {
  const std::int64_t axes = layout.is_dense() ? kAxes : static_cast<std::int64_t>(layout.order.size());
  if (shape.rank() > axes) return std::nullopt;
  const std::int64_t front = kAxes - axes;  // axes of length 1 before those of the layout
  const auto length = [&](std::int64_t axis) {
    const std::int64_t own = axis - (kAxes - shape.rank());
    return own < 0 ? 1 : shape[own];
  };
  Physical place;
  place.elements = 1;
  for (std::int64_t i = kAxes; i-- > 0;) {
    const std::int64_t at = i - front;
    const bool moved = !layout.is_dense() && at >= 0;
    place.axis[i] = moved ? layout.order[static_cast<std::size_t>(at)] + front : i;
    place.extent[i] = length(place.axis[i]);
    place.dims[i] = moved ? CheckedSize(place.extent[i]).align_up(layout.align[static_cast<std::size_t>(at)]).value() : place.extent[i];
    place.stride[place.axis[i]] = place.elements;
    place.elements = checked_mul(place.elements, place.dims[i]);
  }
  return place;
}

std::int64_t elements_of(const Layout& layout, const Shape& shape) {
  if (layout.is_dense()) return shape.numel();
  return physical_of(layout, shape)->elements;
}

DType stored_type(const DeviceProfile& profile, const Term& term) {
  std::string name(to_string(term.dtype));
  const auto other = profile.stored_as.find(name);
  if (!term.own_type && other != profile.stored_as.end()) name = other->second;
  return profile.type_codes.count(name) != 0 ? *dtype_from_string(name) : DType::Undefined;
}

const Layout& layout_of(const DeviceProfile& profile, const Layouts& layouts, const std::string& operand) {
  const auto named = layouts.find(operand);
  return profile.layouts.at(named == layouts.end() ? kDense : named->second);
}

Facts facts_of(const Task& task, const std::vector<Term>& terms, const Layouts& layouts, const DeviceProfile& profile, const Task* fused) {
  return FactBuilder(task, terms, layouts, profile).run(fused);
}

}  // namespace naru::opencl
