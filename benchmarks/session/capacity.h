// Capacity: the search for the largest rate at which limits hold.
#pragma once

#include <functional>
#include <optional>

namespace naru::bench {

/// Doubles or halves from `start` until the answer of `holds` turns, then bisects by ratios until the
/// bounds are within 5 %. Absent when it holds at no rate that was tried.
std::optional<double> search_capacity(double start, const std::function<bool(double rate)>& holds);

}  // namespace naru::bench
