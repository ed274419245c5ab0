// EXAONE 3 and 3.5: Llama's blocks under other names.
#include "graph/import/llm/architecture.h"

namespace naru::llm {

Architecture architecture_exaone() {
  return {
      .name = "exaone",
      .json_weights = {{"embedding", "transformer.wte"},
                       {"final_norm", "transformer.ln_f"},
                       {"attention_norm", "transformer.h.{}.ln_1"},
                       {"q", "transformer.h.{}.attn.attention.q_proj"},
                       {"k", "transformer.h.{}.attn.attention.k_proj"},
                       {"v", "transformer.h.{}.attn.attention.v_proj"},
                       {"o", "transformer.h.{}.attn.attention.out_proj"},
                       {"norm", "transformer.h.{}.ln_2"},
                       {"gate", "transformer.h.{}.mlp.c_fc_0"},
                       {"up", "transformer.h.{}.mlp.c_fc_1"},
                       {"down", "transformer.h.{}.mlp.c_proj"}},
  };
}

}  // namespace naru::llm
