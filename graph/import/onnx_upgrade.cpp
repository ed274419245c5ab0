// The changes between operator versions, as a table, and what applies its rows.
#include "graph/import/onnx_upgrade.h"

#include <limits>
#include <unordered_map>

#include "graph/fail.h"
#include "graph/import/onnx_upgrade_steps.h"

namespace naru {
namespace {

constexpr std::int64_t kEvery = std::numeric_limits<std::int64_t>::max();

/// What a row of the table does.
enum class Action : std::uint8_t {
  Drop,      ///< removes an attribute
  ToInts,    ///< an attribute of one or more integers becomes an input: i64, rank 1
  ToFloats,  ///< a list of floats becomes an input: f32, rank 1
  ToScalar,  ///< a float becomes an input: a scalar of the element type of the first input
  Default,   ///< sets an attribute whose default changed
  Rename,    ///< the operator has another name now
  Step,      ///< a function
};

/// A row: what to do for nodes of opsets before `before`.
struct Rule {
  std::string_view ops;  ///< one or more names, separated by spaces
  std::int64_t before;
  Action action;
  std::string_view name = {};  ///< of the attribute, or the new one of the operator
  std::size_t input = 0;
  UpgradeStep step = nullptr;
  Attribute value = std::int64_t{0};
};

constexpr std::string_view kBinary = "Add And Div Equal Greater Less Mul Or Pow Sub Xor";
constexpr std::string_view kReduce =
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSumSquare";
constexpr std::string_view kConsumed =
    "Abs Add BatchNormalization Ceil Clip Div Dropout Elu Exp Floor HardSigmoid "
    "InstanceNormalization LeakyRelu Log Max Mean Min Mul Neg PRelu Reciprocal Relu Reshape Selu "
    "Sigmoid Sqrt Sub Sum Tanh";

/// All changes that are more than wider types or clearer words, from onnx.defs of 1.23.2. Rows of
/// one operator stand in the order of their versions.
const std::vector<Rule>& rules() {
  using enum Action;
  static const std::vector<Rule> kRules = {
      {kConsumed, 6, Drop, "consumed_inputs"},
      {kBinary, 7, Step, {}, 0, align_broadcast_axis},
      {"BatchNormalization", 7, Step, {}, 0, batch_norm_inference_only},
      {"BatchNormalization", 9, Step, {}, 0, batch_norm_not_spatial},
      {"BatchNormalization", 14, Step, {}, 0, batch_norm_outputs},
      {"Cast", 6, Step, {}, 0, cast_to_by_name},
      {"Clip", 11, ToScalar, "min", 1},
      {"Clip", 11, ToScalar, "max", 2},
      {"Concat", 4, Default, "axis", 0, nullptr, std::int64_t{1}},
      {"DFT", 20, Step, {}, 0, dft_axis},
      {"Dropout", 7, Drop, "is_test"},
      {"Dropout", 10, Step, {}, 0, dropout_mask_type},
      {"Dropout", 12, Drop, "ratio"},
      {"GRU LSTM RNN", 7, Drop, "output_sequence"},
      {"Gemm", 7, Drop, "broadcast"},
      {"GridSample", 20, Step, {}, 0, grid_sample_modes},
      {"GroupNormalization", 21, Step, {}, 0, group_norm_per_channel},
      {"GlobalLpPool LpPool", 2, Step, {}, 0, reject_version},
      {"Hardmax LogSoftmax Softmax", 13, Step, {}, 0, coerce_to_2d},
      {"PRelu", 7, Step, {}, 0, prelu_per_channel},
      {"Pad", 2, ToInts, "paddings", 1},
      {"Pad", 11, ToInts, "pads", 1},
      {"Pad", 11, ToScalar, "value", 2},
      {kReduce, 18, ToInts, "axes", 1},
      {"ReduceSum", 13, ToInts, "axes", 1},
      {"Reshape", 5, ToInts, "shape", 1},
      {"Resize", 11, Step, {}, 0, resize_without_roi},
      {"Resize", kEvery, Step, {}, 0, resize_empty_inputs},
      {"RoiAlign", 16, Default, "coordinate_transformation_mode", 0, nullptr,
       std::string("output_half_pixel")},
      {"Scan", 9, Step, {}, 0, scan_without_batch},
      {"Scatter", kEvery, Rename, "ScatterElements"},
      {"Selu", 6, Default, "alpha", 0, nullptr, 1.6732F},
      {"Selu", 6, Default, "gamma", 0, nullptr, 1.0507F},
      {"Slice", 10, ToInts, "starts", 1},
      {"Slice", 10, ToInts, "ends", 2},
      {"Slice", 10, ToInts, "axes", 3},
      {"Split", 13, ToInts, "split", 1},
      {"Split", 18, Step, {}, 0, split_into_equal},
      {"Squeeze Unsqueeze", 13, ToInts, "axes", 1},
      {"Tile", 6, Step, {}, 0, reject_version},
      {"TopK", 10, ToInts, "k", 1},
      {"Upsample", 7, Step, {}, 0, upsample_scales},
      {"Upsample", 9, ToFloats, "scales", 1},
      {"Upsample", kEvery, Step, {}, 0, upsample_as_resize},
      {"ai.onnx.ml.LabelEncoder", 2, Step, {}, 0, label_encoder_lists},
  };
  return kRules;
}

/// The rows of each operator.
const std::vector<const Rule*>* rules_of(const std::string& op) {
  using Index = std::unordered_map<std::string, std::vector<const Rule*>>;
  static const Index kIndex = [] {
    Index index;
    for (const Rule& rule : rules()) {
      std::string_view names = rule.ops;
      while (!names.empty()) {
        const std::size_t space = names.find(' ');
        index[std::string(names.substr(0, space))].push_back(&rule);
        names = space == std::string_view::npos ? std::string_view() : names.substr(space + 1);
      }
    }
    return index;
  }();
  const auto found = kIndex.find(op);
  return found == kIndex.end() ? nullptr : &found->second;
}

[[noreturn]] void wrong_kind(const Upgrade& upgrade, const Rule& rule, const Attribute& value) {
  fail(ErrorCode::InvalidModel, "{}: attribute '{}' is of kind {}, which opset {} does not have",
       upgrade.draft.op, rule.name, to_string(kind_of(value)), upgrade.draft.version);
}

ValueId as_input(Upgrade& upgrade, const Rule& rule, const Attribute& value) {
  if (rule.action == Action::ToInts) {
    if (const auto* one = std::get_if<std::int64_t>(&value)) return upgrade.sink.ints({*one});
    if (const auto* many = std::get_if<std::vector<std::int64_t>>(&value))
      return upgrade.sink.ints(*many);
  } else if (rule.action == Action::ToScalar) {
    if (const auto* number = std::get_if<float>(&value))
      return upgrade.scalar_like(*number, upgrade.input(0));
  } else if (const auto* many = std::get_if<std::vector<float>>(&value)) {
    const auto count = static_cast<std::int64_t>(many->size());
    return upgrade.sink.constant(Tensor::from<float>(Shape{count}, *many));
  }
  wrong_kind(upgrade, rule, value);
}

void apply(const Rule& rule, Upgrade& upgrade) {
  switch (rule.action) {
    case Action::Drop: upgrade.take(rule.name); return;
    case Action::Default: upgrade.set_default(rule.name, rule.value); return;
    case Action::Rename: upgrade.draft.op = rule.name; return;
    case Action::Step: rule.step(upgrade); return;
    default: break;
  }
  if (const auto value = upgrade.take(rule.name)) {
    upgrade.set_input(rule.input, as_input(upgrade, rule, *value));
  }
}

}  // namespace

ValueId NodeSink::ints(std::vector<std::int64_t> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return constant(Tensor::from<std::int64_t>(Shape{count}, std::span<const std::int64_t>(values)));
}

std::vector<OutputFixup> upgrade_node(NodeDraft& draft, NodeSink& sink) {
  std::vector<OutputFixup> fixups;
  Upgrade upgrade{draft, sink, fixups};
  std::string op;
  // A step may make it another operator, whose own rows come next.
  while (op != draft.op) {
    op = draft.op;
    const auto* rows = rules_of(op);
    if (rows == nullptr) break;
    for (const Rule* rule : *rows) {
      if (draft.version < rule->before && draft.op == op) apply(*rule, upgrade);
    }
  }
  return fixups;
}

}  // namespace naru
