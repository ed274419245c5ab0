// Writes ONNX messages byte by byte, so that tests can make models that no library would write.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace naru::onnx_wire {

/// A protobuf message under construction.
struct Message {
  std::string bytes;

  Message& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes); }
  Message& real(int field, float value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 5);
    char raw[4];
    std::memcpy(raw, &value, sizeof raw);
    bytes.append(raw, sizeof raw);
    return *this;
  }
  Message& texts(int field, std::initializer_list<std::string_view> values) {
    for (const std::string_view value : values) text(field, value);
    return *this;
  }
  std::span<const std::byte> span() const {
    return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
  }

 private:
  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      bytes += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes += static_cast<char>(value);
  }
};

using Names = std::initializer_list<std::string_view>;
using Dims = std::vector<std::int64_t>;

inline constexpr int kFloat = 1, kInt64 = 7, kString = 8, kBool = 9;

/// TensorProto without data.
inline Message tensor(std::string_view name, int data_type, const Dims& dims) {
  Message proto;
  for (const std::int64_t dim : dims) proto.number(1, static_cast<std::uint64_t>(dim));
  return proto.number(2, static_cast<std::uint64_t>(data_type)).text(8, name);
}
template <typename T>
Message raw_tensor(std::string_view name, int data_type, const Dims& dims, std::vector<T> values) {
  Message proto = tensor(name, data_type, dims);
  return proto.text(9, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}
/// TensorProto whose data lie in a file; `entries` are keys and values.
inline Message external_tensor(std::string_view name, int data_type, const Dims& dims,
                               std::vector<std::pair<std::string, std::string>> entries) {
  Message proto = tensor(name, data_type, dims);
  for (const auto& [key, value] : entries) proto.message(13, Message().text(1, key).text(2, value));
  return proto.number(14, 1);
}

/// ValueInfoProto of a tensor; a dim below 0 is left unnamed.
inline Message value_info(std::string_view name, int data_type, const Dims& dims) {
  Message shape;
  for (const std::int64_t dim : dims) {
    shape.message(1, dim < 0 ? Message() : Message().number(1, static_cast<std::uint64_t>(dim)));
  }
  Message type = Message().number(1, static_cast<std::uint64_t>(data_type)).message(2, shape);
  return Message().text(1, name).message(2, Message().message(1, type));
}

inline Message int_attribute(std::string_view name, std::int64_t value) {
  return Message().text(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2);
}
inline Message tensor_attribute(std::string_view name, const Message& value) {
  return Message().text(1, name).message(5, value).number(20, 4);
}
inline Message graph_attribute(std::string_view name, const Message& graph) {
  return Message().text(1, name).message(6, graph).number(20, 5);
}
inline Message reference(std::string_view name, std::string_view parameter, int type) {
  return Message().text(1, name).text(21, parameter).number(20, static_cast<std::uint64_t>(type));
}

inline Message node(std::string_view op, Names inputs, Names outputs,
                    std::vector<Message> attributes = {}, std::string_view domain = "") {
  Message proto;
  proto.texts(1, inputs).texts(2, outputs).text(3, std::string(op) + "_node").text(4, op);
  for (const Message& attribute : attributes) proto.message(5, attribute);
  return domain.empty() ? proto : proto.text(7, domain);
}

struct GraphParts {
  std::vector<Message> nodes, inputs, outputs, initializers, sparse_initializers;
};
inline Message graph(const GraphParts& parts) {
  Message proto;
  for (const Message& part : parts.nodes) proto.message(1, part);
  proto.text(2, "g");
  for (const Message& part : parts.initializers) proto.message(5, part);
  for (const Message& part : parts.sparse_initializers) proto.message(15, part);
  for (const Message& part : parts.inputs) proto.message(11, part);
  for (const Message& part : parts.outputs) proto.message(12, part);
  return proto;
}

inline Message opset(std::string_view domain, std::int64_t version) {
  return Message().text(1, domain).number(2, static_cast<std::uint64_t>(version));
}

inline Message function(std::string_view domain, std::string_view name, Names inputs, Names outputs,
                        std::vector<Message> nodes, Names attributes = {}) {
  Message proto;
  proto.text(1, name).texts(4, inputs).texts(5, outputs).texts(6, attributes);
  for (const Message& part : nodes) proto.message(7, part);
  return proto.message(9, opset("", 21)).text(10, domain);
}

inline Message model(const Message& graph, std::int64_t version = 21,
                     std::vector<Message> functions = {}) {
  Message proto;
  proto.number(1, 10)
      .message(8, opset("", version))
      .message(8, opset("local", 1))
      .message(7, graph);
  for (const Message& part : functions) proto.message(25, part);
  return proto;
}

}  // namespace naru::onnx_wire
