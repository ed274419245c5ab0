// naru_label_reader: reads the text on pictures of labels. It uses Naru as any application does.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reader.h"
#include "report.h"

namespace label_reader {
namespace {

// As the `naru` program.
enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kInvalid = 3, kUnsupported = 4, kMemory = 5 };

constexpr const char* kHelp =
    R"(usage: naru_label_reader [options] IMAGE...

Reads the text on pictures of labels (PNG or JPEG) with the PP-OCRv5 models: finds the lines, turns
them upright, reads them. Prints each line with its confidence and the corners of its box, clockwise
from the upper left of the text, then how long each stage took and which devices did the work.

  --models DIR          folder with ppocrv5_{det,cls,rec}.onnx and ppocrv5_keys.txt
                        (default: .deps/models)
  --device ID[,ID]      devices in order of preference, for example cpu (default: auto)
  --threads N           cores; 0: all (default: 0)
  --repeat N            read each picture N times; the latency is then also given as the median
                        without the first (default: 1)
  --min-confidence P    leave out lines read with less, 0 to 1 (default: 0.5)
  --json                print JSON
  --draw FILE.png       write the picture with a frame around each line (one IMAGE only)
  --dump DIR            write what goes into and out of each network as .npy files
  -h, --help            print this

Exit codes: 0 done, 1 failed at run time, 2 usage, 3 invalid model or input, 4 unsupported,
5 out of memory or over budget.
)";

struct Options {
  std::string models = ".deps/models";
  std::vector<std::string> devices = {"auto"};
  int threads = 0;
  int repeat = 1;
  double min_confidence = 0.5;
  bool json = false;
  bool help = false;
  std::string draw, dump;
  std::vector<std::string> images;
};

struct UsageError {
  std::string text;
};

template <typename Number>
Number parse_number(const std::string& option, const std::string& text, Number low, Number high) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() ||
      !(value >= low && value <= high)) {
    throw UsageError{option + ": got '" + text + "', expected a number from " +
                     std::to_string(low) + " to " + std::to_string(high)};
  }
  return value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

struct Option {
  std::string_view name;
  bool has_value;
  void (*set)(Options& options, const std::string& name, const std::string& value);
};

using Text = const std::string&;
constexpr Option kOptions[] = {
    {"--models", true, [](Options& o, Text, Text value) { o.models = value; }},
    {"--device", true, [](Options& o, Text, Text value) { o.devices = split(value); }},
    {"--threads", true,
     [](Options& o, Text name, Text value) { o.threads = parse_number(name, value, 0, 4096); }},
    {"--repeat", true,
     [](Options& o, Text name, Text value) { o.repeat = parse_number(name, value, 1, 1000000); }},
    {"--min-confidence", true,
     [](Options& o, Text name, Text value) {
       o.min_confidence = parse_number(name, value, 0.0, 1.0);
     }},
    {"--draw", true, [](Options& o, Text, Text value) { o.draw = value; }},
    {"--dump", true, [](Options& o, Text, Text value) { o.dump = value; }},
    {"--json", false, [](Options& o, Text, Text) { o.json = true; }},
    {"--help", false, [](Options& o, Text, Text) { o.help = true; }},
    {"-h", false, [](Options& o, Text, Text) { o.help = true; }},
};

Options parse(std::span<char*> arguments) {
  Options options;
  bool only_images = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string name = arguments[i];
    if (only_images || !name.starts_with('-')) {
      options.images.push_back(name);
      continue;
    }
    only_images = name == "--";
    if (only_images) continue;
    const Option* option = std::find_if(std::begin(kOptions), std::end(kOptions),
                                        [&](const Option& known) { return known.name == name; });
    if (option == std::end(kOptions)) throw UsageError{"unknown option '" + name + "'"};
    if (option->has_value && i + 1 == arguments.size()) {
      throw UsageError{name + ": expected a value after it"};
    }
    option->set(options, name, option->has_value ? arguments[++i] : "");
  }
  if (options.help) return options;
  if (options.images.empty()) throw UsageError{"expected one or more pictures"};
  if (!options.draw.empty() && options.images.size() > 1) {
    throw UsageError{"--draw: expected one picture, got " + std::to_string(options.images.size())};
  }
  return options;
}

PictureReport read_one(Reader& reader, const std::string& path, const Options& options) {
  Picture picture = read_picture(path);
  PictureReport report{path, picture.width, picture.height, {}};
  for (int i = 0; i < options.repeat; ++i) {
    report.readings.push_back(reader.read(picture, options.min_confidence));
  }
  if (!options.draw.empty()) {
    for (const Line& line : report.readings.back().lines) draw_frame(picture, line.box);
    write_png(options.draw, picture);
  }
  return report;
}

int run(const Options& options) {
  if (options.help) {
    std::cout << kHelp;
    return kDone;
  }
  if (!options.dump.empty()) std::filesystem::create_directories(options.dump);
  naru::EngineOptions engine_options;
  engine_options.devices = options.devices;
  engine_options.threads = options.threads;
  naru::Engine engine(engine_options);
  Reader reader(engine, options.models, options.dump);

  std::vector<PictureReport> reports;
  for (const std::string& path : options.images) {
    naru::with_context([&] { return "reading '" + path + "'"; },
                       [&] { reports.push_back(read_one(reader, path, options)); });
  }
  (options.json ? print_json : print_text)(std::cout, reports, reader);
  std::cout.flush();
  if (!std::cout) throw naru::Error(naru::ErrorCode::Io, "standard output could not be written");
  return kDone;
}

int exit_code(naru::ErrorCode code) {
  switch (code) {
    case naru::ErrorCode::InvalidArgument:
    case naru::ErrorCode::InvalidModel:
    case naru::ErrorCode::Io: return kInvalid;
    case naru::ErrorCode::Unsupported: return kUnsupported;
    case naru::ErrorCode::OutOfMemory: return kMemory;
    default: return kFailed;
  }
}

int report(const std::string& text, int code) {
  std::cerr << "naru_label_reader: error: " << text << '\n';
  return code;
}

int main(int argc, char** argv) {
  try {
    return run(parse({argv + 1, static_cast<std::size_t>(std::max(0, argc - 1))}));
  } catch (const UsageError& error) {
    return report(error.text + "; see --help", kUsage);
  } catch (const naru::Error& error) {
    return report(error.what(), exit_code(error.code()));
  } catch (const std::filesystem::filesystem_error& error) {
    return report(error.what(), kInvalid);
  } catch (const std::bad_alloc&) {
    return report("the host refused an allocation", kMemory);
  }
}

}  // namespace
}  // namespace label_reader

int main(int argc, char** argv) { return label_reader::main(argc, argv); }
