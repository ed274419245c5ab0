// Typed access to JSON that a stranger wrote: each failure is an Error that names the place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace naru::text {

using Json = nlohmann::json;

/// Parses `text`. @throws Error InvalidModel that names `subject`.
Json parse_json(std::string_view text, std::string_view subject);

/// An object's member, or null when it is absent. @throws Error InvalidModel for no object.
const Json& member(const Json& object, const char* key);

/// Members by type. A member that is absent or null gives the default; one of another type is
/// Error InvalidModel.
std::string string_or(const Json& object, const char* key, std::string fallback = {});
bool bool_or(const Json& object, const char* key, bool fallback);
std::int64_t integer_or(const Json& object, const char* key, std::int64_t fallback);

/// Members that must be there. @throws Error InvalidModel.
const Json& array_at(const Json& object, const char* key);
const Json& object_at(const Json& object, const char* key);
std::string string_at(const Json& object, const char* key);
std::int64_t integer_at(const Json& object, const char* key);

/// A value that must be a string. @throws Error InvalidModel that names `subject`.
const std::string& as_string(const Json& value, const char* subject);

}  // namespace naru::text
