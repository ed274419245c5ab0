// The interpreter: values, expressions, statements over the items of a group.
#include "compiler/kernel/interpret.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "graph/fail.h"
#include "graph/scalar.h"

namespace naru::kernel {
namespace {

constexpr DType kStored[] = {DType::Bool, DType::I8,  DType::I16, DType::I32,  DType::I64, DType::U8, DType::U16,
                             DType::U32,  DType::U64, DType::F16, DType::BF16, DType::F32, DType::F64};

DType stored(Element element) { return kStored[static_cast<std::size_t>(element)]; }

/// One lane: integers of every width hold their value, unsigned ones as the same 64 bits.
struct Lane {
  std::int64_t i = 0;
  double f = 0;
};
using Value = std::array<Lane, 16>;

/// A result cut to its type.
Lane cut(Element element, Lane lane) {
  switch (element) {
    case Element::Bool: lane.i = lane.i != 0; break;
    case Element::I8: lane.i = static_cast<std::int8_t>(lane.i); break;
    case Element::I16: lane.i = static_cast<std::int16_t>(lane.i); break;
    case Element::I32: lane.i = static_cast<std::int32_t>(lane.i); break;
    case Element::U8: lane.i = static_cast<std::uint8_t>(lane.i); break;
    case Element::U16: lane.i = static_cast<std::uint16_t>(lane.i); break;
    case Element::U32: lane.i = static_cast<std::uint32_t>(lane.i); break;
    case Element::F16: case Element::BF16: case Element::F32: lane.f = static_cast<double>(static_cast<float>(lane.f)); break;
    default: break;
  }
  return lane;
}

Lane load(Element element, const std::byte* data, std::int64_t index) {
  Lane lane;
  if (is_float(element)) lane.f = load_f64(stored(element), data, index);
  else if (is_signed(element)) lane.i = load_i64(stored(element), data, index);
  else lane.i = static_cast<std::int64_t>(load_u64(stored(element), data, index));
  return lane;
}

void store(Element element, std::byte* data, std::int64_t index, Lane lane) {
  if (is_float(element)) store_f64(stored(element), data, index, lane.f, false);
  else store_i64(stored(element), data, index, lane.i);
}

double real_result(Op op, const double* x) {
  switch (op) {
    case Op::Neg: return -x[0];
    case Op::Add: return x[0] + x[1];
    case Op::Sub: return x[0] - x[1];
    case Op::Mul: return x[0] * x[1];
    case Op::Div: return x[0] / x[1];
    case Op::Min: return std::fmin(x[0], x[1]);
    case Op::Max: return std::fmax(x[0], x[1]);
    case Op::Abs: return std::fabs(x[0]);
    case Op::Floor: return std::floor(x[0]);
    case Op::Ceil: return std::ceil(x[0]);
    case Op::Round: return std::nearbyint(x[0]);
    case Op::Trunc: return std::trunc(x[0]);
    case Op::Sqrt: return std::sqrt(x[0]);
    case Op::Exp: return std::exp(x[0]);
    case Op::Expm1: return std::expm1(x[0]);
    case Op::Log: return std::log(x[0]);
    case Op::Log1p: return std::log1p(x[0]);
    case Op::Sin: return std::sin(x[0]);
    case Op::Cos: return std::cos(x[0]);
    case Op::Tan: return std::tan(x[0]);
    case Op::Asin: return std::asin(x[0]);
    case Op::Acos: return std::acos(x[0]);
    case Op::Atan: return std::atan(x[0]);
    case Op::Sinh: return std::sinh(x[0]);
    case Op::Cosh: return std::cosh(x[0]);
    case Op::Tanh: return std::tanh(x[0]);
    case Op::Asinh: return std::asinh(x[0]);
    case Op::Acosh: return std::acosh(x[0]);
    case Op::Atanh: return std::atanh(x[0]);
    case Op::Erf: return std::erf(x[0]);
    case Op::Pow: return std::pow(x[0], x[1]);
    case Op::Fmod: return std::fmod(x[0], x[1]);
    case Op::Fma: return std::fma(x[0], x[1], x[2]);
    default: NARU_CHECK(false, std::string("kernel: no float meaning for ") + info_of(op).name);
  }
  return 0;
}

std::int64_t integer_result(Op op, bool is_signed_type, std::int64_t a, std::int64_t b) {
  const auto ua = static_cast<std::uint64_t>(a);
  const auto ub = static_cast<std::uint64_t>(b);
  const bool less = is_signed_type ? a < b : ua < ub;
  switch (op) {
    case Op::Neg: return static_cast<std::int64_t>(0 - ua);
    case Op::Not: return a == 0;
    case Op::BitNot: return ~a;
    case Op::Add: return static_cast<std::int64_t>(ua + ub);
    case Op::Sub: return static_cast<std::int64_t>(ua - ub);
    case Op::Mul: return static_cast<std::int64_t>(ua * ub);
    case Op::Div: return is_signed_type ? (b == -1 ? static_cast<std::int64_t>(0 - ua) : a / b) : static_cast<std::int64_t>(ua / ub);
    case Op::Rem: return is_signed_type ? (b == -1 ? 0 : a % b) : static_cast<std::int64_t>(ua % ub);
    case Op::BitAnd: return a & b;
    case Op::BitOr: return a | b;
    case Op::BitXor: return a ^ b;
    case Op::ShiftLeft: return static_cast<std::int64_t>(ua << ub);
    case Op::ShiftRight: return is_signed_type ? a >> b : static_cast<std::int64_t>(ua >> ub);
    case Op::Min: return less ? a : b;
    case Op::Max: return less ? b : a;
    default: NARU_CHECK(false, std::string("kernel: no integer meaning for ") + info_of(op).name);
  }
  return 0;
}

bool truth(Op op, Element element, const Lane& a, const Lane& b) {
  const bool real = is_float(element);
  switch (op) {
    case Op::And: return a.i != 0 && b.i != 0;
    case Op::Or: return a.i != 0 || b.i != 0;
    case Op::Equal: return real ? a.f == b.f : a.i == b.i;
    case Op::NotEqual: return real ? a.f != b.f : a.i != b.i;
    case Op::Less:
      return real ? a.f < b.f : is_signed(element) ? a.i < b.i : static_cast<std::uint64_t>(a.i) < static_cast<std::uint64_t>(b.i);
    default:
      return real ? a.f <= b.f : is_signed(element) ? a.i <= b.i : static_cast<std::uint64_t>(a.i) <= static_cast<std::uint64_t>(b.i);
  }
}

bool is_truth(Op op) {
  return op == Op::And || op == Op::Or || op == Op::Equal || op == Op::NotEqual || op == Op::Less || op == Op::LessEqual;
}

Lane converted(Element from, Element to, Lane lane) {
  Lane result;
  if (is_float(to)) {
    result.f = is_float(from) ? lane.f : from == Element::U64 ? static_cast<double>(static_cast<std::uint64_t>(lane.i)) : static_cast<double>(lane.i);
  } else if (!is_float(from)) {
    result.i = lane.i;
  } else {
    const double whole = std::trunc(lane.f);
    result.i = !(whole >= -0x1p63) ? INT64_MIN : whole < 0x1p63 ? static_cast<std::int64_t>(whole)
               : whole < 0x1p64 ? static_cast<std::int64_t>(static_cast<std::uint64_t>(whole)) : INT64_MAX;
  }
  return cut(to, result);
}

Lane recast(Element from, Element to, Lane lane) {
  std::byte bits[8] = {};
  store(from, bits, 0, lane);
  return load(to, bits, 0);
}

/// The items of one group, stepping together.
class Group {
 public:
  Group(const Launch& launch, std::span<std::byte* const> operands, const std::array<std::int64_t, 3>& group)
      : launch_(launch), kernel_(*launch.kernel), operands_(operands), group_(group) {
    for (std::int64_t z = 0; z < launch.grid.group[2]; ++z) {
      for (std::int64_t y = 0; y < launch.grid.group[1]; ++y) {
        for (std::int64_t x = 0; x < launch.grid.group[0]; ++x) {
          items_.push_back({{x, y, z}, std::vector<Value>(kernel_.variables.size()), make_arrays(false)});
        }
      }
    }
    shared_ = make_arrays(true);
  }

  void run() {
    std::vector<std::size_t> all(items_.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    block(kernel_.body, all);
  }

 private:
  using Arrays = std::vector<std::vector<std::byte>>;
  struct Item {
    std::array<std::int64_t, 3> local;
    std::vector<Value> variables;
    Arrays arrays;
  };

  Arrays make_arrays(bool shared) const {
    Arrays arrays;
    for (const ArrayDecl& array : kernel_.arrays) {
      arrays.emplace_back(array.shared == shared ? static_cast<std::size_t>(array.size * size_of(array.element)) : 0);
    }
    return arrays;
  }

  std::byte* array_data(Item& item, std::int32_t index) {
    const auto at = static_cast<std::size_t>(index);
    return (kernel_.arrays[at].shared ? shared_[at] : item.arrays[at]).data();
  }

  void check(std::int64_t at, int lanes, std::int64_t size) const {
    NARU_CHECK(at >= 0 && at + lanes <= size, fmt::format("kernel {}: element {} of {}", kernel_.name, at, size));
  }

  Value eval(Item& item, const ExprNode& e) {
    Value value{};
    const auto lanes = static_cast<std::size_t>(e.type.lanes);
    switch (e.op) {
      case Op::Literal: value[0] = {e.integer, e.real}; return value;
      case Op::Argument: {
        const ScalarValue argument = launch_.arguments[static_cast<std::size_t>(e.index)];
        if (is_float(e.type.element)) value[0] = cut(e.type.element, {0, argument.real});
        else value[0].i = argument.integer;
        return value;
      }
      case Op::Variable: return item.variables[static_cast<std::size_t>(e.index)];
      case Op::GlobalId: {
        const auto d = static_cast<std::size_t>(e.index);
        value[0].i = group_[d] * launch_.grid.group[d] + item.local[d];
        return value;
      }
      case Op::LocalId: value[0].i = item.local[static_cast<std::size_t>(e.index)]; return value;
      case Op::GroupId: value[0].i = group_[static_cast<std::size_t>(e.index)]; return value;
      case Op::Load: case Op::ArrayLoad: {
        const bool buffer = e.op == Op::Load;
        const auto index = static_cast<std::size_t>(e.index);
        const Element element = buffer ? kernel_.buffers[index].element : kernel_.arrays[index].element;
        const std::int64_t at = eval(item, *e.operands[0])[0].i;
        check(at, e.type.lanes, buffer ? launch_.operands[index].elements : kernel_.arrays[index].size);
        const std::byte* data = buffer ? operands_[index] : array_data(item, e.index);
        for (std::size_t l = 0; l < lanes; ++l) value[l] = load(element, data, at + static_cast<std::int64_t>(l));
        return value;
      }
      case Op::LowHalf: return eval(item, *e.operands[0]);
      case Op::HighHalf: {
        const Value whole = eval(item, *e.operands[0]);
        std::copy_n(whole.begin() + e.type.lanes, lanes, value.begin());
        return value;
      }
      case Op::Splat: value.fill(eval(item, *e.operands[0])[0]); return value;
      default: break;
    }
    Value x[3];
    for (std::size_t i = 0; i < e.operands.size(); ++i) x[i] = eval(item, *e.operands[i]);
    for (std::size_t l = 0; l < lanes; ++l) value[l] = lane(e, {x[0][l], x[1][l], x[2][l]});
    return value;
  }

  static Lane lane(const ExprNode& e, const std::array<Lane, 3>& x) {
    const Element from = e.operands[0]->type.element;
    if (e.op == Op::Select) return x[0].i != 0 ? x[1] : x[2];
    if (e.op == Op::Cast) return converted(from, e.type.element, x[0]);
    if (e.op == Op::BitCast) return recast(from, e.type.element, x[0]);
    if (is_truth(e.op)) return {truth(e.op, from, x[0], x[1]), 0};
    if (is_float(from)) {
      const double reals[] = {x[0].f, x[1].f, x[2].f};
      return cut(e.type.element, {0, real_result(e.op, reals)});
    }
    return cut(e.type.element, {integer_result(e.op, is_signed(from), x[0].i, x[1].i), 0});
  }

  void block(const Block& statements, const std::vector<std::size_t>& active) {
    for (const Stmt& s : statements) visit(s, active);
  }

  void visit(const Stmt& s, const std::vector<std::size_t>& active) {
    if (s.kind == Stmt::Kind::If) {
      std::vector<std::size_t> yes, no;
      for (const std::size_t i : active) (eval(items_[i], *s.value)[0].i != 0 ? yes : no).push_back(i);
      if (!yes.empty()) block(s.body, yes);
      if (!no.empty()) block(s.other, no);
    } else if (s.kind == Stmt::Kind::For) {
      loop(s, active);
    } else {
      for (const std::size_t i : active) step(items_[i], s);
    }
  }

  void loop(const Stmt& s, const std::vector<std::size_t>& active) {
    std::vector<std::size_t> left = active;
    for (const std::size_t i : left) items_[i].variables[static_cast<std::size_t>(s.index)] = eval(items_[i], *s.value);
    for (;;) {
      std::vector<std::size_t> inside;
      for (const std::size_t i : left) {
        if (items_[i].variables[static_cast<std::size_t>(s.index)][0].i < eval(items_[i], *s.end)[0].i) inside.push_back(i);
      }
      if (inside.empty()) return;
      block(s.body, inside);
      for (const std::size_t i : inside) items_[i].variables[static_cast<std::size_t>(s.index)][0].i += s.step;
      left = std::move(inside);
    }
  }

  void step(Item& item, const Stmt& s) {
    const auto index = static_cast<std::size_t>(s.index);
    switch (s.kind) {
      case Stmt::Kind::Let: case Stmt::Kind::Var: case Stmt::Kind::Assign: item.variables[index] = eval(item, *s.value); return;
      case Stmt::Kind::Store: case Stmt::Kind::ArrayStore: {
        const bool buffer = s.kind == Stmt::Kind::Store;
        const Element element = buffer ? kernel_.buffers[index].element : kernel_.arrays[index].element;
        const std::int64_t at = eval(item, *s.at)[0].i;
        const Value value = eval(item, *s.value);
        check(at, s.value->type.lanes, buffer ? launch_.operands[index].elements : kernel_.arrays[index].size);
        std::byte* data = buffer ? operands_[index] : array_data(item, s.index);
        for (int l = 0; l < s.value->type.lanes; ++l) store(element, data, at + l, value[static_cast<std::size_t>(l)]);
        return;
      }
      default: return;  // a barrier: the items of a group step together anyway
    }
  }

  const Launch& launch_;
  const Kernel& kernel_;
  std::span<std::byte* const> operands_;
  std::array<std::int64_t, 3> group_;
  std::vector<Item> items_;
  Arrays shared_;
};

}  // namespace

void interpret(const Launch& launch, std::span<std::byte* const> operands) {
  std::array<std::int64_t, 3> group{};
  for (group[2] = 0; group[2] < launch.grid.items[2] / launch.grid.group[2]; ++group[2]) {
    for (group[1] = 0; group[1] < launch.grid.items[1] / launch.grid.group[1]; ++group[1]) {
      for (group[0] = 0; group[0] < launch.grid.items[0] / launch.grid.group[0]; ++group[0]) {
        Group(launch, operands, group).run();
      }
    }
  }
}

std::vector<Tensor> interpret(const Program& program, const Graph& fragment, std::span<const Tensor> inputs) {
  using Kind = ProgramBuffer::Kind;
  std::vector<Tensor> outputs;
  for (const ValueId id : fragment.outputs) {
    outputs.emplace_back(fragment.value(id).type.dtype, *known_shape(*fragment.value(id).type.shape));
  }
  std::vector<Tensor> own;
  std::vector<std::byte*> addresses;
  std::byte* status = nullptr;
  for (const ProgramBuffer& buffer : program.buffers) {
    switch (buffer.kind) {
      case Kind::Input: addresses.push_back(const_cast<std::byte*>(inputs[static_cast<std::size_t>(buffer.index)].data())); break;
      case Kind::Output: addresses.push_back(outputs[static_cast<std::size_t>(buffer.index)].mutable_data()); break;
      case Kind::Constant: addresses.push_back(const_cast<std::byte*>(buffer.data)); break;
      default:
        own.emplace_back(DType::U8, Shape{buffer.size_bytes});
        std::fill_n(own.back().mutable_data(), buffer.size_bytes, std::byte{0});
        addresses.push_back(own.back().mutable_data());
        if (buffer.kind == Kind::Status) status = addresses.back();
    }
  }
  for (const auto* launches : {&program.prepare, &program.takeovers, &program.launches}) {
    for (const Launch& launch : *launches) {
      std::vector<std::byte*> operands;
      for (const Operand& operand : launch.operands) {
        operands.push_back(addresses[static_cast<std::size_t>(operand.buffer)] + operand.offset_bytes);
      }
      interpret(launch, operands);
    }
  }
  if (status != nullptr) {
    std::int32_t code = 0;
    std::memcpy(&code, status, sizeof(code));
    if (code > 0) {
      fail(ErrorCode::InvalidArgument, "got {}", program.complaints[static_cast<std::size_t>(code - 1)].message);
    }
  }
  return outputs;
}

}  // namespace naru::kernel
