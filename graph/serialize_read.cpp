// Containers, read: header, FlatBuffers Verifier, own bounds checks, then the validator of all
// models.
#include <algorithm>

#include <flatbuffers/flatbuffers.h>

#include "graph/checked.h"
#include "graph/element_check.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/model_file.h"
#include "graph/op_def.h"
#include "graph/serialize.h"
#include "graph/serialize_format.h"
#include "graph/type_text.h"
#include "graph/verify.h"
#include "model_generated.h"

namespace naru {
namespace {

using flatbuffers::Vector;
using Bytes = std::span<const std::byte>;

template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (condition) return;
  throw Error(ErrorCode::InvalidModel,
              "container: " + fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void newer(const std::string& what) {
  fail(ErrorCode::Unsupported, "container: {}; a newer version of naru may have written it", what);
}

/// The part [offset, offset + size) of `whole`; all three come from the file or its size.
Bytes part(Bytes whole, std::uint64_t offset, std::uint64_t size, const char* what) {
  require(offset <= whole.size() && size <= whole.size() - offset,
          "{}: got {} bytes at {}, expected them within {} bytes", what, size, offset,
          whole.size());
  require(offset % container::kAlignment == 0, "{}: got offset {}, expected a multiple of {}", what,
          offset, container::kAlignment);
  return whole.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

struct Sections {
  Bytes metadata;
  Bytes data;
};

Sections read_header(Bytes file) {
  container::Header header{};
  require(file.size() >= sizeof header, "got {} bytes, expected a header of {}", file.size(),
          sizeof header);
  require(looks_like_naru(file), "got no magic number 'NARU' at the start");
  std::memcpy(&header, file.data(), sizeof header);
  if (header.major != container::kMajor) {
    fail(ErrorCode::Unsupported, "container: got version {}.{}, expected {}.x", header.major,
         header.minor, container::kMajor);
  }
  if (header.features != 0) newer(fmt::format("got features {:#x}", header.features));
  require(header.header_bytes >= sizeof header && header.header_bytes <= file.size(),
          "header size: got {}, expected {} to {}", header.header_bytes, sizeof header,
          file.size());
  Sections sections;
  sections.metadata = part(file, header.metadata_offset, header.metadata_bytes, "metadata");
  sections.data = part(file, header.data_offset, header.data_bytes, "data section");
  require(header.metadata_offset >= header.header_bytes &&
              header.data_offset >= header.metadata_offset + header.metadata_bytes,
          "header, metadata and data section overlap");
  require(header.minor > container::kMinor || header.data_offset + header.data_bytes == file.size(),
          "got {} bytes, expected {}", file.size(), header.data_offset + header.data_bytes);
  const Hash128 hash = container::metadata_hash(file.first(header.header_bytes), sections.metadata);
  require(hash == Hash128{header.hash_low, header.hash_high},
          "the hash of header and metadata differs: the file is damaged");
  return sections;
}

const fbs::Model& verified_model(Bytes metadata) {
  // The Verifier asserts instead of answering on a larger buffer.
  require(metadata.size() < FLATBUFFERS_MAX_BUFFER_SIZE,
          "metadata: got {} bytes, expected less than {}", metadata.size(),
          FLATBUFFERS_MAX_BUFFER_SIZE);
  flatbuffers::Verifier::Options options;
  options.max_depth = container::kMaxTableDepth;
  // A table and the offset to it take 8 bytes, so that more tables than this are shared ones.
  options.max_tables = static_cast<flatbuffers::uoffset_t>(metadata.size() / 8 + 1);
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(metadata.data());
  flatbuffers::Verifier verifier(buffer, metadata.size(), options);
  require(verifier.VerifyBuffer<fbs::Model>(nullptr),
          "metadata: offsets or sizes in it are out of range");
  return *flatbuffers::GetRoot<fbs::Model>(buffer);
}

template <typename T>
flatbuffers::uoffset_t size_of(const Vector<T>* vector) {
  return vector == nullptr ? 0 : vector->size();
}

/// Turns verified metadata into a graph. Whatever is read is charged against the size of the
/// metadata, so that parts shared by many parents cannot expand into more than the file holds.
class Decoder {
 public:
  Decoder(const Sections& sections, std::shared_ptr<const void> owner, bool verify_hashes)
      : data_(sections.data),
        owner_(std::move(owner)),
        verify_hashes_(verify_hashes),
        budget_(sections.metadata.size()),
        expression_budget_(4 * sections.metadata.size() + (64 << 10)) {}

  Container run(const fbs::Model& model) {
    read_operators(model);
    read_expressions(model);
    require(model.graph() != nullptr, "got no graph");
    Container result;
    result.graph = graph(*model.graph(), 0);
    for_each(model.code(), [&](const fbs::Code& code) { result.code.push_back(read_code(code)); });
    check_overlaps();
    return result;
  }

 private:
  struct Extent {
    std::uint64_t offset;
    std::uint64_t size;
  };

  void charge(std::uint64_t bytes) {
    require(bytes <= budget_, "metadata: parts of it are shared, expected each to have one parent");
    budget_ -= bytes;
  }

  template <typename T, typename Visit>
  void for_each(const Vector<flatbuffers::Offset<T>>* tables, Visit&& visit) {
    charge(size_of(tables) * std::uint64_t{8});
    for (flatbuffers::uoffset_t i = 0; i < size_of(tables); ++i) visit(*tables->Get(i));
  }

  std::string text(const flatbuffers::String* value) {
    if (value == nullptr) return {};
    charge(value->size());
    return {value->c_str(), value->size()};
  }

  template <typename T>
  std::vector<T> list(const Vector<T>* values) {
    charge(size_of(values) * std::uint64_t{sizeof(T)});
    // The Verifier looks at the alignment of a vector's size only.
    require(values == nullptr || reinterpret_cast<std::uintptr_t>(values->data()) % alignof(T) == 0,
            "metadata: got a list of numbers at an odd place, expected a multiple of {} bytes", alignof(T));
    return values == nullptr ? std::vector<T>() : std::vector<T>(values->begin(), values->end());
  }

  std::vector<std::string> strings(const fbs::Strings* table) {
    if (table == nullptr) return {};
    const Vector<std::uint8_t>* bytes = table->bytes();
    charge(size_of(bytes));
    std::vector<std::string> values;
    std::uint32_t start = 0;
    for (std::uint32_t end : list(table->ends())) {
      require(start <= end && end <= size_of(bytes), "strings: got the end {}, expected {} to {}",
              end, start, size_of(bytes));
      if (start == end)
        values.emplace_back();
      else
        values.emplace_back(reinterpret_cast<const char*>(bytes->data()) + start, end - start);
      start = end;
    }
    return values;
  }

  void read_operators(const fbs::Model& model) {
    for_each(model.operators(), [&](const fbs::Operator& record) {
      const OpDef& op = op_def(text(record.name()));
      if (record.version() > op.since_version) {
        newer(fmt::format("operator {} has version {}, expected at most {}", op.full_name(),
                          record.version(), op.since_version));
      }
      operators_.push_back(&op);
    });
  }

  void read_expressions(const fbs::Model& model) {
    charge(size_of(model.expressions()) * std::uint64_t{4});
    for (flatbuffers::uoffset_t i = 0; i < size_of(model.expressions()); ++i) {
      const std::string expression = text(model.expressions()->Get(i));
      expressions_.push_back({dim_from_text(expression), expression.size()});
    }
  }

  /// The bytes of a tensor or of code, within the data section.
  Bytes blob(std::uint64_t offset, std::uint64_t size, const Hash128& hash, const char* what) {
    const Bytes bytes = part(data_, offset, size, what);
    if (size > 0) extents_.push_back({offset, size});
    if (verify_hashes_)
      require(hash_bytes(bytes) == hash,
              "{} at {} of the data section: its hash differs, the file is damaged", what, offset);
    return bytes;
  }

  /// Two tensors may have one place, but must not overlap otherwise.
  void check_overlaps() {
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
    for (std::size_t i = 1; i < extents_.size(); ++i) {
      const Extent& before = extents_[i - 1];
      const bool same = before.offset == extents_[i].offset && before.size == extents_[i].size;
      require(same || before.offset + before.size <= extents_[i].offset,
              "data section: tensors at {} and {} overlap", before.offset, extents_[i].offset);
    }
  }

  DType dtype(std::uint8_t value) {
    const auto type = static_cast<DType>(value);
    if (dtype_info(type).dtype != type) newer(fmt::format("got element type {}", value));
    return type;
  }

  Tensor tensor(const fbs::TensorData& record) {
    const DType type = dtype(record.dtype());
    Shape shape(list(record.dims()));
    require(shape.rank() <= kLimits.max_rank, "tensor: got rank {}, expected at most {}",
            shape.rank(), kLimits.max_rank);
    if (type == DType::String) {
      std::vector<std::string> values = strings(record.strings());
      require(shape.numel() == static_cast<std::int64_t>(values.size()),
              "string tensor {}: got {} elements", to_string(shape), values.size());
      return Tensor::from_strings(std::move(shape), std::move(values));
    }
    const std::int64_t expected = storage_bytes(type, shape.numel());
    require(record.size_bytes() == static_cast<std::uint64_t>(expected),
            "tensor {}{}: got {} bytes, expected {}", to_string(type), to_string(shape),
            record.size_bytes(), expected);
    const Bytes bytes = blob(record.offset(), record.size_bytes(),
                             {record.hash_low(), record.hash_high()}, "tensor");
    // The storage is read-only; Tensor has one pointer type for both.
    Tensor result =
        Tensor::wrap(type, std::move(shape), const_cast<std::byte*>(bytes.data()), owner_);
    check_elements(result);
    return result;
  }

  Type type(const fbs::Type* record, std::int64_t depth) {
    if (record == nullptr) return {};
    charge(4);
    require(depth <= kLimits.max_text_depth, "types: nested over {} deep", kLimits.max_text_depth);
    switch (static_cast<TypeKind>(record->kind())) {
      case TypeKind::Unknown: return {};
      case TypeKind::Sequence: return Type::sequence(type(record->element(), depth + 1));
      case TypeKind::Optional: return Type::optional(type(record->element(), depth + 1));
      case TypeKind::Tensor: break;
      default: newer(fmt::format("got type kind {}", record->kind()));
    }
    const DType element = dtype(record->dtype());
    return record->ranked() ? Type::tensor(element, dims(*record)) : Type::tensor(element);
  }

  SymShape dims(const fbs::Type& record) {
    require(size_of(record.dims()) <= static_cast<std::uint64_t>(kLimits.max_rank),
            "type: got rank {}, expected at most {}", size_of(record.dims()), kLimits.max_rank);
    const std::vector<std::int64_t> values = list(record.dims());
    const std::vector<std::int32_t> indices = list(record.expressions());
    require(indices.empty() || indices.size() == values.size(),
            "type: got {} expressions for {} dimensions", indices.size(), values.size());
    SymShape shape(values.begin(), values.end());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] >= 0) shape[i] = expression(static_cast<std::size_t>(indices[i]));
    }
    return shape;
  }

  /// A short index may stand for a long expression, whose copies have a budget of their own.
  const Dim& expression(std::size_t index) {
    require(index < expressions_.size(), "type: got expression {}, expected one of {}", index,
            expressions_.size());
    require(expressions_[index].text_bytes <= expression_budget_,
            "types: their dimensions are too long in sum");
    expression_budget_ -= expressions_[index].text_bytes;
    return expressions_[index].dim;
  }

  Attribute attribute(const fbs::Attribute& record, std::int64_t depth) {
    if (record.kind() > static_cast<std::uint8_t>(AttrKind::Graphs))
      newer(fmt::format("got attribute kind {}", record.kind()));
    switch (static_cast<AttrKind>(record.kind())) {
      case AttrKind::Int: return record.int_value();
      case AttrKind::Float: return std::bit_cast<float>(record.float_bits());
      case AttrKind::String: return text(record.text());
      case AttrKind::Type: return type(record.type(), 0);
      case AttrKind::Ints: return list(record.ints());
      case AttrKind::Floats: return list(record.floats());
      case AttrKind::Strings: return strings(record.strings());
      case AttrKind::Tensor: return one(tensors(record), "tensor");
      case AttrKind::Tensors: return tensors(record);
      case AttrKind::Graph: return one(graphs(record, depth), "graph");
      case AttrKind::Graphs: break;
    }
    return graphs(record, depth);
  }

  template <typename T>
  static T one(std::vector<T> values, const char* what) {
    require(values.size() == 1, "attribute: got {} {}s, expected one", values.size(), what);
    return std::move(values[0]);
  }
  std::vector<Tensor> tensors(const fbs::Attribute& record) {
    std::vector<Tensor> values;
    for_each(record.tensors(), [&](const fbs::TensorData& t) { values.push_back(tensor(t)); });
    return values;
  }
  std::vector<GraphPtr> graphs(const fbs::Attribute& record, std::int64_t depth) {
    std::vector<GraphPtr> values;
    for_each(record.graphs(), [&](const fbs::Graph& g) {
      values.push_back(std::make_shared<const Graph>(graph(g, depth + 1)));
    });
    return values;
  }

  Value value(const fbs::Value& record) {
    Value result;
    result.name = text(record.name());
    if (record.constant() == nullptr) {
      result.type = type(record.type(), 0);
      return result;
    }
    result.constant =
        with_context([&] { return "reading constant '" + result.name.substr(0, 80) + "'"; },
                     [&] { return tensor(*record.constant()); });
    result.type = Type::tensor(result.constant.dtype(), result.constant.shape());
    return result;
  }

  Node node(const fbs::Node& record, std::int64_t depth) {
    Node result;
    require(record.op() < operators_.size(), "node: got operator {}, expected one of {}",
            record.op(), operators_.size());
    result.op = operators_[record.op()];
    result.name = text(record.name());
    result.inputs = list(record.inputs());
    result.outputs = list(record.outputs());
    result.captures = list(record.captures());
    for_each(record.attributes(), [&](const fbs::Attribute& a) {
      std::string name = text(a.name());
      const bool is_new = result.attributes.emplace(std::move(name), attribute(a, depth)).second;
      require(is_new, "node '{}': an attribute is given twice", result.name.substr(0, 80));
    });
    return result;
  }

  State state(const fbs::State& record) {
    if (record.kind() > static_cast<std::uint8_t>(StateKind::KvOpaque))
      newer(fmt::format("got state kind {}", record.kind()));
    return {text(record.name()), static_cast<StateKind>(record.kind()), record.input(),
            record.output()};
  }

  Graph graph(const fbs::Graph& record, std::int64_t depth) {
    require(depth <= kLimits.max_subgraph_depth, "sub-graphs: nested over {} deep",
            kLimits.max_subgraph_depth);
    Graph result;
    result.name = text(record.name());
    result.doc = text(record.doc());
    for_each(record.metadata(), [&](const fbs::Entry& entry) {
      std::string key = text(entry.key());
      require(result.metadata.emplace(std::move(key), text(entry.value())).second,
              "a metadata key is given twice");
    });
    for_each(record.values(), [&](const fbs::Value& v) { result.values.push_back(value(v)); });
    for_each(record.nodes(), [&](const fbs::Node& n) { result.nodes.push_back(node(n, depth)); });
    result.inputs = list(record.inputs());
    result.outputs = list(record.outputs());
    for_each(record.states(), [&](const fbs::State& s) { result.states.push_back(state(s)); });
    result.reindex();
    return result;
  }

  CodeBlob read_code(const fbs::Code& record) {
    const Bytes bytes =
        blob(record.offset(), record.size_bytes(), {record.hash_low(), record.hash_high()}, "code");
    std::string target = text(record.target());
    return {std::move(target), text(record.key()), bytes, owner_};
  }

  struct Expression {
    Dim dim;
    std::uint64_t text_bytes;
  };

  Bytes data_;
  std::shared_ptr<const void> owner_;
  bool verify_hashes_;
  std::uint64_t budget_;
  std::uint64_t expression_budget_;
  std::vector<const OpDef*> operators_;
  std::vector<Expression> expressions_;
  std::vector<Extent> extents_;
};

/// Tensors need their alignment; memory that lacks it is copied.
void align(Bytes& bytes, std::shared_ptr<const void>& owner) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % container::kAlignment == 0) return;
  Tensor copy(DType::U8, Shape{static_cast<std::int64_t>(bytes.size())});
  std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
  bytes = {copy.data(), bytes.size()};
  owner = copy.owner();
}

}  // namespace

bool looks_like_naru(Bytes bytes) noexcept {
  return bytes.size() >= sizeof container::kMagic &&
         std::memcmp(bytes.data(), container::kMagic, sizeof container::kMagic) == 0;
}

Container load_container(Bytes bytes, std::shared_ptr<const void> owner,
                         const LoadOptions& options) {
  if (!bytes.empty()) align(bytes, owner);
  const Sections sections = read_header(bytes);
  const fbs::Model& model = verified_model(sections.metadata);
  Container container = Decoder(sections, std::move(owner), options.verify_hashes).run(model);
  if (options.verify) verify(container.graph);
  if (options.infer) infer_types(container.graph);
  return container;
}

Graph load_naru(Bytes bytes, std::shared_ptr<const void> owner, const LoadOptions& options) {
  return load_container(bytes, std::move(owner), options).graph;
}

Graph load_naru(const std::filesystem::path& path, const LoadOptions& options) {
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  return with_context([&] { return "loading " + quote_name(path.native()); },
                      [&] { return load_naru(file->bytes(), file, options); });
}

void verify_naru_hashes(const std::filesystem::path& path) {
  load_naru(path, {.infer = false, .verify_hashes = true});
}

}  // namespace naru
