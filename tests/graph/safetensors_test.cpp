// Safetensors: sound files and each attack on the header.
#include "graph/import/safetensors.h"

#include <gtest/gtest.h>

#include "naru/error.h"

#include "tests/graph/gguf_bytes.h"

namespace naru {
namespace {

using testing::le;

std::string file_of(const std::string& header, const std::string& data = {}) {
  return le<std::uint64_t>(header.size()) + header + data;
}

std::vector<NamedTensor> read(const std::string& bytes) {
  return read_safetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), nullptr);
}

std::string refusal(const std::string& bytes, ErrorCode code = ErrorCode::InvalidModel) {
  try {
    read(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted " << bytes.substr(8, 200);
  return {};
}

const std::string kSound =
    R"({"__metadata__":{"format":"pt","x":"y"},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},)"
    R"("a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})";

TEST(Safetensors, ReadsTensorsWhereverTheyLie) {
  for (const char* padding : {"", " ", "  ", "   "}) {
    const std::string bytes = file_of(kSound + padding, std::string(4, '\0') + le(1.5f) + le(2.5f));
    const std::vector<NamedTensor> tensors = read(bytes);
    ASSERT_EQ(tensors.size(), 2u);
    EXPECT_EQ(tensors[0].name, "b");
    EXPECT_EQ(tensors[0].data.as<float>()[1], 2.5f);
    EXPECT_EQ(tensors[1].data.dtype(), DType::BF16);
    EXPECT_EQ(tensors[1].data.shape(), Shape({1, 2}));
  }
  EXPECT_TRUE(read(file_of("{}")).empty());
}

TEST(Safetensors, RefusesTruncationsAndHeaderSizes) {
  const std::string bytes = file_of(kSound, std::string(12, '\0'));
  for (std::size_t size = 0; size < bytes.size(); ++size) refusal(bytes.substr(0, size));
  for (const std::uint64_t size :
       {~std::uint64_t{0}, std::uint64_t{1} << 62, std::uint64_t{1000}}) {
    refusal(le(size) + kSound);
  }
}

TEST(Safetensors, RefusesWhatTheHeaderMayNotHold) {
  const auto entry = [](const std::string& fields) {
    return file_of("{\"t\":{" + fields + "}}", std::string(64, '\0'));
  };
  for (
      const char* fields : {
          R"("dtype":"F32","shape":[2])",
          R"("dtype":"F32","data_offsets":[0,8])",
          R"("shape":[2],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[2],"data_offsets":[0,9])",
          R"("dtype":"F32","shape":[2],"data_offsets":[8,0])",
          R"("dtype":"F32","shape":[2],"data_offsets":[60,68])",
          R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])",
          R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615])",
          R"("dtype":"F32","shape":[-1],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])",
          R"("dtype":"F32","shape":[2.5],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":"2","data_offsets":[0,8])",
          R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)",
          R"("dtype":["F32"],"shape":[2],"data_offsets":[0,8])",
          R"("dtype":"F32","shape":{"a":1},"data_offsets":[0,8])",
      }) {
    refusal(entry(fields));
  }
  refusal(entry(R"("dtype":"X9","shape":[2],"data_offsets":[0,8])"), ErrorCode::Unsupported);
  for (const char* header :
       {"", "[]", "1", "{\"t\":1}", "{\"t\":[]}", "{\"t\":null}", "{", "{\"__metadata__\":1}",
        "{\"__metadata__\":{\"a\":{}}}", "{\"\xff\":{}}"}) {
    refusal(file_of(header));
  }
  refusal(file_of("{\"t\":" + std::string(100000, '[')));
  refusal(file_of(std::string(100000, '{')));
}

TEST(Safetensors, RefusesDuplicatesAndOverlaps) {
  const std::string t = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string u = R"({"dtype":"F32","shape":[1],"data_offsets":[2,6]})";
  const std::string data(8, '\0');
  EXPECT_NE(refusal(file_of("{\"t\":" + t + ",\"t\":" + t + "}", data)).find("twice"),
            std::string::npos);
  EXPECT_NE(refusal(file_of("{\"t\":" + t + ",\"u\":" + u + "}", data)).find("overlap"),
            std::string::npos);
}

}  // namespace
}  // namespace naru
