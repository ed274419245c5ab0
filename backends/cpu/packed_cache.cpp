// PackedCache: look-up, packing by oneDNN reorders and into tiles.
#include "backends/cpu/packed_cache.h"

#include <algorithm>

namespace naru::cpu {
namespace {

std::shared_ptr<const Tensor> pack(const Tensor& constant, const Packing& packing) {
  return with_dnnl("packing a constant", [&] {
    auto packed = std::make_shared<Tensor>(
        DType::U8, Shape{static_cast<std::int64_t>(packing.to.get_size())});
    dnnl::memory source(packing.from, engine(), const_cast<std::byte*>(constant.data()));
    dnnl::memory target(packing.to, engine(), packed->mutable_data());
    dnnl::primitive_attr attributes;
    if (packing.scale != 1) attributes.set_scales_mask(DNNL_ARG_SRC, 0);
    dnnl::stream stream(engine());
    std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
    float scale = packing.scale;
    if (packing.scale != 1) {
      const dnnl::memory::desc one({1}, dnnl::memory::data_type::f32, dnnl::memory::dims{1});
      arguments.emplace(DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, dnnl::memory(one, engine(), &scale));
    }
    const dnnl::reorder reorder(
        dnnl::reorder::primitive_desc(engine(), packing.from, engine(), packing.to, attributes));
    reorder.execute(stream, arguments);
    stream.wait();
    return std::shared_ptr<const Tensor>(std::move(packed));
  });
}

std::shared_ptr<const Tensor> pack(const Tensor& constant, const TilePacking& packing) {
  const Shape& shape = constant.shape();
  auto packed = std::make_shared<Tensor>(DType::U8, Shape{packed_tile_bytes(*packing.format, shape[0], shape[1])});
  pack_tiles(*packing.format, constant, packed->mutable_data());
  return packed;
}

std::shared_ptr<const Tensor> pack(const Tensor& constant, const BytePacking& packing) {
  auto packed = std::make_shared<Tensor>(DType::U8, Shape{packing.packed_bytes()});
  packing.pack(constant.data(), packed->mutable_data());
  return packed;
}

std::shared_ptr<const Tensor> pack(const Tensor& constant, const WinogradPacking& packing) {
  auto packed = std::make_shared<Tensor>(DType::U8, Shape{packing.packed_bytes()});
  packing.pack(constant.as<float>().data(), reinterpret_cast<float*>(packed->mutable_data()));
  return packed;
}

}  // namespace

void BytePacking::pack(const std::byte* from, std::byte* to) const {
  const ByteProduct product(matrix, x_signed);
  for (std::int64_t i = 0; i < count; ++i) product.pack(from + i * stride, to + i * product.packed_bytes());
}

std::shared_ptr<const Tensor> PackedCache::get(const Tensor& constant, const Recipe& recipe) {
  const std::lock_guard lock(mutex_);
  std::vector<Entry>& entries = entries_[constant.data()];
  std::erase_if(entries, [](const Entry& entry) {
    return entry.packed.expired() || entry.owner.expired();
  });
  for (const Entry& entry : entries) {
    if (entry.recipe != recipe) continue;
    if (auto packed = entry.packed.lock()) return packed;
  }
  auto packed = std::visit([&](const auto& how) { return pack(constant, how); }, recipe);
  if (constant.owner() != nullptr) entries.push_back({recipe, constant.owner(), packed});
  return packed;
}

}  // namespace naru::cpu
