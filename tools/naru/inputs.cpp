// From command-line words to input tensors.
#include "tools/naru/inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <random>

#include "graph/fail.h"
#include "graph/scalar.h"
#include "tools/io/image.h"
#include "tools/io/npy.h"

namespace naru::tool {
namespace {

/// Splits NAME=VALUE at the last '=' whose left side names an input, so that names may contain '='.
std::map<std::string, std::string> by_name(const std::vector<std::string>& words, const Model& model,
                                           const char* option) {
  std::map<std::string, std::string> result;
  std::vector<PortInfo> ports = model.inputs();
  ports.insert(ports.end(), model.states().begin(), model.states().end());
  for (const std::string& word : words) {
    const auto match = std::find_if(ports.begin(), ports.end(), [&](const PortInfo& port) {
      return word.starts_with(port.name + "=");
    });
    if (match == ports.end()) {
      std::string names;
      for (const PortInfo& port : ports) names += (names.empty() ? "" : ", ") + port.name;
      fail(ErrorCode::InvalidArgument, "{} '{}': got no NAME=VALUE of an input, expected one of {}", option, word,
           names);
    }
    result[match->name] = word.substr(match->name.size() + 1);
  }
  return result;
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The shape of an input: given, or the model's own where it is all numbers.
Shape shape_for(const PortInfo& port, const std::map<std::string, std::string>& shapes) {
  const auto given = shapes.find(port.name);
  if (given != shapes.end()) return parse_shape(given->second);
  Shape shape;
  for (const std::string& dim : port.dims) {
    const std::optional<std::int64_t> value = number(dim);
    if (!value) {
      std::string example;
      for (const std::string& d : port.dims) example += (example.empty() ? "" : "x") + (number(d) ? d : "1");
      fail(ErrorCode::InvalidArgument, "input '{}': {} has open dimensions, give them: --shape {}={}", port.name,
           port.type, port.name, example);
    }
    shape.push_back(*value);
  }
  if (!port.shape_known) {
    fail(ErrorCode::InvalidArgument, "input '{}': {} has no known rank, give its shape with --shape", port.name,
         port.type);
  }
  return shape;
}

Tensor random_tensor(DType dtype, const Shape& shape, std::uint64_t seed) {
  Tensor tensor(dtype, shape);
  std::mt19937_64 generator(seed);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double unit = static_cast<double>(generator() >> 11) * 0x1p-53;
    const double value = is_float(dtype) ? unit : dtype == DType::Bool ? std::floor(unit * 2) : std::floor(unit * 10);
    store_f64(dtype, tensor.mutable_data(), i, value);
  }
  return tensor;
}

Tensor zero_tensor(DType dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (dtype != DType::String) std::fill_n(tensor.mutable_data(), tensor.size_bytes(), std::byte{0});
  return tensor;
}

/// Height and width that the model or --shape asks for; the picture's own where they are open.
std::pair<int, int> picture_size(const PortInfo& port, const std::map<std::string, std::string>& shapes,
                                 const io::Image& image) {
  const auto given = shapes.find(port.name);
  if (given != shapes.end()) {
    const Shape shape = parse_shape(given->second);
    if (shape.rank() != 4) fail(ErrorCode::InvalidArgument, "--shape {}: a picture needs 4 dimensions", given->second);
    return {static_cast<int>(shape[2]), static_cast<int>(shape[3])};
  }
  const auto side = [&](std::size_t axis, int own) {
    const std::optional<std::int64_t> value = number(port.dims[axis]);
    return value ? static_cast<int>(*value) : own;
  };
  return {side(2, image.height), side(3, image.width)};
}

Tensor picture_tensor(const PortInfo& port, const std::string& file, const InputOptions& options,
                      const std::map<std::string, std::string>& shapes) {
  if (port.dims.size() != 4 || (port.dims[1] != "3" && number(port.dims[1]))) {
    fail(ErrorCode::InvalidArgument, "input '{}': got a picture for {}, expected [batch,3,height,width]", port.name,
         port.type);
  }
  io::Image image = io::read_image(file);
  const auto [height, width] = picture_size(port, shapes, image);
  if (height != image.height || width != image.width) image = io::resize(image, width, height);
  Tensor tensor(port.dtype, Shape{1, 3, height, width});
  for (std::int64_t c = 0; c < 3; ++c) {
    const std::size_t channel = static_cast<std::size_t>(options.bgr ? 2 - c : c);
    const double mean = options.mean.empty() ? 0 : options.mean[static_cast<std::size_t>(c)];
    const double deviation = options.std.empty() ? 1 : options.std[static_cast<std::size_t>(c)];
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double value = (image.pixel(x, y)[channel] * options.scale - mean) / deviation;
        store_f64(port.dtype, tensor.mutable_data(), (c * height + y) * width + x, value);
      }
    }
  }
  return tensor;
}

Tensor file_tensor(const PortInfo& port, const std::string& file, const InputOptions& options,
                   const std::map<std::string, std::string>& shapes) {
  std::string extension = std::filesystem::path(file).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  if (extension == ".npy") return io::read_npy(file);
  if (extension == ".npz") {
    std::map<std::string, Tensor> arrays = io::read_npz(file);
    const auto found = arrays.find(port.name);
    if (found != arrays.end()) return found->second;
    if (arrays.size() == 1) return arrays.begin()->second;
    fail(ErrorCode::InvalidArgument, "input '{}': '{}' holds {} arrays, none of that name", port.name, file, arrays.size());
  }
  if (extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
    return picture_tensor(port, file, options, shapes);
  }
  fail(ErrorCode::InvalidArgument, "input '{}': got '{}', expected random, zeros, or a .npy, .npz, .png or .jpg file",
       port.name, file);
}

/// One tensor from its word: "random", "zeros" or a file.
Tensor make_tensor(const PortInfo& port, const std::string& what, const InputOptions& options,
                   const std::map<std::string, std::string>& shapes, std::uint64_t seed) {
  if (what == "random" || what == "zeros") {
    const Shape shape = shape_for(port, shapes);
    const bool random = what == "random" && port.dtype != DType::String;
    return random ? random_tensor(port.dtype, shape, seed) : zero_tensor(port.dtype, shape);
  }
  return with_context([&] { return "reading input '" + port.name + "'"; },
                      [&] { return file_tensor(port, what, options, shapes); });
}

}  // namespace

void InputOptions::add_to(CLI::App& command) {
  command.add_option("--input", inputs, "NAME=FILE.npy|FILE.npz|FILE.png|FILE.jpg|random|zeros; random when not given");
  command.add_option("--shape", shapes, "NAME=1x3x640x640: dimensions of an input that the model leaves open");
  command.add_option("--seed", seed, "Seed of random inputs")->capture_default_str();
  command.add_option("--scale", scale, "Pictures: factor of the 0..255 values")->capture_default_str();
  command.add_option("--mean", mean, "Pictures: three means, subtracted after the scale")->expected(3);
  command.add_option("--std", std, "Pictures: three deviations, divided by after the mean")->expected(3);
  command.add_flag("--bgr", bgr, "Pictures: blue, green, red instead of red, green, blue");
}

Shape parse_shape(const std::string& text) {
  Shape shape;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('x', start), text.size());
    const std::optional<std::int64_t> dim = number(text.substr(start, end - start));
    if (!dim || *dim < 0 || end + 1 == text.size()) {
      fail(ErrorCode::InvalidArgument, "shape '{}': expected numbers joined by x, for example 1x3x640x640", text);
    }
    shape.push_back(*dim);
    start = end + 1;
  }
  return shape;
}

std::vector<Datum> make_inputs(const Model& model, const InputOptions& options) {
  const std::map<std::string, std::string> sources = by_name(options.inputs, model, "--input");
  const std::map<std::string, std::string> shapes = by_name(options.shapes, model, "--shape");
  std::vector<Datum> result;
  for (const PortInfo& port : model.inputs()) {
    const auto source = sources.find(port.name);
    const std::string what = source == sources.end() ? "random" : source->second;
    result.emplace_back(make_tensor(port, what, options, shapes, options.seed + result.size()));
  }
  return result;
}

void set_states(Session& session, const Model& model, const InputOptions& options) {
  const std::map<std::string, std::string> sources = by_name(options.inputs, model, "--input");
  const std::map<std::string, std::string> shapes = by_name(options.shapes, model, "--shape");
  for (const PortInfo& port : model.states()) {
    const auto source = sources.find(port.name);
    if (source == sources.end() && !shapes.contains(port.name)) continue;
    const std::string what = source == sources.end() ? "zeros" : source->second;
    session.set_state(port.name, make_tensor(port, what, options, shapes, options.seed));
  }
}

}  // namespace naru::tool
