// TensorProto to Tensor: the one validator of every way in which ONNX stores a tensor's data.
#pragma once

#include <cstdint>

#include "naru/tensor.h"

#include "graph/model_file.h"
#include "onnx.pb.h"

namespace naru {

/// The element type of a TensorProto.DataType. @throws Error InvalidModel for an undefined one,
/// Unsupported for one that naru has no type for.
DType dtype_from_onnx(std::int32_t data_type);

/// Reads tensors of one model. One thread at a time.
class TensorSource {
 public:
  /// `directory` opens external data; null refuses them. It must outlive the source.
  explicit TensorSource(ModelDirectory* directory) : directory_(directory) {}

  /// Turns `proto` into a tensor. Large data are moved out of `proto` or mapped, not copied, so a
  /// second call on the same proto fails.
  /// @throws Error InvalidModel when type, dims and data do not agree.
  Tensor take(onnx::TensorProto& proto);

  /// Turns a sparse tensor into a dense one. Few bytes can ask for many, so single tensors and
  /// their sum keep the limits of folded constants.
  Tensor take(onnx::SparseTensorProto& proto);

 private:
  ModelDirectory* directory_;
  std::int64_t dense_bytes_ = 0;
  std::int64_t allowed_dense_bytes_ = INT64_C(64) << 20;
};

}  // namespace naru
