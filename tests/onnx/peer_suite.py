#!/usr/bin/env python3
"""Runs the cases of naru_onnx_suite in ONNX Runtime and OpenVINO, with the same files and the same comparison.

  peer_suite.py --cases .deps/onnx-cases [--peer onnxruntime|openvino] [--suite NAME] [--list] [--json FILE]

Prints per suite and peer: cases, passed, failed, not supported. A case is not supported when the peer refuses to
load or to compile it; one that loads and then fails, crashes or differs has failed.
"""

import argparse
import json
import multiprocessing
import pathlib
import sys

import numpy as np

PEERS = ("onnxruntime", "openvino")
SECONDS = 120  # after which a case counts as failed


def read_value(path: pathlib.Path, kind: str):
    import onnx
    from onnx import numpy_helper

    data = path.read_bytes()
    if kind == "sequence":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def read_values(folder: pathlib.Path, prefix: str, kinds: list[str]) -> list:
    paths = [(folder / f"{prefix}_{index}.pb", kind) for index, kind in enumerate(kinds)]
    return [read_value(path, kind) for path, kind in paths if path.exists()]


def without_narrow_ports(path: str):
    """The model with casts at inputs and outputs whose types NumPy lacks; f32 holds all their values."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    narrow = {kind for kind in TensorProto.DataType.values() if kind >= TensorProto.BFLOAT16}
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    changed = False
    for ports, inward in ((model.graph.input, True), (model.graph.output, False)):
        for port in ports:
            kind = port.type.tensor_type.elem_type
            if kind not in narrow or opset < 19:
                continue
            inner, changed = f"{port.name}/narrow", True
            for node in model.graph.node:
                names = node.input if inward else node.output
                names[:] = [inner if name == port.name else name for name in names]
            port.type.tensor_type.elem_type = TensorProto.FLOAT
            if inward:
                model.graph.node.insert(0, helper.make_node("Cast", [port.name], [inner], to=kind))
            else:
                model.graph.node.append(helper.make_node("Cast", [inner], [port.name], to=TensorProto.FLOAT))
    return model.SerializeToString() if changed else path


def is_narrow(value) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.type.__module__ == "ml_dtypes"


def plain(value):
    """A value in a type that NumPy has of its own."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value.astype(np.float32) if is_narrow(value) else value


class OnnxRuntime:
    def __init__(self, path: str):
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(without_narrow_ports(path), options, providers=["CPUExecutionProvider"])

    def run(self, inputs: list) -> list:
        names = [entry.name for entry in self.session.get_inputs()]
        return self.session.run(None, dict(zip(names, map(plain, inputs))))


class OpenVino:
    def __init__(self, path: str):
        import openvino

        core = openvino.Core()
        self.compiled = core.compile_model(core.read_model(without_narrow_ports(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})

    def run(self, inputs: list) -> list:
        results = self.compiled([plain(value) for value in inputs])
        return [results[port] for port in self.compiled.outputs]


LOADERS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def differs(got, expected, case: dict) -> str | None:
    """What naru_onnx_suite's comparison would say."""
    if isinstance(expected, list) or isinstance(got, list):
        if not (isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected)):
            return "sequences differ in kind or length"
        return next((text for a, b in zip(got, expected) if (text := differs(a, b, case))), None)
    if expected is None or got is None:
        return None if expected is got else "one of them is empty"
    rtol = max(case["rtol"], 1 / 64) if is_narrow(expected) and expected.dtype.name == "bfloat16" else case["rtol"]
    got, expected = np.asarray(plain(got)), np.asarray(plain(expected))
    texts = got.dtype.kind in "OUS" and expected.dtype.kind in "OUS"
    if got.shape != expected.shape or (got.dtype != expected.dtype and not texts):
        return f"got {got.dtype}{list(got.shape)}, expected {expected.dtype}{list(expected.shape)}"
    if case["compare"] == "types":
        return None
    if texts:
        return None if [str(x) for x in got.ravel()] == [str(x) for x in expected.ravel()] else "strings differ"
    if got.dtype.kind == "b":
        return None if np.array_equal(got, expected) else "bools differ"
    return None if np.allclose(got, expected, rtol, case["atol"], equal_nan=True) else "values differ"


def run_case(peer: str, root: str, case: dict) -> tuple[str, str]:
    folder = pathlib.Path(root) / case["suite"] / case["name"]
    try:
        model = LOADERS[peer](str(folder / "model.onnx"))
    except Exception as error:  # noqa: BLE001: whatever the peer throws is its answer
        return "unsupported", str(error)
    try:
        for number in range(case["data_sets"]):
            data = folder / f"test_data_set_{number}"
            expected = read_values(data, "output", case["outputs"])
            results = model.run(read_values(data, "input", case["inputs"]))
            for index, (got, value) in enumerate(zip(results, expected)):
                if text := differs(got, value, case):
                    return "failed", f"output {index}: {text}"
    except Exception as error:  # noqa: BLE001
        return "failed", str(error)
    return "passed", ""


def worker(job, pipe) -> None:
    while arguments := pipe.recv():
        pipe.send(job(*arguments))


class Runner:
    """Calls `job` in a process of its own, which a crash or a hang ends without harm; it answers (outcome, detail)."""

    def __init__(self, job):
        self.job, self.process = job, None

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=worker, args=(self.job, far), daemon=True)
        self.process.start()
        far.close()

    def run(self, *arguments) -> tuple[str, str]:
        if self.process is None:
            self.start()
        try:
            self.pipe.send(arguments)
            if self.pipe.poll(SECONDS):
                return self.pipe.recv()
            self.stop()
            return "failed", f"no answer in {SECONDS} s"
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.stop()
            return "failed", "the process crashed"

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--peer", choices=PEERS, action="append")
    parser.add_argument("--suite", action="append")
    parser.add_argument("--list", action="store_true", help="print each case that does not pass")
    parser.add_argument("--json", type=pathlib.Path, help="write the result of every case")
    arguments = parser.parse_args()
    cases = [case for case in json.loads((arguments.cases / "cases.json").read_text()) if not arguments.suite or case["suite"] in arguments.suite]
    records = []
    print(f"{'suite':<20} {'peer':<12} {'cases':>6} {'passed':>7} {'failed':>7} {'not supported':>14}")
    for peer in arguments.peer or PEERS:
        runner = Runner(run_case)
        for suite in sorted({case["suite"] for case in cases}):
            results = [(case, *runner.run(peer, str(arguments.cases), case)) for case in cases if case["suite"] == suite]
            count = {outcome: sum(result[1] == outcome for result in results) for outcome in ("passed", "failed", "unsupported")}
            print(f"{suite:<20} {peer:<12} {len(results):>6} {count['passed']:>7} {count['failed']:>7} {count['unsupported']:>14}", flush=True)
            for case, outcome, detail in results:
                records.append({"peer": peer, "suite": suite, "name": case["name"], "outcome": outcome, "detail": detail})
                if arguments.list and outcome != "passed":
                    print(f"  {outcome} {case['name']}: {detail.strip().splitlines()[0][:200] if detail.strip() else ''}")
        runner.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
