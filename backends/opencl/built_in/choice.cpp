// Rows against tasks.
#include "backends/opencl/built_in/choice.h"

#include <algorithm>
#include <cmath>

#include "graph/fail.h"
#include "graph/op_def.h"

namespace naru::opencl {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const double* find(const Facts& facts, const Quantity& quantity) {
  if (const auto* number = std::get_if<double>(&quantity)) return number;
  const auto found = facts.find(std::get<std::string>(quantity));
  return found == facts.end() ? nullptr : &found->second;
}

std::string text_of(const Quantity& quantity, const Facts& facts) {
  const double* value = find(facts, quantity);
  const auto* name = std::get_if<std::string>(&quantity);
  if (value == nullptr) return *name;
  return name != nullptr ? fmt::format("{} ({})", *name, *value) : fmt::format("{}", *value);
}

constexpr std::string_view kPresent = ".present";

bool ends_with(std::string_view text, std::string_view end) { return text.size() > end.size() && text.substr(text.size() - end.size()) == end; }

/// Empty when the condition holds.
std::string unmet(const Condition& condition, const Facts& facts) {
  const double* value = find(facts, condition.fact);
  constexpr double kAbsent = 0;
  if (value == nullptr && condition.otherwise) value = &*condition.otherwise;
  if (value == nullptr && ends_with(condition.fact, kPresent)) value = &kAbsent;
  if (value == nullptr) return fmt::format("{} is unknown", condition.fact);
  if (condition.min && *value < *condition.min) return fmt::format("{} is {}, expected at least {}", condition.fact, *value, *condition.min);
  if (condition.max && *value > *condition.max) return fmt::format("{} is {}, expected at most {}", condition.fact, *value, *condition.max);
  if (condition.any_of.empty()) return "";
  std::string expected;
  for (const Quantity& one : condition.any_of) {
    const double* other = find(facts, one);
    if (other != nullptr && *other == *value) return "";
    expected += (expected.empty() ? "" : " or ") + text_of(one, facts);
  }
  return fmt::format("{} is {}, expected {}", condition.fact, *value, expected);
}

/// Conditions on operands that are not there hold, but for whether they are.
bool is_about_absent(const Task& task, const std::string& fact) {
  const std::size_t dot = fact.find('.');
  if (dot == std::string::npos || ends_with(fact, kPresent)) return false;
  const std::string_view name = std::string_view(fact).substr(0, dot);
  return name != task.output.name && task.input(name) < 0;
}

/// The layouts of a copy.
Layouts pair_of(const std::string& from, const std::string& to) {
  Layouts layouts;
  if (from != kDense) layouts["X"] = from;
  if (to != kDense) layouts["Y"] = to;
  return layouts;
}

}  // namespace

std::vector<Chooser::Candidate> Chooser::candidates(const Task& task) const {
  std::vector<Candidate> list;
  for (const KernelRow& row : profile_.rows) {
    if (!contains(row.ops, task.op)) continue;
    if (task.op != kCopy) {
      for (const Layouts& layouts : row.layouts) list.push_back({&row, layouts});
      continue;
    }
    for (const auto& [name, layout] : profile_.layouts) list.push_back({&row, pair_of(name, name)});
  }
  return list;
}

std::string Chooser::refuses(const Candidate& candidate, const Task& task, const std::vector<Term>& terms, const Facts& facts) const {
  const Term& first = terms[static_cast<std::size_t>(task.inputs[0].term)];
  if (!contains(candidate.row->types, std::string(to_string(stored(first))))) return fmt::format("element type {}", to_string(first.dtype));
  std::vector<Operand> operands = task.inputs;
  operands.push_back(task.output);
  for (const Operand& operand : operands) {
    if (operand.term < 0) continue;
    const Layout& layout = layout_of(profile_, candidate.layouts, operand.name);
    const Shape& shape = terms[static_cast<std::size_t>(operand.term)].shape;
    if (!layout.is_dense() && !physical_of(layout, shape)) return fmt::format("{} has rank {}, which the layout does not hold", operand.name, shape.rank());
  }
  for (const Condition& condition : candidate.row->when) {
    if (is_about_absent(task, condition.fact)) continue;
    if (const std::string reason = unmet(condition, facts); !reason.empty()) return reason;
  }
  return "";
}

/// Fills in the arguments; returns what is missing.
std::string Chooser::fill(Choice& choice, const std::vector<Term>& terms, const Facts& facts) const {
  for (const ArgumentRule& rule : choice.row->arguments) {
    Choice::Argument argument{rule.kind, 0, {}, -1};
    if (rule.kind == ArgumentRule::Kind::Memory) {
      argument.operand = std::get<std::string>(rule.value);
      argument.term = argument.operand == choice.task.output.name ? choice.task.output.term : choice.task.input(argument.operand);
      if (argument.term >= 0 && stored(terms[static_cast<std::size_t>(argument.term)]) == DType::Undefined) {
        return fmt::format("element type {} of {}", to_string(terms[static_cast<std::size_t>(argument.term)].dtype), argument.operand);
      }
    } else {
      const double* value = find(facts, rule.value);
      if (value == nullptr && !rule.otherwise) return fmt::format("{} is unknown", std::get<std::string>(rule.value));
      argument.number = value != nullptr ? *value : *rule.otherwise;
      if (rule.kind == ArgumentRule::Kind::Int && !(std::fabs(argument.number) <= INT32_MAX)) {
        return fmt::format("{} exceeds 31 bits", text_of(rule.value, facts));
      }
    }
    choice.arguments.push_back(std::move(argument));
  }
  return "";
}

std::optional<Choice> Chooser::fit(const Candidate& candidate, const Task& task, const std::vector<Term>& terms, const Task* fused,
                                   std::string& reason) const {
  const Facts facts = facts_of(task, terms, candidate.layouts, profile_, fused);
  reason = refuses(candidate, task, terms, facts);
  if (!reason.empty()) return std::nullopt;
  Choice choice{task, candidate.row, candidate.layouts, candidate.row->kernel, {}};
  if (fused != nullptr) choice.task.output.term = fused->output.term;
  constexpr std::string_view kType = "{type}";
  if (const std::size_t at = choice.kernel.find(kType); at != std::string::npos) {
    choice.kernel.replace(at, kType.size(), to_string(stored(terms[static_cast<std::size_t>(task.inputs[0].term)])));
  }
  reason = fill(choice, terms, facts);
  return reason.empty() ? std::optional(std::move(choice)) : std::nullopt;
}

std::optional<Choice> Chooser::next(std::span<const Task> tasks, const std::vector<Term>& terms, const Conversions& conversions,
                                    std::string& reason) const {
  const Task& task = tasks.front();
  if (task.view) {
    const Term& term = terms[static_cast<std::size_t>(task.output.term)];
    if (stored(term) != DType::Undefined) return Choice{task, nullptr, {}, "view", {}};
    reason = fmt::format("element type {}", to_string(term.dtype));
    return std::nullopt;
  }
  std::optional<Choice> best;
  int least = 0;
  std::string reasons;
  for (const Candidate& candidate : candidates(task)) {
    const bool fuses = tasks.size() > 1 && contains(candidate.row->fuses, tasks[1].op);
    std::string why;
    std::optional<Choice> choice = fit(candidate, task, terms, fuses ? &tasks[1] : nullptr, why);
    if (!choice) {
      if (reasons.find(why) == std::string::npos) reasons += (reasons.empty() ? "" : "; ") + why;
      continue;
    }
    const int count = conversions(*choice);
    if (best && count >= least) continue;
    best = std::move(choice);
    best->tasks = fuses ? 2 : 1;
    least = count;
  }
  if (!best) reason = task.op + ": " + (reasons.empty() ? "the device profile has no kernel for it" : reasons);
  return best;
}

Choice Chooser::copy(int from, const std::string& from_layout, int to, const std::string& to_layout, const std::vector<Term>& terms) const {
  std::string reason = "the device profile has no kernel for it";
  for (const Candidate& candidate : candidates(copy_task(from, to))) {
    if (auto choice = fit({candidate.row, pair_of(from_layout, to_layout)}, copy_task(from, to), terms, nullptr, reason)) return std::move(*choice);
  }
  fail(ErrorCode::Unsupported, "copying between the layouts {} and {}: {}", from_layout, to_layout, reason);
}

double Chooser::seconds(const Graph& graph, const Node& node, std::size_t kernels) const {
  const CostModel& model = profile_.cost;
  if (node.op->cost == nullptr) return 0;
  std::vector<Type> inputs, outputs;
  for (const ValueId id : node.inputs) inputs.push_back(id == kNoValue ? Type{} : graph.value(id).type);
  for (const ValueId id : node.outputs) outputs.push_back(id == kNoValue ? Type{} : graph.value(id).type);
  const Cost cost = node.op->cost(node, inputs, outputs);
  const auto rate = model.macs_per_s.find(std::string(to_string(stored({inputs.front().dtype, {}, nullptr}))));
  const bool multiplies = node.op->name.find("Conv") != std::string::npos || node.op->name.find("MatMul") != std::string::npos ||
                          node.op->name == "Gemm" || node.op->name == "Attention";
  const double compute = multiplies && rate != model.macs_per_s.end() ? cost.flops / 2 / rate->second : cost.flops / model.vector_ops_per_s;
  return static_cast<double>(kernels) * model.launch_s + std::max(compute, cost.bytes / model.bytes_per_s);
}

}  // namespace naru::opencl
