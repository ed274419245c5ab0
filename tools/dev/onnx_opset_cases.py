"""Cases of old operator versions for make_onnx_cases.py: one node each, expected outputs from ONNX Runtime.

The onnx package has node cases of the newest versions only, so what an upgrade at import means would go
untested. Each entry of CASES lists the opsets at which the node is the same text.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class OldCase:
    name: str
    op: str
    opsets: tuple[int, ...]
    inputs: tuple  # arrays; None for an absent one
    outputs: int = 1
    attributes: dict = dataclasses.field(default_factory=dict)
    # Indices of inputs that are initializers: the upgrade may read their values.
    constants: tuple[int, ...] = ()
    domain: str = ""
    skipped: tuple[int, ...] = ()  # outputs that are not asked for


def ramp(*shape: int, scale: float = 1.0) -> np.ndarray:
    """Distinct numbers of both signs in an order that is not sorted."""
    count = int(np.prod(shape))
    return (((np.arange(count) * 7919) % 997 - 450) / 100 * scale).astype(np.float32).reshape(shape)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


X3 = ramp(2, 3, 4)
X4 = ramp(1, 2, 4, 4)
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")


def softmax_cases() -> Iterator[OldCase]:
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for axis in (0, 1, 2):
            yield OldCase(f"{op}_axis{axis}", op, (7, 11, 13), (X3,), attributes={"axis": axis})
        yield OldCase(f"{op}_negative", op, (11, 13), (X3,), attributes={"axis": -2})
        yield OldCase(f"{op}_default", op, (7, 11, 13), (X3,))
        yield OldCase(f"{op}_matrix", op, (7, 11, 13), (ramp(3, 5),))


def reduce_cases() -> Iterator[OldCase]:
    for name in REDUCTIONS:
        op = f"Reduce{name}"
        x = np.abs(X3) + 1 if name.startswith("Log") else X3
        old = (7, 11) if name == "Sum" else (7, 11, 13)
        yield OldCase(f"{op}_axes", op, old, (x,), attributes={"axes": [0, 2], "keepdims": 0})
        yield OldCase(f"{op}_negative", op, old[1:], (x,), attributes={"axes": [-1]})
        yield OldCase(f"{op}_all", op, (*old, 18), (x,))
        yield OldCase(f"{op}_input", op, (18,), (x, ints(1)), constants=(1,), attributes={"keepdims": 0})


def movement_cases() -> Iterator[OldCase]:
    yield OldCase("Squeeze_axes", "Squeeze", (7, 11), (ramp(1, 3, 1),), attributes={"axes": [0]})
    yield OldCase("Squeeze_all", "Squeeze", (7, 11, 13), (ramp(1, 3, 1),))
    yield OldCase("Squeeze_input", "Squeeze", (13, 21), (ramp(1, 3, 1), ints(2)), constants=(1,))
    yield OldCase("Unsqueeze_axes", "Unsqueeze", (7, 11), (X3,), attributes={"axes": [0, 4]})
    yield OldCase("Slice_axes", "Slice", (7, 9), (X3,), attributes={"starts": [0, 1], "ends": [2, -1], "axes": [0, 2]})
    yield OldCase("Slice_no_axes", "Slice", (7,), (X3,), attributes={"starts": [1, -2], "ends": [9, 9]})
    yield OldCase("Slice_steps", "Slice", (10, 11, 13), (X3, ints(3), ints(-9), ints(2), ints(-2)), constants=(1, 2, 3, 4))
    yield OldCase("Split_equal", "Split", (7, 11, 13), (X3,), 2, {"axis": 2})
    yield OldCase("Split_sizes", "Split", (7, 11), (X3,), 2, {"axis": 2, "split": [1, 3]})
    yield OldCase("Split_uneven", "Split", (18,), (X3,), 3, {"axis": 2, "num_outputs": 3})
    for mode in ("constant", "reflect", "edge"):
        yield OldCase(f"Pad_{mode}", "Pad", (7, 10), (X4,), attributes={"pads": [0, 0, 1, 2, 0, 0, 3, 1], "mode": mode, "value": 2.5})
        yield OldCase(f"Pad_{mode}_input", "Pad", (11, 13, 18), (X4, ints(0, 0, 1, 2, 0, 0, 3, 1)), constants=(1,), attributes={"mode": mode})
    yield OldCase("Pad_f16", "Pad", (7,), (X4.astype(np.float16),), attributes={"pads": [0, 0, 1, 2, 0, 0, 3, 1], "value": 2.5})
    yield OldCase("Scatter", "Scatter", (9, 10), (X3, np.zeros((1, 3, 4), np.int64), ramp(1, 3, 4, scale=9)))
    yield OldCase("Flatten_negative", "Flatten", (11, 13), (X3,), attributes={"axis": -1})
    yield OldCase("Reshape", "Reshape", (7, 13, 14), (X3, ints(0, -1)), constants=(1,))
    yield OldCase("Shape", "Shape", (7, 13, 15), (X3,))
    yield OldCase("DepthToSpace", "DepthToSpace", (7, 11, 13), (ramp(1, 8, 2, 3),), attributes={"blocksize": 2})
    yield OldCase("GatherND", "GatherND", (11, 12, 13), (X3, np.array([[0, 1], [1, 2]], np.int64)))
    yield OldCase("OneHot", "OneHot", (9, 11), (ints(0, 2, 1), ints(3), f32(0, 5)), constants=(1,))


def numeric_cases() -> Iterator[OldCase]:
    for bounds in ({"min": -1.0}, {"max": 1.5}, {"min": -1.0, "max": 1.5}, {}):
        name = "_".join(["Clip", *bounds]) or "none"
        yield OldCase(name, "Clip", (7, 10), (X3,), attributes=bounds)
    yield OldCase("Clip_f16", "Clip", (7,), (X3.astype(np.float16),), attributes={"min": -1.0, "max": 1.5})
    yield OldCase("Clip_inputs", "Clip", (11, 12, 13), (X3, None, np.float32(1.5)), constants=(2,))
    yield OldCase("TopK", "TopK", (7,), (X3,), 2, {"axis": 2, "k": 2})
    yield OldCase("TopK_input", "TopK", (10, 11), (X3, ints(2)), 2, {"axis": 1}, constants=(1,))
    yield OldCase("Dropout", "Dropout", (7, 10), (X3,), attributes={"ratio": 0.3})
    yield OldCase("Dropout_inputs", "Dropout", (12, 13), (X3, np.float32(0.3)), 2, constants=(1,))
    for opsets, extra in (((7,), {"spatial": 1}), ((9, 14, 15), {})):
        channels = (np.abs(ramp(2)), ramp(2, scale=2), ramp(2, scale=3), np.abs(ramp(2, scale=4)) + 1)
        yield OldCase("BatchNormalization", "BatchNormalization", opsets, (X4, *channels), attributes={"epsilon": 0.01, **extra})
    samples = [ramp(2, 3), ramp(2, 3, scale=2), ramp(2, 3, scale=3), np.abs(ramp(2, 3)) + 1]
    yield OldCase("BatchNormalization_not_spatial", "BatchNormalization", (7,), (ramp(4, 2, 3), *samples), attributes={"spatial": 0})
    yield OldCase("GroupNormalization_groups", "GroupNormalization", (18,), (ramp(2, 6, 3), ramp(2), ramp(2, scale=2)), attributes={"num_groups": 2})
    yield OldCase("GroupNormalization_channels", "GroupNormalization", (21,), (ramp(2, 6, 3), ramp(6), ramp(6, scale=2)), attributes={"num_groups": 2})
    yield OldCase("Gemm", "Gemm", (7, 9, 11, 13), (ramp(3, 4), ramp(4, 2), ramp(2)), attributes={"alpha": 0.5, "beta": 2.0})
    yield OldCase("ArgMax", "ArgMax", (7, 11, 12, 13), (X3,), attributes={"axis": 1, "keepdims": 0})
    yield OldCase("Pow", "Pow", (7, 12, 13, 15), (np.abs(X3), f32(2)))
    yield OldCase("PRelu", "PRelu", (7, 9, 16), (X3, ramp(4)))
    yield OldCase("Mod", "Mod", (10, 13), (X3, f32(1.5)), attributes={"fmod": 1})
    for inverse in (0, 1):
        x = ramp(1, 6, 2)
        yield OldCase(f"DFT_{inverse}", "DFT", (17,), (x,), attributes={"axis": 1, "inverse": inverse})
        yield OldCase(f"DFT_default_{inverse}", "DFT", (17,), (x,), attributes={"inverse": inverse})
        yield OldCase(f"DFT_input_{inverse}", "DFT", (20,), (x, None, np.int64(1)), constants=(2,), attributes={"inverse": inverse})


def image_cases() -> Iterator[OldCase]:
    for mode in ("nearest", "linear"):
        yield OldCase(f"Upsample_{mode}", "Upsample", (7,), (X4,), attributes={"mode": mode, "scales": [1.0, 1.0, 2.0, 1.5]})
        for name, scales in (("up", f32(1, 1, 2, 2.5)), ("down", f32(1, 1, 0.5, 0.5)), ("same", f32(1, 1, 1, 1))):
            if name != "down":
                yield OldCase(f"Upsample_{mode}_{name}", "Upsample", (9,), (X4, scales), constants=(1,), attributes={"mode": mode})
            yield OldCase(f"Resize_{mode}_{name}", "Resize", (10,), (X4, scales), constants=(1,), attributes={"mode": mode})
    for mode in ("nearest", "linear", "cubic"):
        for transform in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            yield OldCase(
                f"Resize_{mode}_{transform}",
                "Resize",
                (11, 13, 18, 19),
                (X4, f32(), f32(1, 1, 2, 1.5)),
                constants=(1, 2),
                attributes={"mode": mode, "coordinate_transformation_mode": transform},
            )
    yield OldCase("Resize_sizes", "Resize", (11, 13, 18), (X4, f32(), f32(), ints(1, 2, 3, 7)), constants=(1, 2, 3), attributes={"mode": "linear"})
    for mode in ("bilinear", "nearest", "bicubic"):
        yield OldCase(f"GridSample_{mode}", "GridSample", (16,), (X4, ramp(1, 3, 3, 2, scale=0.2)), attributes={"mode": mode})
    far = ramp(1, 4, 5, 2, scale=0.7)
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (0, 1):
                yield OldCase(f"GridSample_{mode}_{padding}_{corners}", "GridSample", (20, 22), (X4, far), attributes={"mode": mode, "padding_mode": padding, "align_corners": corners})
    rois = np.array([[0, 0, 3, 3], [1, 1, 2, 3]], np.float32)
    for opsets, extra in (((10, 16), {}), ((16,), {"coordinate_transformation_mode": "output_half_pixel"})):
        yield OldCase("RoiAlign" + ("_old" if extra else ""), "RoiAlign", opsets, (X4, rois, ints(0, 0)), attributes={"output_height": 2, "output_width": 2, "sampling_ratio": 2, **extra})
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    yield OldCase("MaxPool", "MaxPool", (7, 8, 10, 11, 12), (X4,), attributes=pool)
    yield OldCase("MaxPool_indices", "MaxPool", (8, 10, 12), (X4,), 2, pool)
    yield OldCase("MaxPool_ceil", "MaxPool", (10, 12), (X4,), attributes={**pool, "ceil_mode": 1})
    for include in (0, 1):
        yield OldCase(f"AveragePool_{include}", "AveragePool", (7, 10, 11, 19), (X4,), attributes={**pool, "count_include_pad": include})
    yield OldCase("Conv", "Conv", (7, 11, 22), (X4, ramp(3, 2, 3, 3), ramp(3)), attributes={"pads": [1, 0, 0, 1]})
    yield OldCase("ConvTranspose", "ConvTranspose", (7, 11, 22), (X4, ramp(2, 3, 3, 3)), attributes={"strides": [2, 2], "output_padding": [1, 1]})


def running_sum():
    """The body of a Scan whose state and output is the sum so far."""
    from onnx import TensorProto, helper

    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("sum_in", "next", "sum_out", "scan_out")}
    nodes = [helper.make_node("Add", ["sum_in", "next"], ["sum_out"]), helper.make_node("Identity", ["sum_out"], ["scan_out"])]
    return helper.make_graph(nodes, "body", [values["sum_in"], values["next"]], [values["sum_out"], values["scan_out"]])


def scan_cases() -> Iterator[OldCase]:
    batch = (ramp(2, 2), ramp(2, 3, 2, scale=2))
    for name, lengths, attributes in (("plain", None, {}), ("reverse", None, {"directions": [1]}), ("lengths", ints(2, 3), {})):
        yield OldCase(f"Scan_{name}", "Scan", (8,), (lengths, *batch), 2, {"body": running_sum(), "num_scan_inputs": 1, **attributes})


def other_cases() -> Iterator[OldCase]:
    x, size = ramp(4, 2, 3, scale=0.1), 5
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        weights = (ramp(2, gates * size, 3, scale=0.1), ramp(2, gates * size, size, scale=0.1), ramp(2, 2 * gates * size, scale=0.1))
        yield OldCase(op, op, (7, 14), (x, *weights), 3 if op == "LSTM" else 2, {"hidden_size": size, "direction": "bidirectional"})
        large = (ramp(3, 2, 3, scale=0.6), *(weight * 3 for weight in weights))
        clipped = {"hidden_size": size, "direction": "bidirectional", "clip": 0.4}
        states = (None, ramp(2, 2, size, scale=0.5), *([ramp(2, 2, size, scale=0.8)] if op == "LSTM" else []))
        yield OldCase(f"{op}_clip", op, (14, 22), (*large, *states), 3 if op == "LSTM" else 2, clipped)
    codes = np.array([[3, 200], [7, 90]], np.uint8)
    yield OldCase("DequantizeLinear", "DequantizeLinear", (10, 13, 19, 21), (codes, np.float32(0.5), np.uint8(100)))
    yield OldCase("QuantizeLinear", "QuantizeLinear", (10, 13, 19, 21), (X3, np.float32(0.05), np.uint8(100)))
    words = np.array(["b", "z", "a"], object)
    yield OldCase("LabelEncoder_text", "LabelEncoder", (1,), (words,), attributes={"classes_strings": ["a", "b"], "default_int64": -7}, domain="ai.onnx.ml")
    yield OldCase("LabelEncoder_index", "LabelEncoder", (1,), (ints(1, 0, 9),), attributes={"classes_strings": ["a", "b"], "default_string": "?"}, domain="ai.onnx.ml")


def all_cases() -> list[OldCase]:
    families = (softmax_cases, reduce_cases, movement_cases, numeric_cases, image_cases, scan_cases, other_cases)
    return [case for family in families for case in family()]


def make_model(case: OldCase, opset: int):
    """The one-node model, whose outputs state no type, and its inputs."""
    from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

    names = ["" if value is None else f"x{index}" for index, value in enumerate(case.inputs)]
    node = helper.make_node(case.op, names, ["" if index in case.skipped else f"y{index}" for index in range(case.outputs)], name="node", domain=case.domain, **case.attributes)
    inputs, initializers, feeds = [], [], []
    for index, value in enumerate(case.inputs):
        if value is None:
            continue
        array = np.asarray(value)
        if index in case.constants:
            initializers.append(numpy_helper.from_array(array, names[index]))
            continue
        kind = TensorProto.STRING if array.dtype == object else helper.np_dtype_to_tensor_dtype(array.dtype)
        inputs.append(helper.make_tensor_value_info(names[index], kind, array.shape))
        feeds.append(array)
    outputs = [ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], case.name, inputs, outputs, initializer=initializers)
    imports = [helper.make_opsetid(case.domain, opset)]
    if case.domain:
        imports.append(helper.make_opsetid("", 13 if case.domain == "ai.onnx.ml" else 21))
    # An old enough format for every opset; initializers need not be inputs from version 4 on.
    return helper.make_model(graph, opset_imports=imports, ir_version=8), feeds


def expected(model, feeds: list[np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip((entry.name for entry in session.get_inputs()), feeds)))
