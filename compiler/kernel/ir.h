// The kernel IR: expression trees over typed values, and structured statements over a thread grid.
//
// A kernel is what one work item does: it finds its place in the grid, computes, and stores. Buffers
// are flat arrays of one element type, addressed by i32 element indices. What differs between the
// launches of one kernel (sizes, strides, scale factors) are arguments, so that kernels are few.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "naru/dtype.h"

namespace naru::kernel {

/// What a buffer holds and an expression is. F16 and BF16 are storage only: loads widen them to F32,
/// stores round to nearest even. Bool is one byte in a buffer.
enum class Element : std::uint8_t { Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64 };

/// The element that stores a tensor's type; nullopt for packed, 8-bit float, complex and block types.
std::optional<Element> element_of(DType dtype) noexcept;
std::string_view to_string(Element element) noexcept;
std::int64_t size_of(Element element) noexcept;
bool is_float(Element element) noexcept;
bool is_signed(Element element) noexcept;
/// The element in which loaded values are computed.
Element computed(Element element) noexcept;

struct ValueType {
  Element element = Element::I32;
  int lanes = 1;  ///< 1, 2, 4, 8 or 16
  bool operator==(const ValueType&) const = default;
};
std::string to_string(const ValueType& type);

enum class Op : std::uint8_t {
#define OP(id, operands, form, opencl, cuda) id,
#include "compiler/kernel/ops.def"
#undef OP
};

/// One row of ops.def.
struct OpInfo {
  enum class Form : std::uint8_t { Special, Prefix, Infix, Call };
  const char* name;
  int operands;
  Form form;
  const char* opencl;
  const char* cuda;
};
const OpInfo& info_of(Op op) noexcept;

struct ExprNode;
/// An immutable expression, shared freely. Operators are built by the functions of build.h.
using ExprPtr = std::shared_ptr<const ExprNode>;

struct ExprNode {
  Op op = Op::Literal;
  ValueType type;
  std::vector<ExprPtr> operands;
  std::int64_t integer = 0;  ///< of a Literal of integer type
  double real = 0;           ///< of a Literal of float type
  std::int32_t index = 0;    ///< argument, variable, buffer, array or grid dimension
};

struct Stmt;
using Block = std::vector<Stmt>;

/// One statement; which fields count depends on the kind.
struct Stmt {
  enum class Kind : std::uint8_t {
    Let,         ///< variable `index`, assigned once, is `value`
    Var,         ///< variable `index` begins as `value`
    Assign,      ///< variable `index` becomes `value`
    Store,       ///< buffer `index` at `at` becomes `value` (as many elements as it has lanes)
    ArrayStore,  ///< array `index` at `at` becomes `value`
    For,         ///< i32 variable `index` runs from `value` to below `end` by `step`
    If,          ///< `body` where `value`, else `other`
    Barrier,     ///< all items of a group meet, and see each other's stores to group arrays
  };
  Kind kind;
  std::int32_t index = 0;
  ExprPtr value;
  ExprPtr at;
  ExprPtr end;
  std::int32_t step = 1;
  Block body;
  Block other;
};

struct BufferParam {
  std::string name;
  Element element;
  bool written = false;
};

/// A scalar argument: an i32 or a float.
struct ScalarParam {
  std::string name;
  Element element;
};

/// Memory of one item, or of its group.
struct ArrayDecl {
  Element element;
  std::int32_t size = 0;
  bool shared = false;
};

/// A kernel's text is its identity: two with equal text are the same program.
struct Kernel {
  std::string name;
  std::vector<BufferParam> buffers;
  std::vector<ScalarParam> scalars;
  std::vector<ValueType> variables;
  std::vector<ArrayDecl> arrays;
  /// Items of a group; a group array makes its size part of the kernel.
  std::int32_t group[3] = {1, 1, 1};
  Block body;
};

/// The text form, for people, tests and cache keys.
std::string to_string(const Kernel& kernel);

}  // namespace naru::kernel
