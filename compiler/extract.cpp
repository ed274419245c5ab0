// extract(): renumbers values into a new graph; outside producers become inputs.
#include "compiler/extract.h"

namespace naru {
namespace {

/// Maps source values into the extract, adding them when first met.
class Importer {
 public:
  Importer(const Graph& source, Extract& result)
      : source_(source), result_(result), map_(source.values.size(), kNoValue) {}

  ValueId used(ValueId id) {
    if (id == kNoValue) return kNoValue;
    ValueId& mapped = map_[static_cast<std::size_t>(id)];
    if (mapped != kNoValue) return mapped;
    const Value& value = source_.value(id);
    if (value.is_constant()) {
      mapped = result_.graph.add_constant(value.name, value.constant);
    } else {
      mapped = result_.graph.add_input(value.name, value.type);
      result_.inputs.push_back(id);
    }
    return mapped;
  }

  ValueId defined(ValueId id) {
    if (id == kNoValue) return kNoValue;
    const Value& value = source_.value(id);
    ValueId& mapped = map_[static_cast<std::size_t>(id)];
    mapped = result_.graph.add_value(value.name, value.type);
    return mapped;
  }

 private:
  const Graph& source_;
  Extract& result_;
  std::vector<ValueId> map_;
};

}  // namespace

Extract extract(const Graph& source, std::span<const std::size_t> nodes,
                std::span<const ValueId> outputs) {
  Extract result;
  result.graph.name = source.name;
  Importer importer(source, result);
  for (const std::size_t index : nodes) {
    Node node = source.nodes[index];
    for (ValueId& id : node.inputs) id = importer.used(id);
    for (ValueId& id : node.captures) id = importer.used(id);
    for (ValueId& id : node.outputs) id = importer.defined(id);
    result.graph.nodes.push_back(std::move(node));
  }
  for (const ValueId id : outputs) {
    result.graph.outputs.push_back(importer.used(id));
    result.outputs.push_back(id);
  }
  return result;
}

}  // namespace naru
