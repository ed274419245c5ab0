#!/usr/bin/env python3
"""Writes small ONNX models to start fuzzing from: one per feature of the format.

  seed_onnx.py --out tests/fuzz/corpus/onnx [--cases .deps/onnx-cases]

With --cases, also the smallest node case of each set of operators that the onnx package has.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

# Features that the textual format can say.
TEXT = {
    "plain": """<ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, 2, 3}> { t = Add(x, w) y = Relu(t) }""",
    "old_opset": """<ir_version: 4, opset_import: ["" : 9]>
        g (float[2, 3, 4] x) => (float[2, 1, 12] y) { a = Softmax <axis = 1> (x) b = Clip <min = 0.0> (a)
        c = Unsqueeze <axes = [1]> (b) d = Squeeze <axes = [1]> (c)
        e = Slice <starts = [0], ends = [2]> (d) s = Constant <value = int64[3] {2, 1, 12}> () y = Reshape(e, s) }""",
    "oldest_opset": """<ir_version: 3, opset_import: ["" : 6]>
        g (float[2, 3, 4] x, float[3] w) => (float[2, 3, 4] y) { a = Add <broadcast = 1, axis = 1> (x, w)
        b = PRelu(a, w) c = Pad <pads = [0, 0, 0, 0, 0, 0], value = 1.0> (b) y = Upsample <scales = [1.0, 1.0, 1.0]> (c) }""",
    "function": """<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
        g (float[N] x) => (float[N] y) { t = local.twice <step = 2> (x) y = local.once <step = 3> (t) }
        <domain: "local", opset_import: ["" : 21, "local" : 1]>
        twice <step> (a) => (b) { t = local.once <step: int = @step> (a) b = local.once <step = 1> (t) }
        <domain: "local", opset_import: ["" : 21]>
        once <step> (a) => (b) { c = Constant <value_int: int = @step> () f = CastLike(c, a) b = Add(a, f) }""",
    "if": """<ir_version: 10, opset_import: ["" : 21]>
        g (bool c, float[N] x) => (float[N] y) { w = Constant <value = float[1] {2}> ()
        y = If (c) <then_branch = t () => (float[N] p) { p = Add(x, w) },
                    else_branch = e () => (float[N] q) { q = Sub(x, w) }> }""",
    "loop": """<ir_version: 10, opset_import: ["" : 21]>
        g (int64 n, float[2] x) => (float[2] y, float[M, 2] z) { c = Constant <value = bool {1}> ()
        y, z = Loop (n, c, x) <body = b (int64 i, bool k, float[2] v) => (bool o, float[2] r, float[2] s)
        { o = Identity(k) r = Add(v, x) s = Mul(v, x) }> }""",
    "scan": """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2] a, float[5, 2] x) => (float[2] y, float[5, 2] z) {
        y, z = Scan <num_scan_inputs = 1, body = b (float[2] s, float[2] v) => (float[2] r, float[2] o)
        { r = Add(s, v) o = Identity(r) }> (a, x) }""",
    "sequence": """<ir_version: 10, opset_import: ["" : 21]>
        g (seq(float[N]) s, optional(float[N]) o) => (float[N] y) { i = Constant <value_int = 0> ()
        e = SequenceAt(s, i) f = OptionalGetElement(o) y = Add(e, f) }""",
    "absent_values": """<ir_version: 10, opset_import: ["" : 21]>
        g (float[N] x) => (float[N] y) { m = Constant <value_float = 2.0> () y = Clip(x, , m) }""",
}


def graph_model(nodes, inputs, outputs, initializers=(), sparse=(), opset=25) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=list(initializers), sparse_initializer=list(sparse))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def value(name: str, kind: int, shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def storage_model() -> onnx.ModelProto:
    """A constant of each element type, raw and in its typed field."""
    initializers, nodes, outputs = [], [], []
    for kind in range(TensorProto.FLOAT, TensorProto.INT2 + 1):
        strings = kind == TensorProto.STRING
        zeros = [b"a"] * 3 if strings else np.zeros(3, dtype=helper.tensor_dtype_to_np_dtype(kind))
        typed = helper.make_tensor(f"t{kind}", kind, [3], zeros)
        tensors = [typed] if strings else [typed, numpy_helper.from_array(zeros, f"r{kind}")]
        for tensor in tensors:
            initializers.append(tensor)
            nodes.append(helper.make_node("Identity", [tensor.name], [f"{tensor.name}_out"]))
            outputs.append(value(f"{tensor.name}_out", kind, [3]))
    return graph_model(nodes, [], outputs, initializers)


def sparse_model() -> onnx.ModelProto:
    values = numpy_helper.from_array(np.array([1, 2], np.float32), "w")
    indices = numpy_helper.from_array(np.array([[0, 1], [1, 0]], np.int64), "i")
    sparse = helper.make_sparse_tensor(values, indices, [2, 2])
    nodes = [
        helper.make_node("Constant", [], ["c"], sparse_value=sparse),
        helper.make_node("Add", ["w", "c"], ["s"]),
        helper.make_node("Add", ["x", "s"], ["y"]),
    ]
    return graph_model(nodes, [value("x", 1, [2, 2])], [value("y", 1, [2, 2])], sparse=[sparse])


def external_model() -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", "w.bin"), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=text)
    return graph_model([helper.make_node("Add", ["x", "w"], ["y"])], [value("x", 1, [2])], [value("y", 1, [2])], [tensor])


def smallest_cases(cases: pathlib.Path):
    chosen = {}
    for record in json.loads((cases / "cases.json").read_text()):
        path = cases / record["suite"] / record["name"] / "model.onnx"
        size = path.stat().st_size
        key = tuple(record["ops"])
        if size <= 4096 and size < chosen.get(key, (None, 1 << 30))[1]:
            chosen[key] = (path, size)
    return sorted(path for path, _ in chosen.values())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("--cases", type=pathlib.Path)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    models = {name: parser.parse_model(text) for name, text in TEXT.items()}
    models |= {"storage": storage_model(), "sparse": sparse_model(), "external": external_model()}
    for name, model in models.items():
        (options.out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    if options.cases:
        for path in smallest_cases(options.cases):
            (options.out / f"{path.parent.parent.name}_{path.parent.name}.onnx").write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
