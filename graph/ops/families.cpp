// The table behind op_families().
#include "graph/ops/families.h"

namespace naru {
namespace {

constexpr OpFamily kFamilies[] = {
#define FAMILY(name) &define_##name,
#include "graph/ops/families.def"
#undef FAMILY
};

}  // namespace

std::span<const OpFamily> op_families() { return kFamilies; }

}  // namespace naru
