// Encoders of ai.onnx.ml: tables that map elements to others (LabelEncoder, CategoryMapper, OneHotEncoder).
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

[[noreturn]] void reject(const Node& node, const std::string& message) {
  fail(ErrorCode::InvalidModel, "{}: {}", node.label(), message);
}

/// A list attribute as a vector of its own element type; an undefined tensor when it is absent.
Tensor list_attribute(const Node& node, std::string_view name) {
  const Attribute* attribute = node.find(name);
  if (attribute == nullptr) return {};
  const auto shape = [](std::size_t size) { return Shape{static_cast<std::int64_t>(size)}; };
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(attribute)) return Tensor::from<std::int64_t>(shape(v->size()), *v);
  if (const auto* v = std::get_if<std::vector<float>>(attribute)) return Tensor::from<float>(shape(v->size()), *v);
  if (const auto* v = std::get_if<std::vector<std::string>>(attribute)) return Tensor::from_strings(shape(v->size()), *v);
  return std::get<Tensor>(*attribute);
}

/// The one list among `<prefix>_tensor`, `_strings`, `_int64s` and `_floats`.
Tensor one_list(const Node& node, const std::string& prefix) {
  Tensor found;
  for (const char* kind : {"_tensor", "_strings", "_int64s", "_floats"}) {
    const Tensor list = list_attribute(node, prefix + kind);
    if (!list.defined()) continue;
    if (found.defined()) reject(node, fmt::format("{}: got two lists, expected one", prefix));
    found = list;
  }
  if (!found.defined()) reject(node, fmt::format("{}: got no list, expected one", prefix));
  return found;
}

/// Places in a list of keys, by value. NaN is found as itself; of equal keys the last counts.
class KeyTable {
 public:
  KeyTable() = default;
  explicit KeyTable(const Tensor& keys) {
    for (std::int64_t i = 0; i < keys.numel(); ++i) {
      if (keys.dtype() == DType::String) strings_[keys.strings()[static_cast<std::size_t>(i)]] = i;
      else numbers_[number_at(keys, i)] = i;
    }
  }

  /// -1 when the element is not there.
  std::int64_t find(const Tensor& tensor, std::int64_t at) const {
    if (tensor.dtype() == DType::String) {
      const auto found = strings_.find(tensor.strings()[static_cast<std::size_t>(at)]);
      return found == strings_.end() ? -1 : found->second;
    }
    const auto found = numbers_.find(number_at(tensor, at));
    return found == numbers_.end() ? -1 : found->second;
  }

 private:
  /// Integers as they are, floats by their bits: of f64, with one NaN and one zero.
  static std::int64_t number_at(const Tensor& tensor, std::int64_t at) {
    if (!is_float(tensor.dtype())) return load_i64(tensor.dtype(), tensor.data(), at);
    const double value = load_f64(tensor.dtype(), tensor.data(), at);
    if (std::isnan(value)) return std::bit_cast<std::int64_t>(std::nan(""));
    return std::bit_cast<std::int64_t>(value == 0 ? 0.0 : value);
  }

  std::map<std::string, std::int64_t> strings_;
  std::map<std::int64_t, std::int64_t> numbers_;
};

/// Maps each element of `x` to the value at its key's place, or to the one default.
void map_elements(const Tensor& x, const Tensor& keys, const Tensor& values, const Tensor& otherwise, Tensor& out) {
  const KeyTable table(keys);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::int64_t place = table.find(x, i);
    copy_elements(out, i, place < 0 ? otherwise : values, std::max<std::int64_t>(place, 0), 1);
  }
}

// LabelEncoder

struct Labels {
  Tensor keys, values, otherwise;
};

Tensor label_default(const Node& node, DType dtype) {
  Tensor stated = list_attribute(node, "default_tensor");
  if (stated.defined()) return stated;
  if (dtype == DType::String) return Tensor::from_strings({}, {node.attr_string("default_string")});
  Tensor value(dtype, Shape{});
  if (is_float(dtype)) store_f64(dtype, value.mutable_data(), 0, static_cast<double>(node.attr_float("default_float")));
  else store_i64(dtype, value.mutable_data(), 0, node.attr_int("default_int64"));
  return value;
}

Labels labels_of(const Node& node) {
  Labels labels{one_list(node, "keys"), one_list(node, "values"), {}};
  if (labels.keys.numel() != labels.values.numel()) {
    reject(node, fmt::format("lists: got {} keys and {} values, expected as many", labels.keys.numel(), labels.values.numel()));
  }
  labels.otherwise = label_default(node, labels.values.dtype());
  if (labels.otherwise.numel() != 1 || labels.otherwise.dtype() != labels.values.dtype()) {
    reject(node, fmt::format("default_tensor: got {}, expected one {}", to_string(labels.otherwise), to_string(labels.values.dtype())));
  }
  return labels;
}

void infer_label_encoder(InferContext& ctx) {
  const Labels labels = labels_of(ctx.node);
  require_type(ctx, 0, TypeSet{labels.keys.dtype()});
  const SymShape* shape = ctx.shape(0);
  const DType dtype = labels.values.dtype();
  ctx.set_output(0, shape != nullptr ? Type::tensor(dtype, *shape) : Type::tensor(dtype));
}

void reference_label_encoder(ReferenceContext& ctx) {
  const Labels labels = labels_of(ctx.node);
  map_elements(ctx.input(0), labels.keys, labels.values, labels.otherwise, ctx.output(0));
}

// CategoryMapper: from the type that the input has to the other one

void infer_category_mapper(InferContext& ctx) {
  require_type(ctx, 0, TypeSet{DType::String, DType::I64});
  ctx.require(ctx.node.attr_ints("cats_int64s").size() == ctx.node.attr_strings("cats_strings").size(),
              "categories: got {} integers and {} strings, expected as many", ctx.node.attr_ints("cats_int64s").size(),
              ctx.node.attr_strings("cats_strings").size());
  DType dtype = DType::Undefined;
  if (ctx.dtype(0) != DType::Undefined) dtype = ctx.dtype(0) == DType::String ? DType::I64 : DType::String;
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, shape != nullptr ? Type::tensor(dtype, *shape) : Type::tensor(dtype));
}

void reference_category_mapper(ReferenceContext& ctx) {
  const Tensor integers = list_attribute(ctx.node, "cats_int64s"), strings = list_attribute(ctx.node, "cats_strings");
  if (ctx.input(0).dtype() == DType::String) {
    map_elements(ctx.input(0), strings, integers, Tensor::scalar(ctx.node.attr_int("default_int64")), ctx.output(0));
  } else {
    map_elements(ctx.input(0), integers, strings, Tensor::from_strings({}, {ctx.node.attr_string("default_string")}), ctx.output(0));
  }
}

// OneHotEncoder

void infer_one_hot_encoder(InferContext& ctx) {
  require_type(ctx, 0, TypeSet{DType::String, DType::I64, DType::I32, DType::F32, DType::F64});
  const Tensor categories = one_list(ctx.node, "cats");
  ctx.require(ctx.dtype(0) == DType::Undefined || (ctx.dtype(0) == DType::String) == (categories.dtype() == DType::String),
              "input 0: got element type {}, expected that of the categories", to_string(ctx.dtype(0)));
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, DType::F32);
  SymShape result = *shape;
  result.push_back(categories.numel());
  ctx.set_output(0, DType::F32, std::move(result));
}

void reference_one_hot_encoder(ReferenceContext& ctx) {
  const Tensor categories = one_list(ctx.node, "cats");
  const KeyTable table(categories);
  Tensor x = ctx.input(0);
  if (x.dtype() != DType::String) x = Tensor::from<std::int64_t>(x.shape(), to_wide<std::int64_t>(x));
  Tensor& out = ctx.output(0);
  fill_zero(out);
  const auto row = out.as_mutable<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::int64_t place = table.find(x, i);
    ctx.require(place >= 0 || ctx.node.attr_int("zeros") != 0, "element {}: got no category, expected one of {}", i, categories.numel());
    if (place >= 0) row[static_cast<std::size_t>(i * categories.numel() + place)] = 1;
  }
}

}  // namespace

void define_ml_encoders(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "LabelEncoder",
      .domain = "ai.onnx.ml",
      .since_version = 4,
      .doc = "Maps each element by a table of keys and values.",
      .source = "ONNX ML LabelEncoder-4",
      .inputs = {{"X", "of the keys' type"}},
      .outputs = {{"Y", "of the values' type"}},
      .attributes = {{"keys_floats", AttrKind::Floats, "keys"},
                     {"keys_int64s", AttrKind::Ints, "keys"},
                     {"keys_strings", AttrKind::Strings, "keys"},
                     {"keys_tensor", AttrKind::Tensor, "keys"},
                     {"values_floats", AttrKind::Floats, "values"},
                     {"values_int64s", AttrKind::Ints, "values"},
                     {"values_strings", AttrKind::Strings, "values"},
                     {"values_tensor", AttrKind::Tensor, "values"},
                     {"default_float", AttrKind::Float, "value of what is no key", -0.0F},
                     {"default_int64", AttrKind::Int, "value of what is no key", -1},
                     {"default_string", AttrKind::String, "value of what is no key", std::string("_Unused")},
                     {"default_tensor", AttrKind::Tensor, "value of what is no key"}},
      .infer = infer_label_encoder,
      .reference = reference_label_encoder,
  });
  ops.push_back({
      .name = "CategoryMapper",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Maps strings to integers, or integers to strings, by a table.",
      .source = "ONNX ML CategoryMapper-1",
      .inputs = {{"X", "string or i64"}},
      .outputs = {{"Y", "the other type"}},
      .attributes = {{"cats_int64s", AttrKind::Ints, "integers of the table", std::nullopt, true},
                     {"cats_strings", AttrKind::Strings, "strings of the table", std::nullopt, true},
                     {"default_int64", AttrKind::Int, "for a string that is not there", -1},
                     {"default_string", AttrKind::String, "for an integer that is not there", std::string("_Unused")}},
      .infer = infer_category_mapper,
      .reference = reference_category_mapper,
  });
  ops.push_back({
      .name = "OneHotEncoder",
      .domain = "ai.onnx.ml",
      .since_version = 1,
      .doc = "Gives each element a row with a one at its category.",
      .source = "ONNX ML OneHotEncoder-1",
      .inputs = {{"X", "string, or numbers that are read as integers"}},
      .outputs = {{"Y", "f32, X's shape with the categories appended"}},
      .attributes = {{"cats_int64s", AttrKind::Ints, "categories"},
                     {"cats_strings", AttrKind::Strings, "categories"},
                     {"zeros", AttrKind::Int, "0: an element without category is an error", 1}},
      .infer = infer_one_hot_encoder,
      .reference = reference_one_hot_encoder,
  });
}

}  // namespace naru
