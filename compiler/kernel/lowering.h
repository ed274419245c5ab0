// Lowering: turns a static fragment into a Program; operators ask it for operands and emit launches.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/kernel/node_view.h"
#include "compiler/kernel/program.h"
#include "compiler/kernel/target.h"

namespace naru::kernel {

/// A dense, row-major tensor inside a buffer.
struct Rep {
  BufferId buffer = -1;
  std::int64_t offset_bytes = 0;
  DType dtype = DType::Undefined;
  Shape shape;

  std::int64_t numel() const { return shape.numel(); }
  Element element() const { return *element_of(dtype); }
};

class Lowering;

/// One launch under construction: a Builder that also binds buffers.
class Call : public Builder {
 public:
  Call(Lowering& lowering, std::string name);

  Buffer read(const Rep& rep);
  Buffer write(const Rep& rep);
  /// Inputs and outputs of the current node. Each output is written by one launch at least.
  Buffer in(std::size_t i);
  Buffer out(std::size_t i);
  /// Records that data break the operator's rules where `ok` is false.
  void require(const Expr& ok, const std::string& message);
  /// An index from data as i32: negative ones count from the end; outside [-limit, limit) is an error.
  Expr checked_index(const Expr& value, const Expr& limit);

  /// Emits the launch.
  void launch(std::string note = {});
  /// Emits it to run once, when all it reads is constant; otherwise to run each time.
  void launch_prepared(std::string note = {});

 private:
  friend class Lowering;
  Lowering& lowering_;
  std::vector<Operand> operands_;
  std::int32_t status_ = -1;
};

/// The state of lowering one fragment, seen from the node that is being lowered.
class Lowering {
 public:
  Lowering(const Graph& graph, const Target& target);

  /// Lowers every node. Called once.
  Program run();

  // The current node.
  const Target& target() const { return target_; }
  NodeView view() const { return {graph_, *node_}; }
  const Node& node() const { return *node_; }
  bool has_input(std::size_t i) const { return node_->has_input(i); }
  bool has_output(std::size_t i) const { return node_->has_output(i); }
  Shape shape(std::size_t i) const { return view().shape(i); }
  Shape output_shape(std::size_t i) const { return view().output_shape(i); }
  DType dtype(std::size_t i) const { return view().dtype(i); }
  const Tensor* constant(std::size_t i) const { return view().constant(i); }
  /// The elements of a constant integer input.
  std::vector<std::int64_t> ints(std::size_t i) const;

  // Operands.
  Rep input(std::size_t i);
  /// The memory of an output; the same at every call.
  Rep output(std::size_t i);
  /// The memory of an output that updates input `input` in place: it holds the input's content.
  Rep updated_output(std::size_t i, std::size_t input);
  /// States that the output is `rep`, a view of an input.
  void set_output(std::size_t i, const Rep& rep);
  /// Makes output `i` the bytes of `rep` in the output's shape: a view where that can be.
  void view_as_output(std::size_t i, const Rep& rep);
  Rep scratch(DType dtype, const Shape& shape);
  /// Memory filled once by launch_prepared() when all of `sources` are constant, else scratch.
  Rep prepared(DType dtype, const Shape& shape, const std::vector<Rep>& sources);
  /// A value known at compile time.
  Rep literal(Tensor value);
  bool is_constant(const Rep& rep) const;
  /// Emits a copy of all elements.
  void copy(const Rep& from, const Rep& to);

 private:
  friend class Call;
  void lower_node(std::int32_t index);
  void finish_outputs();
  std::int32_t home_of(ValueId id) const;
  BufferId add_buffer(ProgramBuffer buffer);
  BufferId status_buffer();
  void emit(Call& call, std::string note, bool prepared);
  Launch launch_of(Call& call, std::string note) const;
  Launch copy_launch(const Rep& from, const Rep& to);

  const Graph& graph_;
  const Target target_;
  UseIndex uses_;
  Program program_;
  const Node* node_ = nullptr;
  std::int32_t node_index_ = -1;
  BufferId status_ = -1;
  std::vector<Rep> reps_;                       // by value; buffer -1 until known
  std::vector<std::int32_t> fragment_output_;   // by value: its first fragment output, or -1
  std::vector<BufferId> output_buffers_;        // by fragment output, -1 until needed
};

/// One row of the table of operators.
struct KernelEntry {
  std::string_view op;      ///< full name of the operator
  std::string_view kernel;  ///< what runs it, for reports
  /// Why the kernel cannot run this node, or empty. Unknown types count as the best possible.
  std::string (*refuses)(const NodeView&, const Target&);
  void (*lower)(Lowering&);
};

/// The entry that runs this node, or null with all the reasons.
const KernelEntry* find_kernel(const NodeView& view, const Target& target, std::string& reason);

/// Every operator that has a kernel, with the reason why each row may refuse; for documentation.
const std::vector<KernelEntry>& kernel_table();

// The rows of each file of ops/.
void add_attention_kernels(std::vector<KernelEntry>& table);
void add_block_kernels(std::vector<KernelEntry>& table);
void add_cast_kernels(std::vector<KernelEntry>& table);
void add_convolution_kernels(std::vector<KernelEntry>& table);
void add_elementwise_kernels(std::vector<KernelEntry>& table);
void add_gather_kernels(std::vector<KernelEntry>& table);
void add_generate_kernels(std::vector<KernelEntry>& table);
void add_linear_kernels(std::vector<KernelEntry>& table);
void add_loss_kernels(std::vector<KernelEntry>& table);
void add_matmul_kernels(std::vector<KernelEntry>& table);
void add_movement_kernels(std::vector<KernelEntry>& table);
void add_normalize_kernels(std::vector<KernelEntry>& table);
void add_paged_attention_kernels(std::vector<KernelEntry>& table);
void add_pool_kernels(std::vector<KernelEntry>& table);
void add_quantize_kernels(std::vector<KernelEntry>& table);
void add_recurrent_kernels(std::vector<KernelEntry>& table);
void add_reduce_kernels(std::vector<KernelEntry>& table);
void add_sample_kernels(std::vector<KernelEntry>& table);
void add_signal_kernels(std::vector<KernelEntry>& table);
void add_tf_idf_kernels(std::vector<KernelEntry>& table);

}  // namespace naru::kernel
