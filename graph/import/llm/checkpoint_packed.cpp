// GPTQ, AWQ and scaled fp8.
#include "graph/import/llm/checkpoint_packed.h"

#include <cstring>

#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "graph/scalar.h"

namespace naru::llm {
namespace {

using nlohmann::json;

constexpr std::int64_t kPerWord = 8;    // four bits each
constexpr std::int64_t kPerBlock = 32;  // elements of Q4_0 and Q4_1

/// Takes a tensor out of the map. @throws Error InvalidModel when there is none.
Tensor take(TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end())
    fail(ErrorCode::InvalidModel, "tensor {}: is missing", quote_name(name));
  Tensor tensor = std::move(found->second);
  tensors.erase(found);
  return tensor;
}

void expect(bool fits, const std::string& name, const Tensor& tensor) {
  if (!fits)
    fail(ErrorCode::InvalidModel, "tensor {}: got {}, which does not fit its quantisation",
         quote_name(name), to_string(tensor));
}

/// All stems "x" of tensors "x.<part>".
std::vector<std::string> stems_of(const TensorMap& tensors, std::string_view part) {
  std::vector<std::string> stems;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(part)) stems.push_back(name.substr(0, name.size() - part.size()));
  }
  return stems;
}

void drop(TensorMap& tensors, std::string_view part) {
  std::erase_if(tensors, [&](const auto& entry) { return entry.first.ends_with(part); });
}

// Four bits

/// How the two kinds lay four bits into words of 32.
struct Packing {
  bool along_inputs;  ///< a word holds eight inputs of one output, else eight outputs of one input
  const int* places;  ///< where in a word each of eight outputs is
  std::int64_t zero_shift;  ///< added to zero points
};
constexpr int kInOrder[] = {0, 1, 2, 3, 4, 5, 6, 7};
constexpr int kInterleaved[] = {0, 4, 1, 5, 2, 6, 3, 7};

/// A weight in parts: levels, zero points and scales for groups of inputs.
class PackedWeight {
 public:
  PackedWeight(TensorMap& tensors, const std::string& stem, const Packing& packing,
               std::int64_t group_size)
      : packing_(packing),
        levels_(take(tensors, stem + ".qweight")),
        zeros_(take(tensors, stem + ".qzeros")),
        scales_(take(tensors, stem + ".scales")) {
    expect(levels_.dtype() == DType::I32 && levels_.rank() == 2, stem + ".qweight", levels_);
    expect(is_float(scales_.dtype()) && scales_.rank() == 2, stem + ".scales", scales_);
    inputs_ = levels_.shape()[0] * (packing.along_inputs ? kPerWord : 1);
    outputs_ = levels_.shape()[1] * (packing.along_inputs ? 1 : kPerWord);
    group_ = group_size > 0 ? group_size : inputs_;
    const bool whole = inputs_ > 0 && inputs_ % kPerBlock == 0 && group_ % kPerBlock == 0 &&
                       outputs_ % kPerWord == 0;
    expect(whole, stem + ".qweight", levels_);
    const std::int64_t groups = (inputs_ + group_ - 1) / group_;
    expect(scales_.shape() == Shape({groups, outputs_}), stem + ".scales", scales_);
    expect(zeros_.dtype() == DType::I32 && zeros_.shape() == Shape({groups, outputs_ / kPerWord}),
           stem + ".qzeros", zeros_);
  }

  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }

  int level(std::int64_t input, std::int64_t output) const {
    if (packing_.along_inputs)
      return nibble(levels_, input / kPerWord * outputs_ + output, kInOrder[input % kPerWord]);
    return nibble(levels_, (input * outputs_ + output) / kPerWord,
                  packing_.places[output % kPerWord]);
  }
  std::int64_t zero(std::int64_t input, std::int64_t output) const {
    return nibble(zeros_, (input / group_ * outputs_ + output) / kPerWord,
                  packing_.places[output % kPerWord]) +
           packing_.zero_shift;
  }
  double scale(std::int64_t input, std::int64_t output) const {
    return load_f64(scales_.dtype(), scales_.data(), input / group_ * outputs_ + output);
  }

  bool symmetric() const {
    for (std::int64_t input = 0; input < inputs_; input += group_) {
      for (std::int64_t output = 0; output < outputs_; ++output) {
        if (zero(input, output) != 8) return false;
      }
    }
    return true;
  }

 private:
  static int nibble(const Tensor& words, std::int64_t word, int place) {
    return static_cast<int>(
        static_cast<std::uint32_t>(words.as<std::int32_t>()[static_cast<std::size_t>(word)]) >>
            4 * place &
        15);
  }

  const Packing& packing_;
  Tensor levels_, zeros_, scales_;
  std::int64_t inputs_ = 0, outputs_ = 0, group_ = 0;
};

void write_f16(std::byte* at, double value) {
  const std::uint16_t bits = f32_to_f16(static_cast<float>(value));
  std::memcpy(at, &bits, sizeof bits);
}

Tensor to_blocks(const PackedWeight& weight) {
  const bool symmetric = weight.symmetric();
  Tensor blocks(symmetric ? DType::Q4_0 : DType::Q4_1, {weight.outputs(), weight.inputs()});
  std::byte* at = blocks.mutable_data();
  for (std::int64_t output = 0; output < weight.outputs(); ++output) {
    for (std::int64_t input = 0; input < weight.inputs(); input += kPerBlock) {
      const double scale = weight.scale(input, output);
      write_f16(at, scale);
      if (!symmetric) write_f16(at + 2, -scale * static_cast<double>(weight.zero(input, output)));
      at += symmetric ? 2 : 4;
      for (int j = 0; j < 16; ++j) {
        *at++ = static_cast<std::byte>(weight.level(input + j, output) |
                                       weight.level(input + j + 16, output) << 4);
      }
    }
  }
  return blocks;
}

void unpack_words(const json& quantised, const Packing& packing, TensorMap& tensors) {
  const json bits = quantised.value("bits", json()), group = quantised.value("group_size", json());
  if (bits != 4 || !group.is_number_integer())
    fail(ErrorCode::Unsupported,
         "quantisation: got {} bits in groups of {}, expected 4 in groups of a stated size",
         bits.dump(), group.dump());
  if (quantised.value("desc_act", json()) == true) {
    fail(ErrorCode::Unsupported,
         "quantisation: got groups in the order of activations, expected them in order");
  }
  drop(tensors, ".g_idx");
  for (const std::string& stem : stems_of(tensors, ".qweight")) {
    with_context([&] { return "unpacking " + quote_name(stem); },
                 [&] {
                   tensors[stem + ".weight"] =
                       to_blocks(PackedWeight(tensors, stem, packing, group.get<std::int64_t>()));
                 });
  }
}

void unpack_gptq(const json& quantised, TensorMap& tensors) {
  // The first format stored zero points less one.
  const bool second = quantised.value("checkpoint_format", json()) == "gptq_v2";
  unpack_words(quantised, {true, kInOrder, second ? 0 : 1}, tensors);
}

void unpack_awq(const json& quantised, TensorMap& tensors) {
  unpack_words(quantised, {false, kInterleaved, 0}, tensors);
}

// Eight bits

/// Multiplies by scales that stand for equal rectangles of the weight: one for all, one per row, or
/// one per tile, the last of which may be cut.
Tensor scale_tiles(const std::string& name, const Tensor& weight, const Tensor& scales,
                   std::int64_t tile_rows, std::int64_t tile_columns) {
  expect(weight.rank() == 2 && is_float(weight.dtype()), name, weight);
  const std::int64_t rows = weight.shape()[0], columns = weight.shape()[1];
  const std::int64_t across = (columns + tile_columns - 1) / tile_columns,
                     down = (rows + tile_rows - 1) / tile_rows;
  const bool one = scales.numel() == 1;
  expect(is_float(scales.dtype()) && (one || scales.numel() == across * down), name, scales);
  Tensor result(DType::BF16, weight.shape());
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    const std::int64_t tile =
        one ? 0 : i / columns / tile_rows * across + i % columns / tile_columns;
    store_f64(
        DType::BF16, result.mutable_data(), i,
        load_f64(weight.dtype(), weight.data(), i) * load_f64(scales.dtype(), scales.data(), tile));
  }
  return result;
}

void unpack_fp8(const json& quantised, TensorMap& tensors) {
  const json tile = quantised.value("weight_block_size", json());
  const auto positive = [](const json& value) {
    return value.is_number_integer() && value.get<std::int64_t>() > 0;
  };
  const bool tiled = tile.is_array() && tile.size() == 2 && positive(tile[0]) && positive(tile[1]);
  for (const char* part : {".weight_scale_inv", ".weight_scale"}) {
    for (const std::string& stem : stems_of(tensors, part)) {
      const Tensor scales = take(tensors, stem + part);
      const std::string name = stem + ".weight";
      const Tensor weight = take(tensors, name);
      expect(weight.rank() == 2, name, weight);
      const std::int64_t rows = tiled ? tile[0].get<std::int64_t>() : 1,
                         columns = tiled ? tile[1].get<std::int64_t>()
                                         : std::max<std::int64_t>(1, weight.shape()[1]);
      tensors[name] = scale_tiles(name, weight, scales, rows, columns);
    }
  }
  // Of activations and caches, which naru does not quantise.
  for (const char* part : {".input_scale", ".k_scale", ".v_scale", ".activation_scale"})
    drop(tensors, part);
}

void keep(const json&, TensorMap&) {}

struct Method {
  std::string_view name;
  void (*unpack)(const json&, TensorMap&);
};
constexpr Method kMethods[] = {
    {"gptq", unpack_gptq}, {"awq", unpack_awq},
    {"fp8", unpack_fp8},   {"compressed-tensors", unpack_fp8},
    {"mxfp4", keep},
};

}  // namespace

void unpack_quantised(const json& quantised, TensorMap& tensors) {
  const json method = quantised.value("quant_method", json());
  for (const Method& known : kMethods) {
    if (method == known.name) return known.unpack(quantised, tensors);
  }
  fail(ErrorCode::Unsupported,
       "quantisation: got method {}, expected gptq, awq, fp8, compressed-tensors or mxfp4",
       quote_name(method.dump()));
}

}  // namespace naru::llm
