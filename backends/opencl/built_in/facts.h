// Facts: named numbers about a task, in which a device profile writes its conditions and arguments.
//
// Of each operand, here X (the names are those of the operator's definition):
//   X.present       1, or 0 for an optional input that is absent; the rest is there for present ones
//   X.rank X.count X.shape[i] X.shape[-i]   its logical shape
//   X.leading[k]  product of all dimensions but the last k; X.trailing[k]: of all but the first k
//   X.type X.signed                         the profile's number of its element type
//   X[i]                                    elements of a small constant of whole numbers
//   X.extent[0..3]  its dimensions in the order of its layout, ones in front
//   X.pitch         the last of them with its padding
//   X.step[0..3]    for each axis of the output's layout, how far apart X's elements lie; 0 where X repeats
// Of a copy: part[0..3] (what is copied, in the order of the output's layout), X.begin, Y.begin (where), room (to
// the end of the padding).
// Of the node: its attributes under their names, lists with [i]; kernel[i] strides[i] dilations[i] pad_begin[i] of
// windows; before_axis axis_length after_axis of operators along an axis; code alpha beta of functions, and
// fused.code fused.alpha fused.beta of the one that the kernel applies at its end (0 when none).
#pragma once

#include <map>
#include <string>

#include "backends/opencl/built_in/device_profile.h"
#include "backends/opencl/built_in/task.h"

namespace naru::opencl {

using Facts = std::map<std::string, double, std::less<>>;

/// A tensor's axes as a layout puts them into memory, brought to four.
struct Physical {
  std::int64_t dims[4];     ///< in the order of memory, padded
  std::int64_t extent[4];   ///< the same, without padding
  std::int64_t stride[4];   ///< of logical axis i, counted from the right to four axes
  std::int64_t axis[4];     ///< the logical axis at place i of memory
  std::int64_t elements;    ///< with padding
};

/// Nothing when the layout does not hold tensors of such a rank.
std::optional<Physical> physical_of(const Layout& layout, const Shape& shape);
/// Elements that a tensor takes, padding included; also of dense tensors of more than four axes.
std::int64_t elements_of(const Layout& layout, const Shape& shape);

/// The element type in which the device holds a term, Undefined when it cannot.
DType stored_type(const DeviceProfile& profile, const Term& term);

/// The layout of an operand: dense when `layouts` does not name it.
const Layout& layout_of(const DeviceProfile& profile, const Layouts& layouts, const std::string& operand);

/// `fused` is the function that the kernel would apply at its end, or null.
Facts facts_of(const Task& task, const std::vector<Term>& terms, const Layouts& layouts, const DeviceProfile& profile, const Task* fused);

}  // namespace naru::opencl
