// Hashes through libxxhash (XXH3, 128 bits).
#include "graph/hash.h"

#include <cstring>
#include <unordered_map>

#include <xxhash.h>

#include "graph/fail.h"
#include "graph/op_def.h"
#include "graph/type_text.h"

namespace naru {
namespace {

XXH3_state_t* state_of(void* state) { return static_cast<XXH3_state_t*>(state); }

Hash128 from_xxh(const XXH128_hash_t& hash) { return {hash.low64, hash.high64}; }

/// Walks a graph in node order and numbers values as they are defined.
class GraphHasher {
 public:
  explicit GraphHasher(const Graph& graph) : graph_(graph) {}

  Hash128 run() {
    count(graph_.inputs.size());
    for (ValueId id : graph_.inputs) define_typed(id);
    count(graph_.states.size());
    for (const State& state : graph_.states) {
      out_.text(state.name);
      out_.number(static_cast<std::uint64_t>(state.kind));
      define_typed(state.input);
    }
    count(graph_.nodes.size());
    for (const Node& node : graph_.nodes) add_node(node);
    use_all(graph_.outputs);
    for (const State& state : graph_.states) use(state.output);
    return out_.finish();
  }

 private:
  void count(std::size_t n) { out_.number(static_cast<std::uint64_t>(n)); }

  void define(ValueId id) {
    if (id != kNoValue) numbers_.emplace(id, numbers_.size());
    out_.number(std::uint64_t{id != kNoValue});
  }
  void define_typed(ValueId id) {
    define(id);
    if (id != kNoValue) out_.text(type_to_text(graph_.value(id).type));
  }

  void use(ValueId id) {
    if (id == kNoValue) return count(0);
    const Value& value = graph_.value(id);
    if (value.is_constant()) {
      count(1);
      out_.hash(content_hash(value.constant));
      return;
    }
    count(2);
    const auto found = numbers_.find(id);
    count(found == numbers_.end() ? ~std::size_t{0} : found->second);
  }
  void use_all(const std::vector<ValueId>& ids) {
    count(ids.size());
    for (ValueId id : ids) use(id);
  }

  void add_node(const Node& node) {
    out_.text(node.op == nullptr ? "" : node.op->full_name());
    use_all(node.inputs);
    use_all(node.captures);
    count(node.attributes.size());
    for (const auto& [name, attribute] : node.attributes) {
      out_.text(name);
      count(attribute.index());
      std::visit([&](const auto& value) { add(value); }, attribute);
    }
    count(node.outputs.size());
    for (ValueId id : node.outputs) define(id);
  }

  void add(std::int64_t value) { out_.number(value); }
  void add(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    out_.number(std::uint64_t{bits});
  }
  void add(const std::string& value) { out_.text(value); }
  void add(const Tensor& value) { out_.hash(content_hash(value)); }
  void add(const GraphPtr& value) {
    if (value != nullptr) out_.hash(graph_hash(*value));
  }
  void add(const Type& value) { out_.text(type_to_text(value)); }
  template <typename T>
  void add(const std::vector<T>& values) {
    count(values.size());
    for (const T& value : values) add(value);
  }

  const Graph& graph_;
  Hasher out_;
  std::unordered_map<ValueId, std::size_t> numbers_;
};

}  // namespace

std::string to_string(const Hash128& hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

std::optional<Hash128> hash_from_string(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  std::uint64_t halves[2] = {};
  for (std::size_t i = 0; i < 32; ++i) {
    const char c = text[i];
    std::uint64_t digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<std::uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<std::uint64_t>(c - 'a' + 10);
    else
      return std::nullopt;
    halves[i / 16] = halves[i / 16] << 4 | digit;
  }
  return Hash128{halves[1], halves[0]};
}

Hasher::Hasher() : state_(XXH3_createState()) {
  if (state_ == nullptr) fail(ErrorCode::OutOfMemory, "the host refused an allocation");
  XXH3_128bits_reset(state_of(state_));
}

Hasher::~Hasher() { XXH3_freeState(state_of(state_)); }

void Hasher::bytes(const void* data, std::size_t size) {
  if (size > 0) XXH3_128bits_update(state_of(state_), data, size);
}

void Hasher::number(std::uint64_t value) {
  unsigned char little_endian[8];
  for (int i = 0; i < 8; ++i) little_endian[i] = static_cast<unsigned char>(value >> (8 * i));
  bytes(little_endian, sizeof little_endian);
}

void Hasher::text(std::string_view text) {
  number(static_cast<std::uint64_t>(text.size()));
  bytes(text.data(), text.size());
}

void Hasher::hash(const Hash128& value) {
  number(value.low);
  number(value.high);
}

Hash128 Hasher::finish() const { return from_xxh(XXH3_128bits_digest(state_of(state_))); }

Hash128 hash_bytes(std::span<const std::byte> bytes) {
  return from_xxh(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 content_hash(const Tensor& tensor) {
  Hasher out;
  out.number(static_cast<std::uint64_t>(tensor.dtype()));
  out.number(tensor.rank());
  for (std::int64_t dim : tensor.shape()) out.number(dim);
  if (tensor.dtype() == DType::String) {
    for (const std::string& text : tensor.strings()) out.text(text);
  } else {
    out.bytes(tensor.data(), static_cast<std::size_t>(tensor.size_bytes()));
  }
  return out.finish();
}

Hash128 graph_hash(const Graph& graph) { return GraphHasher(graph).run(); }

}  // namespace naru
