// Chains as oneDNN post-ops: which steps it has, and how many a primitive takes without slowing down.
#include "backends/cpu/post_ops.h"

#include <algorithm>
#include <string_view>

namespace naru::cpu {
namespace {

using Algorithm = dnnl::algorithm;

struct EltwiseArgs {
  Algorithm algorithm;
  float alpha = 0;
  float beta = 0;
};

std::optional<EltwiseArgs> eltwise_of(const EwStep& step) {
  switch (step.op) {
    case Ew::Relu: return EltwiseArgs{Algorithm::eltwise_relu};
    case Ew::LeakyRelu: return EltwiseArgs{Algorithm::eltwise_relu, step.alpha};
    case Ew::Elu: return EltwiseArgs{Algorithm::eltwise_elu, step.alpha};
    case Ew::Abs: return EltwiseArgs{Algorithm::eltwise_abs};
    case Ew::Square: return EltwiseArgs{Algorithm::eltwise_square};
    case Ew::Tanh: return EltwiseArgs{Algorithm::eltwise_tanh};
    case Ew::Sigmoid: return EltwiseArgs{Algorithm::eltwise_logistic};
    case Ew::Exp: return EltwiseArgs{Algorithm::eltwise_exp};
    case Ew::Log: return EltwiseArgs{Algorithm::eltwise_log};
    case Ew::Clip: return EltwiseArgs{Algorithm::eltwise_clip, step.alpha, step.beta};
    case Ew::Linear: return EltwiseArgs{Algorithm::eltwise_linear, step.alpha, step.beta};
    case Ew::Neg: return EltwiseArgs{Algorithm::eltwise_linear, -1, 0};
    case Ew::HardSwish: return EltwiseArgs{Algorithm::eltwise_hardswish, 1.0f / 6, 0.5f};
    case Ew::HardSigmoid: return EltwiseArgs{Algorithm::eltwise_hardsigmoid, step.alpha, step.beta};
    case Ew::GeluErf: return EltwiseArgs{Algorithm::eltwise_gelu_erf};
    case Ew::GeluTanh: return EltwiseArgs{Algorithm::eltwise_gelu_tanh};
    case Ew::Softplus: return EltwiseArgs{Algorithm::eltwise_soft_relu, 1};
    case Ew::Mish: return EltwiseArgs{Algorithm::eltwise_mish};
    case Ew::Swish: return EltwiseArgs{Algorithm::eltwise_swish, step.alpha};
    default: return std::nullopt;
  }
}

/// Not its maximum and minimum: they drop NaN.
std::optional<Algorithm> binary_of(Ew op) {
  switch (op) {
    case Ew::Add: return Algorithm::binary_add;
    case Ew::Sub: return Algorithm::binary_sub;
    case Ew::Mul: return Algorithm::binary_mul;
    case Ew::Div: return Algorithm::binary_div;
    default: return std::nullopt;
  }
}

/// Post-ops for the first steps of a chain.
struct PostOps {
  dnnl::post_ops ops;
  std::vector<Argument> arguments;
  std::optional<Rep> over;  ///< the operand of a sum: the output lies over it
};

/// How an operand broadcasts to the output; oneDNN's fast implementations take all but Other.
enum class Broadcast : std::uint8_t { Scalar, Channel, None, Other };

Broadcast broadcast_of(const Shape& operand, const Shape& output, std::int64_t channel_axis) {
  if (operand == output) return Broadcast::None;
  if (operand.numel() == 1) return Broadcast::Scalar;
  for (std::int64_t axis = 0; axis < output.rank(); ++axis) {
    if (operand[axis] != (axis == channel_axis ? output[axis] : 1)) return Broadcast::Other;
  }
  return Broadcast::Channel;
}

class ChainEmitter {
 public:
  ChainEmitter(Lowering& lowering, const ChainedPrimitive& chained)
      : lowering_(lowering), chained_(chained) {}

  bool emit() {
    const dnnl::primitive_attr plain = attributes({});
    dnnl::primitive_desc desc = first_desc(plain);
    if (!desc) return false;
    const std::string implementation = desc.impl_info_str();
    PostOps post;
    std::size_t used = 0;
    if (!chained_.steps.empty()) {
      for (std::size_t count = mappable(); count > 0 && used == 0; --count) {
        // A sum reads and writes the output in place; where it does not fit, a binary step does.
        for (const bool sum : {true, false}) {
          std::optional<PostOps> candidate = post_ops(count, sum);
          if (!candidate) continue;
          const dnnl::primitive_desc fused = chained_.make(desc_of(layout_), attributes(candidate->ops));
          if (!fused || implementation != fused.impl_info_str()) continue;
          desc = fused;
          post = std::move(*candidate);
          used = count;
          break;
        }
      }
    }
    emit_steps(desc, post, used);
    return true;
  }

 private:
  static dnnl::primitive_attr attributes(const dnnl::post_ops& ops) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (ops.len() > 0) attributes.set_post_ops(ops);
    return attributes;
  }

  dnnl::primitive_desc first_desc(const dnnl::primitive_attr& plain) {
    for (const Layout& layout : chained_.preferred) {
      layout_ = layout;
      if (const dnnl::primitive_desc desc = chained_.make(desc_of(layout), plain)) return desc;
    }
    if (!chained_.preferred.empty()) return {};
    dnnl::primitive_desc desc = chained_.make(any_layout(chained_.output.dtype, chained_.output.shape), plain);
    if (!desc) return {};
    const std::optional<Layout> chosen =
        layout_of(desc.query_md(dnnl::query::dst_md), chained_.output.dtype, chained_.output.shape);
    layout_ = chosen.value_or(chained_.output);
    return chosen ? desc : chained_.make(desc_of(layout_), plain);
  }

  std::int64_t channel_axis(const Shape& shape) const {
    return chained_.channels_last ? shape.rank() - 1 : 1;
  }

  Broadcast broadcast_of_step(const EwStep& step) const {
    const Shape output = lowering_.output_layout(0).shape;
    const Shape& operand = lowering_.shape(static_cast<std::size_t>(step.operand));
    const Broadcast broadcast = broadcast_of(with_rank(operand, output.rank()), output, channel_axis(output));
    if (broadcast != Broadcast::Channel) return broadcast;
    // A product with a vector has joined the axis of the operand with others.
    const bool joined = layout_.shape[channel_axis(layout_.shape)] != output[channel_axis(output)];
    return joined ? Broadcast::Other : broadcast;
  }

  /// How many leading steps oneDNN has at all.
  std::size_t mappable() const {
    std::size_t count = 0;
    for (const EwStep& step : chained_.steps) {
      const bool known = is_binary(step.op)
                             ? binary_of(step.op) && broadcast_of_step(step) != Broadcast::Other
                             : eltwise_of(step).has_value();
      if (!known) break;
      ++count;
    }
    return count;
  }

  /// The operand of a step whose memory may become the output's; empty when it may not.
  std::optional<Rep> summand(const EwStep& step) {
    const auto input = static_cast<std::size_t>(step.operand);
    if (step.op != Ew::Add || lowering_.is_fragment_output(0)) return std::nullopt;
    const Layout wanted = node_layout();
    if (lowering_.shape(input) != wanted.shape || lowering_.dtype(input) != wanted.dtype) {
      return std::nullopt;
    }
    const std::vector<Layout> layouts = lowering_.layouts(input);
    if (std::find(layouts.begin(), layouts.end(), wanted) == layouts.end()) return std::nullopt;
    const Rep rep = lowering_.as(input, wanted);
    if (!lowering_.dies(rep)) return std::nullopt;
    for (const Rep& other : chained_.inputs) {
      if (lowering_.shares_memory(rep, other)) return std::nullopt;
    }
    for (const EwStep& other : chained_.steps) {
      if (&other == &step || !is_binary(other.op)) continue;
      if (lowering_.shares_memory(rep, lowering_.input(static_cast<std::size_t>(other.operand)))) {
        return std::nullopt;
      }
    }
    return rep;
  }

  /// nullopt when `sum` is asked for but no step can be one.
  std::optional<PostOps> post_ops(std::size_t count, bool sum) {
    PostOps post;
    for (std::size_t i = 0; i < count; ++i) {
      const EwStep& step = chained_.steps[i];
      if (!is_binary(step.op)) {
        const EltwiseArgs args = *eltwise_of(step);
        post.ops.append_eltwise(args.algorithm, args.alpha, args.beta);
        continue;
      }
      if (sum && !post.over) {
        post.over = summand(step);
        if (post.over) {
          post.ops.append_sum(1.0f);
          continue;
        }
      }
      const auto input = static_cast<std::size_t>(step.operand);
      Argument argument;
      argument.id = DNNL_ARG_ATTR_MULTIPLE_POST_OP(post.ops.len()) | DNNL_ARG_SRC_1;
      const Broadcast broadcast = broadcast_of_step(step);
      if (broadcast == Broadcast::None && lowering_.shape(input) == node_layout().shape) {
        argument.rep = lowering_.as(input, node_layout());
        argument.desc = desc_of(layout_);
      } else {
        argument.rep = lowering_.plain(input);
        argument.desc = operand_desc(broadcast);
      }
      post.ops.append_binary(*binary_of(step.op), argument.desc);
      post.arguments.push_back(std::move(argument));
    }
    if (sum && !post.over) return std::nullopt;
    return post;
  }

  /// The node's output in the layout that the primitive writes.
  Layout node_layout() const {
    return layout_.is_plain() ? lowering_.output_layout(0) : layout_;
  }

  dnnl::memory::desc operand_desc(Broadcast broadcast) const {
    if (broadcast == Broadcast::None) return desc_of(Layout::plain(layout_.dtype, layout_.shape));
    std::vector<std::int64_t> dims(layout_.shape.dims().size(), 1);
    const std::int64_t axis = channel_axis(layout_.shape);
    if (broadcast == Broadcast::Channel) dims[static_cast<std::size_t>(axis)] = layout_.shape[axis];
    return desc_of(Layout::plain(layout_.dtype, Shape(dims)));
  }

  void emit_steps(const dnnl::primitive_desc& desc, const PostOps& post, std::size_t used) {
    Rep output;
    const bool rest = used < chained_.steps.size();
    if (post.over) {
      output = *post.over;
      lowering_.set_output(0, output);
    } else {
      output = lowering_.output(0, node_layout());
    }
    std::vector<Argument> arguments = chained_.bind(desc);
    arguments.insert(arguments.end(), post.arguments.begin(), post.arguments.end());
    arguments.push_back({DNNL_ARG_DST, desc_of(layout_), output, true});
    lowering_.emit(chained_.kernel + " " + desc.impl_info_str(), dnnl::primitive(desc), desc,
                   std::move(arguments));
    if (!rest) return;
    std::vector<EwStep> steps(chained_.steps.begin() + static_cast<std::ptrdiff_t>(used),
                              chained_.steps.end());
    std::vector<ChainOperand> operands = {chain_operand(output)};
    for (EwStep& step : steps) {
      if (!is_binary(step.op)) continue;
      operands.push_back(chain_operand(lowering_, static_cast<std::size_t>(step.operand), output.layout));
      step.operand = static_cast<std::int32_t>(operands.size() - 1);
    }
    emit_chain(lowering_, "element-wise", std::move(steps), operands, output);
  }

  Lowering& lowering_;
  const ChainedPrimitive& chained_;
  Layout layout_;
};

}  // namespace

bool emit_with_chain(Lowering& lowering, const ChainedPrimitive& chained) {
  return with_dnnl(chained.kernel.c_str(), [&] { return ChainEmitter(lowering, chained).emit(); });
}

}  // namespace naru::cpu
