// The values of a case's data set.
#pragma once

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

#include "naru/tensor.h"

namespace naru {

/// Reads `<prefix>_<i>.pb` for each of `kinds` ("tensor", "sequence" or "optional"). The last outputs may
/// be left out.
std::vector<Datum> read_case_values(const std::filesystem::path& folder, const char* prefix, const nlohmann::json& kinds);

}  // namespace naru
