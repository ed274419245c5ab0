// What a causal language model is made of, as numbers: read from GGUF or config.json, used by the
// builder of the step graph.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace naru::llm {

/// Frequencies of a rotary embedding: position p turns pair i by p * inverse_frequencies[i].
struct Rope {
  std::vector<float> inverse_frequencies;  ///< half as many as elements that are rotated
  float magnitude = 1;                     ///< factor of cosines and sines
};

/// The activation between the two halves of a feed-forward layer.
enum class Activation : std::uint8_t {
  Silu,      ///< silu(gate) * up
  GeluTanh,  ///< gelu(gate) * up, by the tanh form
};

/// How the scores of experts become their weights.
enum class Gating : std::uint8_t {
  SoftmaxTopK,  ///< softmax over all, the largest taken as they are or brought to a sum of 1
  TopKSoftmax,  ///< softmax over the largest
  SigmoidTopK,  ///< sigmoid; a bias per expert takes part in the choice alone
};

struct Experts {
  std::int64_t count = 0;
  std::int64_t used = 0;
  std::int64_t feed_forward = 0;
  Gating gating = Gating::SoftmaxTopK;
  bool normalise = false;  ///< weights of the chosen sum to 1
  double scale = 1;        ///< of the weights
  double alpha = 1;        ///< these three as the attributes of naru.MoE
  double limit = 0;
  double up_offset = 0;
};

struct Layer {
  static constexpr int kNoRope = -1;
  std::int64_t window = 0;  ///< positions that attention sees; 0: all
  int rope = 0;             ///< index into Config::ropes, or kNoRope
  bool experts = false;
};

struct Config {
  std::string architecture;
  std::string name;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
  std::int64_t feed_forward = 0;
  std::int64_t vocab = 0;
  std::int64_t context = 0;
  double norm_epsilon = 1e-5;
  double norm_offset = 0;  ///< added to the weights of norms
  double embedding_scale = 1;
  double residual_scale = 1;
  double attention_scale = 0;  ///< 0: one over the root of head_size
  double attention_softcap = 0;
  double logit_scale = 1;
  double logit_softcap = 0;
  Activation activation = Activation::Silu;
  bool interleaved_rope = false;
  std::vector<Rope> ropes;
  std::vector<Layer> layers;
  Experts experts;
  std::optional<std::int64_t> bos;  ///< id of the token before the text
  std::vector<std::int64_t> eos;    ///< ids that end an answer
};

/// Hyper-parameters by naru's own names, whatever the file calls them (see parameters.cpp).
class Parameters {
 public:
  virtual ~Parameters() = default;
  /// True where weights are as llama.cpp's converter leaves them.
  virtual bool is_gguf() const = 0;
  /// @throws Error InvalidModel when the value has another kind.
  virtual std::optional<double> number(std::string_view name) const = 0;
  virtual std::optional<std::string> text(std::string_view name) const = 0;
  /// Numbers, or bools as 0 and 1, or the words "sliding_attention" as 1 and others as 0.
  virtual std::optional<std::vector<double>> list(std::string_view name) const = 0;

  double number(std::string_view name, double otherwise) const {
    return number(name).value_or(otherwise);
  }
  /// @throws Error InvalidModel unless the value is there and in [low, high].
  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high) const;
  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high,
                       std::int64_t otherwise) const;
};

}  // namespace naru::llm
