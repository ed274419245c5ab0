// eliminate_common: one node for each computation, one value for each constant content.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "graph/op_def.h"

namespace naru {
namespace {

std::size_t mix(std::size_t hash, std::size_t value) {
  return hash ^ (value + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2));
}

std::size_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text); }

/// A hash of dtype, shape and a sample of the bytes; equality is decided by same_tensor().
std::size_t hash_tensor(const Tensor& tensor) {
  std::size_t hash = static_cast<std::size_t>(tensor.dtype());
  for (std::int64_t dim : tensor.shape()) hash = mix(hash, static_cast<std::size_t>(dim));
  if (tensor.dtype() == DType::String) {
    for (const std::string& text : tensor.strings()) hash = mix(hash, hash_text(text));
    return hash;
  }
  constexpr std::int64_t kSample = 4096;
  const std::int64_t size = tensor.size_bytes();
  const auto* bytes = reinterpret_cast<const char*>(tensor.data());
  const auto part = static_cast<std::size_t>(std::min(size, kSample));
  hash = mix(hash, hash_text({bytes, part}));
  return mix(hash, hash_text({bytes + (size - static_cast<std::int64_t>(part)), part}));
}

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.dtype() == DType::String) {
    return std::equal(a.strings().begin(), a.strings().end(), b.strings().begin());
  }
  return a.data() == b.data() || a.size_bytes() == 0 ||
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size_bytes())) == 0;
}

/// Bitwise for floats: -0.0 and 0.0 differ, NaN equals itself.
bool same_attribute(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  switch (kind_of(a)) {
    case AttrKind::Float:
      return std::memcmp(&std::get<float>(a), &std::get<float>(b), sizeof(float)) == 0;
    case AttrKind::Floats: {
      const auto& x = std::get<std::vector<float>>(a);
      const auto& y = std::get<std::vector<float>>(b);
      return x.size() == y.size() &&
             (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0);
    }
    case AttrKind::Int: return std::get<std::int64_t>(a) == std::get<std::int64_t>(b);
    case AttrKind::Ints:
      return std::get<std::vector<std::int64_t>>(a) == std::get<std::vector<std::int64_t>>(b);
    case AttrKind::String: return std::get<std::string>(a) == std::get<std::string>(b);
    case AttrKind::Strings:
      return std::get<std::vector<std::string>>(a) == std::get<std::vector<std::string>>(b);
    case AttrKind::Tensor: return same_tensor(std::get<Tensor>(a), std::get<Tensor>(b));
    case AttrKind::Type: return std::get<Type>(a) == std::get<Type>(b);
    default: return false;  // sub-graphs are not compared
  }
}

bool same_computation(const Node& a, const Node& b) {
  if (a.op != b.op || a.inputs != b.inputs || a.captures != b.captures) return false;
  if (a.outputs.size() != b.outputs.size()) return false;
  for (std::size_t i = 0; i < a.outputs.size(); ++i) {
    if ((a.outputs[i] == kNoValue) != (b.outputs[i] == kNoValue)) return false;
  }
  // Attributes that say the default are equal to absent ones.
  const auto agrees = [](const Node& x, const Node& y) {
    return std::all_of(x.attributes.begin(), x.attributes.end(), [&](const auto& entry) {
      const Attribute* other = y.find(entry.first);
      return other != nullptr && same_attribute(entry.second, *other);
    });
  };
  return agrees(a, b) && agrees(b, a);
}

std::size_t hash_node(const Node& node) {
  std::size_t hash = std::hash<const void*>{}(node.op);
  for (ValueId id : node.inputs) hash = mix(hash, static_cast<std::size_t>(id));
  for (const AttrSpec& spec :
       node.op->attributes) {  // with defaults, as same_computation() sees them
    const Attribute* attribute = node.find(spec.name);
    if (attribute == nullptr) continue;
    if (const auto* number = std::get_if<std::int64_t>(attribute)) {
      hash = mix(hash, static_cast<std::size_t>(*number));
    } else if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(attribute)) {
      for (std::int64_t n : *numbers) hash = mix(hash, static_cast<std::size_t>(n));
    }
  }
  return mix(hash, node.outputs.size());
}

/// Candidates that share a hash; only hostile models have many of them, and those stay unmerged.
template <typename T>
using Buckets = std::unordered_map<std::size_t, std::vector<T>>;
constexpr std::size_t kMaxCandidates = 32;

template <typename T>
void remember(std::vector<T>& bucket, T candidate) {
  if (bucket.size() < kMaxCandidates) bucket.push_back(candidate);
}

class Merger {
 public:
  explicit Merger(Graph& graph) : graph_(graph), uses_(graph), alias_(graph.values.size()) {
    for (std::size_t i = 0; i < alias_.size(); ++i) alias_[i] = static_cast<ValueId>(i);
  }

  bool run() {
    bool changed = merge_constants();
    Buckets<std::size_t> seen;  // hash -> index into kept
    std::vector<Node> kept;
    for (Node& node : graph_.nodes) {
      resolve(node.inputs);
      resolve(node.captures);
      if (!node.op->nondeterministic) {
        std::vector<std::size_t>& bucket = seen[hash_node(node)];
        if (merged(node, kept, bucket)) {
          changed = true;
          continue;
        }
        remember(bucket, kept.size());
      }
      kept.push_back(std::move(node));
    }
    for (Node& node : kept) {
      resolve(node.inputs);
      resolve(node.captures);
    }
    graph_.nodes = std::move(kept);
    if (changed) graph_.compact();
    return changed;
  }

 private:
  ValueId& alias(ValueId id) { return alias_[static_cast<std::size_t>(id)]; }

  void resolve(std::vector<ValueId>& ids) {
    for (ValueId& id : ids) {
      while (id != kNoValue && alias(id) != id) id = alias(id);
    }
  }

  bool is_output(ValueId id) const { return uses_.is_output[static_cast<std::size_t>(id)]; }

  bool merge_constants() {
    bool changed = false;
    Buckets<ValueId> seen;
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const auto id = static_cast<ValueId>(i);
      const Value& value = graph_.values[i];
      if (!value.is_constant() || is_output(id)) continue;
      const std::size_t hash = hash_tensor(value.constant);
      std::vector<ValueId>& bucket = seen[hash];
      const auto same = std::find_if(bucket.begin(), bucket.end(), [&](ValueId other) {
        return same_tensor(graph_.value(other).constant, value.constant);
      });
      if (same == bucket.end()) {
        remember(bucket, id);
      } else {
        alias_[i] = *same;
        changed |= !uses_.consumers[i].empty();
      }
    }
    return changed;
  }

  bool merged(const Node& node, std::vector<Node>& kept, const std::vector<std::size_t>& bucket) {
    return std::any_of(bucket.begin(), bucket.end(), [&](std::size_t other) {
      return same_computation(node, kept[other]) && redirect(node, kept[other]);
    });
  }

  bool defines_output(const Node& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId id) { return id != kNoValue && is_output(id); });
  }

  /// Lets `other` stand for both. Outputs of the graph keep their identity: two nodes that both
  /// define one stay two.
  bool redirect(const Node& node, Node& other) {
    const bool take_over = defines_output(node);
    if (take_over && defines_output(other)) return false;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      const ValueId from = take_over ? other.outputs[i] : node.outputs[i];
      const ValueId to = take_over ? node.outputs[i] : other.outputs[i];
      graph_.value(to).type = merge(graph_.value(to).type, graph_.value(from).type);
      alias(from) = to;
      other.outputs[i] = to;
    }
    return true;
  }

  Graph& graph_;
  UseIndex uses_;
  std::vector<ValueId> alias_;
};

}  // namespace

bool eliminate_common(Graph& graph) { return Merger(graph).run(); }

}  // namespace naru
