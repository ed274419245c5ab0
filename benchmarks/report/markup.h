// Text into XML and HTML, and bar charts as SVG.
#pragma once

#include <string>
#include <vector>

namespace naru::bench {

/// Escapes what has a meaning in XML; drops control characters, which XML 1.0 cannot hold.
std::string escape(const std::string& text);

struct Bar {
  std::string label;
  double value = 0;
  double low = 0, high = 0;  ///< of the interval; equal: none
  std::string text;          ///< the value as printed
};
/// Horizontal bars from zero with intervals as whiskers.
std::string bar_chart(const std::string& title, const std::vector<Bar>& bars);

}  // namespace naru::bench
