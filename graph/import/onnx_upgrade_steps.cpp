// Upgrades of single operators.
#include "graph/import/onnx_upgrade_steps.h"

#include <algorithm>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {

void Upgrade::set_input(std::size_t i, ValueId id) {
  if (draft.inputs.size() <= i) draft.inputs.resize(i + 1, kNoValue);
  draft.inputs[i] = id;
}

std::optional<std::int64_t> Upgrade::rank(std::size_t i) {
  const Type type = sink.type(input(i));
  if (!type.is_tensor() || !type.shape) return std::nullopt;
  return static_cast<std::int64_t>(type.shape->size());
}

std::optional<Attribute> Upgrade::take(std::string_view name) {
  const auto found = draft.attributes.find(name);
  if (found == draft.attributes.end()) return std::nullopt;
  Attribute value = std::move(found->second);
  draft.attributes.erase(found);
  return value;
}

std::int64_t Upgrade::take_int(std::string_view name, std::int64_t otherwise) {
  const std::optional<Attribute> value = take(name);
  if (!value) return otherwise;
  const auto* number = std::get_if<std::int64_t>(&*value);
  if (number == nullptr) {
    fail(ErrorCode::InvalidModel, "{}: attribute '{}' is of kind {}, expected int", draft.op, name,
         to_string(kind_of(*value)));
  }
  return *number;
}

void Upgrade::set_default(std::string_view name, Attribute value) {
  draft.attributes.try_emplace(std::string(name), std::move(value));
}

ValueId Upgrade::scalar_like(double number, ValueId like) {
  const Type type = sink.type(like);
  if (type.is_tensor() && (is_float(type.dtype) || is_integer(type.dtype))) {
    Tensor scalar(type.dtype, Shape{});
    store_f64(type.dtype, scalar.mutable_data(), 0, number);
    return sink.constant(std::move(scalar));
  }
  const ValueId plain = sink.constant(Tensor::scalar<float>(static_cast<float>(number)));
  return sink.emit("CastLike", {plain, like});
}

void Upgrade::unsupported(std::string_view what) const {
  fail(ErrorCode::Unsupported, "{} of opset {}: {}", draft.op, draft.version, what);
}

void reject_version(Upgrade& upgrade) {
  upgrade.unsupported("naru does not read this version of it");
}

// The second input of binary operators was aligned at `axis` of the first, by default at its end,
// which is what numpy's rule does as well.
void align_broadcast_axis(Upgrade& upgrade) {
  upgrade.take("broadcast");
  if (!upgrade.draft.attributes.contains("axis")) return;
  const std::int64_t axis = upgrade.take_int("axis", 0);
  const auto rank_a = upgrade.rank(0);
  const auto rank_b = upgrade.rank(1);
  if (!rank_a || !rank_b) upgrade.unsupported("a broadcast at an axis needs inputs of known rank");
  const std::int64_t after = *rank_a - *rank_b - (axis < 0 ? axis + *rank_a : axis);
  if (after < 0) {
    fail(ErrorCode::InvalidModel, "{}: axis {} does not fit inputs of rank {} and {}",
         upgrade.draft.op, axis, *rank_a, *rank_b);
  }
  std::vector<std::int64_t> axes;
  for (std::int64_t i = 0; i < after; ++i) axes.push_back(*rank_b + i);
  if (axes.empty()) return;
  const ValueId axes_value = upgrade.sink.ints(axes);
  upgrade.set_input(1, upgrade.sink.emit("Unsqueeze", {upgrade.input(1), axes_value}));
}

void batch_norm_inference_only(Upgrade& upgrade) {
  if (upgrade.take_int("is_test", 0) == 0) {
    upgrade.unsupported("it is in training mode (is_test is 0)");
  }
}

// With spatial = 0, scale, shift, mean and variance have one entry per element of a sample.
void batch_norm_not_spatial(Upgrade& upgrade) {
  if (upgrade.take_int("spatial", 1) != 0) return;
  for (std::size_t i = 1; i < upgrade.draft.outputs.size(); ++i) {
    if (upgrade.draft.outputs[i]) upgrade.unsupported("per-element statistics are not computed");
  }
  float epsilon = 1e-5F;
  if (const auto value = upgrade.take("epsilon")) {
    if (const auto* number = std::get_if<float>(&*value)) epsilon = *number;
  }
  NodeSink& sink = upgrade.sink;
  const auto x = upgrade.input(0), scale = upgrade.input(1), shift = upgrade.input(2);
  const auto mean = upgrade.input(3), variance = upgrade.input(4);
  const ValueId stable = sink.emit("Add", {variance, upgrade.scalar_like(epsilon, variance)});
  const ValueId deviation = sink.emit("Sqrt", {stable});
  const ValueId centred = sink.emit("Sub", {x, mean});
  const ValueId normal = sink.emit("Div", {centred, deviation});
  const ValueId scaled = sink.emit("Mul", {normal, scale});
  upgrade.draft.op = "Add";
  upgrade.draft.inputs = {scaled, shift};
  upgrade.draft.outputs.resize(1);
  upgrade.draft.attributes.clear();
}

// Five outputs meant training mode; the statistics of the batch itself are outputs no more.
void batch_norm_outputs(Upgrade& upgrade) {
  auto& outputs = upgrade.draft.outputs;
  if (upgrade.wants_output(3) || upgrade.wants_output(4)) {
    upgrade.unsupported("the mean and variance of the batch are not computed");
  }
  if (outputs.size() > 3) outputs.resize(3);
  if (upgrade.wants_output(1) || upgrade.wants_output(2)) {
    upgrade.set_default("training_mode", std::int64_t{1});
  } else {
    outputs.resize(std::min<std::size_t>(outputs.size(), 1));
  }
}

void cast_to_by_name(Upgrade& upgrade) {
  const auto found = upgrade.draft.attributes.find("to");
  if (found == upgrade.draft.attributes.end()) return;
  const auto* name = std::get_if<std::string>(&found->second);
  if (name == nullptr) return;
  // The numbers of TensorProto.DataType, which start at 1.
  constexpr std::string_view kNames[] = {"FLOAT",  "UINT8",  "INT8",   "UINT16", "INT16",
                                         "INT32",  "INT64",  "STRING", "BOOL",   "FLOAT16",
                                         "DOUBLE", "UINT32", "UINT64"};
  const auto* at = std::find(std::begin(kNames), std::end(kNames), *name);
  if (at == std::end(kNames)) {
    fail(ErrorCode::InvalidModel, "Cast: got the type {}, expected one such as FLOAT",
         quote_name(*name));
  }
  found->second = std::int64_t{at - std::begin(kNames) + 1};
}

// Before 13 the input counted as a matrix: the axes before `axis` are its rows, the rest its
// columns.
void coerce_to_2d(Upgrade& upgrade) {
  const std::int64_t axis = upgrade.take_int("axis", 1);
  const auto rank = upgrade.rank(0);
  upgrade.set_default("axis", std::int64_t{-1});
  if (rank && (axis == -1 || axis == *rank - 1)) return;
  NodeSink& sink = upgrade.sink;
  const ValueId x = upgrade.input(0);
  const ValueId shape = sink.emit("Shape", {x});
  upgrade.set_input(0, sink.emit("Flatten", {x}, {{"axis", axis}}));
  upgrade.fixups.push_back([shape](NodeSink& after, std::vector<ValueId>& outputs) {
    if (outputs.empty() || outputs[0] == kNoValue) return;
    outputs[0] = after.emit("Reshape", {outputs[0], shape}, {{"allowzero", std::int64_t{1}}});
  });
}

void dft_axis(Upgrade& upgrade) {
  const std::int64_t axis = upgrade.take_int("axis", 1);
  upgrade.set_input(2, upgrade.sink.constant(Tensor::scalar<std::int64_t>(axis)));
}

// The mask had the element type of the data.
void dropout_mask_type(Upgrade& upgrade) {
  if (!upgrade.wants_output(1)) return;
  const ValueId data = upgrade.input(0);
  upgrade.fixups.push_back([data](NodeSink& after, std::vector<ValueId>& outputs) {
    outputs[1] = after.emit("CastLike", {outputs[1], data});
  });
}

void grid_sample_modes(Upgrade& upgrade) {
  const auto found = upgrade.draft.attributes.find("mode");
  if (found == upgrade.draft.attributes.end()) return;
  auto* mode = std::get_if<std::string>(&found->second);
  if (mode != nullptr && mode->starts_with("bi")) *mode = mode->substr(2);
}

// Scale and shift had one entry per group; each now stands once per channel.
void group_norm_per_channel(Upgrade& upgrade) {
  const auto groups = upgrade.draft.attributes.find("num_groups");
  const auto* count = groups == upgrade.draft.attributes.end()
                          ? nullptr
                          : std::get_if<std::int64_t>(&groups->second);
  if (count == nullptr) return;
  NodeSink& sink = upgrade.sink;
  const ValueId group_count = sink.ints({*count});
  const ValueId channels = sink.emit("Shape", {upgrade.input(0)},
                                     {{"start", std::int64_t{1}}, {"end", std::int64_t{2}}});
  const ValueId channels_per_group = sink.emit("Div", {channels, group_count});
  const ValueId shape =
      sink.emit("Concat", {group_count, channels_per_group}, {{"axis", std::int64_t{0}}});
  const ValueId last_axis = sink.ints({1});
  const ValueId flat = sink.ints({-1});
  for (const std::size_t i : {1U, 2U}) {
    const ValueId column = sink.emit("Unsqueeze", {upgrade.input(i), last_axis});
    const ValueId repeated = sink.emit("Expand", {column, shape});
    upgrade.set_input(i, sink.emit("Reshape", {repeated, flat}));
  }
}

// One list of strings stood for both directions: string to index and index to string.
void label_encoder_lists(Upgrade& upgrade) {
  const auto value = upgrade.take("classes_strings");
  const auto* classes = value ? std::get_if<std::vector<std::string>>(&*value) : nullptr;
  if (classes == nullptr) return;
  std::vector<std::int64_t> indices;
  for (std::size_t i = 0; i < classes->size(); ++i) indices.push_back(static_cast<std::int64_t>(i));
  const DType dtype = upgrade.sink.type(upgrade.input(0)).dtype;
  if (dtype == DType::Undefined) upgrade.unsupported("the element type of its input is not known");
  const bool from_text = dtype == DType::String;
  upgrade.set_default(from_text ? "keys_strings" : "values_strings", *classes);
  upgrade.set_default(from_text ? "values_int64s" : "keys_int64s", std::move(indices));
}

// A slope of rank 1 belonged to the channels, axis 1; now it would be aligned at the last axis.
void prelu_per_channel(Upgrade& upgrade) {
  const auto rank = upgrade.rank(0);
  if (upgrade.rank(1) != 1 || (rank && *rank <= 2)) return;
  const Type slope = upgrade.sink.type(upgrade.input(1));
  if ((*slope.shape)[0] == Dim(1)) return;
  if (!rank) upgrade.unsupported("a slope per channel needs an input of known rank");
  std::vector<std::int64_t> axes;
  for (std::int64_t i = 1; i + 1 < *rank; ++i) axes.push_back(i);
  const ValueId axes_value = upgrade.sink.ints(axes);
  upgrade.set_input(1, upgrade.sink.emit("Unsqueeze", {upgrade.input(1), axes_value}));
}

// Inputs were data and scales. The grid was not centred; the nearest sample was the one before when
// growing, the one after when shrinking (what ONNX Runtime calls its simple mode).
void resize_without_roi(Upgrade& upgrade) {
  const ValueId scales = upgrade.input(1);
  upgrade.draft.inputs = {upgrade.input(0), kNoValue, scales};
  bool shrinks = false;
  if (const Tensor* value = upgrade.sink.value(scales);
      value != nullptr && is_float(value->dtype())) {
    for (const double scale : to_wide<double>(*value)) shrinks = shrinks || scale < 1;
  }
  upgrade.set_default("coordinate_transformation_mode", std::string("asymmetric"));
  upgrade.set_default("nearest_mode", std::string(shrinks ? "ceil" : "floor"));
}

// Exporters write an empty constant for an input that they do not use.
void resize_empty_inputs(Upgrade& upgrade) {
  for (std::size_t i = 1; i < upgrade.draft.inputs.size(); ++i) {
    const Tensor* value = upgrade.sink.value(upgrade.input(i));
    if (value != nullptr && value->numel() == 0) upgrade.draft.inputs[i] = kNoValue;
  }
}

// Without the sizes, the number of outputs said into how many parts to split.
void split_into_equal(Upgrade& upgrade) {
  if (upgrade.input(1) != kNoValue) return;
  upgrade.set_default("num_outputs", static_cast<std::int64_t>(upgrade.draft.outputs.size()));
}

void upsample_scales(Upgrade& upgrade) {
  if (upgrade.draft.attributes.contains("scales")) return;
  std::vector<float> scales{1, 1};
  for (const char* name : {"height_scale", "width_scale"}) {
    const auto value = upgrade.take(name);
    const auto* scale = value ? std::get_if<float>(&*value) : nullptr;
    if (scale == nullptr)
      fail(ErrorCode::InvalidModel, "Upsample: attribute '{}' is missing", name);
    scales.push_back(*scale);
  }
  upgrade.set_default("scales", std::move(scales));
}

void upsample_as_resize(Upgrade& upgrade) {
  upgrade.draft.op = "Resize";
  upgrade.draft.version = std::min<std::int64_t>(upgrade.draft.version, 10);
  // The oldest versions called it so.
  const auto found = upgrade.draft.attributes.find("mode");
  if (found == upgrade.draft.attributes.end()) return;
  auto* mode = std::get_if<std::string>(&found->second);
  if (mode != nullptr && *mode == "bilinear") *mode = "linear";
}

}  // namespace naru
