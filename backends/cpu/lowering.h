// Lowering: turns a static fragment into a Plan; kernels ask it for operands and emit steps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backends/cpu/node_view.h"
#include "backends/cpu/packed_cache.h"
#include "backends/cpu/plan.h"

namespace naru::cpu {

/// Bytes of a plan seen in a layout.
struct Rep {
  BufferId buffer = -1;
  std::int64_t offset_bytes = 0;
  Layout layout;
};

/// An argument of a oneDNN primitive.
struct Argument {
  int id = 0;  ///< DNNL_ARG_...
  dnnl::memory::desc desc;
  Rep rep;
  bool written = false;
};

/// What the device's options say about kernels.
struct LoweringOptions {
  bool exact = false;  ///< see DeviceOptions
};

/// The state of lowering one fragment, seen from the node that is being lowered. A value may lie in
/// several layouts at once; whoever needs another one gets a copy, which later kernels share.
class Lowering {
 public:
  Lowering(const Graph& graph, PackedCache& cache, const LoweringOptions& options);

  /// Lowers every node. Called once.
  Plan run();

  const LoweringOptions& options() const { return options_; }

  // The current node.
  NodeView view() const { return {graph_, *node_}; }
  const Node& node() const { return *node_; }
  bool has_input(std::size_t i) const { return node_->has_input(i); }
  bool has_output(std::size_t i) const { return node_->has_output(i); }
  Shape shape(std::size_t i) const { return view().shape(i); }
  DType dtype(std::size_t i) const { return view().dtype(i); }
  Layout output_layout(std::size_t i) const {
    return Layout::plain(view().output_dtype(i), view().output_shape(i));
  }
  const Tensor* constant(std::size_t i) const { return view().constant(i); }

  // Operands.
  /// The input as it lies now, converting nothing; a blocked layout before a row-major one.
  Rep input(std::size_t i);
  Rep plain(std::size_t i);
  /// The input in `layout`.
  Rep as(std::size_t i, const Layout& layout);
  /// The layouts in which the input lies now.
  std::vector<Layout> layouts(std::size_t i) const;
  /// True when nothing after this node reads the memory of `rep` and it may be overwritten.
  bool dies(const Rep& rep) const;
  /// True when both lie in one block of memory.
  bool shares_memory(const Rep& a, const Rep& b) const {
    return place_of(plan_, a.buffer).root == place_of(plan_, b.buffer).root;
  }
  /// A constant input packed as `to`; `from` describes how the tensor is read.
  Rep packed(std::size_t i, const Packing& packing);
  /// A constant input packed for kernels of our own.
  Rep packed_by(std::size_t i, const Recipe& recipe);
  /// Matrices of bytes packed for exact products: once when the input is a constant, else by a step.
  Rep packed_bytes(std::size_t i, const BytePacking& packing);
  /// What `make` derives from input `i`, made once for all nodes that ask with this key.
  Rep derived(std::size_t i, int key, const std::function<Rep()>& make);
  /// Input `i`, whose row-major bytes are read as `from`, in the order of `to`: packed once when it
  /// is a constant, else by a step.
  Rep arranged(std::size_t i, const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  /// A value known at compile time.
  Rep literal(Tensor value);

  // Results. Each output is set exactly once.
  Rep output(std::size_t i, const Layout& layout);
  Rep output(std::size_t i) { return output(i, output_layout(i)); }
  /// States that the output is `rep`, which this node has written or which is a view of an input.
  void set_output(std::size_t i, const Rep& rep);
  /// True when the output has to lie row-major in the fragment's own output buffer.
  bool is_fragment_output(std::size_t i) const;
  /// True when the output may share its input's memory: it has no buffer of the caller to fill.
  bool may_view(std::size_t i) const { return !is_fragment_output(i); }
  Rep scratch(std::int64_t size_bytes);

  // Steps.
  void emit(std::string kernel, std::string note, std::vector<Operand> operands, Code code);
  /// Emits a primitive with its scratchpad. `arguments` without the scratchpad.
  void emit(std::string kernel, const dnnl::primitive& primitive,
            const dnnl::primitive_desc_base& desc, std::vector<Argument> arguments);
  static Operand reads(const Rep& rep) { return {rep.buffer, rep.offset_bytes, false}; }
  static Operand writes(const Rep& rep) { return {rep.buffer, rep.offset_bytes, true}; }
  /// Copies `from` into a new buffer of layout `to`.
  Rep convert(const Rep& from, const Layout& to);

  /// Merges buffers that concatenation at `offset_bytes` of `whole` makes one. Returns false when
  /// `part` has to stay where it is.
  bool place_inside(const Rep& part, const Rep& whole, std::int64_t offset_bytes);

 private:
  void lower_node(std::int32_t index);
  void finish_outputs();
  /// The fragment output that value `id` becomes, perhaps through views only; -1 for none.
  std::int32_t home_of(ValueId id) const;
  BufferId new_arena_buffer(std::int64_t size_bytes);
  Rep allocate(ValueId id, const Layout& layout);
  void copy_to(const Rep& from, const Rep& to);
  void add_rep(ValueId id, const Rep& rep);
  std::vector<Rep>& reps(ValueId id) { return reps_[static_cast<std::size_t>(id)]; }
  const std::vector<Rep>& reps(ValueId id) const { return reps_[static_cast<std::size_t>(id)]; }
  Rep convert_value(ValueId id, const Layout& layout);
  Rep add_packed(std::shared_ptr<const Tensor> bytes, Layout layout);

  const Graph& graph_;
  PackedCache& cache_;
  LoweringOptions options_;
  UseIndex uses_;
  Plan plan_;
  const Node* node_ = nullptr;
  std::int32_t node_index_ = -1;
  std::vector<std::vector<Rep>> reps_;                // by value
  std::vector<std::vector<ValueId>> residents_;       // by buffer: values that lie in it
  std::vector<std::int32_t> fragment_output_;         // by value: its first fragment output, or -1
  std::vector<BufferId> output_buffers_;              // by fragment output, -1 until needed
  std::map<std::pair<ValueId, int>, Rep> derived_;
};

}  // namespace naru::cpu
