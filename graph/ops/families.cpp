// The table behind op_families().
#include "graph/ops/families.h"

namespace naru {

// Declared here, not in the header: a new family then rebuilds this file alone.
#define FAMILY(name) void define_##name(std::vector<OpDef>& ops);
#include "graph/ops/families.def"
#undef FAMILY

namespace {

constexpr OpFamily kFamilies[] = {
#define FAMILY(name) &define_##name,
#include "graph/ops/families.def"
#undef FAMILY
    // Behind all others: fused operators take over the attributes of those they are made of.
    &define_fused,
};

}  // namespace

std::span<const OpFamily> op_families() { return kFamilies; }

}  // namespace naru
