#!/usr/bin/env python3
"""Writes inputs and expected outputs of the real models, from ONNX Runtime without graph optimisation.

  make_goldens.py --out .deps/goldens

Each case is a folder:
  model.txt   path of the model
  case.json   {"model", "inputs": [{"name", "file"}], "outputs": [{"name", "file"}]}, or for a stream
              {"model", "steps": [{"inputs", "outputs"}, ...]}, where a state's input file is the
              output file of the step before
  *.npy       input_<name>.npy and output_<name>.npy, in streams step_<number>_...
The light_* models of the onnx package have the same value in every weight, so their outputs say little;
the filled_* cases are the same graphs with random weights, written as model.onnx into the case.
A case is made again only when its model, these scripts or the pinned packages changed.
"""

import argparse
import dataclasses
import fcntl
import hashlib
import json
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator

SCRIPTS = pathlib.Path(__file__).resolve().parent
ROOT = SCRIPTS.parents[1]
THREADS = 2
STREAM_FRAMES = 50

# numpy, Pillow and the peers are imported where they are used: a run with nothing to do stays fast.


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    model: str
    # Yields the inputs of each step; a case of one step is no stream.
    steps: Callable[[], Iterator[dict]]
    # For a stream: output -> the input that it becomes in the next step.
    carry: dict[str, str] = dataclasses.field(default_factory=dict)
    # The constant weights of the model are replaced by random ones.
    fill: bool = False


def normalise(image, mean: tuple[float, ...], deviation: tuple[float, ...]):
    """A picture as [3, height, width], f32, blue first, as PaddleOCR feeds its models."""
    import numpy as np

    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)[:, :, ::-1] / np.float32(255)
    pixels = (pixels - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def label_picture(height: int, width: int) -> Callable[[], Iterator[dict]]:
    def steps() -> Iterator[dict]:
        from draw_label import draw_label

        image, _ = draw_label(seed=11, number=height + width)
        yield {"x": normalise(image.resize((width, height)), *IMAGENET)[None]}

    return steps


def text_lines(height: int, width: int, batch: int, scale: tuple) -> Callable[[], Iterator[dict]]:
    def steps() -> Iterator[dict]:
        import numpy as np
        from draw_label import draw_label

        image, truth = draw_label(seed=12, number=width, upright=True)
        rows = []
        for i in range(batch):
            (left, top), _, (right, bottom), _ = truth["lines"][i % len(truth["lines"])]["quad"]
            crop = image.crop((round(left) - 4, round(top) - 4, round(right) + 4, round(bottom) + 4))
            # The text keeps its proportions and is padded with zeros on the right, as in a real batch.
            fitted = min(width, round(crop.width * height / crop.height))
            row = np.zeros((3, height, width), np.float32)
            row[:, :, :fitted] = normalise(crop.resize((fitted, height)), *scale)
            rows.append(row)
        yield {"x": np.stack(rows)}

    return steps


def speech_like(rate: int, samples: int):
    """Bursts of a voice-like harmonic sound and of noise, between near silence; f32 in [-1, 1]."""
    import numpy as np

    generator = np.random.default_rng(5)
    seconds = np.arange(samples) / rate
    pitch_hz = 120 + 30 * np.sin(2 * np.pi * 1.5 * seconds)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    voice = sum(np.sin(k * phase) / k * (1 + np.sin(2 * np.pi * 3 * seconds + k)) for k in range(1, 20))
    noise = generator.standard_normal(samples)
    part = (seconds * 5).astype(int) % 4  # 200 ms each: silence, voice, voice with noise, noise
    sound = np.choose(part, (0.001 * noise, 0.15 * voice, 0.12 * voice + 0.02 * noise, 0.05 * noise))
    return np.clip(sound, -1, 1).astype(np.float32)


def audio_frames(rate: int, frame: int, context: int):
    """Frames [count, context + frame], each led by the end of the frame before."""
    import numpy as np

    sound = np.concatenate([np.zeros(context, np.float32), speech_like(rate, frame * STREAM_FRAMES)])
    return np.stack([sound[i * frame : i * frame + context + frame] for i in range(STREAM_FRAMES)])


def silero_stream(rate: int, with_rate: bool, batch: int = 1) -> Callable[[], Iterator[dict]]:
    def steps() -> Iterator[dict]:
        import numpy as np

        frames = audio_frames(rate, rate * 32 // 1000, rate * 4 // 1000)
        for i in range(STREAM_FRAMES):
            # Each member of a batch hears the same sound, a few frames later.
            inputs = {"input": np.stack([frames[(i + 7 * member) % STREAM_FRAMES] for member in range(batch)])}
            if with_rate:
                inputs["sr"] = np.array(rate, np.int64)
            if i == 0:
                inputs["state"] = np.zeros((2, batch, 128), np.float32)
            yield inputs

    return steps


def silero_blocks(frames_per_step: int) -> Callable[[], Iterator[dict]]:
    def steps() -> Iterator[dict]:
        import numpy as np

        frames = audio_frames(16000, 512, 64)
        for i in range(0, STREAM_FRAMES, frames_per_step):
            inputs = {"input": frames[i : i + frames_per_step]}
            if i == 0:
                inputs |= {"h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}
            yield inputs

    return steps


def file_contents(batch: int) -> Callable[[], Iterator[dict]]:
    """What magika reads of a file: 1,024 bytes of its start, 1,024 of its end, padded with 256."""

    def steps() -> Iterator[dict]:
        import numpy as np

        samples = (
            b"import os\n\n\ndef main():\n    for name in os.listdir('.'):\n        print(name)\n",
            b'{"name": "naru", "values": [1, 2.5, null], "nested": {"a": true}}\n',
            b"#include <cstdio>\n\nint main() {\n  std::printf(\"hello\\n\");\n  return 0;\n}\n",
            bytes(np.random.default_rng(6).integers(0, 256, 5000, dtype=np.uint8)),
        )
        rows = np.full((batch, 2048), 256, np.int32)
        for row, data in zip(rows, samples[:batch], strict=True):
            start, end = data[:1024], data[-1024:]
            row[: len(start)] = list(start)
            row[2048 - len(end) :] = list(end)
        yield {"bytes": rows}

    return steps


def seeded(model: str) -> Callable[[], Iterator[dict]]:
    def steps() -> Iterator[dict]:
        import numpy as np

        name = {"resnet50": "gpu_0/data_0", "shufflenet": "gpu_0/data_0", "zfnet512": "gpu_0/data_0"}
        generator = np.random.default_rng(7)
        image = generator.standard_normal((1, 3, 224, 224), dtype=np.float32)
        yield {name.get(model.removeprefix("light_"), "data_0"): image}

    return steps


def consumers(graph, name: str) -> Iterator[tuple[str, int]]:
    """Which operators take a value, and as which input; looks through changes of shape."""
    for node in graph.node:
        for position, value in enumerate(node.input):
            if value != name:
                continue
            if node.op_type in ("Reshape", "Unsqueeze", "Transpose") and position == 0:
                yield from consumers(graph, node.output[0])
            else:
                yield node.op_type, position


def random_weight(generator, shape: tuple[int, ...], operator: str, position: int, gain: float):
    """Values that keep activations near unit size, so that no layer saturates or dies."""
    import numpy as np

    if operator in ("Conv", "Gemm", "MatMul") and position == 1:
        # A Gemm weight here is [out, in], as transB is set.
        fan_in = max(1, int(np.prod(shape[1:])))
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(gain / fan_in))
    if (operator, position) in (("BatchNormalization", 1), ("BatchNormalization", 4), ("Mul", 0), ("Mul", 1)):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(0.1)


def fill_weights(source: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a model whose ConstantOfShape weights are random initializers instead."""
    import numpy as np
    import onnx

    model = onnx.load(source)
    graph = model.graph
    shapes = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    generator = np.random.default_rng(8)
    # He et al. 2015, equation 10, keeps the size of a chain of layers with ReLU at a gain of 2; where
    # blocks add to their input, less keeps the sum from growing from block to block.
    gain = 0.5 if any(node.op_type == "Sum" for node in graph.node) else 2.0
    for node in [node for node in graph.node if node.op_type == "ConstantOfShape"]:
        shape = tuple(int(d) for d in shapes[node.input[0]])
        operator, position = next(consumers(graph, node.output[0]), ("", 0))
        weight = random_weight(generator, shape, operator, position, gain)
        graph.initializer.append(onnx.numpy_helper.from_array(weight, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for values in (graph.initializer, graph.input):
        for value in [value for value in values if value.name not in used]:
            values.remove(value)
    # A softmax over random weights hides most of what led to it, so what it takes is an output too.
    for node in [node for node in graph.node if node.op_type == "Softmax"]:
        graph.output.append(onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, None))
    onnx.save(model, target)


def all_cases(models: pathlib.Path) -> list[Case]:
    cases = [Case(f"det_{h}x{w}", "ppocrv5_det", label_picture(h, w)) for h, w in ((320, 320), (480, 640), (736, 544))]
    cases += [
        Case(f"rec_w{width}_b{batch}", "ppocrv5_rec", text_lines(48, width, batch, HALF))
        for width in (160, 320, 640)
        for batch in (1, 6)
    ]
    cases.append(Case("cls_b1", "ppocrv5_cls", text_lines(80, 160, 1, IMAGENET)))
    state = {"stateN": "state"}
    cases += [
        Case("silero_vad_16k", "silero_vad", silero_stream(16000, True), state),
        Case("silero_vad_8k", "silero_vad", silero_stream(8000, True), state),
        Case("silero_vad_16k_b3", "silero_vad", silero_stream(16000, True, batch=3), state),
        Case("silero_vad_16k_op15", "silero_vad_16k_op15", silero_stream(16000, True), state),
        Case("silero_vad_op18_ifless_16k", "silero_vad_op18_ifless", silero_stream(16000, True), state),
        Case("silero_vad_op18_ifless_8k", "silero_vad_op18_ifless", silero_stream(8000, True), state),
        Case("silero_vad_half", "silero_vad_half", silero_stream(16000, False), state),
        Case("silero_vad_openvino_16k", "silero_vad_openvino_16k", silero_stream(16000, False), state),
        Case("silero_vad_16k_sequence", "silero_vad_16k_sequence", silero_blocks(10), {"hn": "h", "cn": "c"}),
        Case("silero_vad_16k_sequence_1", "silero_vad_16k_sequence", silero_blocks(1), {"hn": "h", "cn": "c"}),
    ]
    cases += [Case(f"magika_b{batch}", "magika", file_contents(batch)) for batch in (1, 4)]
    cases += [Case(path.stem, path.stem, seeded(path.stem)) for path in sorted(models.glob("light_*.onnx"))]
    # The others have 60 to 144 million weights, too much to write for a test.
    cases += [
        Case(f"filled_{name}", f"light_{name}", seeded(f"light_{name}"), fill=True)
        for name in ("densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet")
    ]
    uncovered = {p.stem for p in models.glob("*.onnx")} - {case.model for case in cases}
    if uncovered:
        raise SystemExit(f"error: no case for the model {', '.join(sorted(uncovered))}")
    return cases


def scripts_key() -> str:
    names = ("make_goldens.py", "peer_run.py", "draw_label.py", "requirements.txt", "requirements-models.txt")
    return hashlib.sha256(b"\0".join((SCRIPTS / name).read_bytes() for name in names)).hexdigest()


def case_key(model: pathlib.Path, scripts: str) -> str:
    status = model.stat()
    return f"{scripts}:{model}:{status.st_size}:{status.st_mtime_ns}"


def make_case(case: Case, model: pathlib.Path, folder: pathlib.Path) -> None:
    import peer_run

    if case.fill:
        fill_weights(model, folder / "model.onnx")
        model = folder.resolve() / "model.onnx"
    peer = peer_run.open_peer(model, threads=THREADS, optimise=False)
    steps: list[dict] = []
    carried: dict = {}  # input name -> (value, file)
    files: dict[tuple[str, bytes], str] = {}  # inputs that stay the same, such as a rate, are written once

    def write(prefix: str, kind: str, name: str, value) -> str:
        content = (name, value.tobytes())
        if kind == "input" and value.size == 1 and content in files:
            return files[content]
        file = f"{prefix}{kind}_{peer_run.file_stem(name)}.npy"
        peer_run.save(folder / file, value)
        files[content] = file
        return file

    for number, fresh in enumerate(case.steps()):
        prefix = f"step_{number:02}_" if case.carry else ""
        entries = {"inputs": [], "outputs": []}
        for name, value in fresh.items():
            entries["inputs"].append({"name": name, "file": write(prefix, "input", name, value)})
        for name, (_, file) in carried.items():
            entries["inputs"].append({"name": name, "file": file})
        outputs = peer.run(fresh | {name: value for name, (value, _) in carried.items()})
        carried = {}
        for name, value in outputs.items():
            file = write(prefix, "output", name, value)
            entries["outputs"].append({"name": name, "file": file})
            if name in case.carry:
                carried[case.carry[name]] = (value, file)
        steps.append(entries)
    body = {"steps": steps} if case.carry else steps[0]
    document = {"model": str(model), "engine": peer.version, "threads": THREADS, "optimised": False, **body}
    (folder / "case.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "model.txt").write_text(f"{model}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / ".deps/models", help="default: .deps/models")
    parser.add_argument("--only", default="", metavar="PREFIX", help="only cases whose name begins so")
    arguments = parser.parse_args()
    # The real path, so that the goldens hold when the repository moves.
    models = arguments.models.resolve()
    if not models.is_dir():
        print(f"error: {arguments.models}: no such folder; run tools/setup", file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    scripts = scripts_key()
    made = 0
    cases = all_cases(models)
    with open(arguments.out / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for case in cases:
            if not case.name.startswith(arguments.only):
                continue
            model = models / f"{case.model}.onnx"
            folder = arguments.out / case.name
            stamp = folder / "stamp"
            key = case_key(model, scripts)
            if stamp.is_file() and stamp.read_text() == key:
                continue
            start = time.perf_counter()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make_case(case, model, folder)
            stamp.write_text(key)  # last, so that an interrupted case is made again
            made += 1
            print(f"  {case.name}: {time.perf_counter() - start:.2f} s")
        if not arguments.only:
            # Drops cases that no longer exist.
            names = {case.name for case in cases}
            for folder in arguments.out.iterdir():
                if folder.is_dir() and folder.name not in names and (folder / "case.json").exists():
                    shutil.rmtree(folder)
    print(f"goldens: {len(cases)} cases, {made} made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
