// Element types and operations as tables.
#include "compiler/kernel/ir.h"

#include <algorithm>
#include <iterator>

namespace naru::kernel {
namespace {

struct ElementInfo {
  const char* name;
  DType dtype;
  int bytes;
};

/// In the order of Element.
constexpr ElementInfo kElements[] = {
    {"bool", DType::Bool, 1}, {"i8", DType::I8, 1},   {"i16", DType::I16, 2}, {"i32", DType::I32, 4},
    {"i64", DType::I64, 8},   {"u8", DType::U8, 1},   {"u16", DType::U16, 2}, {"u32", DType::U32, 4},
    {"u64", DType::U64, 8},   {"f16", DType::F16, 2}, {"bf16", DType::BF16, 2}, {"f32", DType::F32, 4},
    {"f64", DType::F64, 8},
};

constexpr OpInfo kOps[] = {
#define OP(id, operands, form, opencl, cuda) {#id, operands, OpInfo::Form::form, opencl, cuda},
#include "compiler/kernel/ops.def"
#undef OP
};

const ElementInfo& info(Element element) noexcept { return kElements[static_cast<std::size_t>(element)]; }

}  // namespace

std::optional<Element> element_of(DType dtype) noexcept {
  const auto found = std::find_if(std::begin(kElements), std::end(kElements),
                                  [&](const ElementInfo& row) { return row.dtype == dtype; });
  if (found == std::end(kElements)) return std::nullopt;
  return static_cast<Element>(found - std::begin(kElements));
}

std::string_view to_string(Element element) noexcept { return info(element).name; }
std::int64_t size_of(Element element) noexcept { return info(element).bytes; }
bool is_float(Element element) noexcept { return element >= Element::F16; }
bool is_signed(Element element) noexcept { return element >= Element::I8 && element <= Element::I64; }

Element computed(Element element) noexcept {
  return element == Element::F16 || element == Element::BF16 ? Element::F32 : element;
}

std::string to_string(const ValueType& type) {
  return std::string(to_string(type.element)) + (type.lanes == 1 ? "" : "x" + std::to_string(type.lanes));
}

const OpInfo& info_of(Op op) noexcept { return kOps[static_cast<std::size_t>(op)]; }

}  // namespace naru::kernel
