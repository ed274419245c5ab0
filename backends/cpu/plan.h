// Plan: what lowering makes of a fragment: buffers and the flat list of steps over them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/onednn.h"

namespace naru::cpu {

using BufferId = std::int32_t;

/// A block of memory of a plan.
struct PlanBuffer {
  enum class Kind : std::uint8_t { Arena, Input, Output, Constant };
  Kind kind = Kind::Arena;
  std::int64_t size_bytes = 0;
  std::int32_t index = -1;                ///< of an Input or Output: which one of the fragment
  const std::byte* data = nullptr;        ///< of a Constant
  std::shared_ptr<const void> owner;      ///< of a Constant: keeps `data` alive
  bool packed = false;                    ///< a Constant that is a copy made for this backend
  /// An Arena buffer that lies inside another one (a part of a concatenation), or -1.
  BufferId parent = -1;
  std::int64_t parent_offset = 0;
};

/// One memory operand of a step.
struct Operand {
  BufferId buffer = -1;
  std::int64_t offset_bytes = 0;
  bool written = false;
};

/// A kernel of our own: gets one pointer per operand.
using Code = std::function<void(std::byte* const* operands)>;

/// One kernel call. Either `code`, or `primitive` with one argument per operand.
struct Step {
  std::int32_t node = -1;  ///< -1 for a layout conversion
  std::string kernel;
  std::string note;  ///< shapes and layouts, for describe()
  std::vector<Operand> operands;
  Code code;
  dnnl::primitive primitive;
  std::vector<int> argument_ids;
  std::vector<dnnl::memory::desc> argument_descs;
};

struct Plan {
  std::vector<PlanBuffer> buffers;
  std::vector<Step> steps;
};

/// Where an arena buffer begins: follows parents to the root.
struct Place {
  BufferId root = -1;
  std::int64_t offset_bytes = 0;
};
Place place_of(const Plan& plan, BufferId buffer);

}  // namespace naru::cpu
