// The registry: instantiates every backend that the build names in backends.def.
#include "backends/registry.h"

#include <charconv>

#include "graph/fail.h"

namespace naru {

#define BACKEND(name) std::unique_ptr<Backend> make_##name##_backend();
#include "backends.def"
#undef BACKEND

std::optional<int> parse_device_index(std::string_view target) {
  int index = 0;
  const char* const last = target.data() + target.size();
  const auto [end, error] = std::from_chars(target.data(), last, index);
  if (error != std::errc{} || end != last || index < 0) return std::nullopt;
  return index;
}

std::unique_ptr<Device> Backend::open_named(std::string_view target, const DeviceOptions&) const {
  fail(ErrorCode::InvalidArgument, "device '{}:{}': got index '{}', expected a number", name(), target, target);
}

std::unique_ptr<Device> Backend::open_compiler(std::string_view target) const {
  fail(ErrorCode::Unsupported, "target '{}:{}': backend {} compiles nothing ahead of time", name(), target, name());
}

const std::vector<std::unique_ptr<Backend>>& backends() {
  static const std::vector<std::unique_ptr<Backend>> all = [] {
    std::vector<std::unique_ptr<Backend>> list;
#define BACKEND(name) list.push_back(make_##name##_backend());
#include "backends.def"
#undef BACKEND
    return list;
  }();
  return all;
}

namespace {

/// The parts of "cuda:sm_90"; behind the colon stands 0 when there is none.
struct DeviceName {
  std::string_view backend;
  std::string_view target;
};

DeviceName split(std::string_view id) {
  const std::size_t colon = id.find(':');
  return {id.substr(0, colon), colon == std::string_view::npos ? "0" : id.substr(colon + 1)};
}

const Backend& backend_of(std::string_view id, std::string_view name) {
  std::string known;
  for (const auto& backend : backends()) {
    if (backend->name() == name) return *backend;
    known += (known.empty() ? "" : ", ") + backend->name();
  }
  fail(ErrorCode::InvalidArgument, "device '{}': no such backend, expected one of {}", id, known);
}

}  // namespace

std::unique_ptr<Device> open_device(std::string_view id, const DeviceOptions& options) {
  const auto [name, target] = split(id);
  const std::optional<int> index = parse_device_index(target);
  const Backend& backend = backend_of(id, name);
  if (!index) return backend.open_named(target, options);
  const auto devices = backend.devices();
  if (static_cast<std::size_t>(*index) >= devices.size()) {
    fail(ErrorCode::InvalidArgument, "device '{}': backend {} has {} devices", id, name, devices.size());
  }
  const DeviceInfo& info = devices[static_cast<std::size_t>(*index)];
  if (!info.available) fail(ErrorCode::Unsupported, "device '{}': {}", id, info.unavailable_reason);
  return backend.open(*index, options);
}

std::unique_ptr<Device> open_compiler(std::string_view target) {
  const auto [name, rest] = split(target);
  return backend_of(target, name).open_compiler(rest);
}

}  // namespace naru
