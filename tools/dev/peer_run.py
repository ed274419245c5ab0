#!/usr/bin/env python3
"""Runs an ONNX model in a peer (ONNX Runtime or OpenVINO) and writes its outputs as .npy files.

The tests take their expected values from here: as a library (open_peer, Peer.run) or as a program:

  peer_run.py --model m.onnx --inputs folder-or.npz --out outputs
  peer_run.py --model m.onnx --seed 1 --shape x=1x3x640x640 --out outputs --engine openvino
"""

import argparse
import json
import pathlib
import re
import sys
import time
from typing import NamedTuple

import numpy as np


class PeerError(Exception):
    """The model could not be run as asked; the text is for the user."""


class Port(NamedTuple):
    """An input or output of a model; unknown dimensions are None."""

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dims = "x".join("?" if d is None else str(d) for d in self.shape) or "scalar"
        return f"{self.name}: {self.dtype.name} {dims}"


ORT_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
    **{f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class OnnxRuntimePeer:
    def __init__(self, model: pathlib.Path, threads: int, optimise: bool):
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        level = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
        self.version = f"onnxruntime {onnxruntime.__version__}"
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise PeerError(f"ONNX Runtime cannot load {model.name}: {error}") from error
        self.inputs = [self._port(port) for port in self._session.get_inputs()]
        self.outputs = [port.name for port in self._session.get_outputs()]

    @staticmethod
    def _port(port) -> Port:
        if port.type not in ORT_DTYPES:
            raise PeerError(f"input '{port.name}' has type {port.type}, which numpy cannot hold")
        shape = tuple(d if isinstance(d, int) and d >= 0 else None for d in port.shape)
        return Port(port.name, np.dtype(ORT_DTYPES[port.type]), shape)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(self.outputs, self._session.run(None, inputs), strict=True))
        except Exception as error:
            raise PeerError(f"ONNX Runtime: {error}") from error


class OpenVinoPeer:
    def __init__(self, model: pathlib.Path, threads: int, optimise: bool):
        import openvino

        if not optimise:
            raise PeerError("OpenVINO has no way to switch its optimisations off; leave --no-optimise out")
        self.version = f"openvino {openvino.__version__}"
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
        try:
            self._compiled = openvino.Core().compile_model(str(model), "CPU", settings)
        except Exception as error:
            raise PeerError(f"OpenVINO cannot load {model.name}: {error}") from error
        self.inputs = [
            Port(
                port.any_name,
                np.dtype(port.element_type.to_dtype()),
                tuple(d.get_length() if d.is_static else None for d in port.partial_shape),
            )
            for port in self._compiled.inputs
        ]
        self.outputs = [port.any_name for port in self._compiled.outputs]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._compiled(inputs)
        except Exception as error:
            raise PeerError(f"OpenVINO: {error}") from error
        return {name: np.array(results[i]) for i, name in enumerate(self.outputs)}


ENGINES = {"onnxruntime": OnnxRuntimePeer, "openvino": OpenVinoPeer}


class Peer:
    """A loaded model. One thread at a time."""

    def __init__(self, engine: OnnxRuntimePeer | OpenVinoPeer):
        self._engine = engine
        self.version = engine.version
        self.inputs = engine.inputs
        self.outputs = engine.outputs

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs once. Inputs of another type of the same kind (int64 for int32) are converted."""
        known = {port.name: port for port in self.inputs}
        for name in inputs:
            if name not in known:
                raise PeerError(f"the model has no input '{name}'; it has {', '.join(map(str, self.inputs))}")
        missing = [str(port) for port in self.inputs if port.name not in inputs]
        if missing:
            raise PeerError(f"no value for {', '.join(missing)}")
        return self._engine.run({name: convert(value, known[name]) for name, value in inputs.items()})


def open_peer(model: pathlib.Path, engine: str = "onnxruntime", threads: int = 2, optimise: bool = True) -> Peer:
    if not model.is_file():
        raise PeerError(f"{model}: no such file")
    return Peer(ENGINES[engine](model, threads, optimise))


def convert(value: np.ndarray, port: Port) -> np.ndarray:
    value = np.asarray(value)
    if value.dtype == port.dtype:
        return value
    kind = value.dtype.kind
    if port.dtype.kind == "O" and kind in "US":
        return value.astype(object)
    if not np.can_cast(value.dtype, port.dtype, "same_kind"):
        integers = kind in "iu" and port.dtype.kind in "iu"
        if not integers:
            raise PeerError(f"input '{port.name}': got {value.dtype.name}, expected {port.dtype.name}")
    if kind in "iu" and port.dtype.kind in "iu" and value.size:
        limits = np.iinfo(port.dtype)
        if int(value.min()) < limits.min or int(value.max()) > limits.max:
            raise PeerError(f"input '{port.name}': a value does not fit {port.dtype.name}")
    return value.astype(port.dtype)


def random_inputs(ports: list[Port], seed: int, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Fills inputs from a seed: normal numbers, integers in [0, 8), fair booleans."""
    generator = np.random.default_rng(seed)
    inputs = {}
    for port in ports:
        shape = shapes.get(port.name, port.shape)
        if None in shape:
            raise PeerError(f"give a shape: --shape {port.name}=..., the model has {port}")
        if port.dtype.kind == "f":
            values = generator.standard_normal(shape, dtype=np.float32)
        elif port.dtype.kind in "iu":
            values = generator.integers(0, 8, shape)
        elif port.dtype.kind == "b":
            values = generator.integers(0, 2, shape)
        else:
            raise PeerError(f"input '{port.name}' of type {port.dtype.name} cannot be filled from a seed; use --inputs")
        inputs[port.name] = np.asarray(values).astype(port.dtype)
    return inputs


def file_stem(name: str) -> str:
    """A value's name as a file name: 'gpu_0/data_0' is gpu_0_data_0."""
    return re.sub(r"[^\w.-]", "_", name)


def save(path: pathlib.Path, value: np.ndarray) -> None:
    """Writes plain .npy: C order, strings as fixed-width text, never pickled objects."""
    value = np.asarray(value)
    if value.dtype == object:
        value = value.astype(str)
    # ascontiguousarray would turn a scalar into a vector.
    np.save(path, np.asarray(value, order="C"), allow_pickle=False)


def read_inputs(path: pathlib.Path, ports: list[Port]) -> dict[str, np.ndarray]:
    """Reads inputs from an .npz, or from a folder with one .npy per input."""
    if path.is_dir():
        found = {p.stem: p for p in path.glob("*.npy")}
        inputs = {}
        for port in ports:
            stem = file_stem(port.name)
            file = found.get(stem) or found.get(f"input_{stem}")
            if file is None:
                raise PeerError(f"{path}: no {stem}.npy for {port}")
            inputs[port.name] = np.load(file, allow_pickle=False)
        return inputs
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            stems = {file_stem(port.name): port.name for port in ports}
            return {stems.get(key, key): archive[key] for key in archive.files}
    raise PeerError(f"{path}: expected a folder of .npy files or an .npz file")


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, separator, dims = text.rpartition("=")
    if not separator or not re.fullmatch(r"(\d+(x\d+)*)?", dims):
        raise argparse.ArgumentTypeError(f"expected NAME=1x3x640x640, got '{text}'")
    return name, tuple(int(d) for d in dims.split("x")) if dims else ()


def parse_value(text: str) -> tuple[str, int | float]:
    name, separator, number = text.rpartition("=")
    try:
        if separator:
            return name, int(number) if re.fullmatch(r"-?\d+", number) else float(number)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected NAME=NUMBER, got '{text}'")


def run_program(arguments: argparse.Namespace) -> None:
    peer = open_peer(arguments.model, arguments.engine, arguments.threads, not arguments.no_optimise)
    if arguments.inputs:
        inputs = read_inputs(arguments.inputs, peer.inputs)
    else:
        fixed = {name: np.array(value) for name, value in arguments.value}
        shapes = {**dict(arguments.shape), **{name: value.shape for name, value in fixed.items()}}
        inputs = random_inputs(peer.inputs, arguments.seed, shapes) | fixed
    start = time.perf_counter()
    outputs = peer.run(inputs)
    milliseconds = (time.perf_counter() - start) * 1000
    print(f"{arguments.model.name}: {milliseconds:.1f} ms in {peer.version}, {arguments.threads} threads, first run")
    arguments.out.mkdir(parents=True, exist_ok=True)
    index = {"model": str(arguments.model), "engine": peer.version, "inputs": [], "outputs": []}
    for kind, values in (("input", inputs), ("output", outputs)):
        for name, value in values.items():
            file = f"{kind}_{file_stem(name)}.npy"
            save(arguments.out / file, value)
            index[f"{kind}s"].append({"name": name, "file": file})
            print(f"  {kind} {Port(name, value.dtype, value.shape)} -> {file}")
    (arguments.out / "case.json").write_text(json.dumps(index, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--inputs", type=pathlib.Path, help="an .npz, or a folder with one .npy per input")
    parser.add_argument("--seed", type=int, default=0, help="fill inputs from this seed when --inputs is not given")
    parser.add_argument("--shape", type=parse_shape, action="append", default=[], metavar="NAME=1x3x640x640")
    parser.add_argument("--value", type=parse_value, action="append", default=[], metavar="NAME=16000", help="a scalar")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-optimise", action="store_true", help="run the graph as it is written (ONNX Runtime)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for inputs, outputs and case.json")
    try:
        run_program(parser.parse_args())
    except PeerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
