// Every operator on inputs and attributes that make no sense: a typed error or a result, never a crash.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>

#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// Draws nonsense; the same on every run.
class Nonsense {
 public:
  explicit Nonsense(std::uint64_t seed) : engine_(seed) {}

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  template <typename T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[between(0, static_cast<std::int64_t>(choices.size()) - 1)];
  }
  std::int64_t integer() { return of<std::int64_t>({-9, -2, -1, 0, 0, 1, 1, 2, 3, 7, INT64_MAX, INT64_MIN}); }
  float real() { return of({0.0f, 1.0f, -1.0f, 0.5f, 1e30f, -HUGE_VALF, std::nanf("")}); }
  std::string text() { return of<const char*>({"", "x", "linear", "ij,jk->ik", "->", "SAME_UPPER", "\xff"}); }

  template <typename T, typename Draw>
  std::vector<T> list(Draw draw) {
    std::vector<T> values(static_cast<std::size_t>(between(0, 4)));
    for (T& value : values) value = draw();
    return values;
  }

  Tensor tensor() {
    std::vector<DType> types;
    for (const DTypeInfo& info : all_dtypes()) {
      if (info.kind != DTypeKind::Block) types.push_back(info.dtype);
    }
    // Mostly types that many operators take, so that they go on to their other checks.
    const DType dtype = between(0, 2) != 0 ? of({DType::F32, DType::F32, DType::I64, DType::Bool, DType::U8})
                                           : types[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(types.size()) - 1))];
    Shape shape;
    for (std::int64_t rank = between(0, 5); rank > 0; --rank) shape.push_back(of<std::int64_t>({0, 1, 1, 2, 2, 3, 4}));
    if (dtype == DType::String) {
      std::vector<std::string> values(static_cast<std::size_t>(shape.numel()));
      for (std::string& value : values) value = text();
      return Tensor::from_strings(shape, std::move(values));
    }
    Tensor made(dtype, shape);
    const bool complex = kind_of(dtype) == DTypeKind::Complex;
    const DType part = dtype == DType::Complex64 ? DType::F32 : dtype == DType::Complex128 ? DType::F64 : dtype;
    for (std::int64_t i = 0; i < made.numel() * (complex ? 2 : 1); ++i) {
      if (is_integer(dtype)) store_i64(dtype, made.mutable_data(), i, integer());
      else store_f64(part, made.mutable_data(), i, dtype == DType::Bool ? static_cast<double>(between(0, 1)) : static_cast<double>(real()));
    }
    return made;
  }

  Datum datum() {
    switch (between(0, 11)) {
      case 0: return Datum::sequence({tensor(), tensor()});
      case 1: return Datum::optional({});
      default: return tensor();
    }
  }

  /// A body that ends a loop after one iteration.
  GraphPtr graph() {
    Graph body;
    std::vector<ValueId> inputs;
    for (std::int64_t i = between(0, 3); i > 0; --i) inputs.push_back(body.add_input("", Type{}));
    body.outputs.push_back(body.add_constant("stop", Tensor::scalar<bool>(false)));
    for (const ValueId id : inputs) body.outputs.push_back(id);
    return std::make_shared<const Graph>(std::move(body));
  }

  Attribute attribute(AttrKind kind) {
    switch (kind) {
      case AttrKind::Int: return integer();
      case AttrKind::Float: return real();
      case AttrKind::String: return text();
      case AttrKind::Tensor: return tensor();
      case AttrKind::Graph: return graph();
      case AttrKind::Type: return Type::tensor(DType::F32);
      case AttrKind::Ints: return list<std::int64_t>([this] { return integer(); });
      case AttrKind::Floats: return list<float>([this] { return real(); });
      case AttrKind::Strings: return list<std::string>([this] { return text(); });
      case AttrKind::Tensors: return std::vector<Tensor>{tensor()};
      default: return std::vector<GraphPtr>{graph()};
    }
  }

 private:
  std::mt19937_64 engine_;
};

/// A node of the operator and operands for it; sizes and kinds are often those of its signature.
Node nonsense_node(const OpDef& op, Nonsense& draw, std::vector<Datum>& operands) {
  Node node;
  node.op = &op;
  node.name = "bad";
  const auto formal = static_cast<std::int64_t>(op.inputs.size());
  const std::int64_t count = draw.between(0, 3) != 0 ? formal : draw.between(0, formal + 2);
  for (std::int64_t i = 0; i < count; ++i) {
    const bool absent = draw.between(0, 7) == 0;
    node.inputs.push_back(absent ? kNoValue : static_cast<ValueId>(i));
    operands.push_back(absent ? Datum{} : draw.datum());
  }
  for (std::size_t i = 0; i < std::max<std::size_t>(op.outputs.size(), 1); ++i) node.outputs.push_back(static_cast<ValueId>(100 + i));
  for (const AttrSpec& spec : op.attributes) {
    const std::int64_t chance = draw.between(0, 5);
    if (chance == 0 || (chance > 2 && !spec.required)) continue;
    const auto kind = draw.between(0, 19) == 0 ? static_cast<AttrKind>(draw.between(0, 10)) : spec.kind;
    node.attributes[spec.name] = draw.attribute(kind);
  }
  return node;
}

/// Bounds the address space for a scope: without, a size from nonsense may be granted and then filled.
class BoundMemory {
 public:
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  BoundMemory() {
    getrlimit(RLIMIT_AS, &previous_);
    const rlimit bounded{INT64_C(3) << 30, previous_.rlim_max};
    setrlimit(RLIMIT_AS, &bounded);
  }
  ~BoundMemory() { setrlimit(RLIMIT_AS, &previous_); }

 private:
  rlimit previous_;
#else
  BoundMemory() {}  // sanitizers reserve more, and bound single allocations themselves
#endif
};

TEST(BadInput, EndsInATypedError) {
  const BoundMemory bound;
  constexpr int kAttempts = 120;
  for (const OpDef* op : all_ops()) {
    Nonsense draw(std::hash<std::string>{}(op->full_name()));
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      std::vector<Datum> operands;
      const Node node = nonsense_node(*op, draw, operands);
      // Without a count it may loop for ever, as it should.
      if (op->name == "Loop" && !node.has_input(0)) continue;
      try {
        check_signature(node);
        evaluate_node(node, operands);
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::Internal) << op->full_name() << ": " << error.what();
        EXPECT_FALSE(error.message().empty());
      } catch (const std::exception& error) {
        ADD_FAILURE() << op->full_name() << " attempt " << attempt << ": not an Error: " << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace naru
