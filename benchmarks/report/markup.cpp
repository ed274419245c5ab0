// XML text and SVG bars.
#include "benchmarks/report/markup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace naru::bench {
namespace {

// Pixels.
constexpr int kWidth = 760, kLabels = 300, kRow = 24, kHead = 30, kRight = 130;

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      case '\n': out += ' '; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::string bar_chart(const std::string& title, const std::vector<Bar>& bars) {
  double largest = 0;
  for (const Bar& bar : bars) largest = std::max({largest, bar.value, bar.high});
  if (largest <= 0 || !std::isfinite(largest)) return "";
  const double scale = (kWidth - kLabels - kRight) / largest;
  const int height = kHead + kRow * static_cast<int>(bars.size()) + 6;
  std::string svg = fmt::format("<svg role=\"img\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\"><title>{}</title><text x=\"0\" y=\"18\" class=\"t\">{}</text>\n",
                                kWidth, height, kWidth, height, escape(title), escape(title));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& bar = bars[i];
    const int y = kHead + kRow * static_cast<int>(i);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" class=\"l\">{}</text>", kLabels - 8, y + 15, escape(bar.label));
    svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" class=\"b\"/>", kLabels, y + 3, bar.value * scale, kRow - 8);
    double end = bar.value;
    if (bar.high > bar.low) {
      const double low = kLabels + std::max(0.0, bar.low) * scale, high = kLabels + bar.high * scale;
      svg += fmt::format("<path d=\"M{:.1f} {}H{:.1f}M{:.1f} {}v6M{:.1f} {}v6\" class=\"w\"/>", low, y + 11, high, low, y + 8, high, y + 8);
      end = std::max(end, bar.high);
    }
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"v\">{}</text>\n", kLabels + end * scale + 6, y + 15, escape(bar.text));
  }
  return svg + "</svg>\n";
}

}  // namespace naru::bench
