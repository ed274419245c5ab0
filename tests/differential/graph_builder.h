// Grows a random graph: every node is evaluated as it is added, so recipes see the values they use.
#pragma once

#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/op_def.h"
#include "graph/ops/type_set.h"

namespace naru::fuzz {

/// Pseudo-random choices, the same on every run of a seed.
class Chooser {
 public:
  explicit Chooser(std::uint64_t seed) : engine_(seed) {}

  /// A number of [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool one_in(std::int64_t count) { return between(1, count) == 1; }
  double real(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  template <typename T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[between(0, static_cast<std::int64_t>(choices.size()) - 1)];
  }
  template <typename T>
  const T& of(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

/// How elements are drawn.
struct Range {
  double low = -2, high = 2;
  bool special = false;  ///< now and then zeros of both signs, infinities, NaN, the largest of f16
};

/// A graph and one value for each of its inputs.
struct RandomCase {
  Graph graph;
  std::vector<Datum> inputs;
};

/// Recipes add nodes through it; a node that its operator refuses is not added.
class GraphBuilder {
 public:
  explicit GraphBuilder(std::uint64_t seed) : choose(seed) {}

  Chooser choose;

  ValueId input(DType dtype, const Shape& shape, Range range = {});
  ValueId constant(Tensor value);
  ValueId constant(DType dtype, const Shape& shape, Range range = {});
  ValueId ints(const std::vector<std::int64_t>& values);
  /// Mostly an input, now and then a constant.
  ValueId operand(DType dtype, const Shape& shape, Range range = {});

  /// A value of one of `types` whose rank is in [low, high], mostly a recent one; else a new input.
  ValueId any(TypeSet types, std::int64_t low_rank = 0, std::int64_t high_rank = 6);
  const Tensor& data(ValueId id) const { return data_[static_cast<std::size_t>(id)].tensor; }
  const Shape& shape(ValueId id) const { return data(id).shape(); }
  DType dtype(ValueId id) const { return data(id).dtype(); }

  /// Adds a node when its operator takes it; its outputs are then values to go on from.
  bool add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}, std::size_t outputs = 1,
           std::vector<ValueId> captures = {});
  /// The outputs of the last node that add() added.
  const std::vector<ValueId>& results() const { return graph_.nodes.back().outputs; }

  std::int64_t dim();
  Shape random_shape(std::int64_t low_rank, std::int64_t high_rank);
  /// An axis of [-rank, rank).
  std::int64_t axis(std::int64_t rank) { return choose.between(-rank, rank - 1); }
  Tensor random_tensor(DType dtype, const Shape& shape, Range range = {});
  /// Integers of [low, high] in an i64 or i32 tensor.
  Tensor random_indices(const Shape& shape, std::int64_t low, std::int64_t high);

  std::size_t node_count() const { return graph_.nodes.size(); }
  RandomCase finish();

 private:
  void keep(ValueId id, Datum value);
  void declare_symbols(Graph& graph);

  Graph graph_;
  std::vector<Datum> data_;
  std::vector<ValueId> usable_;
};

}  // namespace naru::fuzz
