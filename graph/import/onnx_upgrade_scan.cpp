// Scan of opset 8: it had a batch axis, which becomes a Scan over samples around a Scan over steps.
#include <algorithm>

#include "graph/fail.h"
#include "graph/import/onnx_upgrade_steps.h"
#include "graph/op_def.h"

namespace naru {
namespace {

using Ints = std::vector<std::int64_t>;

/// The body that runs one sample: its inputs are the length (if any), states, sequences, captures.
class SampleBody {
 public:
  SampleBody(const Graph& step, std::size_t scan_inputs, std::size_t states, bool has_lengths, std::size_t captures)
      : outputs_(step.outputs.size()), states_(states) {
    body_.name = step.name + " of a sample";
    if (has_lengths) length_ = body_.add_node("Reshape", {input("length"), ints({1})}).outputs[0];
    for (std::size_t i = 0; i < states; ++i) inputs_.push_back(input("state"));
    for (std::size_t i = 0; i < scan_inputs; ++i) inputs_.push_back(sequence());
    for (std::size_t i = 0; i < captures; ++i) captures_.push_back(input("capture"));
  }

  GraphPtr build(Attributes attributes) {
    Node& scan = body_.add_node("Scan", inputs_, outputs_, std::move(attributes));
    scan.captures = captures_;
    const std::vector<ValueId> results = scan.outputs;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const bool padded = i >= states_ && length_ != kNoValue;
      body_.outputs.push_back(padded ? full_length(results[i]) : results[i]);
    }
    return std::make_shared<const Graph>(std::move(body_));
  }

 private:
  ValueId input(const char* name) { return body_.add_input(name, Type{}); }
  ValueId ints(Ints values) {
    const Shape shape{static_cast<std::int64_t>(values.size())};
    return body_.add_constant("ints", Tensor::from<std::int64_t>(shape, std::span<const std::int64_t>(values)));
  }

  /// A scan input, cut to the length of the sample.
  ValueId sequence() {
    const ValueId whole = input("sequence");
    if (length_ == kNoValue) return whole;
    if (longest_ == kNoValue) {
      longest_ = body_.add_node("Shape", {whole}, 1, {{"end", std::int64_t{1}}}).outputs[0];
    }
    return body_.add_node("Slice", {whole, ints({0}), length_, ints({0})}).outputs[0];
  }

  /// A scan output, with zeros after the end of the sample.
  ValueId full_length(ValueId output) {
    const ValueId missing = body_.add_node("Sub", {longest_, length_}).outputs[0];
    const ValueId pads = body_.add_node("Concat", {ints({0}), missing}, 1, {{"axis", std::int64_t{0}}}).outputs[0];
    return body_.add_node("Pad", {output, pads, kNoValue, ints({0})}).outputs[0];
  }

  Graph body_;
  std::size_t outputs_, states_;
  ValueId length_ = kNoValue, longest_ = kNoValue;
  std::vector<ValueId> inputs_, captures_;
};

}  // namespace

void scan_without_batch(Upgrade& upgrade) {
  NodeDraft& draft = upgrade.draft;
  const std::optional<Attribute> body = upgrade.take("body");
  const GraphPtr* step = body ? std::get_if<GraphPtr>(&*body) : nullptr;
  const auto given = static_cast<std::int64_t>(draft.inputs.size()) - 1;
  const std::int64_t count = upgrade.take_int("num_scan_inputs", 0);
  if (step == nullptr || count < 1 || count > given) {
    fail(ErrorCode::InvalidModel, "Scan of opset 8: got {} scan inputs, expected a body and [1, {}] of them", count,
         given);
  }
  Attributes attributes{{"body", *step}, {"num_scan_inputs", count}};
  if (auto directions = upgrade.take("directions")) attributes["scan_input_directions"] = std::move(*directions);
  const bool has_lengths = draft.inputs.front() != kNoValue;
  if (!has_lengths) draft.inputs.erase(draft.inputs.begin());
  SampleBody sample(**step, static_cast<std::size_t>(count), static_cast<std::size_t>(given - count), has_lengths,
                    draft.captures.size());
  draft.attributes["body"] = sample.build(std::move(attributes));
  draft.attributes["num_scan_inputs"] = static_cast<std::int64_t>(draft.inputs.size());
}

}  // namespace naru
