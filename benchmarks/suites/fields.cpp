// Strict reading of JSON objects.
#include "benchmarks/suites/fields.h"

#include "graph/fail.h"

namespace naru::bench {

Fields::Fields(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json.is_object()) fail(ErrorCode::InvalidArgument, "{}: got {}, expected an object", where_, json.type_name());
}

const nlohmann::json* Fields::find(const std::string& name) {
  known_.insert(name);
  const auto found = json_.find(name);
  return found == json_.end() ? nullptr : &*found;
}

void Fields::reject(const std::string& name, const std::string& expected) const {
  std::string got = json_.at(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (got.size() > 60) got = got.substr(0, 57) + "...";
  fail(ErrorCode::InvalidArgument, "{}.{}: got {}, expected {}", where_, name, got, expected);
}

std::string Fields::text(const std::string& name, const std::string& otherwise) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) reject(name, "a text");
  return value->get<std::string>();
}

std::string Fields::text(const std::string& name) {
  if (find(name) == nullptr) fail(ErrorCode::InvalidArgument, "{}: the field '{}' is missing", where_, name);
  return text(name, "");
}

double Fields::number(const std::string& name, double otherwise, double low, double high) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || value->get<double>() < low || value->get<double>() > high) {
    reject(name, fmt::format("a number from {} to {}", low, high));
  }
  return value->get<double>();
}

std::int64_t Fields::integer(const std::string& name, std::int64_t otherwise, std::int64_t low, std::int64_t high) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer() || value->get<double>() < static_cast<double>(low) || value->get<double>() > static_cast<double>(high)) {
    reject(name, fmt::format("an integer from {} to {}", low, high));
  }
  return value->get<std::int64_t>();
}

bool Fields::boolean(const std::string& name, bool otherwise) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) reject(name, "true or false");
  return value->get<bool>();
}

std::vector<std::string> Fields::texts(const std::string& name, std::vector<std::string> otherwise) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  std::vector<std::string> result;
  if (!value->is_array() || value->empty()) reject(name, "a list of texts");
  for (const nlohmann::json& element : *value) {
    if (!element.is_string()) reject(name, "a list of texts");
    result.push_back(element.get<std::string>());
  }
  return result;
}

std::vector<double> Fields::numbers(const std::string& name, std::vector<double> otherwise, double low, double high) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  const std::string expected = fmt::format("a list of at most 1000000 numbers from {} to {}", low, high);
  std::vector<double> result;
  if (!value->is_array() || value->empty() || value->size() > 1'000'000) reject(name, expected);
  for (const nlohmann::json& element : *value) {
    if (!element.is_number() || element.get<double>() < low || element.get<double>() > high) reject(name, expected);
    result.push_back(element.get<double>());
  }
  return result;
}

std::vector<std::int64_t> Fields::integers(const std::string& name, std::vector<std::int64_t> otherwise, std::int64_t low,
                                           std::int64_t high) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return otherwise;
  std::vector<std::int64_t> result;
  for (const double number : numbers(name, {}, static_cast<double>(low), static_cast<double>(high))) {
    if (number != static_cast<double>(static_cast<std::int64_t>(number))) reject(name, "a list of integers");
    result.push_back(static_cast<std::int64_t>(number));
  }
  return result;
}

const nlohmann::json* Fields::part(const std::string& name) { return find(name); }

void Fields::finish() const {
  for (const auto& [name, value] : json_.items()) {
    if (known_.count(name) == 0) fail(ErrorCode::InvalidArgument, "{}: unknown field '{}'", where_, name);
  }
}

}  // namespace naru::bench
