// The emulated NVRTC: CUDA C of naru's kernels to a shared library of host code.
#include <cstring>
#include <memory>
#include <mutex>

#include "compiler/kernel/print.h"
#include "tests/backends/cuda/emulator/emulator.h"
#include "tests/backends/cuda/emulator/image.h"

using TextHandle = struct TextObject*;

#define NVRTC(name, symbol, parameters) extern "C" int symbol parameters;
#include "backends/cuda/nvrtc.def"
#undef NVRTC

struct TextObject {
  std::string text;
  std::string log;
  std::string image;
};

namespace naru::test::emulator {
namespace {

constexpr int kCompilationFailed = 6;
constexpr const char* kKernelStart = "extern \"C\" __global__ void ";

const char* const kHostPrelude =
#include "tests/backends/cuda/emulator/host_prelude.inc"
    ;

/// One parameter: its type, and how the driver sees it: 'p' for an address, else its size in bytes.
struct Parameter {
  std::string type;
  char kind;
};

Parameter parameter_from(std::string text) {
  text = text.substr(0, text.rfind(' '));
  if (const std::size_t at = text.find(" __restrict__"); at != std::string::npos) text.resize(at);
  const bool address = text.find('*') != std::string::npos;
  return {text, address ? 'p' : text.find("double") != std::string::npos ? '8' : '4'};
}

std::vector<Parameter> parameters_from(const std::string& list) {
  std::vector<Parameter> parameters;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = std::min(list.find(", ", at), list.size());
    parameters.push_back(parameter_from(list.substr(at, comma - at)));
    at = comma + 2;
  }
  return parameters;
}

/// What the driver finds a kernel by: its entry with parameters by address, their kinds, whether it meets.
std::string entry_of(const std::string& symbol, const std::vector<Parameter>& parameters, bool meets) {
  std::string call;
  std::string kinds;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    call += (i == 0 ? "*(" : ", *(") + parameters[i].type + "*)p[" + std::to_string(i) + "]";
    kinds += parameters[i].kind;
  }
  return "extern \"C\" void entry_" + symbol + "(void** p) { " + symbol + "(" + call + "); }\n" +
         "extern \"C\" { extern const char kinds_" + symbol + "[] = \"" + (meets ? "m" : "-") + kinds + "\"; }\n";
}

std::string host_text(const std::string& text) {
  const std::string prelude = kernel::prelude(kernel::Dialect::Cuda);
  std::string result = kHostPrelude + (text.starts_with(prelude) ? text.substr(prelude.size()) : text);
  std::string entries;
  for (std::size_t at = text.find(kKernelStart); at != std::string::npos;) {
    const std::size_t name = at + std::strlen(kKernelStart);
    const std::size_t open = text.find('(', name);
    const std::size_t close = text.find(") {", open);
    const std::size_t next = text.find(kKernelStart, close);
    const bool meets = text.substr(close, next - close).find("__syncthreads") != std::string::npos;
    entries += entry_of(text.substr(name, open - name), parameters_from(text.substr(open + 1, close - open - 1)), meets);
    at = next;
  }
  return result + entries;
}

/// Compiles with the host's compiler; the log is empty when that works.
std::string compile(const std::string& text, std::string& image) {
  const ScratchFolder folder;
  write_file(folder / "kernels.cpp", host_text(text));
  const std::string command = std::string(NARU_HOST_COMPILER) + " -std=c++17 -O1 -w -march=native -ffp-contract=off -fwrapv -fno-strict-aliasing" +
                              " -fPIC -shared -o " + (folder / "kernels.so").string() + " " + (folder / "kernels.cpp").string() +
                              " -lm 2> " + (folder / "log").string();
  if (std::system(command.c_str()) != 0) return read_file(folder / "log") + "\n";
  image = read_file(folder / "kernels.so");
  return "";
}

}  // namespace
}  // namespace naru::test::emulator

namespace emulator = naru::test::emulator;

int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return 0;
}

int nvrtcGetNumSupportedArchs(int* count) {
  *count = static_cast<int>(emulator::known_architectures().size());
  return 0;
}

int nvrtcGetSupportedArchs(int* numbers) {
  const std::vector<int> known = emulator::known_architectures();
  std::copy(known.begin(), known.end(), numbers);
  return 0;
}

int nvrtcCreateProgram(TextHandle* program, const char* text, const char*, int, const char* const*, const char* const*) {
  *program = new TextObject{text, {}, {}};
  return 0;
}

int nvrtcDestroyProgram(TextHandle* program) {
  delete *program;
  *program = nullptr;
  return 0;
}

int nvrtcCompileProgram(TextHandle program, int count, const char* const* options) {
  if (const int status = emulator::record_compilation(); status != 0) return status;
  const std::string first = count > 0 ? options[0] : "";
  const std::string architecture = first.substr(first.find('=') + 1);
  program->log = emulator::compile(program->text, program->image);
  program->image = emulator::kImageHead + architecture + "\n" + program->image;
  return program->log.empty() ? 0 : emulator::kCompilationFailed;
}

int nvrtcGetProgramLogSize(TextHandle program, std::size_t* size) {
  *size = program->log.size();
  return 0;
}

int nvrtcGetProgramLog(TextHandle program, char* log) {
  std::memcpy(log, program->log.data(), program->log.size());
  return 0;
}

int nvrtcGetCUBINSize(TextHandle program, std::size_t* size) {
  *size = program->image.size();
  return 0;
}

int nvrtcGetCUBIN(TextHandle program, char* image) {
  std::memcpy(image, program->image.data(), program->image.size());
  return 0;
}

int nvrtcGetPTXSize(TextHandle program, std::size_t* size) { return nvrtcGetCUBINSize(program, size); }
int nvrtcGetPTX(TextHandle program, char* image) { return nvrtcGetCUBIN(program, image); }
