// NVRTC: the table of its functions and the one call that compiles.
#include "backends/cuda/nvrtc.h"

#include <algorithm>
#include <charconv>

#include "backends/cuda/library.h"
#include "graph/fail.h"

namespace naru::cuda {
namespace {

using TextHandle = struct TextObject*;
using Result = int;

struct Nvrtc {
#define NVRTC(name, symbol, parameters) Result(*name) parameters = nullptr;
#include "backends/cuda/nvrtc.def"
#undef NVRTC
  std::string missing;

  Nvrtc() {
    Library library({"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"},
                    "no NVRTC (install the CUDA toolkit's libnvrtc 12 or 13, for example pip install nvidia-cuda-nvrtc, and have "
                    "its folder in LD_LIBRARY_PATH)");
#define NVRTC(name, symbol, parameters) library.find(#symbol, name);
#include "backends/cuda/nvrtc.def"
#undef NVRTC
    missing = library.missing();
  }
};

const Nvrtc& nvrtc() {
  static const Nvrtc instance;
  return instance;
}

// Products and sums are joined only where a kernel says so, so that results are those of the other devices.
constexpr const char* kOptions[] = {"--std=c++17", "--fmad=false"};

class Text {
 public:
  explicit Text(const std::string& text) {
    if (!nvrtc().missing.empty()) fail(ErrorCode::Unsupported, "cuda: {}", nvrtc().missing);
    must(nvrtc().CreateProgram(&handle_, text.c_str(), "naru.cu", 0, nullptr, nullptr), "creating a program");
  }
  ~Text() { nvrtc().DestroyProgram(&handle_); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  void compile(const std::string& architecture) {
    const std::string first = "--gpu-architecture=" + architecture;
    std::vector<const char*> options = {first.c_str()};
    options.insert(options.end(), std::begin(kOptions), std::end(kOptions));
    if (nvrtc().CompileProgram(handle_, static_cast<int>(options.size()), options.data()) == 0) return;
    fail(ErrorCode::Device, "cuda: compiling for {} failed\n{}", architecture,
         content(nvrtc().GetProgramLogSize, nvrtc().GetProgramLog));
  }

  std::string content(Result (*size_of)(TextHandle, std::size_t*), Result (*copy)(TextHandle, char*)) const {
    std::size_t size = 0;
    must(size_of(handle_, &size), "reading a program's size");
    std::string bytes(size, '\0');
    must(copy(handle_, bytes.data()), "reading a program");
    return bytes;
  }

 private:
  static void must(Result result, const char* what) {
    if (result != 0) fail(ErrorCode::Device, "cuda: NVRTC: {} failed with {}", what, result);
  }
  TextHandle handle_ = nullptr;
};

}  // namespace

std::string to_string(const Architecture& architecture) { return fmt::format("sm_{}{}", architecture.major, architecture.minor); }

Architecture architecture_from(const std::string& text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const bool named = text.starts_with("sm_");
  const auto parsed = named ? std::from_chars(text.data() + 3, end, number) : std::from_chars_result{end, std::errc::invalid_argument};
  const Architecture architecture = {number / 10, number % 10};
  if (parsed.ec != std::errc{} || parsed.ptr != end || number > 999 || architecture < kOldest) {
    fail(ErrorCode::InvalidArgument, "cuda: got target '{}', expected {} or a later one", text, to_string(kOldest));
  }
  return architecture;
}

const std::string& nvrtc_missing() { return nvrtc().missing; }

std::string nvrtc_version() {
  int major = 0;
  int minor = 0;
  if (!nvrtc().missing.empty() || nvrtc().Version(&major, &minor) != 0) return "";
  return fmt::format("{}.{}", major, minor);
}

std::string compiler_options() { return fmt::format("{}", fmt::join(kOptions, " ")); }

std::vector<Architecture> nvrtc_architectures() {
  int count = 0;
  if (!nvrtc().missing.empty() || nvrtc().GetNumSupportedArchs(&count) != 0 || count <= 0) return {};
  std::vector<int> numbers(static_cast<std::size_t>(count));
  if (nvrtc().GetSupportedArchs(numbers.data()) != 0) return {};
  std::vector<Architecture> architectures;
  for (const int number : numbers) architectures.push_back({number / 10, number % 10});
  std::sort(architectures.begin(), architectures.end());
  return architectures;
}

std::string compile_cubin(const std::string& text, const Architecture& architecture) {
  Text program(text);
  const std::vector<Architecture> known = nvrtc_architectures();
  if (std::find(known.begin(), known.end(), architecture) == known.end()) {
    std::string names;
    for (const Architecture& one : known) names += (names.empty() ? "" : ", ") + to_string(one);
    fail(ErrorCode::Unsupported, "cuda: NVRTC {} compiles for {}, got {}", nvrtc_version(), names, to_string(architecture));
  }
  program.compile(to_string(architecture));
  return program.content(nvrtc().GetCUBINSize, nvrtc().GetCUBIN);
}

std::string compile_ptx(const std::string& text, const Architecture& architecture) {
  Text program(text);
  program.compile(fmt::format("compute_{}{}", architecture.major, architecture.minor));
  return program.content(nvrtc().GetPTXSize, nvrtc().GetPTX);
}

}  // namespace naru::cuda
