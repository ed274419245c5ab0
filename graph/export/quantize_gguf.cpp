// Decodes and encodes slices of rows, side by side, so that memory does not grow with the tensors.
#include "graph/export/quantize_gguf.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "graph/block/block_format.h"
#include "graph/export/gguf_writer.h"
#include "graph/fail.h"
#include "graph/model_file.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::int64_t kSliceElements = INT64_C(1) << 22;  // of all threads together

std::byte* at(std::byte* bytes, DType dtype, std::int64_t element) {
  return bytes + storage_bytes(dtype, element);
}

void decode(DType dtype, const std::byte* from, std::int64_t count, float* to) {
  if (is_block(dtype)) {
    dequantize_blocks(dtype, from, count / dtype_info(dtype).block_elements, to);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(load_f64(dtype, from, i));
}

void encode(DType dtype, const float* from, std::int64_t count, std::byte* to) {
  if (is_block(dtype)) {
    quantize_blocks(dtype, from, count / dtype_info(dtype).block_elements, to);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) store_f64(dtype, to, i, static_cast<double>(from[i]));
}

/// Converts `count` elements from `first` on; all are whole blocks of both types.
void convert(const Tensor& tensor, std::int64_t first, std::int64_t count, DType to_type, std::byte* to) {
  std::vector<float> values(static_cast<std::size_t>(count));
  decode(tensor.dtype(), tensor.data() + storage_bytes(tensor.dtype(), first), count, values.data());
  encode(to_type, values.data(), count, to);
}

/// Runs work(i) for i below `threads`, each on a thread of its own; rethrows what the first one threw.
template <typename Work>
void side_by_side(int threads, Work work) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(threads));
  {
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        try {
          work(i);
        } catch (...) {
          errors[static_cast<std::size_t>(i)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

void write_converted(const Tensor& tensor, DType type, int threads, GgufWriter& writer) {
  const std::int64_t row = tensor.shape()[tensor.rank() - 1], rows = row == 0 ? 0 : tensor.numel() / row;
  const std::int64_t slice = std::max<std::int64_t>(kSliceElements / std::max<std::int64_t>(row, 1), threads);
  std::vector<std::byte> encoded(static_cast<std::size_t>(storage_bytes(type, std::min(slice, rows) * row)));
  for (std::int64_t first = 0; first < rows; first += slice) {
    const std::int64_t count = std::min(slice, rows - first), each = (count + threads - 1) / threads;
    side_by_side(threads, [&](int i) {
      const std::int64_t begin = std::min(i * each, count), end = std::min(begin + each, count);
      if (begin < end) convert(tensor, (first + begin) * row, (end - begin) * row, type, at(encoded.data(), type, begin * row));
    });
    writer.write(std::span(encoded).first(static_cast<std::size_t>(storage_bytes(type, count * row))));
  }
}

/// Entries that the new file states anew, or that say how the old one was split.
bool is_replaced(std::string_view key) {
  return key == "general.file_type" || key == "general.quantization_version" || key.starts_with("split.");
}

}  // namespace

void quantize_gguf(const std::filesystem::path& from, const std::filesystem::path& to, const WeightMix& mix,
                   int threads, const WriteProgress& progress) {
  const GgufFile file = load_gguf(from);
  const std::string architecture(file.text("general.architecture"));
  const std::int64_t layers = file.integer(architecture + ".block_count");
  const bool tied = file.find_tensor("output.weight") == nullptr;
  GgufWriter writer(to);
  for (const GgufEntry& entry : file.entries) {
    if (!is_replaced(entry.key)) writer.add(entry);
  }
  writer.add("general.file_type", mix.file_type);
  writer.add("general.quantization_version", std::uint32_t{2});
  std::vector<DType> types;
  for (const GgufTensor& tensor : file.tensors) {
    types.push_back(mixed_type(mix, tensor.name, tensor.data.shape(), layers, tied).value_or(tensor.data.dtype()));
    writer.declare(tensor.name, types.back(), tensor.data.shape());
  }
  std::int64_t done = 0;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Tensor& tensor = file.tensors[i].data;
    progress(file.tensors[i].name, done, writer.data_bytes());
    if (types[i] == tensor.dtype()) {
      writer.write({tensor.data(), static_cast<std::size_t>(tensor.size_bytes())});
    } else {
      with_context([&] { return "quantising tensor " + quote_name(file.tensors[i].name); },
                   [&] { write_converted(tensor, types[i], threads, writer); });
    }
    done += storage_bytes(types[i], tensor.numel());
  }
  writer.commit();
}

}  // namespace naru
