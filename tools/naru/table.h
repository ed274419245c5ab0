// Text output: aligned tables and quantities with units.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace naru::tool {

/// Rows of cells printed in aligned columns; the first row is the heading. Columns whose heading
/// starts with '>' are right-aligned (the sign is not printed).
class Table {
 public:
  explicit Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "12.3 MiB"
std::string bytes_text(std::int64_t bytes);
/// "12.34 ms", "3.2 us"
std::string seconds_text(double seconds);
/// seconds_text, or "-" for an absent figure.
std::string seconds_text(const std::optional<double>& seconds);
/// "1.23 G"
std::string count_text(double count);

}  // namespace naru::tool
