// The experts of gpt-oss: rows of gate and up alternate; plain ones are transposed; MXFP4 ones have
// their scales beside them and neighbours in one byte.
#include "graph/import/llm/checkpoint_gpt_oss.h"

#include "graph/fail.h"
#include "graph/model_file.h"
#include "graph/ops/movement.h"

namespace naru::llm {
namespace {

/// Rows first, first + step, ... of an expert.
struct Rows {
  std::int64_t first, step;
};

/// Which weights the rows of a tensor are.
struct Part {
  const char* own;
  Rows rows;
};
struct Stored {
  std::string_view name;
  std::vector<Part> parts;
};
const Stored kStored[] = {
    {"gate_up_proj", {{"gate", {0, 2}}, {"up", {1, 2}}}},
    {"down_proj", {{"down", {0, 1}}}},
};

void expect(bool fits, const std::string& name, const Tensor& tensor) {
  if (!fits)
    fail(ErrorCode::InvalidModel, "tensor {}: got {}, which experts do not have", quote_name(name),
         to_string(tensor));
}

/// [experts, inputs, outputs] to [experts, picked outputs, inputs].
Tensor transpose_rows(const Tensor& from, Rows rows) {
  const std::int64_t experts = from.shape()[0], inputs = from.shape()[1], outputs = from.shape()[2];
  Tensor to(from.dtype(), {experts, outputs / rows.step, inputs});
  copy_strided(to, from, {rows.first, {inputs * outputs, rows.step, outputs}});
  return to;
}

/// [experts, outputs] to [experts, picked outputs].
Tensor pick_biases(const Tensor& from, Rows rows) {
  Tensor to(from.dtype(), {from.shape()[0], from.shape()[1] / rows.step});
  copy_strided(to, from, {rows.first, {from.shape()[1], rows.step}});
  return to;
}

/// Sixteen bytes of neighbours to the order of a block: byte j holds elements j and j + 16.
void repack(const std::byte* from, std::byte* to) {
  const auto element = [&](int i) { return from[i / 2] >> (i % 2 * 4) & std::byte{15}; };
  for (int j = 0; j < 16; ++j) to[j] = element(j) | element(j + 16) << 4;
}

/// Blocks [experts, outputs, inputs / 32, 16] and scales [experts, outputs, inputs / 32] to MXFP4.
Tensor join_blocks(const Tensor& blocks, const Tensor& scales, Rows rows) {
  const Shape& shape = blocks.shape();
  const std::int64_t outputs = shape[1], per_row = shape[2];
  Tensor to(DType::MXFP4, {shape[0], outputs / rows.step, per_row * 32});
  std::byte* at = to.mutable_data();
  for (std::int64_t expert = 0; expert < shape[0]; ++expert) {
    for (std::int64_t row = rows.first; row < outputs; row += rows.step) {
      for (std::int64_t b = 0; b < per_row; ++b, at += 17) {
        const std::int64_t index = (expert * outputs + row) * per_row + b;
        at[0] = scales.data()[index];
        repack(blocks.data() + 16 * index, at + 1);
      }
    }
  }
  return to;
}

/// Takes a tensor out of the map; an undefined one when there is none.
Tensor take(TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return {};
  Tensor tensor = std::move(found->second);
  tensors.erase(found);
  return tensor;
}

void split(TensorMap& tensors, const std::string& prefix, const Stored& stored) {
  const std::string name = prefix + std::string(stored.name);
  const Tensor plain = take(tensors, name), bias = take(tensors, name + "_bias");
  const Tensor blocks = take(tensors, name + "_blocks"), scales = take(tensors, name + "_scales");
  for (const Part& part : stored.parts) {
    const std::int64_t step = part.rows.step;
    if (plain.defined()) {
      expect(plain.rank() == 3 && plain.shape()[2] % step == 0, name, plain);
      tensors[prefix + part.own + ".weight"] = transpose_rows(plain, part.rows);
    }
    if (blocks.defined()) {
      const Shape& shape = blocks.shape();
      expect(blocks.dtype() == DType::U8 && shape.rank() == 4 && shape[3] == 16 &&
                 shape[1] % step == 0,
             name, blocks);
      expect(scales.dtype() == DType::U8 && scales.shape() == Shape({shape[0], shape[1], shape[2]}),
             name, scales);
      tensors[prefix + part.own + ".weight"] = join_blocks(blocks, scales, part.rows);
    }
    if (bias.defined()) {
      expect(bias.rank() == 2 && bias.shape()[1] % step == 0, name, bias);
      tensors[prefix + part.own + ".bias"] = pick_biases(bias, part.rows);
    }
  }
}

}  // namespace

void split_gpt_oss(TensorMap& tensors) {
  constexpr std::string_view kExperts = ".mlp.experts.", kSinks = ".self_attn.sinks";
  std::vector<std::string> prefixes, sinks;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(kSinks)) sinks.push_back(name);
    const std::size_t at = name.find(kExperts);
    const bool first =
        at != std::string::npos && name.substr(at + kExperts.size()).starts_with("down_proj_bias");
    if (first) prefixes.push_back(name.substr(0, at + kExperts.size()));
  }
  for (const std::string& name : sinks) tensors[name + ".weight"] = take(tensors, name);
  for (const std::string& prefix : prefixes) {
    for (const Stored& stored : kStored) split(tensors, prefix, stored);
  }
}

}  // namespace naru::llm
