#!/usr/bin/env python3
"""Writes tiny language models with random weights and the logits that transformers gives for them.

    pip install torch==2.15.0 transformers==5.24.0 gguf==0.19.0 && tools/dev/make_llm_goldens.py

Each architecture gets a folder under tests/llm/data: config.json, weights in bf16, and expected.safetensors
with 64 token ids and their logits in f32. Some get model.gguf too, under the names that the package gguf
gives, with the changes that llama.cpp's converter makes.
"""
import argparse
import json
import pathlib
import re

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

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
    "gemma3": ("gemma3_text", dict(head_dim=16, num_hidden_layers=6, sliding_window=8, query_pre_attn_scalar=16,
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


# exaone 3.5 is no part of transformers: its blocks are llama's under other names.
EXAONE_NAMES = [("model.embed_tokens", "transformer.wte"), ("model.norm", "transformer.ln_f"), ("model.layers.", "transformer.h."),
                ("input_layernorm", "ln_1"), ("post_attention_layernorm", "ln_2"),
                ("self_attn.o_proj", "attn.attention.out_proj"), ("self_attn.", "attn.attention."),
                ("mlp.gate_proj", "mlp.c_fc_0"), ("mlp.up_proj", "mlp.c_fc_1"), ("mlp.down_proj", "mlp.c_proj")]
EXAONE_KEYS = {"num_hidden_layers": "num_layers", "rms_norm_eps": "layer_norm_epsilon", "hidden_act": "activation_function"}


def make_exaone(llama, folder):
    tensors = {}
    for key, tensor in load_file(llama / "model.safetensors").items():
        for theirs, own in EXAONE_NAMES:
            key = key.replace(theirs, own)
        tensors[key] = tensor
    config = json.loads((llama / "config.json").read_text())
    config = {EXAONE_KEYS.get(key, key): value for key, value in config.items()}
    config.update(architectures=["ExaoneForCausalLM"], model_type="exaone")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "expected.safetensors").write_bytes((llama / "expected.safetensors").read_bytes())


# GGUF

ARCHITECTURES = {"llama": "llama", "smollm3": "smollm3", "granite": "granite", "exaone4": "exaone4", "gemma3": "gemma3",
                 "phi3": "phi3", "qwen2_moe": "qwen2moe", "gpt_oss": "gpt-oss", "exaone_moe": "exaone-moe"}
# Pairs of the rotary embedding become neighbours.
PERMUTED = {"llama", "smollm3", "granite"}
# Key behind the architecture: member of config.json.
NUMBERS = {"block_count": "num_hidden_layers", "context_length": "max_position_embeddings",
           "embedding_length": "hidden_size", "feed_forward_length": "intermediate_size",
           "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
           "attention.key_length": "head_dim", "attention.layer_norm_rms_epsilon": "rms_norm_eps",
           "attention.sliding_window": "sliding_window", "attn_logit_softcapping": "attn_logit_softcapping",
           "final_logit_softcapping": "final_logit_softcapping", "embedding_scale": "embedding_multiplier",
           "residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier",
           "logit_scale": "logits_scaling", "expert_count": "num_experts", "expert_used_count": "num_experts_per_tok",
           "expert_feed_forward_length": "moe_intermediate_size", "expert_weights_norm": "norm_topk_prob",
           "expert_weights_scale": "routed_scaling_factor"}


def add_numbers(writer, architecture, config):
    for key, member in NUMBERS.items():
        value = config.get(member)
        if isinstance(value, bool):
            writer.add_bool(f"{architecture}.{key}", value)
        elif isinstance(value, int):
            writer.add_uint32(f"{architecture}.{key}", value)
        elif isinstance(value, float):
            writer.add_float32(f"{architecture}.{key}", value)
    if "layer_types" in config and config.get("sliding_window"):
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config["layer_types"]])


def add_rope(writer, config, head_size):
    rope = config["rope_parameters"]
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(head_size * config.get("partial_rotary_factor", 1)))
    trained = rope.get("original_max_position_embeddings")
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(trained)
    elif rope["rope_type"] == "llama3":
        waves = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, head_size, 2) / head_size)
        kept = (trained / waves - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        kept = np.clip(kept, 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / ((1 - kept) / rope["factor"] + kept)).astype(np.float32))
    elif rope["rope_type"] == "longrope":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(trained)
        ratio = config["max_position_embeddings"] / trained
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(ratio) / np.log(trained))))
        for length in ("long", "short"):
            writer.add_tensor(f"rope_factors_{length}.weight", np.array(rope[f"{length}_factor"], np.float32))


def split_experts(tensors):
    """One tensor for all experts, and gpt-oss's gate and up apart, outputs before inputs."""
    result, stacks = {}, {}
    for name, tensor in tensors.items():
        one = re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.weight", name)
        if one:
            stacks.setdefault(f"{one[1]}.{one[3]}.weight", {})[int(one[2])] = tensor
            continue
        whole = re.fullmatch(r"(.*\.experts)\.(gate_up|down)_proj(_bias)?", name)
        if not whole:
            result[name] = tensor
            continue
        part = "bias" if whole[3] else "weight"
        parts = {"gate": tensor[..., ::2], "up": tensor[..., 1::2]} if whole[2] == "gate_up" else {"down": tensor}
        for own, value in parts.items():
            result[f"{whole[1]}.{own}_proj.{part}"] = value if whole[3] else value.swapaxes(1, 2)
    for name, stack in stacks.items():
        result[name] = np.stack([stack[i] for i in range(len(stack))])
    return result


def gguf_name(names, name):
    for known in (name, name.replace(".e_score_correction_bias", ".e_score_correction.bias")):
        found = names.get_name(known, try_suffixes=(".weight", ".bias"))
        if found:
            return found if found.endswith((".weight", ".bias")) else found + ".weight"
    raise KeyError(name)


def permuted(tensor, heads):
    return tensor.reshape(heads, 2, -1, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def add_weight(writer, name, tensor):
    tensor = np.ascontiguousarray(tensor)
    if tensor.ndim == 1 or name.endswith(".bias"):
        writer.add_tensor(name, tensor)
    else:  # exact: the values are those of bf16
        writer.add_tensor(name, gguf.quants.quantize(tensor, gguf.GGMLQuantizationType.BF16),
                          raw_dtype=gguf.GGMLQuantizationType.BF16)


def make_gguf(name, folder):
    architecture = ARCHITECTURES[name]
    config = json.loads((folder / "config.json").read_text())
    config.setdefault("num_experts", config.get("num_local_experts"))
    heads = config["num_attention_heads"]
    writer = gguf.GGUFWriter(str(folder / "model.gguf"), architecture)
    add_numbers(writer, architecture, config)
    add_rope(writer, config, config.get("head_dim") or config["hidden_size"] // heads)
    kind = next(kind for kind, text in gguf.MODEL_ARCH_NAMES.items() if text == architecture)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    tensors = {key: value.float().numpy() for key, value in load_file(folder / "model.safetensors").items()}
    for key, tensor in split_experts(tensors).items():
        if name in PERMUTED and ".q_proj." in key:
            tensor = permuted(tensor, heads)
        if name in PERMUTED and ".k_proj." in key:
            tensor = permuted(tensor, config["num_key_value_heads"])
        if architecture == "gemma3" and "norm" in key:
            tensor = tensor + 1
        if key.endswith("shared_expert_gate.weight"):
            tensor = tensor[0]
        add_weight(writer, gguf_name(names, key), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("names", nargs="*", help="folders; default: all")
parser.add_argument("--gguf-only", action="store_true", help="from the models that are there")
arguments = parser.parse_args()
for model_name in arguments.names or MODELS:
    model_folder = ROOT / "tests/llm/data" / model_name
    if not arguments.gguf_only:
        make(model_name, model_folder)
    if model_name in ARCHITECTURES:
        make_gguf(model_name, model_folder)
    if model_name == "llama":
        make_exaone(model_folder, model_folder.parent / "exaone")
