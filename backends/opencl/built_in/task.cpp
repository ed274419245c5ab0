// From nodes to tasks: fused chains come apart, movements become copies and views.
#include "backends/opencl/built_in/task.h"

#include <algorithm>

#include "graph/op_def.h"

namespace naru::opencl {
namespace {

bool is_any(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_static(const Graph& graph, const Node& node) {
  const auto known = [&](ValueId id) {
    return id == kNoValue || (graph.value(id).type.is_static() && graph.value(id).type.dtype != DType::String);
  };
  return std::all_of(node.inputs.begin(), node.inputs.end(), known) && std::all_of(node.outputs.begin(), node.outputs.end(), known);
}

class Builder {
 public:
  Builder(const Graph& graph, const Node& node, std::vector<Term>& terms) : graph_(graph), node_(node), terms_(terms) {}

  std::vector<Task> run() {
    const std::string name = node_.op->full_name();
    if (node_.op->domain == "naru" && node_.has("post_ops")) {
      fused();
    } else if (is_any(name, {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})) {
      add(name, {{"X", node_.inputs[0]}}, node_.outputs[0]).view = true;
    } else if (name == "Transpose") {
      transpose();
    } else if (name == "Concat") {
      concat();
    } else if (const auto step = function(); step && node_.inputs.size() <= 2) {
      chain({&*step, 1}, node_.inputs[0], {node_.inputs.begin() + 1, node_.inputs.end()});
    } else {
      add(name, named_inputs(node_.inputs.size()), node_.outputs[0]);
    }
    return std::move(tasks_);
  }

 private:
  Task& add(std::string op, std::vector<Operand> inputs, int output) {
    Task task;
    task.op = std::move(op);
    task.node = &node_;
    task.inputs = std::move(inputs);
    const std::string name = node_.op->outputs.empty() ? "Y" : node_.op->outputs[0].name;
    task.output = {node_.op->domain == "naru" ? "Y" : name, output};
    tasks_.push_back(std::move(task));
    return tasks_.back();
  }

  std::vector<Operand> named_inputs(std::size_t count) const {
    std::vector<Operand> operands;
    const auto& formal = node_.op->inputs;
    for (std::size_t i = 0; i < count && i < formal.size(); ++i) operands.push_back({formal[i].name, node_.has_input(i) ? node_.inputs[i] : -1});
    return operands;
  }

  /// The node as a function of one or two numbers.
  std::optional<PostStep> function() const {
    return as_post_step(node_, [&](ValueId id) { return graph_.value(id).is_constant() ? &graph_.value(id).constant : nullptr; });
  }

  void fused() {
    const std::vector<PostStep> steps = post_steps(node_);
    const std::size_t first = std::min(first_operand(node_), node_.inputs.size());
    const std::vector<ValueId> operands(node_.inputs.begin() + static_cast<std::ptrdiff_t>(first), node_.inputs.end());
    int running = node_.inputs[0];
    if (const std::string& op = node_.op->name; op != "FusedElementwise") {
      running = steps.empty() ? node_.outputs[0] : running_value();
      add(op.substr(std::string_view("Fused").size()), named_inputs(first), running);
      if (steps.empty()) return;
    }
    chain(steps, running, operands);
  }

  void chain(std::span<const PostStep> steps, int running, const std::vector<ValueId>& operands) {
    std::size_t next = 0;
    for (const PostStep& step : steps) {
      const bool last = &step == &steps.back();
      std::vector<Operand> inputs;
      if (step.op->binary) {
        inputs = {{"A", running}, {"B", next < operands.size() ? operands[next] : -1}};
        ++next;
      } else {
        inputs = {{"X", running}};
      }
      const int output = last ? node_.outputs[0] : running_value();
      Task& task = add(step.op->name, std::move(inputs), output);
      task.output.name = "Y";
      task.alpha = step.alpha;
      task.beta = step.beta;
      running = output;
    }
  }

  /// Between the anchor and the end of a fused node all shapes are the output's.
  int running_value() {
    terms_.push_back(terms_[static_cast<std::size_t>(node_.outputs[0])]);
    return static_cast<int>(terms_.size()) - 1;
  }

  void transpose() {
    const std::int64_t rank = terms_[static_cast<std::size_t>(node_.inputs[0])].shape.rank();
    std::vector<std::int64_t> reversed;
    for (std::int64_t i = rank; i-- > 0;) reversed.push_back(i);
    Task& task = add(kCopy, {{"X", node_.inputs[0]}}, node_.outputs[0]);
    task.output.name = "Y";
    task.permutation = node_.attr_ints_or("perm", reversed);
  }

  void concat() {
    const std::int64_t rank = terms_[static_cast<std::size_t>(node_.outputs[0])].shape.rank();
    const std::int64_t axis = node_.attr_int("axis") < 0 ? node_.attr_int("axis") + rank : node_.attr_int("axis");
    std::int64_t begin = 0;
    for (const ValueId id : node_.inputs) {
      const std::int64_t length = terms_[static_cast<std::size_t>(id)].shape[axis];
      if (length == 0) continue;
      Task& task = add(kCopy, {{"X", id}}, node_.outputs[0]);
      task.output.name = "Y";
      task.part_axis = axis;
      task.part_begin = begin;
      begin += length;
    }
  }

  const Graph& graph_;
  const Node& node_;
  std::vector<Term>& terms_;
  std::vector<Task> tasks_;
};

}  // namespace

int Task::input(std::string_view name) const {
  const auto found = std::find_if(inputs.begin(), inputs.end(), [&](const Operand& operand) { return operand.name == name; });
  return found == inputs.end() ? -1 : found->term;
}

std::vector<Term> terms_of(const Graph& graph) {
  std::vector<Term> terms;
  for (const Value& value : graph.values) {
    Term term{value.type.dtype, {}, value.is_constant() ? &value.constant : nullptr};
    if (value.type.is_static()) term.shape = *known_shape(*value.type.shape);
    terms.push_back(std::move(term));
  }
  return terms;
}

std::vector<Task> tasks_of(const Graph& graph, const Node& node, std::vector<Term>& terms, std::string& reason) {
  if (!is_static(graph, node)) {
    reason = "its shapes are not static";
    return {};
  }
  if (node.op->dynamic_output || !node.op->in_place.empty() || node.inputs.empty() || node.inputs[0] == kNoValue || node.outputs.empty() ||
      node.outputs[0] == kNoValue) {
    reason = "no built-in kernel has such inputs and outputs";
    return {};
  }
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.has_output(i)) {
      reason = fmt::format("got {} outputs, expected 1", node.outputs.size());
      return {};
    }
  }
  for (const ValueId id : node.outputs) {
    if (id != kNoValue && terms[static_cast<std::size_t>(id)].shape.numel() == 0) {
      reason = "its output is empty";
      return {};
    }
  }
  std::vector<Task> tasks = Builder(graph, node, terms).run();
  if (tasks.empty()) reason = "it has no inputs with elements";
  return tasks;
}

Task copy_task(int from, int to) {
  Task task;
  task.op = kCopy;
  task.inputs = {{"X", from}};
  task.output = {"Y", to};
  return task;
}

}  // namespace naru::opencl
