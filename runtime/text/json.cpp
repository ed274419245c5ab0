// Typed access to JSON that a stranger wrote.
#include "runtime/text/json.h"

#include "graph/fail.h"

namespace naru::text {
namespace {

[[noreturn]] void wrong_type(const char* key, const Json& value, const char* expected) {
  fail(ErrorCode::InvalidModel, "'{}': got {}, expected {}", key, value.type_name(), expected);
}

}  // namespace

Json parse_json(std::string_view text, std::string_view subject) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) fail(ErrorCode::InvalidModel, "{}: got text that is no JSON", subject);
  return json;
}

const Json& member(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) wrong_type(key, object, "an object that holds it");
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string string_or(const Json& object, const char* key, std::string fallback) {
  const Json& value = member(object, key);
  return value.is_null() ? std::move(fallback) : as_string(value, key);
}

bool bool_or(const Json& object, const char* key, bool fallback) {
  const Json& value = member(object, key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) wrong_type(key, value, "true or false");
  return value.get<bool>();
}

std::int64_t integer_or(const Json& object, const char* key, std::int64_t fallback) {
  const Json& value = member(object, key);
  if (value.is_null()) return fallback;
  if (!value.is_number_integer()) wrong_type(key, value, "an integer");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)
    wrong_type(key, value, "an integer of 63 bits");
  return value.get<std::int64_t>();
}

const Json& array_at(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_array()) wrong_type(key, value, "an array");
  return value;
}

const Json& object_at(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_object()) wrong_type(key, value, "an object");
  return value;
}

std::string string_at(const Json& object, const char* key) {
  return as_string(member(object, key), key);
}

std::int64_t integer_at(const Json& object, const char* key) {
  if (member(object, key).is_null()) wrong_type(key, member(object, key), "an integer");
  return integer_or(object, key, 0);
}

const std::string& as_string(const Json& value, const char* subject) {
  if (!value.is_string()) wrong_type(subject, value, "a string");
  return value.get_ref<const std::string&>();
}

}  // namespace naru::text
