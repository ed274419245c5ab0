// Models of a suite.
#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/suites/fields.h"
#include "benchmarks/suites/suite.h"
#include "graph/export/synth.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

constexpr std::int64_t kMaxCount = 1'000'000'000'000'000;

void read_precision(const nlohmann::json* json, SuiteModel& model) {
  if (json == nullptr) return;
  Fields fields(*json, "model '" + model.id + "'.precision");
  model.weights = fields.text("weights", model.weights);
  model.activations = fields.text("activations", model.activations);
  model.kv = fields.text("kv", model.kv);
  fields.finish();
}

void read_gate(const nlohmann::json* json, SuiteModel& model) {
  if (json == nullptr) return;
  if (json->is_boolean()) {
    model.gate = json->get<bool>();
    return;
  }
  Fields fields(*json, "model '" + model.id + "'.gate");
  model.relative = fields.number("relative", model.relative, 0, 1);
  model.absolute = fields.number("absolute", model.absolute, 0, 1e9);
  model.top1 = fields.number("top1", model.top1, 0, 1);
  model.kl = fields.number("kl", model.kl, 0, 100);
  model.perplexity_ratio = fields.number("perplexity_ratio", model.perplexity_ratio, 1, 100);
  fields.finish();
}

/// A dimension: a number, or "batch".
std::int64_t read_dim(const nlohmann::json& dim, const std::string& where) {
  if (dim == "batch") return kBatchDim;
  if (!dim.is_number_integer() || dim < 1 || dim > 1 << 24) fail(ErrorCode::InvalidArgument, "{}: got {}, expected an integer from 1 to {} or \"batch\"", where, dim.dump(), 1 << 24);
  return dim.get<std::int64_t>();
}

void read_inputs(const nlohmann::json* shapes, const nlohmann::json* values, SuiteModel& model) {
  const std::string where = "model '" + model.id + "'";
  std::map<std::string, InputSpec> inputs;
  if (shapes != nullptr) {
    Fields(*shapes, where + ".shapes");
    for (const auto& [name, dims] : shapes->items()) {
      InputSpec& input = inputs[name];
      input.known_shape = true;
      if (!dims.is_array() || dims.size() > 16) fail(ErrorCode::InvalidArgument, "{}.shapes.{}: got {}, expected a list of at most 16 dimensions", where, name, dims.type_name());
      for (const nlohmann::json& dim : dims) input.dims.push_back(read_dim(dim, where + ".shapes." + name));
    }
  }
  if (values != nullptr) {
    Fields fields(*values, where + ".values");
    for (const auto& [name, value] : values->items()) inputs[name].value = fields.number(name, 0, -1e12, 1e12);
  }
  for (auto& [name, input] : inputs) {
    input.name = name;
    model.inputs.push_back(std::move(input));
  }
}

void read_synth(const nlohmann::json* json, SuiteModel& model) {
  if (json == nullptr) return;
  Fields fields(*json, "model '" + model.id + "'.synth");
  model.synth_shape = fields.text("shape");
  model.synth_type = fields.text("type");
  fields.finish();
  find_shape(model.synth_shape);
  find_weight_mix(model.synth_type);
  if (!model.path.empty()) fail(ErrorCode::InvalidArgument, "{}: give 'path' or 'synth'", fields.where());
  model.path = model.synth_shape + "-" + model.synth_type + ".gguf";
}

}  // namespace

SuiteModel read_model(const nlohmann::json& json, std::size_t index) {
  Fields fields(json, fmt::format("models[{}]", index));
  SuiteModel model;
  model.id = fields.text("id");
  const std::string kind = fields.text("kind");
  if (kind != "generate" && kind != "infer") {
    fail(ErrorCode::InvalidArgument, "{}.kind: got '{}', expected generate or infer", fields.where(), kind);
  }
  model.generates = kind == "generate";
  model.kv = model.generates ? "f16" : "";
  model.path = fields.text("path", "");
  read_precision(fields.part("precision"), model);
  read_inputs(fields.part("shapes"), fields.part("values"), model);
  read_synth(fields.part("synth"), model);
  read_gate(fields.part("gate"), model);
  model.parameters = fields.number("parameters", 0, 0, 1e15);
  model.weights_bytes = fields.integer("weights_bytes", 0, 0, kMaxCount);
  model.kv_bytes_per_token = fields.integer("kv_bytes_per_token", 0, 0, kMaxCount);
  model.context = fields.integer("context", 0, 0, 1 << 30);
  fields.finish();
  return model;
}

}  // namespace naru::bench
