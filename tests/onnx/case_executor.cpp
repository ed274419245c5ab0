// The executors that the ONNX suite knows.
#include "tests/onnx/case_executor.h"

#include "graph/evaluate.h"
#include "graph/fail.h"

namespace naru {
namespace {

/// The oracle: every operator's reference meaning.
class Interpreter final : public CaseExecutor {
 public:
  std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) override {
    return evaluate(graph, inputs);
  }
};

}  // namespace

std::unique_ptr<CaseExecutor> make_executor(std::string_view name) {
  if (name == "interpreter") return std::make_unique<Interpreter>();
  fail(ErrorCode::InvalidArgument, "executor: got '{}', expected interpreter", name);
}

}  // namespace naru
