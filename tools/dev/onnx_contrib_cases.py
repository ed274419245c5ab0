"""Cases of com.microsoft's operators for make_onnx_cases.py: one node each, expected outputs from ONNX Runtime."""

from collections.abc import Iterator

import numpy as np

from onnx_opset_cases import OldCase, f32, ints, ramp

DOMAIN = "com.microsoft"


def case(name: str, op: str, inputs: tuple, outputs: int = 1, attributes: dict | None = None, constants: tuple[int, ...] = (), domain: str = DOMAIN, skip: tuple[int, ...] = ()) -> OldCase:
    return OldCase(name, op, (1,) if domain else (21,), inputs, outputs, attributes or {}, constants, domain, skip)


def codes(*shape: int, dtype=np.uint8) -> np.ndarray:
    """Distinct 8-bit codes over the whole range."""
    values = (np.arange(int(np.prod(shape))) * 7919) % 251
    return (values - (120 if dtype == np.int8 else 0)).astype(dtype).reshape(shape)


def scalar(value, dtype=np.float32) -> np.ndarray:
    return np.array(value, dtype)


X = ramp(2, 3, 8, scale=0.4)
ROW = ramp(8, scale=0.3)


def layer_cases() -> Iterator[OldCase]:
    yield case("Gelu", "Gelu", (X,))
    yield case("FastGelu", "FastGelu", (X,))
    yield case("FastGelu_bias", "FastGelu", (X, ROW))
    yield case("QuickGelu", "QuickGelu", (X,))
    yield case("QuickGelu_alpha", "QuickGelu", (X,), attributes={"alpha": 0.7})
    yield case("BiasGelu", "BiasGelu", (X, ROW))
    gamma, beta, skip = ramp(8, scale=0.2) + 1, ramp(8, scale=0.1), ramp(2, 3, 8, scale=0.3)
    yield case("SkipLayerNormalization", "SkipLayerNormalization", (X, skip, gamma, beta), attributes={"epsilon": 1e-5})
    yield case("SkipLayerNormalization_bias", "SkipLayerNormalization", (X, skip, gamma, beta, ROW), 4, {"epsilon": 1e-3}, skip=(1, 2))
    yield case("SkipLayerNormalization_one_skip", "SkipLayerNormalization", (X, skip[:1], gamma), attributes={"epsilon": 1e-5})
    yield case("SkipSimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", (X, skip, gamma), attributes={"epsilon": 1e-5})
    yield case("SkipSimplifiedLayerNormalization_bias", "SkipSimplifiedLayerNormalization", (X, skip, gamma, ROW), 4, {"epsilon": 1e-5}, skip=(1, 2))
    yield case("SimplifiedLayerNormalization", "SimplifiedLayerNormalization", (X, gamma), attributes={"epsilon": 1e-4}, domain="")
    ids, segments = np.array([[3, 0, 4], [1, 2, 2]], np.int32), np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    tables = (ramp(5, 8, scale=0.3), ramp(6, 8, scale=0.2))
    norm = (gamma, beta)
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    yield case("EmbedLayerNormalization", "EmbedLayerNormalization", (ids, segments, *tables, ramp(2, 8, scale=0.1), *norm, mask), 3, {"epsilon": 1e-5})
    yield case("EmbedLayerNormalization_positions", "EmbedLayerNormalization", (ids, None, *tables, None, *norm, None, np.array([[5, 1, 0], [2, 2, 3]], np.int32)), 2, {"epsilon": 1e-5})


def product_cases() -> Iterator[OldCase]:
    for flags in ({}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1, "alpha": 0.25}):
        a = ramp(2, 4, 3) if flags.get("transA") else ramp(2, 3, 4)
        b = ramp(2, 5, 4, scale=0.5) if flags.get("transB") else ramp(2, 4, 5, scale=0.5)
        yield case("FusedMatMul_" + "_".join(flags or ["plain"]), "FusedMatMul", (a, b), attributes=flags)
    yield case("FusedMatMul_batch", "FusedMatMul", (ramp(3, 2, 4), ramp(2, 4, 5)), attributes={"transBatchA": 1})
    yield case("FusedMatMul_batch_both", "FusedMatMul", (ramp(3, 2, 4), ramp(4, 2, 5)), attributes={"transBatchA": 1, "transBatchB": 1})
    yield case("FusedGemm", "FusedGemm", (ramp(3, 4), ramp(5, 4), ramp(5)), attributes={"transB": 1, "alpha": 0.5, "beta": 0.25, "activation": "LeakyRelu", "activation_alpha": 0.2})
    image, kernel = ramp(1, 3, 5, 6), ramp(4, 3, 3, 3, scale=0.1)
    yield case("FusedConv_relu", "FusedConv", (image, kernel, ramp(4)), attributes={"activation": "Relu", "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]})
    yield case("FusedConv_sum", "FusedConv", (image, kernel, ramp(4), ramp(1, 4, 3, 4)), attributes={"activation": "Relu", "kernel_shape": [3, 3]})
    yield case("FusedConv_clip", "FusedConv", (image, kernel), attributes={"activation": "Clip", "activation_params": [-1.0, 2.5], "kernel_shape": [3, 3]})
    yield case("FusedConv_leaky", "FusedConv", (image, kernel), attributes={"activation": "LeakyRelu", "activation_params": [0.2], "strides": [2, 1], "kernel_shape": [3, 3]})
    for bits in (2, 4, 8):
        k, n, block = 40, 6, 16
        blocks = -(-k // block)
        weights, scales = codes(n, blocks, block * bits // 8), np.abs(ramp(n, blocks, scale=0.1)) + 0.01
        yield case(f"MatMulNBits_{bits}", "MatMulNBits", (ramp(3, k), weights, scales), attributes={"K": k, "N": n, "bits": bits, "block_size": block}, constants=(1, 2))
        zero = codes(n, -(-blocks * bits // 8))
        yield case(f"MatMulNBits_{bits}_zero", "MatMulNBits", (ramp(2, 3, k), weights, scales, zero), attributes={"K": k, "N": n, "bits": bits, "block_size": block}, constants=(1, 2, 3))
    weights = codes(6, 3, 8)
    yield case("MatMulNBits_bias", "MatMulNBits", (ramp(3, 40), weights, np.abs(ramp(6, 3, scale=0.1)), None, None, ramp(6)), attributes={"K": 40, "N": 6, "bits": 4, "block_size": 16}, constants=(1, 2, 5))


def integer_cases() -> Iterator[OldCase]:
    for dtype in (np.uint8, np.int8):
        b = codes(4, 5, dtype=dtype)
        kind = np.dtype(dtype).name
        yield case(f"DynamicQuantizeMatMul_{kind}", "DynamicQuantizeMatMul", (ramp(3, 4), b, scalar(0.02), scalar(3, dtype)), constants=(1, 2, 3))
        yield case(f"MatMulIntegerToFloat_{kind}", "MatMulIntegerToFloat", (codes(2, 3, 4), b, scalar(0.05), scalar(0.02), scalar(100, np.uint8), scalar(3, dtype), ramp(5)), constants=(1, 3, 5))
    yield case("DynamicQuantizeMatMul_bias", "DynamicQuantizeMatMul", (ramp(3, 4), codes(4, 5, dtype=np.int8), np.abs(f32(0.02, 0.01, 0.03, 0.04, 0.05)), None, ramp(5)), constants=(1, 2))
    a, b = codes(3, 4), codes(4, 5, dtype=np.int8)
    gemm = (a, scalar(0.05), scalar(100, np.uint8), b, scalar(0.02), scalar(0, np.int8))
    yield case("QGemm_float", "QGemm", gemm, constants=(3, 4, 5))
    yield case("QGemm", "QGemm", (*gemm, np.arange(5, dtype=np.int32) * 100 - 200, scalar(0.25), scalar(120, np.uint8)), constants=(3, 4, 5, 6))
    yield case("QGemm_trans", "QGemm", (a, scalar(0.05), scalar(100, np.uint8), codes(5, 4, dtype=np.int8), scalar(0.02), scalar(0, np.int8)), attributes={"transB": 1, "alpha": 2.0}, constants=(3, 4, 5))


def qlinear_cases() -> Iterator[OldCase]:
    # Scales are no simple fractions of each other, so that no result is a tie, which ONNX Runtime rounds after the zero point.
    for dtype, zero in ((np.uint8, 128), (np.int8, -3)):
        kind = np.dtype(dtype).name
        x = (codes(2, 3, 4, dtype=dtype), scalar(0.0613), scalar(zero, dtype))
        y = (codes(3, 4, dtype=dtype), scalar(0.1271), scalar(zero // 2, dtype))
        out = (scalar(0.2489), scalar(zero, dtype))
        yield case(f"QLinearAdd_{kind}", "QLinearAdd", (*x, *y, *out))
        yield case(f"QLinearMul_{kind}", "QLinearMul", (*x, *y, scalar(1.013), out[1]))
        yield case(f"QLinearLeakyRelu_{kind}", "QLinearLeakyRelu", (*x, *out), attributes={"alpha": 0.25}, constants=(1, 2, 3, 4))
        yield case(f"QLinearSigmoid_{kind}", "QLinearSigmoid", (*x, scalar(1 / 257), scalar(0 if dtype == np.uint8 else -128, dtype)), constants=(1, 2, 3, 4))
        for opset, axis in ((13, -1), (13, 1), (12, 1)):
            yield case(f"QLinearSoftmax_{kind}_{opset}_{axis}", "QLinearSoftmax", (*x, scalar(1 / 257), scalar(0 if dtype == np.uint8 else -128, dtype)), attributes={"axis": axis, "opset": opset}, constants=(1, 2, 3, 4))
        image = (codes(1, 2, 6, 6, dtype=dtype), scalar(0.0613), scalar(zero, dtype))
        yield case(f"QLinearAveragePool_{kind}", "QLinearAveragePool", (*image, scalar(0.0701), scalar(zero, dtype)), attributes={"kernel_shape": [2, 2], "strides": [2, 2]}, constants=(1, 2, 3, 4))
        yield case(f"QLinearGlobalAveragePool_{kind}", "QLinearGlobalAveragePool", (*image, scalar(0.0613), scalar(zero, dtype)), constants=(1, 2, 3, 4))
        yield case(f"QLinearConcat_{kind}", "QLinearConcat", (*out, codes(2, 3, dtype=dtype), scalar(0.1271), scalar(zero, dtype), codes(2, 2, dtype=dtype), scalar(0.5131), scalar(zero, dtype)), attributes={"axis": 1}, constants=(0, 1, 3, 4, 6, 7))
    yield case("QuantizeLinear", "QuantizeLinear", (X, scalar(0.0613), scalar(100, np.uint8)))
    yield case("QuantizeLinear_axis", "QuantizeLinear", (X, f32(0.5, 0.25, 0.125), np.array([1, 2, 3], np.uint8)))
    yield case("DequantizeLinear_axis", "DequantizeLinear", (codes(2, 3, 4), f32(0.5, 0.25, 0.125), np.array([1, 2, 3], np.uint8)))


def attention_cases() -> Iterator[OldCase]:
    x, weights, bias = ramp(2, 4, 8, scale=0.3), ramp(8, 24, scale=0.1), ramp(24, scale=0.1)
    two = {"num_heads": 2}
    yield case("Attention", "Attention", (x, weights, bias), attributes=two)
    yield case("Attention_causal", "Attention", (x, weights, bias), attributes={**two, "unidirectional": 1})
    yield case("Attention_lengths", "Attention", (x, weights, bias, np.array([4, 2], np.int32)), attributes=two)
    yield case("Attention_mask", "Attention", (x, weights, bias, np.array([[1, 1, 1, 0], [1, 0, 1, 1]], np.int32)), attributes=two)
    yield case("Attention_sizes", "Attention", (x, ramp(8, 20, scale=0.1), ramp(20, scale=0.1)), attributes={**two, "qkv_hidden_sizes": [8, 8, 4]})
    yield case("Attention_past", "Attention", (x, weights, bias, None, ramp(2, 2, 2, 3, 4, scale=0.2)), 2, {**two, "unidirectional": 1})
    yield case("Attention_bias", "Attention", (x, weights, bias, None, None, ramp(1, 2, 4, 4, scale=0.3)), attributes={**two, "scale": 0.7})
    # Weights of 7 bits: with 8, ONNX Runtime's products saturate where there is no VNNI.
    integers = (codes(2, 4, 8), codes(8, 24, dtype=np.int8) // 2, bias, scalar(0.01), scalar(0.01), None, scalar(120, np.uint8), scalar(2, np.int8))
    yield case("QAttention", "QAttention", integers, attributes=two, constants=(1, 2, 3, 4, 6, 7))
    yield case("QAttention_causal", "QAttention", integers, attributes={**two, "unidirectional": 1}, constants=(1, 2, 3, 4, 6, 7))
    q, k, v = ramp(2, 4, 8, scale=0.3), ramp(2, 5, 8, scale=0.2), ramp(2, 5, 8, scale=0.4)
    yield case("MultiHeadAttention", "MultiHeadAttention", (q, k, v), attributes=two)
    yield case("MultiHeadAttention_bias", "MultiHeadAttention", (q, k, v, ramp(24, scale=0.1)), attributes=two)
    yield case("MultiHeadAttention_lengths", "MultiHeadAttention", (q, k, v, None, np.array([5, 3], np.int32)), attributes=two)
    yield case("MultiHeadAttention_padding", "MultiHeadAttention", (q, k, v, None, np.array([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]], np.int32)), attributes=two)
    yield case("MultiHeadAttention_scores", "MultiHeadAttention", (q, k, v, None, None, ramp(1, 2, 4, 5, scale=0.3)), attributes={**two, "scale": 0.5})
    yield case("MultiHeadAttention_heads", "MultiHeadAttention", (q, ramp(2, 2, 5, 4, scale=0.2), ramp(2, 2, 5, 4, scale=0.3)), attributes=two)
    past = (ramp(2, 2, 3, 4, scale=0.3), ramp(2, 2, 3, 4, scale=0.1))
    yield case("MultiHeadAttention_past", "MultiHeadAttention", (q, q * 0.5, q * 0.25, None, None, None, *past), 3, {**two, "unidirectional": 1})
    # ONNX Runtime wants heads of a multiple of 16 elements.
    def group_inputs(length: int, past: int) -> tuple:
        caches = (ramp(2, 2, past, 16, scale=0.2), ramp(2, 2, past, 16, scale=0.3))
        lengths = (np.full(2, past + length - 1, np.int32), scalar(past + length, np.int32))
        return (ramp(2, length, 64, scale=0.3), ramp(2, length, 32, scale=0.2), ramp(2, length, 32, scale=0.4), *caches, *lengths)

    group, angles = {"num_heads": 4, "kv_num_heads": 2}, (ramp(16, 8, scale=0.2), ramp(16, 8, scale=0.15))
    yield case("GroupQueryAttention", "GroupQueryAttention", group_inputs(3, 0), 3, group)
    yield case("GroupQueryAttention_rotary", "GroupQueryAttention", (*group_inputs(3, 0), *angles), 3, {**group, "do_rotary": 1})
    yield case("GroupQueryAttention_past", "GroupQueryAttention", (*group_inputs(1, 5), *angles), 3, {**group, "do_rotary": 1, "rotary_interleaved": 1})
    yield case("GroupQueryAttention_window", "GroupQueryAttention", group_inputs(1, 5), 3, {**group, "local_window_size": 3, "softcap": 2.0})
    yield case("GroupQueryAttention_packed", "GroupQueryAttention", (ramp(2, 3, 128, scale=0.2), None, None, *group_inputs(3, 0)[3:]), 3, group)
    caches = (ramp(16, 2, scale=0.2), ramp(16, 2, scale=0.15))
    for name, attributes in (("", {}), ("_interleaved", {"interleaved": 1})):
        yield case(f"RotaryEmbedding{name}", "RotaryEmbedding", (ramp(2, 3, 8), np.array([[0, 1, 2], [5, 3, 1]], np.int64), *caches), attributes=attributes)
    yield case("RotaryEmbedding_offset", "RotaryEmbedding", (ramp(2, 3, 8), ints(4), *caches))
    yield case("RotaryEmbedding_heads", "RotaryEmbedding", (ramp(2, 2, 3, 4), np.array([[0, 1, 2], [5, 3, 1]], np.int64), *caches))


def all_cases() -> list[OldCase]:
    families = (layer_cases, product_cases, integer_cases, qlinear_cases, attention_cases)
    return [entry for family in families for entry in family()]
