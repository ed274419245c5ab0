// The activation functions that recurrent operators name in their attributes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace naru {

/// A named function with its parameters bound.
struct Activation {
  double (*function)(double x, double alpha, double beta) = nullptr;
  double alpha = 0;
  double beta = 0;

  double operator()(double x) const { return function(x, alpha, beta); }
};

/// Binds the functions that `activations` names (or `defaults`, repeated per direction) to the
/// values of activation_alpha and activation_beta, which only functions with such a parameter use up.
/// Returns count_per_direction * directions functions.
/// @throws Error InvalidModel for an unknown name or a wrong count.
std::vector<Activation> read_activations(const Node& node,
                                         const std::vector<std::string_view>& defaults,
                                         std::size_t directions);

/// The logistic function, without overflow on either side.
double sigmoid(double x);

}  // namespace naru
