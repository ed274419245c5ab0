// Reduces a failing case to the few nodes that fail, and writes it as files of a regression test.
#pragma once

#include <filesystem>
#include <functional>

#include "tests/differential/graph_builder.h"

namespace naru::fuzz {

/// The smallest case found for which `fails` still holds; `test` must fail.
RandomCase shrink(RandomCase test, const std::function<bool(const RandomCase&)>& fails);

/// Writes `<name>.txt`, the graph in text form, and `<name>.inputs.txt`, whose outputs are the values
/// of its inputs. Returns the first.
std::filesystem::path write_case(const RandomCase& test, const std::filesystem::path& folder, const std::string& name);

/// Reads what write_case() wrote.
RandomCase read_case(const std::filesystem::path& graph_file);

}  // namespace naru::fuzz
