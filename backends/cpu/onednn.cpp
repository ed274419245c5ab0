// oneDNN seen from naru: element types and memory descriptors.
#include "backends/cpu/onednn.h"

#include <string_view>

namespace naru::cpu {
namespace {

using Tag = dnnl::memory::format_tag;

/// The tag of a value of rank 3 to 5 with `block` channels innermost.
Tag blocked_tag(std::int64_t rank, std::int64_t block, bool channels_last) {
  const auto pick = [rank](Tag three, Tag four, Tag five) {
    return rank == 3 ? three : rank == 4 ? four : rank == 5 ? five : Tag::undef;
  };
  if (channels_last) return pick(Tag::acb, Tag::acdb, Tag::acdeb);
  switch (block) {
    case 4: return pick(Tag::aBc4b, Tag::aBcd4b, Tag::aBcde4b);
    case 8: return pick(Tag::aBc8b, Tag::aBcd8b, Tag::aBcde8b);
    case 16: return pick(Tag::aBc16b, Tag::aBcd16b, Tag::aBcde16b);
    default: return Tag::undef;
  }
}

}  // namespace

std::optional<dnnl::memory::data_type> dnnl_type(DType dtype) {
  using Data = dnnl::memory::data_type;
  switch (dtype) {
    case DType::F32: return Data::f32;
    case DType::F16: return Data::f16;
    case DType::BF16: return Data::bf16;
    case DType::I32: return Data::s32;
    case DType::I8: return Data::s8;
    case DType::U8: return Data::u8;
    default: return std::nullopt;
  }
}

dnnl::memory::dims dims_of(const Shape& shape) { return shape.dims(); }

dnnl::memory::desc desc_of(const Layout& layout) {
  const auto type = dnnl_type(layout.dtype);
  NARU_CHECK(type.has_value(), "oneDNN has no element type " + std::string(to_string(layout.dtype)));
  if (layout.shape.rank() == 0) return {{1}, *type, dnnl::memory::dims{1}};
  if (layout.is_plain()) return {dims_of(layout.shape), *type, layout.shape.strides()};
  const bool last = layout.block == layout.channels() && layout.block != 4 && layout.block != 8 &&
                    layout.block != 16;
  return {dims_of(layout.shape), *type, blocked_tag(layout.shape.rank(), layout.block, last)};
}

dnnl::memory::desc any_layout(DType dtype, const Shape& shape) {
  return {dims_of(shape), *dnnl_type(dtype), Tag::any};
}

std::optional<Layout> layout_of(const dnnl::memory::desc& desc, DType dtype, const Shape& shape) {
  if (desc == desc_of(Layout::plain(dtype, shape))) return Layout::plain(dtype, shape);
  if (shape.rank() < 3 || shape.rank() > 5) return std::nullopt;
  for (const std::int64_t block : {std::int64_t{8}, std::int64_t{16}, std::int64_t{4}}) {
    if (desc == dnnl::memory::desc(dims_of(shape), *dnnl_type(dtype),
                                   blocked_tag(shape.rank(), block, false))) {
      return Layout{dtype, shape, block};
    }
  }
  if (desc == dnnl::memory::desc(dims_of(shape), *dnnl_type(dtype),
                                 blocked_tag(shape.rank(), 0, true))) {
    return Layout{dtype, shape, shape[1]};
  }
  return std::nullopt;
}

bool is_reference(const dnnl::primitive_desc_base& desc) {
  return std::string_view(desc.impl_info_str()).starts_with("ref");
}

const dnnl::engine& engine() {
  static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

}  // namespace naru::cpu
