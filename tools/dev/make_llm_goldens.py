#!/usr/bin/env python3
"""Writes tiny language models with random weights and the logits that transformers gives for them.

    pip install torch==2.15.0 transformers==5.24.0 && tools/dev/make_llm_goldens.py

Each architecture gets a folder under tests/llm/data: config.json, weights in bf16, and expected.safetensors
with 64 token ids and their logits in f32.
"""
import argparse
import pathlib

import torch
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS, VOCAB = 64, 48
SMALL = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=False,
             bos_token_id=1, eos_token_id=2, pad_token_id=0)
EXPERTS = dict(num_experts_per_tok=2, moe_intermediate_size=24)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)

# folder: model type, what differs from SMALL
MODELS = {
    "llama": ("llama", dict(rope_parameters=LLAMA3)),
    "llama_yarn": ("llama", dict(rope_parameters=YARN, attention_bias=True, mlp_bias=True)),
    "mistral": ("mistral", dict(sliding_window=10, head_dim=16)),
    "smollm3": ("smollm3", dict(num_hidden_layers=4, tie_word_embeddings=True)),
    "granite": ("granite", dict(embedding_multiplier=3.0, residual_multiplier=0.5, attention_multiplier=0.2,
                                logits_scaling=2.0)),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", dict(head_dim=16)),
    "exaone4": ("exaone4", dict(num_hidden_layers=4, sliding_window=8, sliding_window_pattern=4)),
    "gemma2": ("gemma2", dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=12, tie_word_embeddings=True,
                              attn_logit_softcapping=5.0, final_logit_softcapping=4.0)),
    "gemma3": ("gemma3_text", dict(head_dim=16, num_hidden_layers=6, sliding_window=8, query_pre_attn_scalar=12,
                                   tie_word_embeddings=True)),
    "phi3": ("phi3", dict(partial_rotary_factor=0.5, original_max_position_embeddings=128, max_position_embeddings=256,
                          rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.5],
                                               long_factor=[2.0, 3.0], partial_rotary_factor=0.5,
                                               original_max_position_embeddings=128))),
    "mixtral": ("mixtral", dict(num_local_experts=4, num_experts_per_tok=2)),
    "qwen2_moe": ("qwen2_moe", dict(EXPERTS, num_experts=4, shared_expert_intermediate_size=40)),
    "qwen3_moe": ("qwen3_moe", dict(EXPERTS, num_experts=4, head_dim=16, norm_topk_prob=True)),
    "gpt_oss": ("gpt_oss", dict(num_local_experts=4, num_experts_per_tok=2, head_dim=16, sliding_window=8)),
    "exaone_moe": ("exaone_moe", dict(EXPERTS, num_experts=4, n_group=1, topk_group=1, num_shared_experts=1,
                                      first_k_dense_replace=1, routed_scaling_factor=1.5, norm_topk_prob=True)),
}


def make(name, folder):
    kind, differences = MODELS[name]
    torch.manual_seed(len(name))
    config = transformers.AutoConfig.for_model(kind, **{**SMALL, **differences})
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            base = 1.0 if "norm" in key and "gemma" not in name else 0.0
            parameter.copy_((base + 0.25 * torch.randn_like(parameter)).bfloat16().float())
        for key, buffer in model.named_buffers():
            if "bias" in key:  # choice of experts
                buffer.copy_((0.25 * torch.randn_like(buffer)).bfloat16().float())
        tokens = torch.randint(3, VOCAB, (1, TOKENS))
        logits = model(tokens).logits[0].float()
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB" if name == "mistral" else "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    save_file({"tokens": tokens[0].to(torch.int32), "logits": logits}, folder / "expected.safetensors")
    print(name, sum(p.numel() for p in model.parameters()), float(logits.abs().max()))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("names", nargs="*", help="folders; default: all")
for model_name in parser.parse_args().names or MODELS:
    make(model_name, ROOT / "tests/llm/data" / model_name)
