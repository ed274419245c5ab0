// Reading of data sets.
#include "tests/onnx/case_values.h"

#include <fmt/format.h>

#include "graph/import/onnx.h"
#include "graph/model_file.h"

namespace naru {

std::vector<Datum> read_case_values(const std::filesystem::path& folder, const char* prefix,
                                    const nlohmann::json& kinds) {
  std::vector<Datum> values;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const std::string kind_text = kinds[i];
    const auto kind = kind_text == "sequence"   ? Datum::Kind::Sequence
                      : kind_text == "optional" ? Datum::Kind::Optional
                                                : Datum::Kind::Tensor;
    const std::filesystem::path path = folder / fmt::format("{}_{}.pb", prefix, i);
    // The suites' data sets may leave out the last outputs.
    if (!std::filesystem::exists(path)) break;
    values.push_back(load_onnx_value(open_model_file(path).file->bytes(), kind));
  }
  return values;
}

}  // namespace naru
