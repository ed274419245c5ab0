// What the tests of passes share: graphs from text, their operators in order, equality by
// evaluation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/pass.h"
#include "graph/graph.h"

namespace naru::testing {

/// Parses the statements of one graph and infers its types.
Graph graph_of(std::string_view statements);

/// Operator names in node order, for example "Conv Relu".
std::string ops_of(const Graph& graph);

/// Runs the pass, or passes, over the graph with every check on.
void run(Graph& graph, bool (*pass)(Graph&));
void run(Graph& graph, const std::vector<Pass>& passes);

/// Evaluates both graphs on random inputs, symbols bound to several small odd sizes, and compares
/// names, types and values of the outputs. `tolerance` is relative to max(1, |expected|).
void expect_equal(const Graph& expected, const Graph& got, double tolerance = 1e-5);

/// The pass turns the graph into these operators, and the graph still computes the same.
void expect_rewrite(bool (*pass)(Graph&), std::string_view statements, std::string_view ops,
                    double tolerance = 1e-5);
void expect_rewrite(const std::vector<Pass>& passes, std::string_view statements,
                    std::string_view ops, double tolerance = 1e-5);

}  // namespace naru::testing
