#!/usr/bin/env python3
"""Writes the test cases of the onnx package as files, for tests/onnx/onnx_suite.

  make_onnx_cases.py --out .deps/onnx-cases

  <suite>/<case>/model.onnx and test_data_set_<n>/input_<i>.pb, output_<i>.pb
  cases.json  [{"suite", "name", "rtol", "atol", "opset", "ops", "inputs", "outputs", "data_sets",
              "compare"}], sorted; inputs and outputs list kinds (tensor, sequence, optional), compare
              is "values", or "types" where the values are random

Suites: node (one operator each), simple, pytorch-operator, pytorch-converted, light (whole CNNs) from
the package; with outputs from ONNX Runtime: opsets (one operator of an old version each, onnx_opset_cases.py) and
contrib (com.microsoft's operators, onnx_contrib_cases.py).
Nothing is done when the package and this script are those of the last run.
"""

import argparse
import fcntl
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import sys
import warnings

LINKED_SUITES = ("simple", "pytorch-operator", "pytorch-converted")
# Their outputs are drawn at random, so only type and shape can be compared.
RANDOM = re.compile(r"test_(bernoulli|training_dropout(?!_zero_ratio))")
# What the onnx package's own runner uses where a case says nothing.
RTOL, ATOL = 1e-3, 1e-7
# ONNX Runtime computes in f32, the interpreter in f64: near zero a relative tolerance says nothing.
MADE_ATOL = 1e-5


def kind_of(value_info) -> str:
    field = value_info.type.WhichOneof("value")
    return field.removesuffix("_type") if field else "tensor"


def operators_of(model) -> list[str]:
    """Full names of the operators that the model uses, sub-graphs and functions included."""
    names = set()

    def visit(nodes) -> None:
        for node in nodes:
            names.add(f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type)
            for attribute in node.attribute:
                visit(attribute.g.node)
                for graph in attribute.graphs:
                    visit(graph.node)

    visit(model.graph.node)
    for function in model.functions:
        visit(function.node)
    return sorted(names)


def describe(suite: str, name: str, model, inputs, data_sets: int, rtol: float, atol: float) -> dict:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return {
        "suite": suite,
        "name": name,
        "rtol": rtol,
        "atol": atol,
        "opset": opsets.get("", opsets.get("ai.onnx", 0)),
        "ops": operators_of(model),
        "inputs": [kind_of(value) for value in inputs],
        "outputs": [kind_of(value) for value in model.graph.output],
        "data_sets": data_sets,
        "compare": "types" if suite == "node" and RANDOM.match(name) else "values",
    }


def serialised(value, value_info) -> bytes:
    import numpy as np
    import onnx
    from onnx import numpy_helper

    kind = kind_of(value_info)
    if kind == "sequence":
        return numpy_helper.from_list(value, value_info.name).SerializeToString()
    if kind == "optional":
        return numpy_helper.from_optional(value, value_info.name).SerializeToString()
    if isinstance(value, onnx.TensorProto):
        return value.SerializeToString()
    return numpy_helper.from_array(np.asarray(value), value_info.name).SerializeToString()


def write_data_set(folder: pathlib.Path, prefix: str, values, infos) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (value, info) in enumerate(zip(values, infos)):
        (folder / f"{prefix}_{index}.pb").write_bytes(serialised(value, info))


def write_node_suite(out: pathlib.Path) -> list[dict]:
    import numpy as np
    from onnx.backend.test.case.node import collect_testcases

    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    entries = []
    for case in cases:
        folder = out / "node" / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        graph = case.model.graph
        for number, (inputs, outputs) in enumerate(case.data_sets):
            data = folder / f"test_data_set_{number}"
            write_data_set(data, "input", inputs, graph.input)
            write_data_set(data, "output", outputs, graph.output)
        entries.append(
            describe("node", case.name, case.model, graph.input, len(case.data_sets), case.rtol, case.atol)
        )
    return entries


def link(path: pathlib.Path, target: pathlib.Path) -> None:
    """Links by a relative path, so that the cases and the package can move to another place together."""
    path.symlink_to(os.path.relpath(target.resolve(), path.parent))


def link_suite(out: pathlib.Path, data: pathlib.Path, suite: str) -> list[dict]:
    import onnx

    entries = []
    (out / suite).mkdir()
    for folder in sorted((data / suite).iterdir()):
        if not (folder / "model.onnx").is_file():
            continue
        link(out / suite / folder.name, folder)
        tolerance = json.loads((folder / "data.json").read_text()) if (folder / "data.json").is_file() else {}
        model = onnx.load(folder / "model.onnx")
        # The data sets hold as many inputs as files; initializers that are inputs, too, come last.
        count = len(list((folder / "test_data_set_0").glob("input_*.pb")))
        entries.append(
            describe(
                suite,
                folder.name,
                model,
                model.graph.input[:count],
                len(list(folder.glob("test_data_set_*"))),
                tolerance.get("rtol", RTOL),
                tolerance.get("atol", ATOL),
            )
        )
    return entries


def write_light_suite(out: pathlib.Path, data: pathlib.Path) -> list[dict]:
    """The package holds their models and outputs; the input is the ramp that its runner makes."""
    import numpy as np
    import onnx

    entries = []
    for description in sorted((data / "real").glob("*/data.json")):
        record = json.loads(description.read_text())
        model_file = data / "light" / pathlib.PurePosixPath(record["url"]).name
        if not model_file.is_file():
            continue
        folder = out / "light" / f"test_{record['model_name']}"
        data_set = folder / "test_data_set_0"
        data_set.mkdir(parents=True)
        link(folder / "model.onnx", model_file)
        model = onnx.load(model_file)
        initializers = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in initializers]
        values = []
        for value in inputs:
            shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            values.append((np.arange(count).reshape(shape) / count).astype(np.float32))
        write_data_set(data_set, "input", values, inputs)
        for index in range(len(model.graph.output)):
            expected = model_file.with_name(f"{model_file.stem}_output_{index}.pb")
            link(data_set / f"output_{index}.pb", expected)
        entries.append(describe("light", folder.name, model, inputs, 1, record["rtol"], record["atol"]))
    return entries


def write_made_suite(out: pathlib.Path, suite: str, cases) -> list[dict]:
    """Cases of our own, one node each, whose outputs ONNX Runtime computes."""
    import onnx_opset_cases

    entries = []
    for case in cases:
        for opset in case.opsets:
            name = f"test_{case.name}" + (f"_opset{opset}" if suite == "opsets" else "")
            folder = out / suite / name
            data = folder / "test_data_set_0"
            model, feeds = onnx_opset_cases.make_model(case, opset)
            folder.mkdir(parents=True, exist_ok=False)
            (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
            write_data_set(data, "input", feeds, model.graph.input)
            write_data_set(data, "output", onnx_opset_cases.expected(model, feeds), model.graph.output)
            entries.append(describe(suite, name, model, model.graph.input, 1, RTOL, MADE_ATOL))
    return entries


def stamp_of() -> str:
    folder = pathlib.Path(__file__).parent
    scripts = [(folder / name).read_bytes() for name in ("make_onnx_cases.py", "onnx_opset_cases.py", "onnx_contrib_cases.py")]
    hashes = [hashlib.sha256(script).hexdigest() for script in scripts]
    packages = ("onnx", "numpy", "ml_dtypes", "onnxruntime")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    return "\n".join([*hashes, *versions]) + "\n"


def make(out: pathlib.Path) -> int:
    import onnx.backend.test

    import onnx_contrib_cases
    import onnx_opset_cases

    data = pathlib.Path(onnx.backend.test.__file__).resolve().parent / "data"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    entries = write_node_suite(out)
    for suite in LINKED_SUITES:
        entries += link_suite(out, data, suite)
    entries += write_light_suite(out, data)
    entries += write_made_suite(out, "opsets", onnx_opset_cases.all_cases())
    entries += write_made_suite(out, "contrib", onnx_contrib_cases.all_cases())
    entries.sort(key=lambda entry: (entry["suite"], entry["name"]))
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (out / "cases.json").write_text(f"[\n{lines}\n]\n")
    return len(entries)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.with_name(out.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = stamp_of()
        stamp_file = out / "stamp.txt"
        if stamp_file.is_file() and stamp_file.read_text() == stamp:
            print("onnx cases: nothing to do")
            return 0
        # A run of the suite that reads the old files meanwhile still finds them.
        fresh, stale = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
        count = make(fresh)
        (fresh / "stamp.txt").write_text(stamp)
        shutil.rmtree(stale, ignore_errors=True)
        if out.exists():
            out.rename(stale)
        fresh.rename(out)
        shutil.rmtree(stale, ignore_errors=True)
    print(f"onnx cases: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
