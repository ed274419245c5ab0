// The container: exact round trips, use in place, safe replacement of files, hostile bytes.
#include "graph/serialize.h"

#include <csignal>
#include <fstream>

#include <dirent.h>
#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "naru/error.h"

#include "graph/infer.h"
#include "graph/serialize_format.h"
#include "graph/text.h"
#include "model_generated.h"
#include "tests/graph/sample_graphs.h"

namespace naru {
namespace {

using testing::attribute_graph;
using testing::sample_graph;
using testing::sample_tensor;
using Bytes = std::vector<std::byte>;
namespace fs = std::filesystem;

constexpr PrintOptions kFull{.full_data = true};
constexpr LoadOptions kPlain{.infer = false};
constexpr LoadOptions kUnverified{.verify = false, .infer = false};

Graph load(const Bytes& bytes, const LoadOptions& options = {}) {
  return load_naru(bytes, nullptr, options);
}

/// "" when it loads; the error's text, which must have this code, otherwise.
std::string error_of(const Bytes& bytes, ErrorCode code = ErrorCode::InvalidModel,
                     const LoadOptions& options = {}) {
  try {
    load(bytes, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

/// Loads or is refused as a bad model or a newer one; anything else is a failure.
bool loads_or_refused(const Bytes& bytes) {
  try {
    load(bytes);
    return true;
  } catch (const Error& error) {
    const bool typed =
        error.code() == ErrorCode::InvalidModel || error.code() == ErrorCode::Unsupported;
    EXPECT_TRUE(typed) << error.what();
    return false;
  }
}

container::Header header_of(const Bytes& bytes) {
  container::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

/// Puts `header` with its right hash in front, as someone who forges a file would.
void seal(Bytes& bytes, container::Header header) {
  std::memcpy(bytes.data(), &header, sizeof header);
  const std::span<const std::byte> all(bytes);
  const bool in_range = header.header_bytes >= sizeof header && header.header_bytes <= all.size() &&
                        header.metadata_offset <= all.size() &&
                        header.metadata_bytes <= all.size() - header.metadata_offset;
  if (!in_range) return;
  const Hash128 hash = container::metadata_hash(
      all.first(header.header_bytes), all.subspan(header.metadata_offset, header.metadata_bytes));
  header.hash_low = hash.low;
  header.hash_high = hash.high;
  std::memcpy(bytes.data(), &header, sizeof header);
}
void seal(Bytes& bytes) { seal(bytes, header_of(bytes)); }

/// Replaces the first place of `from` in the metadata by `to` and seals. (A tensor's own fields
/// stand before its list of dimensions.)
Bytes patched(Bytes bytes, std::uint64_t from, std::uint64_t to) {
  const container::Header header = header_of(bytes);
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(header.metadata_offset);
  const auto last = first + static_cast<std::ptrdiff_t>(header.metadata_bytes);
  const auto pattern = std::as_bytes(std::span(&from, 1));
  const auto found = std::search(first, last, pattern.begin(), pattern.end());
  EXPECT_NE(found, last);
  if (found != last) std::memcpy(&*found, &to, sizeof to);
  seal(bytes);
  return bytes;
}

Graph small_graph() {
  Graph graph;
  graph.name = "small";
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  const ValueId a = graph.add_constant("a", sample_tensor(DType::U8, {1237}));
  const ValueId b = graph.add_constant("b", sample_tensor(DType::F32, {3, 7}));
  graph.add_constant("s", sample_tensor(DType::String, {2}));
  const ValueId y = graph.add_node("Identity", {x}, 1, {}, "copy").outputs[0];
  graph.outputs = {y, a, b};
  return graph;
}

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "naru_test_XXXXXX").native();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

void expect_same(const Graph& loaded, const Graph& graph) {
  EXPECT_EQ(print(loaded, kFull), print(graph, kFull));
  EXPECT_EQ(graph_hash(loaded), graph_hash(graph));
  EXPECT_EQ(loaded.inputs, graph.inputs);
  EXPECT_EQ(loaded.outputs, graph.outputs);
  ASSERT_EQ(loaded.values.size(), graph.values.size());
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    EXPECT_EQ(loaded.values[i].name, graph.values[i].name);
    EXPECT_EQ(loaded.values[i].type, graph.values[i].type) << graph.values[i].name;
    EXPECT_EQ(loaded.find_value(graph.values[i].name), static_cast<ValueId>(i));
  }
  ASSERT_EQ(loaded.nodes.size(), graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(loaded.nodes[i].op, graph.nodes[i].op);
    EXPECT_EQ(loaded.nodes[i].inputs, graph.nodes[i].inputs);
    EXPECT_EQ(loaded.nodes[i].outputs, graph.nodes[i].outputs);
    EXPECT_EQ(loaded.nodes[i].captures, graph.nodes[i].captures);
  }
}

TEST(Container, RoundTripsEveryType) {
  expect_same(load(naru_bytes(sample_graph()), kPlain), sample_graph());
}

TEST(Container, RoundTripsEveryKindOfAttribute) {
  expect_same(load(naru_bytes(attribute_graph(), {.verify = false}), kUnverified),
              attribute_graph());
}

TEST(Container, WritesTheSameBytesEachTime) {
  const Bytes bytes = naru_bytes(sample_graph());
  EXPECT_EQ(naru_bytes(sample_graph()), bytes);
  EXPECT_EQ(naru_bytes(load(bytes, kPlain)), bytes);
}

TEST(Container, TensorsAreUsedInPlaceAndEqualOnesStoredOnce) {
  const Bytes bytes = naru_bytes(sample_graph());
  Tensor memory(DType::U8, Shape{static_cast<std::int64_t>(bytes.size())});
  std::memcpy(memory.mutable_data(), bytes.data(), bytes.size());
  const Graph graph = load_naru({memory.data(), bytes.size()}, memory.owner(), kPlain);
  for (const Value& value : graph.values) {
    if (!value.is_constant() || value.constant.dtype() == DType::String) continue;
    EXPECT_GE(value.constant.data(), memory.data());
    EXPECT_LE(value.constant.data() + value.constant.size_bytes(), memory.data() + bytes.size());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(value.constant.data()) % 64, 0u) << value.name;
    EXPECT_EQ(value.constant.owner(), memory.owner());
  }
  const auto data = [&](const char* name) {
    return graph.value(graph.find_value(name)).constant.data();
  };
  EXPECT_EQ(data("twin"), data("large/f32"));
  EXPECT_NE(data("twin"), data("large/i32") + 1);
}

TEST(Container, EqualTensorsTakeNoRoom) {
  Graph graph;
  graph.add_constant("a", sample_tensor(DType::F32, {10000}));
  const std::size_t one = naru_bytes(graph).size();
  graph.add_constant("b", sample_tensor(DType::F32, {10000}));
  graph.add_constant("c", sample_tensor(DType::U8, {40000}));
  EXPECT_LT(naru_bytes(graph).size(), one + 1000);
}

TEST(Container, CarriesCode) {
  const Tensor code = sample_tensor(DType::U8, {100});
  SaveOptions options;
  options.code.push_back({"opencl:x", "fragment 1", {code.data(), 100}, code.owner()});
  const Bytes bytes = naru_bytes(small_graph(), options);
  const Container loaded = load_container(bytes, nullptr);
  ASSERT_EQ(loaded.code.size(), 1u);
  EXPECT_EQ(loaded.code[0].target, "opencl:x");
  EXPECT_EQ(loaded.code[0].key, "fragment 1");
  EXPECT_TRUE(std::equal(loaded.code[0].bytes.begin(), loaded.code[0].bytes.end(), code.data(),
                         code.data() + 100));
}

TEST(Container, RefusesToWriteABrokenGraph) {
  Graph graph = small_graph();
  graph.outputs = {99};
  EXPECT_THROW(naru_bytes(graph), Error);
  Graph undefined = attribute_graph();
  undefined.nodes[0].attributes["tensor"] = Tensor();
  EXPECT_THROW(naru_bytes(undefined, {.verify = false}), Error);
}

TEST(Container, ReplacesTheFileAtOnce) {
  const Folder folder;
  const fs::path path = folder / "model.naru";
  std::ofstream(path) << "old";
  save_naru(small_graph(), path);
  EXPECT_EQ(folder.entries(), 1u);
  EXPECT_EQ(fs::file_size(path), naru_bytes(small_graph()).size());
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0600, 0600u);
}

TEST(Container, AFullDiskLeavesTheOldFileAndNothingElse) {
  const Folder folder;
  const fs::path path = folder / "model.naru";
  std::ofstream(path) << "old";
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  // Everything from nothing written to all but the last byte.
  for (std::size_t limit :
       {std::size_t{0}, std::size_t{70}, naru_bytes(small_graph()).size() - 1}) {
    const struct rlimit small{limit, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    try {
      save_naru(small_graph(), path);
      ADD_FAILURE() << "no error at " << limit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Io) << error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(folder.entries(), 1u);
    EXPECT_EQ(fs::file_size(path), 3u);
  }
  std::signal(SIGXFSZ, old_handler);
}

TEST(Container, FilesRoundTrip) {
  const Folder folder;
  const fs::path path = folder / "model.naru";
  save_naru(small_graph(), path);
  const Graph graph = load_naru(path);
  expect_same(load_naru(path, kPlain), small_graph());
  save_naru(graph, path);  // over the file that the graph's tensors lie in
  EXPECT_EQ(content_hash(graph.value(1).constant), content_hash(small_graph().value(1).constant));
  verify_naru_hashes(path);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(-100, std::ios::end)
      .put('x');
  EXPECT_THROW(verify_naru_hashes(path), Error);
}

TEST(Container, BadTargetsAreIoErrors) {
  const Folder folder;
  fs::create_directory(folder / "folder");
  for (const fs::path& path : {folder / "missing/model.naru", folder / "folder", fs::path("")}) {
    try {
      save_naru(small_graph(), path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Io) << error.what();
    }
  }
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(ContainerEvolution, NewerMinorVersionsLoad) {
  Bytes bytes = naru_bytes(small_graph());
  container::Header header = header_of(bytes);
  header.minor = 7;
  header.header_bytes = 128;
  header.metadata_offset += 64;
  header.data_offset += 64;
  bytes.insert(bytes.begin() + 64, 64, std::byte{42});
  bytes.insert(bytes.end(), 100, std::byte{1});  // a section that this version does not know
  seal(bytes, header);
  expect_same(load(bytes, kPlain), small_graph());
}

TEST(ContainerEvolution, NewerMajorVersionsAndFeaturesAreUnsupported) {
  Bytes bytes = naru_bytes(small_graph());
  container::Header header = header_of(bytes);
  header.major = 2;
  seal(bytes, header);
  EXPECT_NE(error_of(bytes, ErrorCode::Unsupported).find("got version 2.0, expected 1.x"),
            std::string::npos);
  header.major = 1;
  header.features = 4;
  seal(bytes, header);
  EXPECT_NE(error_of(bytes, ErrorCode::Unsupported).find("newer version of naru"),
            std::string::npos);
}

TEST(ContainerEvolution, UnknownOperatorsAreUnsupported) {
  Bytes bytes = naru_bytes(small_graph());
  const std::string name = "Identity";
  const auto pattern = std::as_bytes(std::span(name));
  const auto found = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
  ASSERT_NE(found, bytes.end());
  *found = std::byte{'X'};
  seal(bytes);
  EXPECT_NE(error_of(bytes, ErrorCode::Unsupported).find("'Xdentity' is not known"),
            std::string::npos);
}

TEST(HostileContainer, EveryBitOfTheHeaderCounts) {
  const Bytes bytes = naru_bytes(small_graph());
  ASSERT_TRUE(loads_or_refused(bytes));
  for (std::size_t i = 0; i < 64 * 8; ++i) {
    Bytes copy = bytes;
    copy[i / 8] ^= static_cast<std::byte>(1 << i % 8);
    EXPECT_FALSE(loads_or_refused(copy)) << "bit " << i;
  }
}

TEST(HostileContainer, ForgedHeaderFields) {
  const Bytes bytes = naru_bytes(small_graph());
  const container::Header good = header_of(bytes);
  std::uint64_t container::Header::* const fields[] = {
      &container::Header::metadata_offset, &container::Header::metadata_bytes,
      &container::Header::data_offset, &container::Header::data_bytes};
  const std::uint64_t size = bytes.size();
  for (auto field : fields) {
    for (std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{8}, std::uint64_t{63},
          std::uint64_t{64}, std::uint64_t{128}, good.*field - 64, good.*field - 1, good.*field + 1,
          good.*field + 64, size - 1, size, size + 1, std::uint64_t{1} << 31,
          std::uint64_t{1} << 32, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{63}}) {
      if (value == good.*field) continue;
      container::Header header = good;
      header.*field = value;
      Bytes copy = bytes;
      seal(copy, header);
      EXPECT_FALSE(loads_or_refused(copy)) << "value " << value;
    }
  }
  for (std::uint32_t value : {0u, 1u, 63u, 65u, 128u, static_cast<unsigned>(size),
                              static_cast<unsigned>(size) + 1, ~0u}) {
    container::Header header = good;
    header.header_bytes = value;
    Bytes copy = bytes;
    seal(copy, header);
    EXPECT_FALSE(loads_or_refused(copy)) << "header of " << value;
  }
}

TEST(HostileContainer, EveryTruncation) {
  const Bytes bytes = naru_bytes(small_graph());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(
        loads_or_refused(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))))
        << size;
  }
  Bytes longer = bytes;
  longer.push_back({});
  EXPECT_FALSE(loads_or_refused(longer));
}

TEST(HostileContainer, EveryByteOfTheMetadata) {
  const Bytes bytes = naru_bytes(small_graph());
  const container::Header header = header_of(bytes);
  for (std::size_t i = 0; i < header.metadata_bytes; ++i) {
    for (int change : {0x01, 0x80, 0xff, 0x10}) {
      Bytes copy = bytes;
      copy[header.metadata_offset + i] ^= static_cast<std::byte>(change);
      seal(copy);
      loads_or_refused(copy);
    }
  }
}

TEST(HostileContainer, TensorPlacesAreChecked) {
  const Bytes bytes = naru_bytes(small_graph());
  // Tensor a takes 1237 bytes at 0, b 84 bytes at 1280.
  EXPECT_NE(error_of(patched(bytes, 1237, 1236)).find("got 1236 bytes, expected 1237"),
            std::string::npos);
  EXPECT_NE(error_of(patched(bytes, 1280, 1216)).find("overlap"), std::string::npos);
  EXPECT_NE(error_of(patched(bytes, 1280, 1281)).find("multiple of 64"), std::string::npos);
  for (std::uint64_t offset :
       {std::uint64_t{1280 + 64}, std::uint64_t{1} << 40, ~std::uint64_t{63}}) {
    EXPECT_NE(error_of(patched(bytes, 1280, offset)).find("expected them within"),
              std::string::npos);
  }
}

TEST(HostileContainer, MeaningIsCheckedAfterBounds) {
  const auto refused = [](const Graph& graph) {
    const std::string error = error_of(naru_bytes(graph, {.verify = false}));
    EXPECT_NE(error, "");
    return error;
  };
  Graph graph = small_graph();
  graph.outputs = {99};
  EXPECT_NE(refused(graph).find("out of range"), std::string::npos);
  graph = small_graph();
  graph.values[1].name = graph.values[0].name;
  EXPECT_NE(refused(graph).find("used twice"), std::string::npos);
  graph = small_graph();  // an edge to a later node
  const ValueId later = graph.add_node("Identity", {0}).outputs[0];
  graph.nodes[0].inputs = {later};
  EXPECT_NE(refused(graph).find("before it is defined"), std::string::npos);
  graph = small_graph();  // a cycle
  graph.nodes[0].inputs = graph.nodes[0].outputs;
  EXPECT_NE(refused(graph).find("before it is defined"), std::string::npos);
  graph = small_graph();
  graph.nodes[0].attributes["nothing"] = std::int64_t{1};
  refused(graph);
  graph = small_graph();
  graph.states.push_back({"s", StateKind::Tensor, 77, -5});
  refused(graph);
  graph = small_graph();  // a type that inference contradicts
  graph.values[4].type = Type::tensor(DType::I64);
  EXPECT_NE(refused(graph).find("inferring"), std::string::npos);
  graph = small_graph();
  graph.add_constant("bools", sample_tensor(DType::Bool, {2}));
  graph.values.back().constant.mutable_data()[1] = std::byte{2};
  EXPECT_NE(refused(graph).find("expected 0 or 1"), std::string::npos);
}

TEST(HostileContainer, DeepNestingIsRefused) {
  Graph graph;
  graph.name = "leaf";
  for (int i = 0; i < 200; ++i) {
    Graph outer;
    const ValueId x = outer.add_input("x", Type::tensor(DType::F32));
    outer.add_node("Identity", {x}, 1, {{"body", std::make_shared<const Graph>(std::move(graph))}});
    graph = std::move(outer);
  }
  EXPECT_NE(error_of(naru_bytes(graph, {.verify = false})), "");
  Graph types;
  Type type = Type::tensor(DType::F32);
  for (int i = 0; i < 1000; ++i) type = Type::sequence(type);
  types.add_input("x", type);
  EXPECT_NE(error_of(naru_bytes(types, {.verify = false})), "");
}

/// A container around FlatBuffers metadata that the writer would never make.
Bytes wrap_metadata(flatbuffers::FlatBufferBuilder& builder) {
  Bytes bytes(64 + (builder.GetSize() + 63) / 64 * 64);
  std::memcpy(bytes.data() + 64, builder.GetBufferPointer(), builder.GetSize());
  container::Header header{};
  std::memcpy(header.magic, container::kMagic, 4);
  header.major = 1;
  header.header_bytes = 64;
  header.metadata_offset = 64;
  header.metadata_bytes = builder.GetSize();
  header.data_offset = bytes.size();
  seal(bytes, header);
  return bytes;
}

TEST(HostileContainer, SharedPartsDoNotExpand) {
  // Twenty levels of sub-graphs, each used twice by the next: a million from a kilobyte.
  flatbuffers::FlatBufferBuilder builder;
  auto graph = fbs::CreateGraphDirect(builder, "leaf");
  for (int level = 0; level < 20; ++level) {
    const std::vector<flatbuffers::Offset<fbs::Graph>> graphs(2, graph);
    const std::vector<flatbuffers::Offset<fbs::Attribute>> attributes = {
        fbs::CreateAttributeDirect(builder, "body", static_cast<std::uint8_t>(AttrKind::Graphs), 0,
                                   0, nullptr, 0, nullptr, nullptr, 0, nullptr, &graphs)};
    const std::vector<flatbuffers::Offset<fbs::Node>> nodes = {
        fbs::CreateNodeDirect(builder, 0, "n", nullptr, nullptr, nullptr, &attributes)};
    graph = fbs::CreateGraphDirect(builder, "level", nullptr, nullptr, nullptr, &nodes);
  }
  const std::vector<flatbuffers::Offset<fbs::Operator>> operators = {
      fbs::CreateOperatorDirect(builder, "Identity", 1)};
  builder.Finish(fbs::CreateModelDirect(builder, "", &operators, nullptr, graph));
  EXPECT_NE(error_of(wrap_metadata(builder)), "");

  // One long list behind ten thousand nodes.
  flatbuffers::FlatBufferBuilder wide;
  const auto inputs = wide.CreateVector(std::vector<std::int32_t>(100000, -1));
  std::vector<flatbuffers::Offset<fbs::Node>> nodes;
  for (int i = 0; i < 10000; ++i) nodes.push_back(fbs::CreateNode(wide, 0, 0, inputs));
  const auto wide_graph = fbs::CreateGraphDirect(wide, "wide", nullptr, nullptr, nullptr, &nodes);
  const std::vector<flatbuffers::Offset<fbs::Operator>> wide_operators = {
      fbs::CreateOperatorDirect(wide, "Identity", 1)};
  wide.Finish(fbs::CreateModelDirect(wide, "", &wide_operators, nullptr, wide_graph));
  EXPECT_NE(error_of(wrap_metadata(wide)).find("shared"), std::string::npos);
}

TEST(HostileContainer, OperatorsOfTheFutureAreUnsupported) {
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<flatbuffers::Offset<fbs::Operator>> operators = {
      fbs::CreateOperatorDirect(builder, "Identity", 1000)};
  builder.Finish(fbs::CreateModelDirect(builder, "", &operators, nullptr,
                                        fbs::CreateGraphDirect(builder, "g")));
  EXPECT_NE(error_of(wrap_metadata(builder), ErrorCode::Unsupported).find("version 1000"),
            std::string::npos);
}

TEST(Container, DamagedTensorsAreFoundOnDemand) {
  Bytes bytes = naru_bytes(small_graph());
  bytes[header_of(bytes).data_offset] ^= std::byte{1};
  EXPECT_TRUE(loads_or_refused(bytes));
  EXPECT_NE(
      error_of(bytes, ErrorCode::InvalidModel, {.verify_hashes = true}).find("the file is damaged"),
      std::string::npos);
  EXPECT_EQ(error_of(naru_bytes(sample_graph()), ErrorCode::InvalidModel,
                     {.infer = false, .verify_hashes = true}),
            "");
}

}  // namespace
}  // namespace naru
