// Which row of a device profile runs a task, why none does, and what it costs.
#pragma once

#include <functional>

#include "backends/opencl/built_in/facts.h"

namespace naru::opencl {

/// A task with the row that runs it, arguments filled in.
struct Choice {
  Task task;
  const KernelRow* row = nullptr;  ///< null for a view
  Layouts layouts;
  std::string kernel;
  /// One per argument: a number for scalars, a term for memory (-1: absent).
  struct Argument {
    ArgumentRule::Kind kind = ArgumentRule::Kind::Memory;
    double number = 0;
    std::string operand;
    int term = -1;
  };
  std::vector<Argument> arguments;
  std::size_t tasks = 1;  ///< how many it does
};

/// How many layout conversions a choice brings along; the least is taken.
using Conversions = std::function<int(const Choice&)>;

class Chooser {
 public:
  explicit Chooser(const DeviceProfile& profile) : profile_(profile) {}

  /// The choice for the first of `tasks`, which may take the function after it along. Nothing, with a reason,
  /// when there is none. Views need no row.
  std::optional<Choice> next(std::span<const Task> tasks, const std::vector<Term>& terms, const Conversions& conversions,
                             std::string& reason) const;
  /// A copy of one term to another, between two layouts.
  /// @throws Error Unsupported when the device cannot.
  Choice copy(int from, const std::string& from_layout, int to, const std::string& to_layout, const std::vector<Term>& terms) const;

  /// Estimated seconds of a node that `kernels` kernels run.
  double seconds(const Graph& graph, const Node& node, std::size_t kernels) const;
  /// The element type in which the device holds such a value, Undefined when it cannot.
  DType stored(const Term& term) const { return stored_type(profile_, term); }
  const DeviceProfile& profile() const { return profile_; }

 private:
  /// A row in one of the combinations of layouts in which it may run.
  struct Candidate {
    const KernelRow* row;
    Layouts layouts;
  };
  std::vector<Candidate> candidates(const Task& task) const;
  std::optional<Choice> fit(const Candidate& candidate, const Task& task, const std::vector<Term>& terms, const Task* fused,
                            std::string& reason) const;
  std::string refuses(const Candidate& candidate, const Task& task, const std::vector<Term>& terms, const Facts& facts) const;
  std::string fill(Choice& choice, const std::vector<Term>& terms, const Facts& facts) const;

  const DeviceProfile& profile_;
};

}  // namespace naru::opencl
