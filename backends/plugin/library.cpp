// Library: where plug-ins may lie, and what one must offer before anything of it is called.
#include "backends/plugin/library.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <thread>

#include "graph/fail.h"

namespace naru::plugin {
namespace {

std::int64_t parse_number(const std::string& key, const std::string& value, std::int64_t low, std::int64_t high) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    fail(ErrorCode::InvalidArgument, "plug-in option {}: got '{}', expected {} to {}", key, value, low, high);
  }
  return number;
}

void set_option(Target& target, std::string key, std::string value) {
  constexpr std::int64_t kDay = 86'400'000;
  if (key == "device") {
    target.device = static_cast<int>(parse_number(key, value, 0, 4095));
  } else if (key == "timeout_ms") {
    target.timeout_ms = parse_number(key, value, 1, kDay);
  } else if (key == "compile_timeout_ms") {
    target.compile_timeout_ms = parse_number(key, value, 1, kDay);
  } else if (key == "open_timeout_ms") {
    target.open_timeout_ms = parse_number(key, value, 1, kDay);
  } else if (key == "mode") {
    if (value != "worker" && value != "inprocess") {
      fail(ErrorCode::InvalidArgument, "plug-in option mode: got '{}', expected worker or inprocess", value);
    }
    target.in_process = value == "inprocess";
  } else {
    target.options.emplace_back(std::move(key), std::move(value));
  }
}

void check_owner(const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    fail(ErrorCode::InvalidArgument, "plug-in '{}': {}", path.string(), std::strerror(errno));
  }
  if (status.st_uid != 0 && status.st_uid != geteuid()) {
    fail(ErrorCode::InvalidArgument, "plug-in '{}': belongs to user {}, expected root or this user", path.string(),
         status.st_uid);
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    fail(ErrorCode::InvalidArgument, "plug-in '{}': others may write it (mode {:o}), expected nobody else to",
         path.string(), status.st_mode & 07777);
  }
}

void host_log(void*, std::int32_t level, const char* text) {
  static const bool wanted = [] {
    const char* setting = std::getenv("NARU_LOG");
    return setting != nullptr && std::string_view(setting).find("plugin") != std::string_view::npos;
  }();
  if (wanted && text != nullptr) std::fprintf(stderr, "naru: plug-in (%d): %s\n", static_cast<int>(level), text);
}

void* host_allocate(void*, std::uint64_t size, std::uint64_t alignment) {
  void* memory = nullptr;
  const auto aligned = std::max<std::uint64_t>(alignment, sizeof(void*));
  return posix_memalign(&memory, aligned, size) == 0 ? memory : nullptr;
}

void host_release(void*, void* memory) { std::free(memory); }

void host_parallel(void*, std::uint32_t count, void (*task)(void*, std::uint32_t), void* argument) {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  const unsigned workers = std::min<unsigned>(cores, count);
  if (workers <= 1) {
    for (std::uint32_t i = 0; i < count; ++i) task(argument, i);
    return;
  }
  std::vector<std::jthread> threads;
  for (unsigned worker = 0; worker < workers; ++worker) {
    threads.emplace_back([=] {
      for (std::uint32_t i = worker; i < count; i += workers) task(argument, i);
    });
  }
}

const naru_host& host() {
  static const naru_host services = {sizeof(naru_host), NARU_ABI_MAJOR, NARU_ABI_MINOR, 0,           nullptr,
                                     host_log,          host_allocate,  host_release,   host_parallel};
  return services;
}

/// What is missing of the required minimum; empty when nothing is.
std::string missing(const naru_plugin& api) {
  if (!NARU_HAS(&api, exec) || api.device == nullptr || api.compile == nullptr || api.exec == nullptr) {
    return "one of the tables device, compile, exec";
  }
  const naru_device_table& device = *api.device;
  if (!NARU_HAS(&device, close) || !device.count || !device.info || !device.open || !device.close) {
    return "a function of the table device";
  }
  const naru_compile_table& compile = *api.compile;
  if (!NARU_HAS(&compile, destroy) || !compile.support || !compile.compile || !compile.destroy) {
    return "a function of the table compile";
  }
  if (!NARU_HAS(api.exec, submit) || !api.exec->submit) return "submit of the table exec";
  return {};
}

}  // namespace

std::filesystem::path plugin_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&plugin_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code error;
  const std::filesystem::path library = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::filesystem::path() : library.parent_path() / "naru" / "plugins";
}

Target parse_target(std::string_view text) {
  Target target;
  std::size_t comma = text.find(',');
  const std::string_view name = text.substr(0, comma);
  if (name.empty()) fail(ErrorCode::InvalidArgument, "plug-in: got no path, expected plugin:PATH or plugin:NAME");
  if (name.find('/') == std::string_view::npos) {
    target.path = plugin_folder() / (std::string(name) + ".so");
  } else if (name.front() == '/') {
    target.path = name;
  } else {
    fail(ErrorCode::InvalidArgument, "plug-in '{}': got a relative path, expected an absolute one", name);
  }
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    const std::string_view option = text.substr(0, comma);
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      fail(ErrorCode::InvalidArgument, "plug-in option: got '{}', expected key=value", option);
    }
    set_option(target, std::string(option.substr(0, equals)), std::string(option.substr(equals + 1)));
  }
  return target;
}

void check_permissions(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) fail(ErrorCode::InvalidArgument, "plug-in '{}': {}", path.string(), error.message());
  if (!std::filesystem::is_regular_file(real)) {
    fail(ErrorCode::InvalidArgument, "plug-in '{}': is no regular file", path.string());
  }
  check_owner(real);
  check_owner(real.parent_path());
}

Library::Library(const std::filesystem::path& path) : name_(path.filename().string()) {
  check_permissions(path);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail(ErrorCode::Device, "plug-in '{}': {}", name_, dlerror());
  void* symbol = dlsym(handle, NARU_PLUGIN_SYMBOL);
  if (symbol == nullptr) fail(ErrorCode::Device, "plug-in '{}': has no symbol {}", name_, NARU_PLUGIN_SYMBOL);
  naru_status status{};
  status.struct_size = sizeof status;
  naru_code code = NARU_INTERNAL;
  try {
    code = reinterpret_cast<naru_plugin_get_api_fn>(symbol)(&host(), &api_, &status);
  } catch (...) {
    fail(ErrorCode::Device, "plug-in '{}': {} threw an exception", name_, NARU_PLUGIN_SYMBOL);
  }
  if (code != NARU_OK || api_ == nullptr) {
    status.text[sizeof status.text - 1] = '\0';
    fail(ErrorCode::Device, "plug-in '{}': {} answered {}: {}", name_, NARU_PLUGIN_SYMBOL, code, status.text);
  }
  if (api_->struct_size < offsetof(naru_plugin, artefact) || api_->abi_major != NARU_ABI_MAJOR) {
    fail(ErrorCode::Device, "plug-in '{}': got ABI {} with a table of {} bytes, expected ABI {}", name_,
         api_->abi_major, api_->struct_size, NARU_ABI_MAJOR);
  }
  if (const std::string what = missing(*api_); !what.empty()) {
    fail(ErrorCode::Device, "plug-in '{}': {} is missing", name_, what);
  }
  if (api_->name != nullptr) name_ = std::string(api_->name, strnlen(api_->name, 64));
}

}  // namespace naru::plugin
