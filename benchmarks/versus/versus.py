#!/usr/bin/env python3
"""Compares naru with its peers, interleaved: A B C A B C ... in one run on one machine.

For each model every engine is loaded in a process of its own; then the engines take turns, a short
burst of runs each, so that drift of a shared machine hits all alike. A burst counts by its median;
reported is the median over the bursts and the ratio of the medians of each round, with its spread.
Beside it stand the peak multiply-add rate and read bandwidth, measured in the same run.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / ".deps" / "models"

# name: (model file, {input: shape}); files from the set-up's model folder.
ROWS = {
    "resnet50": ("light_resnet50.onnx", {"gpu_0/data_0": (1, 3, 224, 224)}),
    "densenet121": ("light_densenet121.onnx", {"data_0": (1, 3, 224, 224)}),
    "inception_v2": ("light_inception_v2.onnx", {"data_0": (1, 3, 224, 224)}),
    "squeezenet": ("light_squeezenet.onnx", {"data_0": (1, 3, 224, 224)}),
    "shufflenet": ("light_shufflenet.onnx", {"gpu_0/data_0": (1, 3, 224, 224)}),
    "vgg19": ("light_vgg19.onnx", {"data_0": (1, 3, 224, 224)}),
    "ocr_det_640": ("ppocrv5_det.onnx", {"x": (1, 3, 640, 640)}),
    "ocr_rec_320": ("ppocrv5_rec.onnx", {"x": (1, 3, 48, 320)}),
    "ocr_rec_320_b6": ("ppocrv5_rec.onnx", {"x": (6, 3, 48, 320)}),
    "ocr_cls": ("ppocrv5_cls.onnx", {"x": (1, 3, 80, 160)}),
    "magika": ("magika.onnx", {"bytes": (1, 2048)}),
}


class Worker:
    def __init__(self, command):
        env = dict(os.environ)
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            env.pop(name, None)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the worker ended with status {self.process.wait()}"}
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def model_inputs(model, shapes, folder):
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    constants = {i.name for i in graph.initializer}
    rng = np.random.default_rng(1)
    files = []
    for value in graph.input:
        if value.name in constants:
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = shapes[value.name]
        data = rng.random(shape) if np.issubdtype(dtype, np.floating) else rng.integers(0, 256, shape)
        files.append(str(folder / f"input_{len(files)}.npy"))
        np.save(files[-1], data.astype(dtype))
    return files


def measure(row, engines, options, folder):
    model_name, shapes = ROWS[row]
    if options.batch != 1:
        shapes = {name: (shape[0] * options.batch, *shape[1:]) for name, shape in shapes.items()}
    inputs = model_inputs(MODELS / model_name, shapes, folder)
    result = {"row": row, "batch": options.batch, "threads": options.threads, "engines": {}}
    workers = {}
    for engine, command in engines.items():
        workers[engine] = Worker(command)
        loaded = workers[engine].ask({"load": str(MODELS / model_name), "inputs": inputs, "threads": options.threads})
        result["engines"][engine] = dict(loaded)
    alive = [e for e in engines if "error" not in result["engines"][e]]
    bursts = {e: [] for e in alive}
    for engine in alive:
        seconds = workers[engine].ask({"run": 3})["seconds"]
        result["engines"][engine]["count"] = max(3, min(200, int(options.burst / max(min(seconds), 1e-6))))
    for _ in range(options.rounds):
        for engine in alive:
            count = result["engines"][engine]["count"]
            bursts[engine].append(statistics.median(workers[engine].ask({"run": count})["seconds"]))
    for engine in alive:
        result["engines"][engine].update(median_s=statistics.median(bursts[engine]), bursts_s=bursts[engine])
    for worker in workers.values():
        worker.close()
    if "naru" in bursts:
        for engine in alive:
            if engine == "naru":
                continue
            ratios = sorted(p / n for p, n in zip(bursts[engine], bursts["naru"]))
            result["engines"][engine]["speedup"] = {
                "median": statistics.median(ratios), "min": ratios[0], "max": ratios[-1]}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help="rows to measure (default: all)")
    parser.add_argument("--engines", default="naru,onnxruntime,openvino")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="alternations (at least 5 for figures to quote)")
    parser.add_argument("--burst", type=float, default=0.5, help="seconds of one engine's turn")
    parser.add_argument("--build", default="release", help="build preset whose worker runs")
    parser.add_argument("--json", help="file for all figures")
    options = parser.parse_args()
    worker = str(ROOT / "build" / options.build / "bin" / "naru_versus_worker")
    peer = [sys.executable, str(pathlib.Path(__file__).with_name("peer_worker.py"))]
    commands = {"naru": [worker], "onnxruntime": peer + ["onnxruntime"], "openvino": peer + ["openvino"]}
    engines = {e: commands[e] for e in options.engines.split(",")}

    prober = Worker([worker])
    probe = prober.ask({"probe": options.threads})
    prober.close()
    print(f"peak {probe['fma_gflops']:.0f} GFLOP/s f32 ({probe['isa']}), read {probe['read_gbs']:.1f} GB/s, "
          f"{options.threads} threads, batch {options.batch}, {options.rounds} rounds")
    heads = [f"{e} ms" for e in engines] + [f"vs {e} (min..max)" for e in engines if e != "naru"]
    print("  ".join(["row".ljust(16)] + [h.rjust(22 if h.startswith("vs") else 15) for h in heads]))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for row in options.rows.split(","):
            result = measure(row, engines, options, pathlib.Path(folder))
            results.append(result)
            cells = [row.ljust(16)]
            for engine in engines:
                figures = result["engines"][engine]
                cells.append((f"{figures['median_s'] * 1e3:.2f}" if "median_s" in figures else "failed").rjust(15))
            for engine in engines:
                if engine == "naru":
                    continue
                s = result["engines"][engine].get("speedup")
                cells.append((f"{s['median']:.2f} ({s['min']:.2f}..{s['max']:.2f})" if s else "-").rjust(22))
            print("  ".join(cells), flush=True)
            for engine in engines:
                if "error" in result["engines"][engine]:
                    print(f"  {engine}: {result['engines'][engine]['error'].splitlines()[0]}", file=sys.stderr)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"probe": probe, "rows": results}, indent=1) + "\n")


main()
