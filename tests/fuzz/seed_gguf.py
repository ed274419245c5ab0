#!/usr/bin/env python3
"""Writes small GGUF files to start fuzzing from.

  seed_gguf.py --out tests/fuzz/corpus/gguf
"""

import argparse
import pathlib
import struct

U32, F32, STRING, ARRAY = 4, 6, 8, 9


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def gguf(entries, tensors, version=3):
    """`tensors`: (name, dimensions innermost first, number of the type, bytes)."""
    infos, data = b"", b""
    for name, dims, kind, content in tensors:
        data += b"\0" * (-len(data) % 32)
        infos += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += content
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries) + infos
    return head + b"\0" * (-len(head) % 32) + data


def number(key, value):
    return entry(key, U32, struct.pack("<I", value))


def llama():
    """A whole model: one layer, 8 wide, 5 tokens."""
    def weight(name, *dims):
        size = 4
        for dim in dims:
            size *= dim
        return (name, dims, 0, bytes(size))

    keys = {"block_count": 1, "embedding_length": 8, "attention.head_count": 2, "attention.head_count_kv": 1,
            "feed_forward_length": 12, "context_length": 64}
    layer = [("attn_norm", 8), ("attn_q", 8, 8), ("attn_k", 8, 4), ("attn_v", 8, 4), ("attn_output", 8, 8),
             ("ffn_norm", 8), ("ffn_gate", 8, 12), ("ffn_up", 8, 12), ("ffn_down", 12, 8)]
    tensors = [weight("token_embd.weight", 8, 5), weight("output_norm.weight", 8)]
    tensors += [weight(f"blk.0.{name}.weight", *dims) for name, *dims in layer]
    return gguf([ARCH] + [number(f"llama.{key}", value) for key, value in keys.items()], tensors)


ARCH = entry("general.architecture", STRING, text("llama"))
SEEDS = {
    "llama": llama(),
    "plain": gguf([ARCH, entry("llama.block_count", U32, struct.pack("<I", 2)),
                   entry("llama.rope.freq_base", F32, struct.pack("<f", 1e4))],
                  [("token_embd.weight", [32, 3], 2, bytes(54)), ("output_norm.weight", [3], 0, bytes(12))]),
    "tokenizer": gguf([entry("tokenizer.ggml.tokens", ARRAY, array(STRING, [text("a"), text("한")])),
                       entry("tokenizer.ggml.scores", ARRAY, array(F32, [struct.pack("<f", 0.5)] * 2))], [], 2),
    "types": gguf([], [(f"t{kind}", [256], kind, bytes(size)) for kind, size in
                       ((10, 84), (12, 144), (14, 210), (16, 66), (19, 50), (29, 56), (34, 54), (39, 136), (40, 144))]),
    "split": gguf([entry("split.count", 2, struct.pack("<H", 2)), entry("split.no", 2, struct.pack("<H", 0))], []),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=pathlib.Path, required=True)
folder = parser.parse_args().out
folder.mkdir(parents=True, exist_ok=True)
for name, content in SEEDS.items():
    (folder / f"{name}.gguf").write_bytes(content)
