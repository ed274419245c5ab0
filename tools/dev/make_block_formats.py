#!/usr/bin/env python3
"""Writes what the block formats need from the package gguf (0.19.0): the code books of the IQ formats
(graph/block/grids.inc) and golden blocks with their values (tests/graph/data/block_formats.bin).

    pip install gguf==0.19.0 && tools/dev/make_block_formats.py
"""
import pathlib
import struct

import numpy as np
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Q

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRIDS = [("kGrid2xxs", Q.IQ2_XXS, 2), ("kGrid2xs", Q.IQ2_XS, 2), ("kGrid2s", Q.IQ2_S, 2),
         ("kGrid3xxs", Q.IQ3_XXS, 3), ("kGrid3s", Q.IQ3_S, 3), ("kGrid1", Q.IQ1_S, 2)]
# Where f16 scales lie in a block: random bits there could be NaN or infinite.
SCALES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108],
          Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ2_XXS: [0], Q.IQ2_XS: [0], Q.IQ2_S: [0],
          Q.IQ3_XXS: [0], Q.IQ3_S: [0], Q.IQ1_S: [0], Q.IQ1_M: [], Q.IQ4_NL: [0], Q.IQ4_XS: [0], Q.TQ1_0: [52],
          Q.TQ2_0: [64], Q.MXFP4: [], Q.NVFP4: []}
QUANTIZED = [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0]


def write_grids():
    lines = ["// Made by tools/dev/make_block_formats.py; element j of a group is field j, lowest bits first."]
    for name, kind, bits in GRIDS:
        codec = quants._type_traits[kind]
        codec.init_grid()
        values = sorted(codec.grid_map)
        grid = np.searchsorted(values, codec.grid.reshape(codec.grid_shape).astype(int))
        codes = (grid << (bits * np.arange(grid.shape[1]))).sum(axis=1)
        lines.append(f"constexpr std::uint16_t {name}[{len(codes)}] = {{")
        for i in range(0, len(codes), 14):
            lines.append("    " + " ".join(f"{code}," for code in codes[i:i + 14]))
        lines.append("};")
    (ROOT / "graph/block/grids.inc").write_text("\n".join(lines) + "\n")


def random_blocks(rng, kind, count):
    blocks = rng.integers(0, 256, (count, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for at in SCALES[kind]:
        blocks[:, at:at + 2] = rng.uniform(-1, 1, (count, 1)).astype(np.float16).view(np.uint8)
    if kind == Q.IQ1_M:
        blocks[:, 55] = blocks[:, 55] & 15 | 0x30  # the scale's exponent
    if kind == Q.MXFP4:
        blocks[:, 0] = rng.integers(0, 140, count)
    return blocks


def write_goldens():
    """Records: name[16], number of blocks, bytes of a block, elements of a block, blocks, f32 values."""
    rng = np.random.default_rng(1)
    out = b""
    for kind in SCALES:
        elements, size = GGML_QUANT_SIZES[kind]
        count = 2 if elements == 256 else 4
        if kind in QUANTIZED:
            values = rng.normal(0, 1, (count, elements)).astype(np.float32)
            blocks = quants.quantize(values, kind).reshape(count, size)
        else:
            blocks = random_blocks(rng, kind, count)
        values = quants.dequantize(blocks, kind).astype("<f4")
        out += struct.pack("<16siii", kind.name.lower().encode(), count, size, elements)
        out += blocks.tobytes() + values.tobytes()
    (ROOT / "tests/graph/data/block_formats.bin").write_bytes(out)


write_grids()
write_goldens()
