// GGUF: sound files, split models, and each attack on the container.
#include "graph/import/gguf.h"

#include <fstream>
#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

#include "naru/error.h"

#include "tests/graph/gguf_bytes.h"

namespace naru {
namespace {

namespace fs = std::filesystem;
using testing::gguf_text;
using testing::GgufBytes;
using testing::le;

GgufFile read(const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return read_gguf(std::as_bytes(std::span(owner->data(), owner->size())), owner);
}

/// Reads and expects a typed error; returns its text.
std::string refusal(const std::string& bytes, ErrorCode code = ErrorCode::InvalidModel) {
  try {
    read(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

void expect_refusal(const GgufBytes& file, std::string_view part,
                    ErrorCode code = ErrorCode::InvalidModel) {
  const std::string text = refusal(file.bytes(), code);
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

GgufBytes sound() {
  GgufBytes file;
  file.add_text("general.architecture", "llama");
  file.add_u32("llama.block_count", 7);
  file.add_f32("llama.eps", 0.5f);
  file.add("list", 9,
           le<std::uint32_t>(8) + le<std::uint64_t>(2) + gguf_text("a") + gguf_text("한"));
  file.add("numbers", 9, le<std::uint32_t>(5) + le<std::uint64_t>(3) + le(-1) + le(2) + le(3));
  file.add_tensor("w", {32, 2}, 2, std::string(36, '\1'));
  file.add_tensor("b", {3}, 0, le(1.0f) + le(2.0f) + le(3.0f));
  return file;
}

TEST(Gguf, ReadsKeyValuesAndTensors) {
  for (const std::uint32_t version : {2u, 3u}) {
    GgufBytes bytes = sound();
    bytes.version = version;
    const GgufFile file = read(bytes.bytes());
    EXPECT_EQ(file.version, version);
    EXPECT_EQ(file.text("general.architecture"), "llama");
    EXPECT_EQ(file.integer("llama.block_count"), 7);
    EXPECT_EQ(file.number("llama.eps"), 0.5);
    EXPECT_EQ(file.integer("absent", 5), 5);
    EXPECT_EQ(file.find("list")->strings, (std::vector<std::string_view>{"a", "한"}));
    EXPECT_EQ(file.find("numbers")->integer(0), -1);
    EXPECT_EQ(file.find("numbers")->integer(3), std::nullopt);
    const Tensor* w = file.find_tensor("w");
    ASSERT_NE(w, nullptr);
    EXPECT_EQ(w->dtype(), DType::Q4_0);
    EXPECT_EQ(w->shape(), Shape({2, 32}));
    EXPECT_EQ(file.find_tensor("b")->as<float>()[2], 3.0f);
    EXPECT_THROW(file.integer("general.architecture"), Error);
    EXPECT_THROW(file.text("llama.block_count"), Error);
    EXPECT_THROW(file.text("absent"), Error);
  }
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string bytes = sound().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) refusal(bytes.substr(0, size));
}

TEST(Gguf, SurvivesEveryChangedByte) {
  const std::string bytes = sound().bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      try {
        read(changed);
      } catch (const Error&) {
      }
    }
  }
}

TEST(Gguf, RefusesOtherVersions) {
  GgufBytes file = sound();
  file.version = 1;
  expect_refusal(file, "version", ErrorCode::Unsupported);
  file.version = 4;
  expect_refusal(file, "version", ErrorCode::Unsupported);
  file.version = 0x03000000;
  expect_refusal(file, "big-endian", ErrorCode::Unsupported);
  file.magic = "GGML";
  expect_refusal(file, "no GGUF");
}

TEST(Gguf, RefusesCountsThatTheFileCannotHold) {
  for (const std::uint64_t count :
       {std::uint64_t{1} << 62, ~std::uint64_t{0} - 16, std::uint64_t{1000}}) {
    GgufBytes tensors = sound();
    tensors.extra_tensors = count;
    expect_refusal(tensors, "tensors");
    GgufBytes entries = sound();
    entries.extra_entries = count;
    expect_refusal(entries, "key-values");
    GgufBytes array = sound();
    array.add("many", 9, le<std::uint32_t>(10) + le(count));
    expect_refusal(array, "array length");
    GgufBytes text = sound();
    text.add("long", 8, le(count));
    expect_refusal(text, "bytes to read");
  }
}

TEST(Gguf, RefusesLongNames) {
  GgufBytes key = sound();
  key.add_u32(std::string(1 << 20, 'k'), 1);
  expect_refusal(key, "name");
  GgufBytes tensor = sound();
  tensor.add_tensor(std::string(1 << 20, 'n'), {1}, 0, le(1.0f));
  expect_refusal(tensor, "name");
}

TEST(Gguf, RefusesArraysOfArraysAndUnknownKinds) {
  GgufBytes nested = sound();
  std::string value = le<std::uint32_t>(9) + le<std::uint64_t>(1);
  for (int depth = 0; depth < 1000; ++depth) value += le<std::uint32_t>(9) + le<std::uint64_t>(1);
  nested.add("deep", 9, value);
  expect_refusal(nested, "array of arrays");
  GgufBytes unknown = sound();
  unknown.add("odd", 13, le<std::uint64_t>(0));
  expect_refusal(unknown, "kind");
}

TEST(Gguf, RefusesBadAlignments) {
  for (const std::uint32_t alignment : {0u, 3u, 4u, 1u << 31}) {
    GgufBytes file = sound();
    file.add_u32("general.alignment", alignment);
    expect_refusal(file, "general.alignment");
  }
  GgufBytes text = sound();
  text.add_text("general.alignment", "32");
  expect_refusal(text, "general.alignment");
  GgufBytes list = sound();
  list.add("general.alignment", 9,
           le<std::uint32_t>(4) + le<std::uint64_t>(1) + le<std::uint32_t>(32));
  expect_refusal(list, "general.alignment");
}

TEST(Gguf, KeepsALargerAlignment) {
  GgufBytes file;
  file.alignment = 256;
  file.add_u32("general.alignment", 256);
  file.add_tensor("a", {1}, 0, le(1.0f));
  file.add_tensor("b", {1}, 0, le(2.0f));
  EXPECT_EQ(read(file.bytes()).find_tensor("b")->as<float>()[0], 2.0f);
}

TEST(Gguf, RefusesBadTensors) {
  struct Case {
    const char* part;
    std::vector<std::uint64_t> dims;
    std::uint32_t type;
    std::uint64_t offset;
    ErrorCode code = ErrorCode::InvalidModel;
  };
  const std::uint64_t huge = std::uint64_t{1} << 40;
  const Case cases[] = {
      {"overflow", {huge, huge}, 0, 0},
      {"63 bits", {huge, huge, huge, huge}, 0, 0},
      {"dimension", {~std::uint64_t{0}}, 0, 0},
      {"rank", {1, 1, 1, 1, 1}, 0, 0},
      {"rows", {33}, 2, 0},
      {"rows", {32}, 12, 0},
      {"offset", {1}, 0, 1},
      {"data", {1}, 0, 1 << 20},
      {"data", {1}, 0, ~std::uint64_t{0} - 31},
      {"data", {1u << 30}, 0, 0},
      {"overlap", {1}, 0, 32},
      {"element type", {1}, 4, 0, ErrorCode::Unsupported},
      {"element type", {1}, 99, 0, ErrorCode::Unsupported},
  };
  for (const Case& c : cases) {
    GgufBytes file = sound();
    file.add_info("bad", c.dims, c.type, c.offset);
    const std::string text = refusal(file.bytes(), c.code);
    EXPECT_TRUE(text.find(c.part) != std::string::npos ||
                text.find("overflow") != std::string::npos)
        << text;
    EXPECT_NE(text.find("bad"), std::string::npos) << text;
  }
}

TEST(Gguf, RefusesDuplicates) {
  GgufBytes key = sound();
  key.add_u32("llama.block_count", 8);
  expect_refusal(key, "twice");
  GgufBytes tensor = sound();
  tensor.add_tensor("b", {1}, 0, le(1.0f));
  expect_refusal(tensor, "twice");
}

class GgufSplit : public ::testing::Test {
 protected:
  GgufSplit() {
    std::string pattern = (fs::temp_directory_path() / "naru_gguf_XXXXXX").native();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~GgufSplit() override { fs::remove_all(folder_); }

  static GgufBytes part(std::uint32_t number, std::uint32_t count) {
    GgufBytes file;
    file.add("split.no", 2, le(static_cast<std::uint16_t>(number)));
    file.add("split.count", 2, le(static_cast<std::uint16_t>(count)));
    file.add("split.tensors.count", 5, le(static_cast<std::int32_t>(count)));
    file.add_tensor("t" + std::to_string(number), {1}, 0, le(static_cast<float>(number)));
    return file;
  }
  fs::path write(const std::string& name, const GgufBytes& file) {
    std::ofstream(folder_ / name, std::ios::binary) << file.bytes();
    return folder_ / name;
  }

  fs::path folder_;
};

TEST_F(GgufSplit, JoinsTheParts) {
  const fs::path first = write("m-00001-of-00003.gguf", part(0, 3));
  write("m-00002-of-00003.gguf", part(1, 3));
  EXPECT_THROW(load_gguf(first), Error);
  write("m-00003-of-00003.gguf", part(2, 3));
  const GgufFile file = load_gguf(first);
  EXPECT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.find_tensor("t2")->as<float>()[0], 2.0f);
}

TEST_F(GgufSplit, RefusesWrongParts) {
  const fs::path first = write("m-00001-of-00002.gguf", part(0, 2));
  write("m-00002-of-00002.gguf", part(0, 2));
  EXPECT_THROW(load_gguf(first), Error);  // the first part twice
  write("m-00002-of-00002.gguf", part(1, 2));
  EXPECT_EQ(load_gguf(first).tensors.size(), 2u);
  EXPECT_THROW(load_gguf(folder_ / "m-00002-of-00002.gguf"), Error);
  EXPECT_THROW(load_gguf(write("other.gguf", part(0, 2))), Error);
  EXPECT_THROW(load_gguf(write("m-00001-of-65535.gguf", part(0, 65535))), Error);
  GgufBytes twice = part(1, 2);
  twice.infos.clear();
  twice.data.clear();
  twice.add_tensor("t0", {1}, 0, le(0.0f));
  write("m-00002-of-00002.gguf", twice);
  EXPECT_THROW(load_gguf(first), Error);
}

TEST_F(GgufSplit, RefusesWhatIsNoFile) {
  EXPECT_THROW(load_gguf(folder_), Error);
  EXPECT_THROW(load_gguf(folder_ / "missing.gguf"), Error);
  EXPECT_THROW(load_gguf("/dev/zero"), Error);
}

}  // namespace
}  // namespace naru
