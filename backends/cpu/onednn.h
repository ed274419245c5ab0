// oneDNN seen from naru: errors, element types, memory descriptors.
#pragma once

#include <optional>
#include <oneapi/dnnl/dnnl.hpp>

#include "backends/cpu/layout.h"
#include "graph/fail.h"

namespace naru::cpu {

/// Runs `body`; a dnnl::error becomes an Error that names `what`.
template <typename Body>
decltype(auto) with_dnnl(const std::string& what, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    const ErrorCode code = error.status == dnnl_out_of_memory  ? ErrorCode::OutOfMemory
                           : error.status == dnnl_unimplemented ? ErrorCode::Unsupported
                                                                : ErrorCode::Device;
    fail(code, "oneDNN: {} failed with status {}: {}", what, static_cast<int>(error.status),
         error.what());
  }
}

/// The element type in oneDNN, when it has it.
std::optional<dnnl::memory::data_type> dnnl_type(DType dtype);

dnnl::memory::dims dims_of(const Shape& shape);

/// The descriptor of a value; a scalar is described as [1].
dnnl::memory::desc desc_of(const Layout& layout);

/// A descriptor that leaves the layout to the primitive.
dnnl::memory::desc any_layout(DType dtype, const Shape& shape);

/// The Layout that `desc` describes, when it is one that Layout can name.
std::optional<Layout> layout_of(const dnnl::memory::desc& desc, DType dtype, const Shape& shape);

/// True when the implementation is one of oneDNN's slow references.
bool is_reference(const dnnl::primitive_desc_base& desc);

/// The one engine of this backend.
const dnnl::engine& engine();

}  // namespace naru::cpu
