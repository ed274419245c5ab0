// The activation functions that recurrent operators name in their attributes.
#include "graph/ops/activation.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "graph/fail.h"

namespace naru {
namespace {

struct ActivationDef {
  std::string_view name;  ///< in lower case: ONNX models write names in any case
  double (*function)(double x, double alpha, double beta);
  bool has_alpha = false;
  bool has_beta = false;
  double alpha = 0;
  double beta = 0;
};

double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// Defaults are those of the ONNX operators of the same names.
constexpr ActivationDef kActivations[] = {
    {"affine", [](double x, double a, double b) { return a * x + b; }, true, true, 1.0, 0.0},
    {"elu", [](double x, double a, double) { return x >= 0 ? x : a * std::expm1(x); }, true, false,
     1.0},
    {"hardsigmoid",
     [](double x, double a, double b) { return std::clamp(a * x + b, 0.0, 1.0); }, true, true, 0.2,
     0.5},
    {"leakyrelu", [](double x, double a, double) { return x >= 0 ? x : a * x; }, true, false, 0.01},
    {"relu", [](double x, double, double) { return x > 0 ? x : 0.0; }},
    {"scaledtanh", [](double x, double a, double b) { return a * std::tanh(b * x); }, true, true,
     1.0, 1.0},
    {"sigmoid", [](double x, double, double) { return sigmoid(x); }},
    {"softplus", [](double x, double, double) { return softplus(x); }},
    {"softsign", [](double x, double, double) { return x / (1 + std::fabs(x)); }},
    {"tanh", [](double x, double, double) { return std::tanh(x); }},
    {"thresholdedrelu", [](double x, double a, double) { return x > a ? x : 0.0; }, true, false,
     1.0},
};

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

const ActivationDef& find_activation(const Node& node, std::string_view name) {
  const std::string key = lower_case(name);
  for (const ActivationDef& def : kActivations) {
    if (def.name == key) return def;
  }
  fail(ErrorCode::InvalidModel, "{}: activations: got '{}', expected a known function", node.label(),
       name);
}

}  // namespace

double sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

std::vector<Activation> read_activations(const Node& node,
                                         const std::vector<std::string_view>& defaults,
                                         std::size_t directions) {
  const std::size_t count = defaults.size() * directions;
  std::vector<std::string> names;
  if (node.attributes.contains("activations")) names = node.attr_strings("activations");
  for (std::size_t i = 0; names.size() < count && !node.attributes.contains("activations"); ++i) {
    names.emplace_back(defaults[i % defaults.size()]);
  }
  if (names.size() < count) {
    fail(ErrorCode::InvalidModel, "{}: activations: got {} names, expected {}", node.label(),
         names.size(), count);
  }
  std::vector<float> alphas, betas;
  if (node.has("activation_alpha")) alphas = node.attr_floats("activation_alpha");
  if (node.has("activation_beta")) betas = node.attr_floats("activation_beta");
  std::size_t alpha = 0, beta = 0;
  std::vector<Activation> result;
  for (std::size_t i = 0; i < count; ++i) {
    const ActivationDef& def = find_activation(node, names[i]);
    Activation bound{def.function, def.alpha, def.beta};
    if (def.has_alpha && alpha < alphas.size()) bound.alpha = alphas[alpha++];
    if (def.has_beta && beta < betas.size()) bound.beta = betas[beta++];
    result.push_back(bound);
  }
  return result;
}

}  // namespace naru
