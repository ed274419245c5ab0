// Containers, written: metadata first in memory, then header, metadata and tensors into a sink.
#include <algorithm>
#include <map>
#include <unordered_map>

#include <flatbuffers/flatbuffers.h>

#include "graph/atomic_file.h"
#include "graph/checked.h"
#include "graph/op_def.h"
#include "graph/serialize.h"
#include "graph/serialize_format.h"
#include "graph/type_text.h"
#include "graph/verify.h"
#include "model_generated.h"

namespace naru {
namespace {

using container::kAlignment;
using flatbuffers::Offset;
using flatbuffers::Vector;

/// The data section: each distinct run of bytes once.
class DataSection {
 public:
  struct Blob {
    std::span<const std::byte> bytes;
    Hash128 hash;
    std::int64_t offset = 0;
  };

  const Blob& add(std::span<const std::byte> bytes) {
    if (bytes.empty()) return empty_;
    const auto [known, is_new] =
        by_address_.try_emplace({bytes.data(), bytes.size()}, blobs_.size());
    if (!is_new) return blobs_[known->second];
    const Hash128 hash = hash_bytes(bytes);
    const auto [first, last] = by_hash_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
      // The hash finds candidates only: it does not withstand someone who makes collisions.
      const std::span<const std::byte> other = blobs_[it->second].bytes;
      if (!std::equal(bytes.begin(), bytes.end(), other.begin(), other.end())) continue;
      known->second = it->second;
      return blobs_[it->second];
    }
    by_hash_.emplace(hash, blobs_.size());
    blobs_.push_back({bytes, hash, size_.value()});
    size_ = (size_ + static_cast<std::int64_t>(bytes.size())).align_up(kAlignment);
    return blobs_.back();
  }

  /// In the order of their offsets.
  const std::vector<Blob>& blobs() const { return blobs_; }
  std::int64_t size_bytes() const { return size_.value(); }

 private:
  Blob empty_ = {{}, hash_bytes({}), 0};
  std::vector<Blob> blobs_;
  std::map<std::pair<const std::byte*, std::size_t>, std::size_t> by_address_;
  std::unordered_multimap<Hash128, std::size_t> by_hash_;
  CheckedSize size_;
};

/// Turns a graph into FlatBuffers metadata and collects its tensors.
class Encoder {
 public:
  Encoder(DataSection& data, std::int64_t max_constant_bytes)
      : data_(data), max_constant_bytes_(max_constant_bytes) {}

  std::span<const std::byte> run(const Graph& graph, std::span<const CodeBlob> code) {
    const Offset<fbs::Graph> root = encode(graph);
    std::vector<Offset<fbs::Code>> blobs;
    for (const CodeBlob& blob : code) blobs.push_back(encode(blob));
    const auto code_vector = list(blobs);
    std::vector<Offset<fbs::Operator>> operators;
    for (const OpDef* op : operators_)
      operators.push_back(fbs::CreateOperator(builder_, text(op->full_name()), op->since_version));
    const auto operator_vector = list(operators);
    std::vector<Offset<flatbuffers::String>> expressions;
    for (const std::string& expression : expressions_) expressions.push_back(text(expression));
    const auto expression_vector = list(expressions);
    builder_.Finish(fbs::CreateModel(builder_, text("naru"), operator_vector, expression_vector,
                                     root, code_vector));
    return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
  }

 private:
  /// FlatBuffers cannot grow over 2 GiB and would not say so.
  void reserve(std::size_t bytes) {
    reserved_ += static_cast<std::int64_t>(bytes) + 64;
    if (reserved_.value() <= container::kMaxMetadataBytes) return;
    fail(ErrorCode::Unsupported, "container: the graph without its weights takes over {} bytes",
         container::kMaxMetadataBytes);
  }

  // An empty string or list is left out: the reader takes absence for it.
  Offset<flatbuffers::String> text(std::string_view value) {
    reserve(value.size());
    if (value.empty()) return {};
    return builder_.CreateString(value.data(), value.size());
  }
  template <typename T>
  Offset<Vector<T>> list(const std::vector<T>& values) {
    reserve(values.size() * sizeof(T));
    if (values.empty()) return {};
    return builder_.CreateVector(values.data(), values.size());
  }

  Offset<fbs::Strings> strings(std::span<const std::string> values) {
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint32_t> ends;
    for (const std::string& value : values) {
      reserve(value.size());
      bytes.insert(bytes.end(), value.begin(), value.end());
      ends.push_back(static_cast<std::uint32_t>(bytes.size()));
    }
    const auto byte_vector = list(bytes);
    return fbs::CreateStrings(builder_, byte_vector, list(ends));
  }

  Offset<fbs::TensorData> encode(const Tensor& tensor) {
    if (!tensor.defined()) fail(ErrorCode::InvalidModel, "container: got an undefined tensor");
    const auto dims = list(tensor.shape().dims());
    const auto dtype = static_cast<std::uint8_t>(tensor.dtype());
    if (tensor.dtype() == DType::String) {
      return fbs::CreateTensorData(builder_, dtype, dims, 0, 0, 0, 0, strings(tensor.strings()));
    }
    if (tensor.size_bytes() > max_constant_bytes_) return fbs::CreateTensorData(builder_, dtype, dims);
    const DataSection::Blob& blob =
        data_.add({tensor.data(), static_cast<std::size_t>(tensor.size_bytes())});
    return fbs::CreateTensorData(builder_, dtype, dims, static_cast<std::uint64_t>(blob.offset),
                                 blob.bytes.size(), blob.hash.low, blob.hash.high);
  }

  Offset<fbs::Code> encode(const CodeBlob& code) {
    const DataSection::Blob& blob = data_.add(code.bytes);
    const auto target = text(code.target);
    return fbs::CreateCode(builder_, target, text(code.key),
                           static_cast<std::uint64_t>(blob.offset), blob.bytes.size(),
                           blob.hash.low, blob.hash.high);
  }

  std::int32_t expression_index(const Dim& dim) {
    const auto [found, is_new] = expression_index_.try_emplace(
        dim_to_text(dim), static_cast<std::int32_t>(expressions_.size()));
    if (is_new) expressions_.push_back(found->first);
    return found->second;
  }

  Offset<fbs::Type> encode(const Type& type) {
    Offset<fbs::Type> element;
    if (type.element != nullptr) element = encode(*type.element);
    std::vector<std::int64_t> dims;
    std::vector<std::int32_t> expressions;
    for (const Dim& dim : type.shape ? *type.shape : SymShape()) {
      dims.push_back(dim.is_known() ? dim.value() : 0);
      expressions.push_back(dim.is_known() ? -1 : expression_index(dim));
    }
    if (std::all_of(expressions.begin(), expressions.end(), [](std::int32_t i) { return i < 0; }))
      expressions.clear();
    const auto dim_vector = list(dims);
    const auto expression_vector = list(expressions);
    return fbs::CreateType(builder_, static_cast<std::uint8_t>(type.kind),
                           static_cast<std::uint8_t>(type.dtype), type.shape.has_value(),
                           dim_vector, expression_vector, element);
  }

  Offset<fbs::Value> encode(const Value& value) {
    Offset<fbs::Type> type;
    Offset<fbs::TensorData> constant;
    if (value.is_constant())
      constant = encode(value.constant);
    else if (!(value.type == Type{}))
      type = encode(value.type);
    return fbs::CreateValue(builder_, text(value.name), type, constant);
  }

  Offset<fbs::Attribute> encode(const std::string& name, const Attribute& attribute) {
    const Fields f = std::visit([&](const auto& value) { return fields(value); }, attribute);
    const auto name_text = text(name);
    return fbs::CreateAttribute(builder_, name_text, static_cast<std::uint8_t>(kind_of(attribute)),
                                f.int_value, f.float_bits, f.text, f.type, f.ints, f.floats,
                                f.strings, f.tensors, f.graphs);
  }

  struct Fields {
    std::int64_t int_value = 0;
    std::uint32_t float_bits = 0;
    Offset<flatbuffers::String> text;
    Offset<fbs::Type> type;
    Offset<Vector<std::int64_t>> ints;
    Offset<Vector<float>> floats;
    Offset<fbs::Strings> strings;
    Offset<Vector<Offset<fbs::TensorData>>> tensors;
    Offset<Vector<Offset<fbs::Graph>>> graphs;
  };
  Fields fields(std::int64_t value) { return {.int_value = value}; }
  Fields fields(float value) { return {.float_bits = std::bit_cast<std::uint32_t>(value)}; }
  Fields fields(const std::string& value) { return {.text = text(value)}; }
  Fields fields(const Tensor& value) { return fields(std::vector<Tensor>{value}); }
  Fields fields(const GraphPtr& value) { return fields(std::vector<GraphPtr>{value}); }
  Fields fields(const Type& value) { return {.type = encode(value)}; }
  Fields fields(const std::vector<std::int64_t>& values) { return {.ints = list(values)}; }
  Fields fields(const std::vector<float>& values) { return {.floats = list(values)}; }
  Fields fields(const std::vector<std::string>& values) { return {.strings = strings(values)}; }
  Fields fields(const std::vector<Tensor>& values) {
    std::vector<Offset<fbs::TensorData>> encoded;
    for (const Tensor& value : values) encoded.push_back(encode(value));
    return {.tensors = list(encoded)};
  }
  Fields fields(const std::vector<GraphPtr>& values) {
    std::vector<Offset<fbs::Graph>> encoded;
    for (const GraphPtr& value : values) {
      if (value == nullptr)
        fail(ErrorCode::InvalidModel, "container: got an attribute without its graph");
      encoded.push_back(encode(*value));
    }
    return {.graphs = list(encoded)};
  }

  std::uint32_t operator_index(const Node& node) {
    if (node.op == nullptr)
      fail(ErrorCode::InvalidModel, "container: node '{}' has no operator", node.name);
    const auto [found, is_new] =
        operator_index_.try_emplace(node.op, static_cast<std::uint32_t>(operators_.size()));
    if (is_new) operators_.push_back(node.op);
    return found->second;
  }

  Offset<fbs::Node> encode(const Node& node) {
    std::vector<Offset<fbs::Attribute>> attributes;
    for (const auto& [name, attribute] : node.attributes)
      attributes.push_back(encode(name, attribute));
    const auto name = text(node.name);
    const auto inputs = list(node.inputs);
    const auto outputs = list(node.outputs);
    const auto captures = list(node.captures);
    return fbs::CreateNode(builder_, operator_index(node), name, inputs, outputs, captures,
                           list(attributes));
  }

  Offset<fbs::Graph> encode(const Graph& graph) {
    std::vector<Offset<fbs::Entry>> metadata;
    for (const auto& [key, value] : graph.metadata) {
      const auto key_text = text(key);
      metadata.push_back(fbs::CreateEntry(builder_, key_text, text(value)));
    }
    std::vector<Offset<fbs::Value>> values;
    for (const Value& value : graph.values) values.push_back(encode(value));
    std::vector<Offset<fbs::Node>> nodes;
    for (const Node& node : graph.nodes) nodes.push_back(encode(node));
    std::vector<Offset<fbs::State>> states;
    for (const State& state : graph.states) {
      states.push_back(fbs::CreateState(builder_, text(state.name),
                                        static_cast<std::uint8_t>(state.kind), state.input,
                                        state.output));
    }
    const auto name = text(graph.name);
    const auto doc = text(graph.doc);
    const auto metadata_vector = list(metadata);
    const auto value_vector = list(values);
    const auto node_vector = list(nodes);
    const auto inputs = list(graph.inputs);
    const auto outputs = list(graph.outputs);
    return fbs::CreateGraph(builder_, name, doc, metadata_vector, value_vector, node_vector, inputs,
                            outputs, list(states));
  }

  DataSection& data_;
  std::int64_t max_constant_bytes_;
  flatbuffers::FlatBufferBuilder builder_{1 << 16};
  CheckedSize reserved_;
  std::vector<const OpDef*> operators_;
  std::unordered_map<const OpDef*, std::uint32_t> operator_index_;
  std::vector<std::string> expressions_;
  std::unordered_map<std::string, std::int32_t> expression_index_;
};

container::Header make_header(std::span<const std::byte> metadata, const DataSection& data) {
  container::Header header{};
  std::memcpy(header.magic, container::kMagic, sizeof header.magic);
  header.major = container::kMajor;
  header.minor = container::kMinor;
  header.header_bytes = sizeof header;
  header.metadata_offset = sizeof header;
  header.metadata_bytes = metadata.size();
  const CheckedSize metadata_end =
      CheckedSize(sizeof header) + static_cast<std::int64_t>(metadata.size());
  header.data_offset = static_cast<std::uint64_t>(metadata_end.align_up(kAlignment).value());
  header.data_bytes = static_cast<std::uint64_t>(data.size_bytes());
  const Hash128 hash = container::metadata_hash(std::as_bytes(std::span(&header, 1)), metadata);
  header.hash_low = hash.low;
  header.hash_high = hash.high;
  return header;
}

/// Writes the whole file through `write(bytes)`, which knows how much came before.
template <typename Write>
void write_container(const Graph& graph, const SaveOptions& options, Write&& write) {
  if (options.verify) verify(graph);
  DataSection data;
  Encoder encoder(data, options.max_constant_bytes);
  const std::span<const std::byte> metadata = encoder.run(graph, options.code);
  const container::Header header = make_header(metadata, data);
  constexpr std::byte kZeros[kAlignment] = {};
  const auto pad = [&](std::size_t size) {
    write(std::span(kZeros).first((kAlignment - size % kAlignment) % kAlignment));
  };
  write(std::as_bytes(std::span(&header, 1)));
  write(metadata);
  pad(metadata.size());
  for (const DataSection::Blob& blob : data.blobs()) {
    write(blob.bytes);
    pad(blob.bytes.size());
  }
}

}  // namespace

void save_naru(const Graph& graph, const std::filesystem::path& path, const SaveOptions& options) {
  with_context([&] { return "writing '" + path.native() + "'"; },
               [&] {
                 AtomicFile file(path);
                 write_container(graph, options,
                                 [&](std::span<const std::byte> bytes) { file.write(bytes); });
                 file.commit();
               });
}

std::vector<std::byte> naru_bytes(const Graph& graph, const SaveOptions& options) {
  std::vector<std::byte> result;
  write_container(graph, options, [&](std::span<const std::byte> bytes) {
    result.insert(result.end(), bytes.begin(), bytes.end());
  });
  return result;
}

}  // namespace naru
