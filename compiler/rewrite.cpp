// Rewriter: the walk, use counting, aliases of replaced values.
#include "compiler/rewrite.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "graph/evaluate.h"
#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// A root is rewritten at most so often in one walk, so that two rules cannot undo each other for
/// ever.
constexpr std::size_t kMaxRewritesPerRoot = 64;

template <typename Ids>
std::size_t at(Ids id) {
  return static_cast<std::size_t>(id);
}

}  // namespace

Rewriter::Rewriter(Graph& graph) : graph_(graph) {
  grow();
  for (const Node& node : graph_.nodes) count_uses(node);
  for (ValueId id : graph_.outputs) is_output_[at(id)] = true;
  for (const State& state : graph_.states) is_output_[at(state.output)] = true;
}

void Rewriter::grow() {
  const std::size_t old = alias_.size();
  producer_.resize(graph_.values.size(), -1);
  uses_.resize(graph_.values.size(), 0);
  is_output_.resize(graph_.values.size(), false);
  alias_.resize(graph_.values.size());
  std::iota(alias_.begin() + static_cast<std::ptrdiff_t>(old), alias_.end(),
            static_cast<ValueId>(old));
}

const Node* Rewriter::producer(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const std::int32_t index = producer_[at(resolve(id))];
  return index < 0 ? nullptr : &done_[at(index)];
}

const Node* Rewriter::producer(ValueId id, std::string_view op) const {
  const Node* node = producer(id);
  return node != nullptr && node->op->full_name() == op ? node : nullptr;
}

std::size_t Rewriter::position(ValueId id) const {
  return static_cast<std::size_t>(producer_[at(resolve(id))] + 1);
}

const Tensor* Rewriter::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const Value& v = graph_.value(id);
  return v.is_constant() ? &v.constant : nullptr;
}

bool Rewriter::only_first_output(const Node& node) const {
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id != kNoValue && (uses(id) > 0 || is_output(id))) return false;
  }
  return true;
}

ValueId Rewriter::resolve(ValueId id) const {
  while (id != kNoValue && alias_[at(id)] != id) id = alias_[at(id)];
  return id;
}

void Rewriter::resolve_all(std::vector<ValueId>& ids) const {
  for (ValueId& id : ids) id = resolve(id);
}

void Rewriter::count_uses(const Node& node) {
  for (const auto* ids : {&node.inputs, &node.captures}) {
    for (ValueId id : *ids) {
      if (id != kNoValue) ++uses_[at(resolve(id))];
    }
  }
}

bool Rewriter::unused(const Node& node) const {
  return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
    return id == kNoValue || (uses(id) == 0 && !is_output(id));
  });
}

void Rewriter::release(const Node& node) {
  std::vector<std::size_t> producers;
  for (const auto* ids : {&node.inputs, &node.captures}) {
    for (ValueId raw : *ids) {
      const ValueId id = resolve(raw);
      if (id == kNoValue || --uses_[at(id)] > 0) continue;
      if (producer_[at(id)] >= 0) producers.push_back(at(producer_[at(id)]));
    }
  }
  for (std::size_t index : producers) drop_if_unused(index);
}

void Rewriter::drop_if_unused(std::size_t index) {
  // A worklist, not recursion: chains of dead nodes may be long.
  std::vector<std::size_t> work{index};
  while (!work.empty()) {
    const std::size_t n = work.back();
    work.pop_back();
    if (!alive_[n] || !unused(done_[n])) continue;
    alive_[n] = false;
    for (ValueId id : done_[n].outputs) {
      if (id != kNoValue) producer_[at(id)] = -1;
    }
    for (const auto* ids : {&done_[n].inputs, &done_[n].captures}) {
      for (ValueId raw : *ids) {
        const ValueId id = resolve(raw);
        if (id == kNoValue || --uses_[at(id)] > 0) continue;
        if (producer_[at(id)] >= 0) work.push_back(at(producer_[at(id)]));
      }
    }
  }
}

ValueId Rewriter::add_constant(std::string_view name, Tensor value) {
  const ValueId id = graph_.add_constant(std::string(name), std::move(value));
  grow();
  return id;
}

void Rewriter::infer(Node& node) {
  if (!last_fresh_) last_fresh_ = last_fresh_symbol(graph_);
  std::vector<Type> input_types, capture_types;
  std::vector<const Tensor*> constants;
  for (ValueId id : node.inputs) {
    input_types.push_back(id == kNoValue ? Type{} : type(id));
    constants.push_back(constant(id));
  }
  for (ValueId id : node.captures) capture_types.push_back(type(id));
  check_signature(node);
  const std::vector<Type> types =
      infer_node(node, std::move(input_types), constants, capture_types, &*last_fresh_);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    Type& known = graph_.value(node.outputs[i]).type;
    // What the root's output was known to be says more than one node's rule alone can.
    known = merge(known, types[i]);
  }
}

std::string Rewriter::inner_name(const std::string& op) {
  const std::string& root = root_->name.empty() ? value(root_->outputs[0]).name : root_->name;
  return fmt::format("{}/{}_{}", root, op, names_made_++);
}

ValueId Rewriter::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  Node node;
  node.op = &op_def(op);
  node.name = inner_name(node.op->name);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId output = graph_.add_value(node.name + ":0");
  node.outputs = {output};
  grow();
  infer(node);
  count_uses(node);
  added_.push_back(std::move(node));
  return output;
}

void Rewriter::replace(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  Node node;
  node.op = &op_def(op);
  node.name = root_->name;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.outputs = root_->outputs;
  while (node.outputs.size() > 1 && node.op->outputs.back().arity != Arity::Variadic &&
         node.outputs.size() > node.op->outputs.size()) {
    node.outputs.pop_back();
  }
  infer(node);
  count_uses(node);
  added_.push_back(std::move(node));
}

bool Rewriter::redirect(ValueId from, ValueId to) {
  to = resolve(to);
  if (from == to) return false;
  Type merged = merge(type(to), type(from));
  if (is_output(from)) {
    // The output keeps its identity: the producer of `to` defines it from now on.
    if (is_output(to) || producer_[at(to)] < 0) return false;
    Node& node = done_[at(producer_[at(to)])];
    std::replace(node.outputs.begin(), node.outputs.end(), to, from);
    producer_[at(from)] = std::exchange(producer_[at(to)], -1);
    std::swap(from, to);
  }
  if (!value(to).is_constant()) graph_.value(to).type = std::move(merged);
  uses_[at(to)] += std::exchange(uses_[at(from)], 0);
  alias_[at(from)] = to;
  return true;
}

bool Rewriter::bypass(ValueId replacement) {
  return only_first_output(*root_) && redirect(root_->outputs[0], replacement);
}

void Rewriter::replace_outputs(std::span<const ValueId> replacements) {
  for (std::size_t i = 0; i < root_->outputs.size(); ++i) {
    const ValueId output = root_->outputs[i];
    if (output == kNoValue || redirect(output, replacements[i])) continue;
    Node node;
    node.op = &op_def("Identity");
    node.name = inner_name("Identity");
    node.inputs = {replacements[i]};
    node.outputs = {output};
    count_uses(node);
    added_.push_back(std::move(node));
  }
}

void Rewriter::splice(std::vector<Node> nodes) {
  grow();
  for (Node& node : nodes) {
    count_uses(node);
    added_.push_back(std::move(node));
  }
}

void Rewriter::keep(Node node) {
  for (ValueId id : node.outputs) {
    if (id != kNoValue) producer_[at(id)] = static_cast<std::int32_t>(done_.size());
  }
  done_.push_back(std::move(node));
  alive_.push_back(true);
}

void Rewriter::visit(Node node, std::span<const Rule> rules) {
  resolve_all(node.inputs);
  resolve_all(node.captures);
  root_ = &node;
  const std::string op = node.op->full_name();
  for (const Rule& rule : rules) {
    if (*rule.op != '\0' && op != rule.op) continue;
    const bool applied =
        with_context([&] { return fmt::format("applying rule {} to {}", rule.name, node.label()); },
                     [&] { return rule.apply(*this, node); });
    if (!applied) {
      NARU_CHECK(added_.empty(), fmt::format("rule {} added nodes without applying", rule.name));
      continue;
    }
    std::move(added_.rbegin(), added_.rend(), std::back_inserter(pending_));
    added_.clear();
    release(node);
    return;
  }
  keep(std::move(node));
}

bool Rewriter::run(std::span<const Rule> rules) {
  std::vector<Node> source = std::move(graph_.nodes);
  graph_.nodes.clear();
  bool changed = false;
  for (Node& root : source) {
    pending_.push_back(std::move(root));
    for (std::size_t rewrites = 0; !pending_.empty();) {
      Node node = std::move(pending_.back());
      pending_.pop_back();
      if (unused(node)) {
        release(node);
        changed = true;
        continue;
      }
      const std::size_t kept = done_.size();
      visit(std::move(node), rewrites < kMaxRewritesPerRoot ? rules : std::span<const Rule>{});
      if (done_.size() == kept) {
        changed = true;
        ++rewrites;
      }
    }
  }
  finish();
  if (changed) graph_.compact();
  return changed;
}

void Rewriter::finish() {
  for (std::size_t i = 0; i < done_.size(); ++i) {
    if (!alive_[i]) continue;
    resolve_all(done_[i].inputs);
    resolve_all(done_[i].captures);
    graph_.nodes.push_back(std::move(done_[i]));
  }
}

bool rewrite(Graph& graph, std::span<const Rule> rules) { return Rewriter(graph).run(rules); }

std::optional<double> uniform_constant(const Rewriter& rw, ValueId id) {
  const Tensor* tensor = rw.constant(id);
  if (tensor == nullptr || tensor->numel() == 0) return std::nullopt;
  if (!is_float(tensor->dtype()) && !is_integer(tensor->dtype())) return std::nullopt;
  const double first = load_f64(tensor->dtype(), tensor->data(), 0);
  for (std::int64_t i = 1; i < tensor->numel(); ++i) {
    if (load_f64(tensor->dtype(), tensor->data(), i) != first) return std::nullopt;
  }
  return first;
}

std::optional<double> scalar_constant(const Rewriter& rw, ValueId id) {
  const Tensor* tensor = rw.constant(id);
  return tensor != nullptr && tensor->numel() == 1 ? uniform_constant(rw, id) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> int_constant(const Rewriter& rw, ValueId id) {
  const Tensor* tensor = rw.constant(id);
  if (tensor == nullptr || !is_integer(tensor->dtype()) || tensor->rank() > 1) return std::nullopt;
  return to_i64_vector(*tensor);
}

Tensor evaluate_constant(std::string_view op, std::initializer_list<Tensor> inputs,
                         Attributes attributes) {
  Node node;
  node.op = &op_def(op);
  node.name = "constant";
  node.attributes = std::move(attributes);
  std::vector<Datum> data;
  for (const Tensor& tensor : inputs) {
    node.inputs.push_back(static_cast<ValueId>(data.size()));
    data.push_back(tensor);
  }
  node.outputs = {static_cast<ValueId>(data.size())};
  return evaluate_node(node, data).front().tensor;
}

bool same_shape(const Type& a, const Type& b) { return a.shape && b.shape && *a.shape == *b.shape; }

std::int64_t rank_of(const Type& type) {
  return type.shape ? static_cast<std::int64_t>(type.shape->size()) : -1;
}

std::int64_t known_dim(const Type& type, std::int64_t axis) {
  const std::int64_t rank = rank_of(type);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return -1;
  const Dim& dim = (*type.shape)[static_cast<std::size_t>(axis)];
  return dim.is_known() ? dim.value() : -1;
}

}  // namespace naru
