// ProgramCache: compilation, binaries, files.
#include "backends/opencl/program_cache.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "compiler/kernel/print.h"
#include "graph/atomic_file.h"
#include "graph/fail.h"

namespace naru::opencl {
namespace {

constexpr const char* kOptions = "-cl-std=CL1.2";
constexpr std::string_view kMagic = "NARUCL1\n";
constexpr std::int64_t kMaxFileBytes = INT64_C(256) << 20;

std::filesystem::path cache_folder() {
  if (const char* own = std::getenv("NARU_CACHE"); own != nullptr) {
    return std::string_view(own).empty() ? std::filesystem::path() : std::filesystem::path(own) / "opencl";
  }
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') {
    return std::filesystem::path(xdg) / "naru" / "opencl";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "naru" / "opencl";
  }
  return {};
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// The file's content behind magic and hash, or nothing when it is absent or damaged.
std::optional<std::string> read_checked(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > static_cast<std::uintmax_t>(kMaxFileBytes)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  constexpr std::size_t kHead = kMagic.size() + 32;
  if (text.size() < kHead || !text.starts_with(kMagic)) return std::nullopt;
  const std::string_view payload = std::string_view(text).substr(kHead);
  if (text.substr(kMagic.size(), 32) != to_string(hash_bytes(bytes_of(payload)))) return std::nullopt;
  return std::string(payload);
}

/// A cache that cannot be written costs time, not the result.
void write_checked(const std::filesystem::path& path, std::string_view payload) noexcept {
  try {
    std::filesystem::create_directories(path.parent_path());
    AtomicFile file(path);
    file.write(std::string(kMagic) + to_string(hash_bytes(bytes_of(payload))));
    file.write(bytes_of(payload));
    file.commit();
  } catch (const std::exception&) {
  }
}

}  // namespace

ProgramCache::ProgramCache(cl_context context, const Profile& profile)
    : context_(context), profile_(profile), folder_(cache_folder()) {}

ProgramCache::Source ProgramCache::source_of(const kernel::Kernel& kernel) const {
  Source source{{}, kernel::symbol_of(kernel), kernel::print(kernel, kernel::Dialect::OpenCl)};
  Hasher hasher;
  for (const std::string& part : {profile_.identity(), std::string(kOptions), kernel::prelude(kernel::Dialect::OpenCl), source.text}) {
    hasher.text(part);
  }
  source.key = hasher.finish();
  return source;
}

std::filesystem::path ProgramCache::file_of(const Hash128& key, const char* suffix) const {
  return folder_ / (to_string(key) + suffix);
}

std::vector<BuiltKernel> ProgramCache::get(std::span<const kernel::Kernel* const> kernels) {
  const std::lock_guard lock(mutex_);
  std::vector<Source> sources;
  std::vector<Source> absent;
  for (const kernel::Kernel* kernel : kernels) {
    sources.push_back(source_of(*kernel));
    const Source& source = sources.back();
    const bool listed = std::any_of(absent.begin(), absent.end(), [&](const Source& s) { return s.key == source.key; });
    if (!listed && find(source.key) == nullptr) absent.push_back(source);
  }
  if (!absent.empty()) compile(absent);
  std::vector<BuiltKernel> result;
  for (const Source& source : sources) result.push_back({by_kernel_.at(source.key), source.symbol});
  return result;
}

ProgramCache::Program ProgramCache::find(const Hash128& key) {
  if (const auto found = by_kernel_.find(key); found != by_kernel_.end()) return found->second;
  if (folder_.empty()) return nullptr;
  const auto reference = read_checked(file_of(key, ".kernel"));
  const auto batch = reference ? hash_from_string(*reference) : std::nullopt;
  if (!batch) return nullptr;
  Program program = load(*batch);
  if (program != nullptr) by_kernel_[key] = program;
  return program;
}

ProgramCache::Program ProgramCache::load(const Hash128& batch) {
  if (const auto found = by_batch_.find(batch); found != by_batch_.end()) return found->second;
  const auto binary = read_checked(file_of(batch, ".program"));
  if (!binary) return nullptr;
  Program program = from_binary(bytes_of(*binary));
  if (program == nullptr) return nullptr;
  by_batch_[batch] = program;
  return program;
}

ProgramCache::Program ProgramCache::from_binary(std::span<const std::byte> binary) const {
  const std::size_t size = binary.size();
  const auto* data = reinterpret_cast<const unsigned char*>(binary.data());
  cl_int status = CL_SUCCESS;
  ProgramHandle program(api().CreateProgramWithBinary(context_, 1, &profile_.device, &size, &data, nullptr, &status));
  if (status != CL_SUCCESS) return nullptr;
  if (api().BuildProgram(program.get(), 1, &profile_.device, "", nullptr, nullptr) != CL_SUCCESS) return nullptr;
  return std::make_shared<const ProgramHandle>(std::move(program));
}

ProgramHandle ProgramCache::build(const std::string& text) const {
  const char* source = text.c_str();
  cl_int status = CL_SUCCESS;
  ProgramHandle program(api().CreateProgramWithSource(context_, 1, &source, nullptr, &status));
  check(status, "creating a program");
  status = api().BuildProgram(program.get(), 1, &profile_.device, kOptions, nullptr, nullptr);
  if (status == CL_SUCCESS) return program;
  std::size_t size = 0;
  api().GetProgramBuildInfo(program.get(), profile_.device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size);
  std::string log(size, '\0');
  api().GetProgramBuildInfo(program.get(), profile_.device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
  fail(ErrorCode::Device, "opencl: building a program failed with {}\n{}\n{}", status_name(status), log, text);
}

void ProgramCache::compile(const std::vector<Source>& sources) {
  std::string text = kernel::prelude(kernel::Dialect::OpenCl);
  Hasher hasher;
  for (const Source& source : sources) {
    text += source.text;
    hasher.hash(source.key);
  }
  const Hash128 batch = hasher.finish();
  ProgramHandle built = build(text);
  std::size_t size = 0;
  std::string binary;
  if (api().GetProgramInfo(built.get(), CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, nullptr) == CL_SUCCESS && size > 0) {
    binary.resize(size);
    auto* data = reinterpret_cast<unsigned char*>(binary.data());
    if (api().GetProgramInfo(built.get(), CL_PROGRAM_BINARIES, sizeof(data), &data, nullptr) != CL_SUCCESS) binary.clear();
  }
  // What runs is what a later process will load: compiled once, and the cache is proven at once.
  Program program = binary.empty() ? nullptr : from_binary(bytes_of(binary));
  if (program == nullptr) {
    program = std::make_shared<const ProgramHandle>(std::move(built));
  } else if (!folder_.empty()) {
    write_checked(file_of(batch, ".program"), binary);
    for (const Source& source : sources) write_checked(file_of(source.key, ".kernel"), to_string(batch));
  }
  by_batch_[batch] = program;
  for (const Source& source : sources) by_kernel_[source.key] = program;
}

}  // namespace naru::opencl
