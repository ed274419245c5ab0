// Reading of device profiles: JSON is a stranger's, so every key and kind is checked.
#include "backends/opencl/built_in/device_profile.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "naru/dtype.h"

namespace naru::opencl {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::size_t kMostItems = 4096;  // of any list or object

/// A JSON value and where it stands, for messages.
class Place {
 public:
  Place(const Json& json, std::string path) : json_(json), path_(std::move(path)) {}

  template <typename... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::InvalidModel, "{}: {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }
  const Json& json() const { return json_; }
  bool has(const char* key) const { return json_.contains(key); }
  Place at(const std::string& key) const {
    if (!json_.contains(key)) wrong("expected the key '{}'", key);
    return {json_.at(key), path_ + "." + key};
  }
  void only(std::initializer_list<std::string_view> keys) const {
    for_each([&](const std::string& key, const Place& place) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) place.wrong("got an unknown key");
    });
  }
  /// Members of an object.
  template <typename Body>
  void for_each(Body body) const {
    if (!json_.is_object() || json_.size() > kMostItems) wrong("expected an object of at most {} members", kMostItems);
    for (const auto& item : json_.items()) body(item.key(), Place(item.value(), path_ + "." + item.key()));
  }
  /// Elements of a list; anything else is a list of one.
  std::vector<Place> list() const {
    if (!json_.is_array()) return {*this};
    if (json_.size() > kMostItems) wrong("expected at most {} elements", kMostItems);
    std::vector<Place> places;
    for (const Json& item : json_) places.emplace_back(item, fmt::format("{}[{}]", path_, places.size()));
    return places;
  }
  std::string text() const {
    if (!json_.is_string()) wrong("expected text");
    return json_.get<std::string>();
  }
  double number(double low = -1e300, double high = 1e300) const {
    if (!json_.is_number()) wrong("expected a number");
    const auto value = json_.get<double>();
    if (!(value >= low && value <= high)) wrong("got {}, expected {} to {}", value, low, high);
    return value;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const Place& place : list()) all.push_back(place.text());
    return all;
  }
  Quantity quantity() const {
    if (json_.is_number()) return number();
    return text();
  }

 private:
  const Json& json_;
  std::string path_;
};

Layout read_layout(const Place& place) {
  constexpr double kMostAxes = 4;
  place.only({"order", "align"});
  Layout layout;
  for (const Place& axis : place.at("order").list()) layout.order.push_back(static_cast<std::int64_t>(axis.number(0, kMostAxes - 1)));
  std::vector<std::int64_t> sorted = layout.order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<std::int64_t>(i)) place.at("order").wrong("expected each axis once");
  }
  for (const Place& multiple : place.at("align").list()) layout.align.push_back(static_cast<std::int64_t>(multiple.number(1, 4096)));
  if (layout.order.empty() || layout.align.size() != layout.order.size()) place.wrong("expected as many multiples as axes, at least one");
  return layout;
}

/// A fact's name, alone or as "name ? number".
struct NamedFact {
  std::string name;
  std::optional<double> otherwise;
};

std::optional<double> number_of(const std::string& digits) {
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  return !digits.empty() && *end == '\0' ? std::optional(value) : std::nullopt;
}

NamedFact read_fact(const std::string& text, const Place& place) {
  constexpr std::string_view kMark = " ? ";
  const std::size_t mark = text.find(kMark);
  if (mark == std::string::npos) return {text, std::nullopt};
  NamedFact fact{text.substr(0, mark), number_of(text.substr(mark + kMark.size()))};
  if (!fact.otherwise) place.wrong("got '{}', expected a number behind '?'", text);
  return fact;
}

Condition read_condition(const std::string& text, const Place& place) {
  const NamedFact fact = read_fact(text, place);
  Condition condition{fact.name, fact.otherwise, {}, std::nullopt, std::nullopt};
  if (place.json().is_object()) {
    place.only({"min", "max"});
    if (place.has("min")) condition.min = place.at("min").number();
    if (place.has("max")) condition.max = place.at("max").number();
  } else {
    for (const Place& one : place.list()) condition.any_of.push_back(one.quantity());
  }
  return condition;
}

/// "X" is memory; "int X.extent[0]", "float alpha", "int group ? 1", "int 3" are scalars.
ArgumentRule read_argument(const Place& place) {
  using Kind = ArgumentRule::Kind;
  const std::string text = place.text();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return {Kind::Memory, text, std::nullopt};
  const std::string kind = text.substr(0, space);
  if (kind != "int" && kind != "float") place.wrong("got '{}', expected an operand, 'int <fact>' or 'float <fact>'", text);
  const NamedFact fact = read_fact(text.substr(space + 1), place);
  ArgumentRule rule{kind == "int" ? Kind::Int : Kind::Float, fact.name, fact.otherwise};
  if (const auto literal = number_of(fact.name)) rule.value = *literal;
  return rule;
}

std::string known_type(const Place& place) {
  const std::string name = place.text();
  if (!dtype_from_string(name)) place.wrong("got element type '{}', which is none", name);
  return name;
}

Layouts read_layouts(const Place& place, const DeviceProfile& profile) {
  Layouts layouts;
  place.for_each([&](const std::string& operand, const Place& value) {
    layouts[operand] = value.text();
    if (profile.layouts.count(layouts[operand]) == 0) value.wrong("got layout '{}', which is not listed", layouts[operand]);
  });
  return layouts;
}

KernelRow read_row(const Place& place, const DeviceProfile& profile) {
  place.only({"op", "kernel", "types", "when", "layouts", "arguments", "fuses"});
  KernelRow row;
  row.ops = place.at("op").texts();
  row.kernel = place.at("kernel").text();
  for (const Place& type : place.at("types").list()) row.types.push_back(known_type(type));
  if (place.has("when")) {
    place.at("when").for_each([&](const std::string& fact, const Place& value) { row.when.push_back(read_condition(fact, value)); });
  }
  if (place.has("layouts")) {
    for (const Place& alternative : place.at("layouts").list()) row.layouts.push_back(read_layouts(alternative, profile));
  } else {
    row.layouts.emplace_back();
  }
  for (const Place& argument : place.at("arguments").list()) row.arguments.push_back(read_argument(argument));
  if (place.has("fuses")) row.fuses = place.at("fuses").texts();
  return row;
}

CostModel read_cost(const Place& place) {
  constexpr double kLeast = 1e-12;
  place.only({"macs_per_s", "vector_ops_per_s", "bytes_per_s", "launch_s"});
  CostModel cost;
  place.at("macs_per_s").for_each([&](const std::string& type, const Place& value) { cost.macs_per_s[type] = value.number(kLeast); });
  cost.vector_ops_per_s = place.at("vector_ops_per_s").number(kLeast);
  cost.bytes_per_s = place.at("bytes_per_s").number(kLeast);
  cost.launch_s = place.at("launch_s").number(0);
  return cost;
}

Check read_check(const Place& place) {
  const std::string name = place.text();
  if (name == "none") return Check::None;
  if (name == "canary") return Check::Canary;
  if (name == "repeat") return Check::Repeat;
  place.wrong("got '{}', expected none, canary or repeat", name);
}

DeviceProfile read(const Place& place, const std::string& path) {
  place.only({"device", "platform", "layouts", "types", "stored_as", "codes", "kernels", "cost", "check", "time_limit_ms", "automatic", "about"});
  DeviceProfile profile;
  profile.path = path;
  profile.device_name = place.at("device").text();
  if (place.has("platform")) profile.platform_name = place.at("platform").text();
  profile.layouts[kDense] = {};
  if (place.has("layouts")) {
    place.at("layouts").for_each([&](const std::string& name, const Place& value) { profile.layouts[name] = read_layout(value); });
  }
  place.at("types").for_each([&](const std::string& name, const Place& value) { profile.type_codes[name] = value.number(); });
  if (place.has("stored_as")) {
    place.at("stored_as").for_each([&](const std::string& name, const Place& value) { profile.stored_as[name] = known_type(value); });
  }
  if (place.has("codes")) {
    place.at("codes").for_each([&](const std::string& name, const Place& value) { profile.codes[name] = value.number(); });
  }
  for (const Place& row : place.at("kernels").list()) profile.rows.push_back(read_row(row, profile));
  profile.cost = read_cost(place.at("cost"));
  if (place.has("check")) profile.check = read_check(place.at("check"));
  if (place.has("automatic")) profile.automatic = place.at("automatic").number(0, 1) != 0;
  if (place.has("time_limit_ms")) profile.time_limit_ms = static_cast<std::int64_t>(place.at("time_limit_ms").number(1, 3.6e6));
  return profile;
}

void add_profiles(const fs::path& path, std::vector<fs::path>& files) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (path.extension() == ".json" && fs::exists(path, error)) files.push_back(path);
    return;
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".json" && found.size() < kMostItems) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
}

std::vector<fs::path> profile_files() {
  std::vector<fs::path> files;
  if (const char* list = std::getenv("NARU_DEVICE_PROFILES"); list != nullptr) {
    std::string_view rest = list;
    while (!rest.empty()) {
      const std::size_t end = rest.find(':');
      add_profiles(fs::path(rest.substr(0, end)), files);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return files;
  }
  if (const char* vendors = std::getenv("OCL_ICD_VENDORS"); vendors != nullptr) {
    const fs::path path(vendors);
    std::error_code error;
    add_profiles(fs::is_directory(path, error) ? path : path.parent_path(), files);
  }
  for (const char* folder : {"/usr/local/share/naru/devices", "/usr/share/naru/devices"}) add_profiles(folder, files);
  return files;
}

DeviceProfile load(const fs::path& path) {
  const auto file = open_model_file(path).file;
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.size() > kMostBytes) fail(ErrorCode::InvalidModel, "got {} bytes, expected at most {}", bytes.size(), kMostBytes);
  return parse_device_profile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace

bool DeviceProfile::fits(const Profile& device) const {
  const bool open = !device_name.empty() && device_name.back() == '*';
  const std::string_view wanted(device_name.data(), device_name.size() - (open ? 1 : 0));
  const bool name = open ? std::string_view(device.name).substr(0, wanted.size()) == wanted : device.name == wanted;
  return name && (platform_name.empty() || platform_name == device.platform_name);
}

DeviceProfile parse_device_profile(std::string_view text, const std::string& path) {
  static constexpr int kMostDepth = 16;
  return with_context([&] { return "reading the device profile '" + path + "'"; }, [&] {
    try {
      const Json json = Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
        if (depth > kMostDepth) fail(ErrorCode::InvalidModel, "got JSON nested deeper than {}", kMostDepth);
        return true;
      });
      return read(Place(json, "profile"), path);
    } catch (const Json::exception& error) {
      fail(ErrorCode::InvalidModel, "got no valid JSON: {}", error.what());
    }
  });
}

std::optional<DeviceProfile> find_device_profile(const Profile& device, std::vector<std::string>& problems) {
  for (const fs::path& path : profile_files()) {
    try {
      DeviceProfile profile = load(path);
      if (profile.fits(device)) return profile;
    } catch (const Error& error) {
      problems.push_back(error.what());
    }
  }
  return std::nullopt;
}

}  // namespace naru::opencl
