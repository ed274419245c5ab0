// ProgramCache: keys, files, compilation of what is missing.
#include "backends/generated/program_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "backends/generated/carried_code.h"
#include "compiler/kernel/print.h"
#include "graph/atomic_file.h"

namespace naru::generated {
namespace {

constexpr std::int64_t kMaxFileBytes = INT64_C(256) << 20;

/// Cached programs are machine code: a folder in which others can write is not used. One that is not
/// there yet will be made so that they cannot.
bool is_private(const std::filesystem::path& folder) {
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) return true;
  return info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::filesystem::path named_folder(const std::string& name) {
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

std::filesystem::path cache_folder(const std::string& name) {
  std::filesystem::path folder = named_folder(name);
  return is_private(folder) ? folder : std::filesystem::path();
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > static_cast<std::uintmax_t>(kMaxFileBytes)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  return text;
}

/// The file's content, or nothing when it is absent or damaged.
std::optional<std::string> read_sealed(const std::filesystem::path& path) {
  const auto text = read_file(path);
  const auto payload = text ? unsealed(bytes_of(*text)) : std::nullopt;
  if (!payload) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(payload->data()), payload->size());
}

/// A cache that cannot be written costs time, not the result.
void write_sealed(const std::filesystem::path& path, std::string_view payload) noexcept {
  try {
    const std::filesystem::path folder = path.parent_path();
    if (std::filesystem::create_directories(folder)) std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    AtomicFile file(path);
    file.write(sealed(payload));
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
  source.key = kernel_key({identity_, prelude_, source.text});
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
    if (!listed && find(source) == nullptr) absent.push_back(source);
  }
  if (!absent.empty()) compile(absent);
  std::vector<BuiltKernel> result;
  for (const Source& source : sources) result.push_back({by_kernel_.at(source.key), source.symbol});
  return result;
}

Program ProgramCache::find(const Source& source) {
  if (const auto found = by_kernel_.find(source.key); found != by_kernel_.end()) return found->second;
  Program program = find_carried(source);
  if (program == nullptr && !folder_.empty()) program = find_file(source.key);
  if (program != nullptr) by_kernel_[source.key] = program;
  return program;
}

Program ProgramCache::find_file(const Hash128& key) {
  const auto reference = read_sealed(file_of(key, ".kernel"));
  const auto batch = reference ? hash_from_string(*reference) : std::nullopt;
  return batch ? load(*batch) : nullptr;
}

Program ProgramCache::find_carried(const Source& source) {
  if (carried_.empty()) return nullptr;
  for (const std::string& target : compiler_.targets()) {
    const auto found = carried_.find(to_string(code_key(compiler_, target, source.text)));
    if (found == carried_.end()) continue;
    const std::span<const std::byte> bytes = found->second.bytes;
    const auto [known, is_new] = carried_programs_.try_emplace(bytes.data());
    const auto binary = is_new ? unsealed(bytes) : std::nullopt;
    if (binary) known->second = compiler_.load(*binary);
    if (known->second != nullptr) return known->second;
  }
  return nullptr;
}

void ProgramCache::add(std::span<const CodeBlob> code) {
  const std::lock_guard lock(mutex_);
  const std::vector<std::string> targets = compiler_.targets();
  for (const CodeBlob& blob : code) {
    if (std::find(targets.begin(), targets.end(), blob.target) != targets.end()) carried_.emplace(blob.key, blob);
  }
}

bool ProgramCache::has_code() const {
  const std::lock_guard lock(mutex_);
  return !carried_.empty();
}

Program ProgramCache::load(const Hash128& batch) {
  if (const auto found = by_batch_.find(batch); found != by_batch_.end()) return found->second;
  const auto binary = read_sealed(file_of(batch, ".program"));
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
    write_sealed(file_of(batch, ".program"), output.binary);
    for (const Source& source : sources) write_sealed(file_of(source.key, ".kernel"), to_string(batch));
  }
  by_batch_[batch] = output.program;
  for (const Source& source : sources) by_kernel_[source.key] = output.program;
}

}  // namespace naru::generated
