// The changes between operator versions that take more than a row of the upgrade table.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "graph/import/onnx_upgrade.h"

namespace naru {

/// A node that is being upgraded.
struct Upgrade {
  NodeDraft& draft;
  NodeSink& sink;
  std::vector<OutputFixup>& fixups;

  ValueId input(std::size_t i) const {
    return i < draft.inputs.size() ? draft.inputs[i] : kNoValue;
  }
  /// Sets input `i`, making room for it.
  void set_input(std::size_t i, ValueId id);
  bool wants_output(std::size_t i) const { return i < draft.outputs.size() && draft.outputs[i]; }
  std::optional<std::int64_t> rank(std::size_t input);

  /// Removes an attribute and returns it when it was there.
  std::optional<Attribute> take(std::string_view name);
  std::int64_t take_int(std::string_view name, std::int64_t otherwise);
  /// Sets an attribute that the node does not have.
  void set_default(std::string_view name, Attribute value);

  /// A scalar of the element type of `like`.
  ValueId scalar_like(double number, ValueId like);
  /// @throws Error Unsupported naming the operator and its version.
  [[noreturn]] void unsupported(std::string_view what) const;
};

using UpgradeStep = void (*)(Upgrade&);

void align_broadcast_axis(Upgrade& upgrade);       // binary operators before 7
void batch_norm_not_spatial(Upgrade& upgrade);     // before 9
void batch_norm_inference_only(Upgrade& upgrade);  // before 7
void batch_norm_outputs(Upgrade& upgrade);         // before 14
void cast_to_by_name(Upgrade& upgrade);            // before 6
void coerce_to_2d(Upgrade& upgrade);               // Softmax and its kin before 13
void dft_axis(Upgrade& upgrade);                   // before 20
void dropout_mask_type(Upgrade& upgrade);          // before 10
void grid_sample_modes(Upgrade& upgrade);          // before 20
void group_norm_per_channel(Upgrade& upgrade);     // before 21
void label_encoder_lists(Upgrade& upgrade);        // before ai.onnx.ml 2
void prelu_per_channel(Upgrade& upgrade);          // before 7
void resize_without_roi(Upgrade& upgrade);         // before 11
void resize_empty_inputs(Upgrade& upgrade);        // every version
void scan_without_batch(Upgrade& upgrade);         // before 9
void split_into_equal(Upgrade& upgrade);           // before 18
void upsample_scales(Upgrade& upgrade);            // before 7
void upsample_as_resize(Upgrade& upgrade);         // every version
void reject_version(Upgrade& upgrade);             // changes that no model at hand needs

}  // namespace naru
