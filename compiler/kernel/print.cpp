// Printers: the tables of two C dialects and the walk that both share.
#include "compiler/kernel/print.h"

#include <fmt/format.h>

#include <cmath>

#include "graph/fail.h"
#include "graph/hash.h"

namespace naru::kernel {
namespace {

/// What differs between the dialects besides ops.def.
struct Words {
  const char* elements[13];  // by Element: the type of values, storage-only ones as bits
  const char* kernel;
  const char* buffer;        // in front of a buffer's element type
  const char* restricted;
  const char* group_array;
  const char* barrier;
  const char* ids[3];        // global, local, group; {} is the dimension
};

constexpr Words kOpenCl = {
    {"bool", "char", "short", "int", "long", "uchar", "ushort", "uint", "ulong", "ushort", "ushort", "float", "double"},
    "__kernel void", "__global ", "restrict ", "__local ", "barrier(CLK_LOCAL_MEM_FENCE);",
    {"(int)get_global_id({})", "(int)get_local_id({})", "(int)get_group_id({})"}};

constexpr Words kCuda = {
    {"bool", "signed char", "short", "int", "long long", "unsigned char", "unsigned short", "unsigned int",
     "unsigned long long", "unsigned short", "unsigned short", "float", "double"},
    "extern \"C\" __global__ void", "", "__restrict__ ", "__shared__ ", "__syncthreads();",
    {"naru_global_id(grid, {})", "naru_local_id({})", "naru_group_id(grid, {})"}};

// PoCL 3.1 and others lack arithmetic on half; conversions are core OpenCL 1.2.
constexpr const char* kOpenClPrelude = R"cl(#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
float naru_load_f16(__global const ushort* p, int i) { return vload_half(i, (__global const half*)p); }
void naru_store_f16(__global ushort* p, int i, float v) { vstore_half_rte(v, i, (__global half*)p); }
float naru_load_bf16(__global const ushort* p, int i) { return as_float((uint)p[i] << 16); }
void naru_store_bf16(__global ushort* p, int i, float v) {
  uint bits = as_uint(v);
  p[i] = isnan(v) ? (ushort)((bits >> 16) | 64) : (ushort)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
)cl";

// A CUDA grid ends at 65,535 groups in its second and third dimension. A launch with more folds both
// over again: kernels are told how many there are, and take their place in them from the folded one.
constexpr const char* kCudaPrelude = R"cu(#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
__device__ inline int naru_pick(int d, unsigned x, unsigned y, unsigned z) { return (int)(d == 0 ? x : d == 1 ? y : z); }
__device__ inline int naru_local_id(int d) { return naru_pick(d, threadIdx.x, threadIdx.y, threadIdx.z); }
struct naru_grid { unsigned y, z; };
__device__ inline naru_grid naru_grid_of(unsigned gy) {
  const unsigned at = blockIdx.z * gridDim.y + blockIdx.y;
  return gridDim.y == gy ? naru_grid{blockIdx.y, blockIdx.z} : naru_grid{at % gy, at / gy};
}
__device__ inline int naru_group_id(naru_grid grid, int d) { return naru_pick(d, blockIdx.x, grid.y, grid.z); }
__device__ inline int naru_global_id(naru_grid grid, int d) {
  return naru_group_id(grid, d) * naru_pick(d, blockDim.x, blockDim.y, blockDim.z) + naru_local_id(d);
}
__device__ inline float naru_load_f16(const unsigned short* p, int i) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(p[i]));
  return v;
}
__device__ inline void naru_store_f16(unsigned short* p, int i, float v) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(p[i]) : "f"(v));
}
__device__ inline float naru_load_bf16(const unsigned short* p, int i) { return __uint_as_float((unsigned)p[i] << 16); }
__device__ inline void naru_store_bf16(unsigned short* p, int i, float v) {
  unsigned bits = __float_as_uint(v);
  p[i] = v != v ? (unsigned short)((bits >> 16) | 64) : (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
template <class To, class From> __device__ inline To naru_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}
)cu";

class Printer {
 public:
  Printer(const Kernel& kernel, Dialect dialect)
      : kernel_(kernel), dialect_(dialect), words_(dialect == Dialect::OpenCl ? kOpenCl : kCuda) {}

  std::string run() {
    if (dialect_ == Dialect::OpenCl && grouped()) {
      text_ += fmt::format("__attribute__((reqd_work_group_size({}, {}, {})))\n", kernel_.group[0], kernel_.group[1],
                           kernel_.group[2]);
    }
    text_ += fmt::format("{} {}(", words_.kernel, symbol_of(kernel_));
    const char* comma = "";
    for (std::size_t i = 0; i < kernel_.buffers.size(); ++i) {
      const BufferParam& buffer = kernel_.buffers[i];
      text_ += fmt::format("{}{}{}{}* {}b{}, int o{}", comma, words_.buffer, buffer.written ? "" : "const ",
                           storage(buffer.element), words_.restricted, i, i);
      comma = ", ";
    }
    for (std::size_t i = 0; i < kernel_.scalars.size(); ++i) {
      text_ += fmt::format("{}{} s{}", comma, name(kernel_.scalars[i].element), i);
      comma = ", ";
    }
    if (dialect_ == Dialect::Cuda) text_ += fmt::format("{}unsigned gy, unsigned gz", comma);
    text_ += ") {\n";
    if (dialect_ == Dialect::Cuda) line("const naru_grid grid = naru_grid_of(gy); if (grid.z >= gz) return;");
    for (std::size_t i = 0; i < kernel_.buffers.size(); ++i) line(fmt::format("b{} += o{};", i, i));
    for (std::size_t i = 0; i < kernel_.arrays.size(); ++i) {
      const ArrayDecl& array = kernel_.arrays[i];
      line(fmt::format("{}{} a{}[{}];", array.shared ? words_.group_array : "", storage(array.element), i, array.size));
    }
    block(kernel_.body);
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  bool grouped() const {
    for (const ArrayDecl& array : kernel_.arrays) {
      if (array.shared) return true;
    }
    return false;
  }

  const char* name(Element element) const { return words_.elements[static_cast<std::size_t>(element)]; }
  /// The type in memory: a bool is a byte.
  const char* storage(Element element) const { return name(element == Element::Bool ? Element::U8 : element); }

  std::string name(const ValueType& type) const {
    if (type.lanes == 1) return name(type.element);
    NARU_CHECK(dialect_ == Dialect::OpenCl, "kernel " + kernel_.name + ": CUDA C has no vector arithmetic; lower with one lane");
    // Comparisons of vectors give masks of integers as wide as what is compared.
    return fmt::format("{}{}", name(type.element == Element::Bool ? Element::I32 : type.element), type.lanes);
  }

  void line(const std::string& statement) {
    text_.append(indent_, ' ');
    text_ += statement;
    text_ += '\n';
  }

  void block(const Block& statements) {
    indent_ += 2;
    for (const Stmt& statement : statements) print(statement);
    indent_ -= 2;
  }

  void print(const Stmt& s) {
    switch (s.kind) {
      case Stmt::Kind::Let:
        return line(fmt::format("const {} v{} = {};", name(variable(s)), s.index, print(*s.value)));
      case Stmt::Kind::Var:
        return line(fmt::format("{} v{} = {};", name(variable(s)), s.index, print(*s.value)));
      case Stmt::Kind::Assign:
        return line(fmt::format("v{} = {};", s.index, print(*s.value)));
      case Stmt::Kind::Store:
        return line(store(kernel_.buffers[static_cast<std::size_t>(s.index)].element, s));
      case Stmt::Kind::ArrayStore:
        return line(array_store(s));
      case Stmt::Kind::For:
        line(fmt::format("for (int v{0} = {1}; v{0} < {2}; v{0} += {3}) {{", s.index, print(*s.value), print(*s.end),
                         s.step));
        block(s.body);
        return line("}");
      case Stmt::Kind::If:
        line(fmt::format("if ({}) {{", print(*s.value)));
        block(s.body);
        if (!s.other.empty()) {
          line("} else {");
          block(s.other);
        }
        return line("}");
      case Stmt::Kind::Barrier:
        return line(words_.barrier);
    }
  }

  ValueType variable(const Stmt& s) const { return kernel_.variables[static_cast<std::size_t>(s.index)]; }

  std::string store(Element element, const Stmt& s) const {
    const std::string at = print(*s.at);
    const std::string value = print(*s.value);
    if (element == Element::F16 || element == Element::BF16) {
      return fmt::format("naru_store_{}(b{}, {}, {});", to_string(element), s.index, at, value);
    }
    const int lanes = s.value->type.lanes;
    if (lanes == 1) return fmt::format("b{}[{}] = {};", s.index, at, value);
    return fmt::format("vstore{}({}, 0, b{} + ({}));", lanes, value, s.index, at);
  }

  std::string array_store(const Stmt& s) const {
    const int lanes = s.value->type.lanes;
    const std::string at = print(*s.at);
    if (lanes == 1) return fmt::format("a{}[{}] = {};", s.index, at, print(*s.value));
    return fmt::format("vstore{}({}, 0, a{} + ({}));", lanes, print(*s.value), s.index, at);
  }

  std::string load(const ExprNode& e) const {
    const Element element = kernel_.buffers[static_cast<std::size_t>(e.index)].element;
    const std::string at = print(*e.operands[0]);
    if (element == Element::F16 || element == Element::BF16) {
      const int lanes = e.type.lanes;
      if (lanes == 1) return fmt::format("naru_load_{}(b{}, {})", to_string(element), e.index, at);
      if (element == Element::F16) return fmt::format("vload_half{}(0, (__global const half*)(b{} + ({})))", lanes, e.index, at);
      return fmt::format("as_float{0}(convert_uint{0}(vload{0}(0, b{1} + ({2}))) << 16)", lanes, e.index, at);
    }
    if (element == Element::Bool) return fmt::format("(b{}[{}] != 0)", e.index, at);
    if (e.type.lanes == 1) return fmt::format("b{}[{}]", e.index, at);
    return fmt::format("vload{}(0, b{} + ({}))", e.type.lanes, e.index, at);
  }

  std::string literal(const ExprNode& e) const {
    const Element element = e.type.element;
    if (!is_float(element)) {
      if (element == Element::I32 && e.integer > INT32_MIN) return fmt::format("{}", e.integer);
      if (element == Element::Bool) return e.integer != 0 ? "true" : "false";
      return fmt::format("({})0x{:x}{}", name(element), static_cast<std::uint64_t>(e.integer),
                         size_of(element) == 8 ? "UL" : "");
    }
    if (std::isnan(e.real)) return fmt::format("({})NAN", name(element));
    if (std::isinf(e.real)) return fmt::format("({}{})INFINITY", e.real < 0 ? "-(" : "(", name(element)) + ")";
    return fmt::format("{:a}{}", e.real, element == Element::F32 ? "f" : "");
  }

  std::string print(const ExprNode& e) const {
    const auto operand = [&](std::size_t i) { return print(*e.operands[i]); };
    const OpInfo& info = info_of(e.op);
    const char* word = dialect_ == Dialect::OpenCl ? info.opencl : info.cuda;
    switch (info.form) {
      case OpInfo::Form::Prefix: return fmt::format("({}{})", word, operand(0));
      case OpInfo::Form::Infix: return infix(e, word);
      case OpInfo::Form::Call: return call(e, word);
      case OpInfo::Form::Special: break;
    }
    switch (e.op) {
      case Op::Literal: return literal(e);
      case Op::Argument: return fmt::format("s{}", e.index);
      case Op::Variable: return fmt::format("v{}", e.index);
      case Op::GlobalId: return fmt::format(fmt::runtime(words_.ids[0]), e.index);
      case Op::LocalId: return fmt::format(fmt::runtime(words_.ids[1]), e.index);
      case Op::GroupId: return fmt::format(fmt::runtime(words_.ids[2]), e.index);
      case Op::Load: return load(e);
      case Op::ArrayLoad:
        if (e.type.lanes != 1) return fmt::format("vload{}(0, a{} + ({}))", e.type.lanes, e.index, operand(0));
        return fmt::format("a{}[{}]", e.index, operand(0));
      case Op::Select: return fmt::format("({} ? {} : {})", operand(0), operand(1), operand(2));
      case Op::LowHalf: case Op::HighHalf: return operand(0) + word;
      case Op::Splat: return fmt::format("({})({})", name(e.type), operand(0));
      case Op::Cast:
        if (e.type.lanes != 1 && dialect_ == Dialect::OpenCl) {
          return fmt::format("convert_{}({})", name(e.type), operand(0));
        }
        return fmt::format("(({}){})", name(e.type), operand(0));
      case Op::BitCast:
        if (dialect_ == Dialect::OpenCl) return fmt::format("as_{}({})", name(e.type), operand(0));
        return fmt::format("naru_bits<{}>({})", name(e.type), operand(0));
      default: NARU_CHECK(false, std::string("kernel: no text for ") + info.name);
    }
    return "";
  }

  /// Narrow integers are promoted by C, so their results are cut back.
  std::string infix(const ExprNode& e, const char* word) const {
    const std::string text = fmt::format("({} {} {})", print(*e.operands[0]), word, print(*e.operands[1]));
    if (is_float(e.type.element) || e.type.element == Element::Bool || size_of(e.type.element) >= 4) return text;
    return fmt::format("(({}){})", name(e.type), text);
  }

  std::string call(const ExprNode& e, const char* word) const {
    std::string name_of_call = word;
    if (is_float(e.type.element) && (e.op == Op::Min || e.op == Op::Max)) name_of_call = std::string("f") + word;
    std::string text = name_of_call + "(";
    for (std::size_t i = 0; i < e.operands.size(); ++i) text += (i == 0 ? "" : ", ") + print(*e.operands[i]);
    return text + ")";
  }

  const Kernel& kernel_;
  Dialect dialect_;
  const Words& words_;
  std::string text_;
  std::size_t indent_ = 0;
};

}  // namespace

std::string symbol_of(const Kernel& kernel) {
  const std::string text = to_string(kernel);
  const Hash128 hash = hash_bytes(std::as_bytes(std::span(text.data(), text.size())));
  return fmt::format("naru_{}_{:016x}", kernel.name, hash.low);
}

std::string prelude(Dialect dialect) { return dialect == Dialect::OpenCl ? kOpenClPrelude : kCudaPrelude; }

std::string print(const Kernel& kernel, Dialect dialect) { return Printer(kernel, dialect).run(); }

}  // namespace naru::kernel
