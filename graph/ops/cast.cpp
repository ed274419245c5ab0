// Cast, CastLike and BitCast: changes of element type.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/onnx_dtype.h"
#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/symbolic.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kNarrowTypes =
    kFloat8s | TypeSet{DType::F8E8M0, DType::F6E2M3, DType::F6E3M2, DType::F4E2M1, DType::I4, DType::U4, DType::I2, DType::U2};
constexpr TypeSet kCastTypes = kNumbers | kBool | kNarrowTypes | TypeSet{DType::String};
constexpr TypeSet kBitTypes =
    kNumbers | kBool | kNarrowTypes | TypeSet{DType::Complex64, DType::Complex128};

// Inference

void infer_cast_to(InferContext& ctx, DType to) {
  const std::string mode = ctx.node.attr_string_or("round_mode", "up");
  ctx.require(mode == "up" || mode == "down" || mode == "nearest",
              "round_mode: got '{}', expected up, down or nearest", mode);
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.set_output(0, to, *shape);
  } else {
    ctx.set_output(0, to);
  }
  if (to != DType::I64 && to != DType::I32) return;
  if (std::optional<SymValue> value = symbolic_elements(ctx, 0)) {
    for (Dim& element : value->elements) {
      if (to == DType::I32 && element.is_known()) element = static_cast<std::int32_t>(element.value());
    }
    ctx.set_symbolic_value(0, std::move(*value));
  }
}

DType target_type(InferContext& ctx, TypeSet types) {
  const DType to = dtype_from_onnx(ctx.node.attr_int("to"));
  ctx.require(types.contains(to), "to: got element type {}, expected {}", to_string(to), to_string(types));
  return to;
}

void infer_cast(InferContext& ctx) {
  require_type(ctx, 0, kCastTypes);
  infer_cast_to(ctx, target_type(ctx, kCastTypes));
}

void infer_cast_like(InferContext& ctx) {
  require_type(ctx, 0, kCastTypes);
  require_type(ctx, 1, kCastTypes);
  infer_cast_to(ctx, ctx.dtype(1));
}

// Numbers to text and back

/// Shortest text that reads back as `value` of type `dtype`, a type narrower than f32.
std::string narrow_float_text(DType dtype, double value) {
  std::string text;
  for (int digits = 1; digits <= 9; ++digits) {
    text = fmt::format("{:.{}g}", value, digits);
    double parsed = 0;
    std::from_chars(text.data(), text.data() + text.size(), parsed);
    std::byte bits[8];
    store_f64(dtype, bits, 0, parsed);
    if (load_f64(dtype, bits, 0) == value) break;
  }
  return text;
}

std::string float_text(DType dtype, double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  if (dtype == DType::F64) return fmt::format("{}", value);
  if (dtype == DType::F32) return fmt::format("{}", static_cast<float>(value));
  return narrow_float_text(dtype, value);
}

void cast_to_text(const Tensor& input, Tensor& output) {
  const auto result = output.mutable_strings();
  with_wide(input.dtype(), [&](auto wide) {
    const auto values = to_wide<decltype(wide)>(input);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (input.dtype() == DType::Bool) {
        result[i] = values[i] != 0 ? "True" : "False";
      } else if constexpr (std::is_same_v<decltype(wide), double>) {
        result[i] = float_text(input.dtype(), values[i]);
      } else {
        result[i] = fmt::format("{}", values[i]);
      }
    }
  });
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

/// Whether a decimal number that no double holds is too large, rather than too small.
bool is_huge(std::string_view text) {
  const std::size_t e = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, e);
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  if (e < text.size()) return text.substr(e + 1).substr(0, 1) != "-";
  return first < digits.find('.');
}

/// The whole of `text` as a number. @throws Error InvalidArgument when it is none.
template <typename T>
T parse_float(const ReferenceContext& ctx, std::string_view text) {
  std::string_view body = text;
  const bool negative = body.starts_with('-');
  if (negative || body.starts_with('+')) body.remove_prefix(1);
  T value = 0;
  if (equals_ignoring_case(body, "inf")) {
    value = std::numeric_limits<T>::infinity();
  } else if (equals_ignoring_case(body, "nan")) {
    value = std::numeric_limits<T>::quiet_NaN();
  } else {
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
    ctx.require(error != std::errc::invalid_argument && end == body.data() + body.size() &&
                    !body.starts_with('-'),
                "got the text '{}', expected a number", text.substr(0, 64));
    if (error == std::errc::result_out_of_range) {
      value = is_huge(body) ? std::numeric_limits<T>::infinity() : 0;
    }
  }
  return negative ? -value : value;
}

void parse_into(const ReferenceContext& ctx, const std::string& text, Tensor& output, std::int64_t at,
                bool saturate) {
  const DType dtype = output.dtype();
  std::byte* data = output.mutable_data();
  if (dtype == DType::F32) return store_f64(dtype, data, at, parse_float<float>(ctx, text));
  if (dtype == DType::Bool) {
    const bool is_true = equals_ignoring_case(text, "true");
    const bool is_word = is_true || equals_ignoring_case(text, "false");
    return store_u64(dtype, data, at, is_word ? is_true : parse_float<double>(ctx, text) != 0);
  }
  // Integers are read exactly where they are written as such; "100.5" becomes 100.
  if (is_integer(dtype)) {
    const char* end = text.data() + text.size();
    std::int64_t number = 0;
    std::uint64_t large = 0;
    if (const auto read = std::from_chars(text.data(), end, number); read.ec == std::errc{} && read.ptr == end) {
      return store_i64(dtype, data, at, number);
    }
    if (const auto read = std::from_chars(text.data(), end, large); read.ec == std::errc{} && read.ptr == end) {
      return store_u64(dtype, data, at, large);
    }
  }
  store_f64(dtype, data, at, parse_float<double>(ctx, text), saturate);
}

// Numbers to numbers

/// The bits of an e8m0 power of two, by ONNX's table for Cast; negative values read as their
/// magnitude, which the table leaves open.
std::uint8_t encode_power(double value, const std::string& mode, bool saturate) {
  constexpr std::uint8_t kNan = 0xff;
  if (std::isnan(value)) return kNan;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return saturate ? 0 : kNan;
  if (std::isinf(magnitude)) return saturate ? 0xfe : kNan;
  int exponent = std::ilogb(magnitude);
  const double floor = std::ldexp(1.0, exponent);
  const bool up = mode == "up" ? magnitude > floor : mode == "nearest" && magnitude >= 1.5 * floor;
  if (up) ++exponent;
  if (exponent < -127 || exponent > 127) {
    if (!saturate) return kNan;
    exponent = exponent < 0 ? -127 : 127;
  }
  return static_cast<std::uint8_t>(exponent + 127);
}

void cast_numbers(const Node& node, const Tensor& input, Tensor& output, bool saturate) {
  const DType to = output.dtype();
  std::byte* data = output.mutable_data();
  if (to == DType::F8E8M0) {
    const std::string mode = node.attr_string_or("round_mode", "up");
    const std::vector<double> values = to_wide<double>(input);
    for (std::size_t i = 0; i < values.size(); ++i) {
      data[i] = static_cast<std::byte>(encode_power(values[i], mode, saturate));
    }
    return;
  }
  with_wide(input.dtype(), [&](auto wide) {
    const auto values = to_wide<decltype(wide)>(input);
    if constexpr (std::is_same_v<decltype(wide), double>) {
      std::int64_t at = 0;
      for (double value : values) store_f64(to, data, at++, value, saturate);
    } else {
      from_wide<decltype(wide)>(values, output);
    }
  });
}

void reference_cast(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const bool saturate = ctx.node.attr_int("saturate") != 0;
  const bool from_text = input.dtype() == DType::String;
  const bool to_text = output.dtype() == DType::String;
  if (input.dtype() == output.dtype()) return ctx.set_output(0, input);
  if (to_text) return cast_to_text(input, output);
  if (!from_text) return cast_numbers(ctx.node, input, output, saturate);
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    parse_into(ctx, input.strings()[static_cast<std::size_t>(i)], output, i, saturate);
  }
}

bool decompose_cast_like(DecomposeContext& ctx) {
  const DType to = ctx.type(ctx.input(1)).dtype;
  if (to == DType::Undefined) return false;
  Attributes attributes = ctx.node.attributes;
  attributes["to"] = onnx_code(to);
  ctx.set_output(0, ctx.add("Cast", {ctx.input(0)}, std::move(attributes)));
  return true;
}

// BitCast

void infer_bit_cast(InferContext& ctx) {
  require_type(ctx, 0, kBitTypes);
  const DType to = target_type(ctx, kBitTypes);
  const DType from = ctx.dtype(0);
  ctx.require(from == DType::Undefined || element_bits(from) == element_bits(to),
              "to: got element type {} of {} bits, expected {} bits as in {}", to_string(to), element_bits(to),
              element_bits(from), to_string(from));
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.set_output(0, to, *shape);
  } else {
    ctx.set_output(0, to);
  }
}

void reference_bit_cast(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  if (output.dtype() == DType::Bool && input.dtype() != DType::Bool) {
    // No other byte than 0 and 1 may stand in a bool.
    for (std::int64_t i = 0; i < input.numel(); ++i) {
      output.mutable_data()[i] = static_cast<std::byte>(input.data()[i] != std::byte{0});
    }
    return;
  }
  if (input.size_bytes() != 0) {
    std::memcpy(output.mutable_data(), input.data(), static_cast<std::size_t>(input.size_bytes()));
  }
}

std::vector<AttrSpec> cast_attributes() {
  return {{"saturate", AttrKind::Int, "1: out of range becomes the largest value (f8 only)", std::int64_t{1}},
          {"round_mode", AttrKind::String, "up, down or nearest (to f8e8m0 only)", std::string("up")}};
}

AttrSpec to_attribute(const char* doc) { return {"to", AttrKind::Int, doc, std::nullopt, true}; }

}  // namespace

void define_cast(std::vector<OpDef>& ops) {
  std::vector<AttrSpec> attributes = cast_attributes();
  attributes.push_back(to_attribute("ONNX code of the element type"));
  ops.push_back({
      .name = "Cast",
      .domain = "",
      .since_version = 28,
      .doc = "Converts elements to another type.",
      .source = "ONNX Cast-28",
      .inputs = {{"input", to_string(kCastTypes)}},
      .outputs = {{"output", "the type named by `to`"}},
      .attributes = std::move(attributes),
      .infer = infer_cast,
      .reference = reference_cast,
  });
  ops.push_back({
      .name = "CastLike",
      .domain = "",
      .since_version = 25,
      .doc = "Converts elements to the type of the second input.",
      .source = "ONNX CastLike-25",
      .inputs = {{"input", to_string(kCastTypes)}, {"target_type", "only its type counts"}},
      .outputs = {{"output", "the type of target_type"}},
      .attributes = cast_attributes(),
      .infer = infer_cast_like,
      .reference = reference_cast,
      .decompose = decompose_cast_like,
  });
  ops.push_back({
      .name = "BitCast",
      .domain = "",
      .since_version = 26,
      .doc = "Reads the bits of elements as another type of the same width.",
      .source = "ONNX BitCast-26",
      .inputs = {{"input", to_string(kBitTypes)}},
      .outputs = {{"output", "the type named by `to`"}},
      .attributes = {to_attribute("ONNX code of an element type of the same width")},
      .infer = infer_bit_cast,
      .reference = reference_bit_cast,
  });
}

}  // namespace naru
