// ProgramCache: keys, files, compilation of what is missing.
#include "backends/generated/program_cache.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "compiler/kernel/print.h"
#include "graph/atomic_file.h"

namespace naru::generated {
namespace {

constexpr std::string_view kMagic = "NARUPRG\n";
constexpr std::int64_t kMaxFileBytes = INT64_C(256) << 20;

std::filesystem::path cache_folder(const std::string& name) {
  if (const char* own = std::getenv("NARU_CACHE"); own != nullptr) {
    return std::string_view(own).empty() ? std::filesystem::path() : std::filesystem::path(own) / name;
  }
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') {
    return std::filesystem::path(xdg) / "naru" / name;
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "naru" / name;
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

ProgramCache::ProgramCache(ProgramCompiler& compiler, const std::string& folder)
    : compiler_(compiler),
      identity_(compiler.identity()),
      prelude_(kernel::prelude(compiler.dialect())),
      folder_(cache_folder(folder)) {}

ProgramCache::Source ProgramCache::source_of(const kernel::Kernel& kernel) const {
  Source source{{}, kernel::symbol_of(kernel), kernel::print(kernel, compiler_.dialect())};
  Hasher hasher;
  for (const std::string_view part : {std::string_view(identity_), std::string_view(prelude_), std::string_view(source.text)}) {
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

Program ProgramCache::find(const Hash128& key) {
  if (const auto found = by_kernel_.find(key); found != by_kernel_.end()) return found->second;
  if (folder_.empty()) return nullptr;
  const auto reference = read_checked(file_of(key, ".kernel"));
  const auto batch = reference ? hash_from_string(*reference) : std::nullopt;
  if (!batch) return nullptr;
  Program program = load(*batch);
  if (program != nullptr) by_kernel_[key] = program;
  return program;
}

Program ProgramCache::load(const Hash128& batch) {
  if (const auto found = by_batch_.find(batch); found != by_batch_.end()) return found->second;
  const auto binary = read_checked(file_of(batch, ".program"));
  if (!binary) return nullptr;
  Program program = compiler_.load(bytes_of(*binary));
  if (program == nullptr) return nullptr;
  by_batch_[batch] = program;
  return program;
}

void ProgramCache::compile(const std::vector<Source>& sources) {
  std::string text = prelude_;
  Hasher hasher;
  for (const Source& source : sources) {
    text += source.text;
    hasher.hash(source.key);
  }
  const Hash128 batch = hasher.finish();
  const ProgramCompiler::Output output = compiler_.compile(text);
  if (!output.binary.empty() && !folder_.empty()) {
    write_checked(file_of(batch, ".program"), output.binary);
    for (const Source& source : sources) write_checked(file_of(source.key, ".kernel"), to_string(batch));
  }
  by_batch_[batch] = output.program;
  for (const Source& source : sources) by_kernel_[source.key] = output.program;
}

}  // namespace naru::generated
