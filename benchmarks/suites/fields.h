// Fields: reads a JSON object strictly; every field must be known and of its kind.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace naru::bench {

/// Getters note which fields were asked for; finish() refuses the others.
class Fields {
 public:
  /// @throws Error InvalidArgument when `json` is no object.
  Fields(const nlohmann::json& json, std::string where);

  bool has(const std::string& name) const { return json_.contains(name); }
  std::string text(const std::string& name, const std::string& otherwise);
  std::string text(const std::string& name);
  double number(const std::string& name, double otherwise, double low, double high);
  std::int64_t integer(const std::string& name, std::int64_t otherwise, std::int64_t low, std::int64_t high);
  bool boolean(const std::string& name, bool otherwise);
  std::vector<std::string> texts(const std::string& name, std::vector<std::string> otherwise);
  std::vector<double> numbers(const std::string& name, std::vector<double> otherwise, double low, double high);
  std::vector<std::int64_t> integers(const std::string& name, std::vector<std::int64_t> otherwise, std::int64_t low,
                                     std::int64_t high);
  /// A part that is read by other means; null when absent.
  const nlohmann::json* part(const std::string& name);
  /// @throws Error InvalidArgument naming the first unknown field.
  void finish() const;
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json* find(const std::string& name);
  [[noreturn]] void reject(const std::string& name, const std::string& expected) const;

  const nlohmann::json& json_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace naru::bench
