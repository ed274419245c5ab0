// load_model(): recognition of formats, and errors that say what a file is.
#include "graph/load.h"

#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "naru/error.h"

#include "graph/serialize.h"
#include "graph/text.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

class Load : public ::testing::Test {
 protected:
  Load() {
    std::string pattern = (fs::temp_directory_path() / "naru_load_XXXXXX").native();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Load() override { fs::remove_all(folder_); }

  fs::path write(const char* name, std::string_view content) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::string error_of(const fs::path& path, ErrorCode code) {
    try {
      load_model(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

/// ModelProto: ir_version 10, opset 25, a graph "g" with x = f32 input, y = Identity(x).
std::string tiny_onnx() {
  const auto field = [](char tag, const std::string& bytes) {
    return std::string{tag, static_cast<char>(bytes.size())} + bytes;
  };
  const std::string type = field('\x0a', {'\x08', '\x01'});  // tensor_type { elem_type: 1 }
  const auto info = [&](const char* name) { return field('\x0a', name) + field('\x12', type); };
  const std::string node = field('\x0a', "x") + field('\x12', "y") + field('\x22', "Identity");
  const std::string graph = field('\x0a', node) + field('\x12', "g") + field('\x5a', info("x")) +
                            field('\x62', info("y"));
  return std::string{'\x08', '\x0a'} + field('\x3a', graph) +
         field('\x42', std::string{'\x10', '\x19'});
}

constexpr const char* kText = "graph \"g\" { input %x: f32[2] %y = Identity(%x) output %y }";

TEST_F(Load, RecognisesFormatsByContent) {
  const Graph graph = parse_text(kText);
  save_naru(graph, folder_ / "a.txt");
  EXPECT_EQ(load_model(folder_ / "a.txt").name, "g");
  const Graph text = load_model(write("b.onnx", std::string("# comment\n") + kText));
  EXPECT_EQ(to_string(text.value(text.outputs[0]).type), "f32[2]");
  EXPECT_EQ(load_model(write("c.bin", tiny_onnx())).name, "g");
  fs::create_symlink("c.bin", folder_ / "link");
  EXPECT_EQ(load_model(folder_ / "link").name, "g");
}

TEST_F(Load, SaysWhatAFileIs) {
  EXPECT_NE(error_of(write("empty.onnx", ""), ErrorCode::InvalidModel).find("is empty"),
            std::string::npos);
  EXPECT_NE(error_of(write("lfs.onnx.txt", "version https://git-lfs.github.com/spec/v1\n"),
                     ErrorCode::InvalidModel)
                .find("Git LFS"),
            std::string::npos);
  EXPECT_NE(error_of(write("x.pt", "PK\x03\x04zzz"), ErrorCode::InvalidModel).find("zip archive"),
            std::string::npos);
  EXPECT_NE(
      error_of(write("x", "what is this"), ErrorCode::InvalidModel).find("starts with 'what is '"),
      std::string::npos);
  EXPECT_NE(error_of(write("x.gguf", "GGUF\x03"), ErrorCode::InvalidModel).find("bytes to read"),
            std::string::npos);
  EXPECT_NE(error_of(write("x.st", std::string("\x10\0\0\0\0\0\0\0{\"a\":1}", 15)),
                     ErrorCode::Unsupported)
                .find("safetensors"),
            std::string::npos);
  EXPECT_NE(error_of(write("x.naru", "NARX"), ErrorCode::InvalidModel).find("container"),
            std::string::npos);
  EXPECT_NE(error_of(write("bad.onnx", "\xff\xff"), ErrorCode::InvalidModel), "no error");
  EXPECT_NE(
      error_of(write("bad.txt", "naru text 1\nnonsense"), ErrorCode::InvalidModel).find("line 2"),
      std::string::npos);
}

TEST_F(Load, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo.onnx").c_str(), 0600), 0);
  for (const fs::path& path :
       {folder_, folder_ / "fifo.onnx", fs::path("/dev/zero"), folder_ / "missing.onnx",
        fs::path("/proc/self/mem/x"), fs::path("")}) {
    EXPECT_NE(error_of(path, ErrorCode::Io), "no error") << path;
  }
}

TEST_F(Load, ASparseTerabyteCostsNothing) {
  const fs::path path = write("sparse.naru", "NARU");
  std::error_code error;
  fs::resize_file(path, std::uintmax_t{1} << 40, error);
  if (error) GTEST_SKIP() << "the file system of the temporary folder cannot hold such a file";
  EXPECT_NE(error_of(path, ErrorCode::Unsupported).find("version 0.0"), std::string::npos);
}

}  // namespace
}  // namespace naru
