// What the reader found and what it took.
#include "report.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <string_view>

namespace label_reader {
namespace {

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string mebibytes(std::int64_t bytes) {
  return format("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

/// The lower median of a figure over the readings after the first, or of the first where it is all.
template <typename Figure>
double typical(const PictureReport& picture, Figure figure) {
  std::vector<double> values;
  for (const Label& label : picture.readings) values.push_back(figure(label));
  if (values.size() > 1) values.erase(values.begin());
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

double total_seconds(const Label& label) {
  double sum = 0;
  for (const StageTime& stage : label.stages) sum += stage.seconds;
  return sum;
}

void print_lines(std::ostream& out, const Label& label) {
  std::size_t widest = 0;
  const auto columns = [](const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  for (const Line& line : label.lines) widest = std::max(widest, columns(line.text));
  for (const Line& line : label.lines) {
    out << "  " << line.text << std::string(widest - columns(line.text) + 2, ' ')
        << format("%5.1f %%  ", 100 * line.confidence);
    for (const Point corner : line.box) out << format(" (%.0f, %.0f)", corner.x, corner.y);
    out << '\n';
  }
}

void print_times(std::ostream& out, const PictureReport& picture) {
  const bool repeated = picture.readings.size() > 1;
  out << "\n  latency            first" << (repeated ? "      median" : "")
      << "   in network   runs\n";
  for (std::size_t i = 0; i < picture.readings.front().stages.size(); ++i) {
    const StageTime& first = picture.readings.front().stages[i];
    out << format("  %-14s %8.1f ms", first.name.c_str(), 1e3 * first.seconds);
    const auto stage = [i](const Label& label) { return label.stages[i]; };
    if (repeated) {
      const double median = typical(picture, [&](const Label& l) { return stage(l).seconds; });
      out << format(" %8.1f ms", 1e3 * median);
    }
    const double network =
        typical(picture, [&](const Label& l) { return stage(l).network_seconds; });
    out << format(" %9.1f ms %6d\n", 1e3 * network, first.runs);
  }
  out << format("  %-14s %8.1f ms", "together", 1e3 * total_seconds(picture.readings.front()));
  if (repeated) out << format(" %8.1f ms", 1e3 * typical(picture, total_seconds));
  out << '\n';
}

void print_networks(std::ostream& out, const Reader& reader) {
  out << "\nnetwork   nodes on devices\n";
  for (const Network* network : reader.networks()) {
    out << "  " << network->name() << "    ";
    const auto placement = network->placement();
    if (placement.empty()) out << " not run";
    for (const auto& [where, count] : placement) {
      out << ' ' << count << " on " << where.first << " (" << where.second << ')';
    }
    out << '\n';
  }
  std::int64_t peak = 0;
  out << "\nmemory    constants   packed weights   workspace\n";
  for (const Network* network : reader.networks()) {
    const naru::MemoryReport memory = network->memory();
    std::int64_t weights = 0, workspace = memory.boundary_bytes;
    for (const naru::DeviceMemory& device : memory.devices) {
      weights += device.weights_bytes;
      workspace += device.workspace_bytes;
    }
    peak = std::max(peak, memory.measured_peak_bytes);
    out << format("  %s  %13s %16s %11s\n", network->name().c_str(),
                  mebibytes(memory.constants_bytes).c_str(), mebibytes(weights).c_str(),
                  mebibytes(workspace).c_str());
  }
  out << "  measured peak of the process " << mebibytes(peak) << '\n';
}

/// A JSON string. Text from the character file is UTF-8; control characters are escaped.
std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += format("\\u%04x", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

/// Calls `print` on each element, with commas between.
template <typename List, typename Print>
void print_list(std::ostream& out, const List& list, Print print) {
  out << '[';
  const char* separator = "";
  for (const auto& element : list) {
    out << separator;
    print(element);
    separator = ", ";
  }
  out << ']';
}

void print_json(std::ostream& out, const PictureReport& picture) {
  out << "{\"path\": " << json_string(picture.path) << ", \"width\": " << picture.width
      << ", \"height\": " << picture.height << ", \"lines\": ";
  print_list(out, picture.readings.back().lines, [&](const Line& line) {
    out << "{\"text\": " << json_string(line.text)
        << format(", \"confidence\": %.6f, \"box\": ", line.confidence);
    print_list(out, line.box,
               [&](Point corner) { out << format("[%.2f, %.2f]", corner.x, corner.y); });
    out << '}';
  });
  out << ", \"readings\": ";
  print_list(out, picture.readings, [&](const Label& label) {
    print_list(out, label.stages, [&](const StageTime& stage) {
      out << "{\"stage\": " << json_string(stage.name)
          << format(", \"s\": %.9f, \"network_s\": %.9f, \"runs\": %d}", stage.seconds,
                    stage.network_seconds, stage.runs);
    });
  });
  out << '}';
}

void print_json(std::ostream& out, const Network& network) {
  out << "{\"name\": " << json_string(network.name()) << ", \"placement\": ";
  print_list(out, network.placement(), [&](const auto& entry) {
    const auto& [where, count] = entry;
    out << "{\"device\": " << json_string(where.first)
        << ", \"tier\": " << json_string(where.second) << ", \"nodes\": " << count << '}';
  });
  const naru::MemoryReport memory = network.memory();
  out << ", \"constants_bytes\": " << memory.constants_bytes
      << ", \"boundary_bytes\": " << memory.boundary_bytes << ", \"devices\": ";
  print_list(out, memory.devices, [&](const naru::DeviceMemory& device) {
    out << "{\"device\": " << json_string(device.device)
        << ", \"weights_bytes\": " << device.weights_bytes
        << ", \"workspace_bytes\": " << device.workspace_bytes << '}';
  });
  out << ", \"measured_peak_bytes\": " << memory.measured_peak_bytes << '}';
}

}  // namespace

void print_text(std::ostream& out, const std::vector<PictureReport>& pictures,
                const Reader& reader) {
  for (const PictureReport& picture : pictures) {
    const Label& label = picture.readings.back();
    out << picture.path << " (" << picture.width << 'x' << picture.height
        << "): " << label.lines.size() << " lines\n";
    print_lines(out, label);
    print_times(out, picture);
    out << '\n';
  }
  print_networks(out, reader);
}

void print_json(std::ostream& out, const std::vector<PictureReport>& pictures,
                const Reader& reader) {
  out << "{\"schema\": \"naru.label/1\", \"pictures\": ";
  print_list(out, pictures, [&](const PictureReport& picture) { print_json(out, picture); });
  out << ", \"networks\": ";
  print_list(out, reader.networks(), [&](const Network* network) { print_json(out, *network); });
  out << "}\n";
}

}  // namespace label_reader
