// The Open Inference Protocol over HTTP (KServe v2: MLServer, Triton, OpenVINO Model Server and others).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "benchmarks/http/client.h"
#include "benchmarks/load/random.h"
#include "benchmarks/suites/fields.h"
#include "benchmarks/sut/remote.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMaxElements = 1 << 26;
constexpr std::size_t kMaxErrorBytes = 400;

/// One inference: the answer must be an object with outputs.
class InferReader : public HttpReceiver {
 public:
  InferReader(std::uint32_t request, Sink& sink) : request_(request), sink_(sink) {}
  bool data(long, std::string_view bytes) override {
    text_ += bytes;
    return text_.size() < (std::size_t{1} << 30);
  }
  void end(const HttpEnd& end) override {
    if (end.status != 200 && end.status != 0) return sink_.failed(request_, Reason::HttpStatus, fmt::format("status {}: {}", end.status, text_.substr(0, kMaxErrorBytes)));
    if (end.reason != Reason::None) return sink_.failed(request_, end.reason, end.detail);
    // Read and thrown away: outputs may be large, and only their form is of interest.
    if (!Json::accept(text_)) return sink_.failed(request_, Reason::BadStream, "the answer is no JSON: " + text_.substr(0, kMaxErrorBytes));
    if (text_.find("\"outputs\"") == std::string::npos) return sink_.failed(request_, Reason::StreamError, "an answer without outputs: " + text_.substr(0, kMaxErrorBytes));
    sink_.complete(request_);
  }

 private:
  std::uint32_t request_;
  Sink& sink_;
  std::string text_;
};

class Kserve : public System {
 public:
  explicit Kserve(const Json& json) {
    Fields fields(json, "--sut kserve");
    url_ = checked_base_url(fields.text("url"));
    model_ = fields.text("model", "");
    version_ = fields.text("version", "");
    stall_ns_ = static_cast<std::int64_t>(fields.number("stall_s", 120, 0.01, 1e6) * 1e9);
    fields.finish();
  }

  Json describe() const override { return {{"name", "endpoint"}, {"kind", "kserve"}, {"url", url_}, {"model", model_}, {"version", version_}, {"server", server_}}; }

  bool needs_model_file() const override { return false; }

  LoadResult load(const Workload& workload) override {
    if (workload.generates) throw Failure(Reason::Unsupported, "the Open Inference Protocol here serves models that do not generate");
    if (model_.empty()) model_ = workload.model;
    const Json metadata = ask(model_path());
    if (!metadata.contains("inputs") || !metadata["inputs"].is_array()) throw Failure(Reason::BadStream, "the model's metadata has no list of inputs");
    Json inputs = Json::array();
    Random random(workload.seed);
    for (const Json& input : metadata["inputs"]) inputs.push_back(make_input(input, workload, random));
    body_ = Json{{"inputs", std::move(inputs)}}.dump();
    server_ = ask("/v2");
    return {};
  }

  void submit(const SystemRequest& request, Sink& sink) override {
    HttpRequest http = get(model_path() + "/infer");
    http.body = body_;
    client_.start(std::move(http), std::make_unique<InferReader>(request.id, sink));
  }

  void cancel_all() override { client_.cancel_all(); }

 private:
  std::string model_path() const { return "/v2/models/" + model_ + (version_.empty() ? "" : "/versions/" + version_); }

  HttpRequest get(const std::string& path) const {
    HttpRequest request;
    request.url = url_ + path;
    request.headers = {"Content-Type: application/json"};
    request.stall_ns = stall_ns_;
    return request;
  }

  Json ask(const std::string& path) {
    Json json = Json::parse(http_fetch(client_, get(path)), nullptr, false);
    if (!json.is_object()) throw Failure(Reason::BadStream, path + ": the answer is no JSON object");
    return json;
  }

  static const InputSpec* spec_of(const std::string& name, const Workload& workload) {
    const auto found = std::find_if(workload.inputs.begin(), workload.inputs.end(), [&](const InputSpec& input) { return input.name == name; });
    return found == workload.inputs.end() ? nullptr : &*found;
  }

  static std::vector<std::int64_t> shape_of(const Json& input, const std::string& name, const Workload& workload) {
    const InputSpec* spec = spec_of(name, workload);
    if (spec != nullptr && spec->known_shape) return spec->dims;
    std::vector<std::int64_t> shape;
    for (const Json& dim : input.value("shape", Json::array())) {
      if (!dim.is_number_integer() || dim.get<std::int64_t>() < 1) throw Failure(Reason::Refused, fmt::format("input '{}' has open dimensions and the suite gives no shape", name));
      shape.push_back(dim.get<std::int64_t>());
    }
    return shape;
  }

  static Json make_input(const Json& input, const Workload& workload, Random& random) {
    if (!input.is_object() || !input.contains("name") || !input["name"].is_string() || !input.contains("datatype") || !input["datatype"].is_string()) {
      throw Failure(Reason::BadStream, "the metadata of an input has no name or datatype");
    }
    const std::string name = input["name"], type = input["datatype"];
    const std::vector<std::int64_t> shape = shape_of(input, name, workload);
    std::int64_t count = 1;
    for (const std::int64_t dim : shape) {
      if (dim < 1 || dim > kMaxElements / count) throw Failure(Reason::Refused, fmt::format("input '{}' has more than {} elements", name, kMaxElements));
      count *= dim;
    }
    Json data = Json::array();
    const InputSpec* spec = spec_of(name, workload);
    for (std::int64_t i = 0; i < count; ++i) {
      const double unit = random.uniform();
      data.push_back(spec != nullptr && spec->value ? Json(*spec->value) : value_of(type, name, unit));
    }
    return {{"name", name}, {"datatype", type}, {"shape", shape}, {"data", std::move(data)}};
  }

  static Json value_of(const std::string& type, const std::string& name, double unit) {
    if (type == "BOOL") return unit < 0.5;
    if (type == "BYTES") return "text";
    if (type.rfind("FP", 0) == 0) return static_cast<float>(unit);
    if (type.rfind("INT", 0) == 0 || type.rfind("UINT", 0) == 0) return static_cast<int>(unit * 10);
    throw Failure(Reason::Unsupported, fmt::format("input '{}' has the datatype {}", name, type));
  }

  std::string url_, model_, version_, body_;
  Json server_;
  std::int64_t stall_ns_ = 0;
  HttpClient client_;
};

}  // namespace

std::unique_ptr<System> make_kserve(const Json& settings) { return std::make_unique<Kserve>(settings); }

}  // namespace naru::bench
