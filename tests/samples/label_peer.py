#!/usr/bin/env python3
"""Draws product labels, lets naru_label_reader read them, and judges the answer.

  label_peer.py --reader build/dev/bin/naru_label_reader --models .deps/models --work build/labels

1. What left each network must be what ONNX Runtime computes from what went into it (relative 1e-4,
   absolute 1e-5), and the class it holds likeliest at each step of the text the same.
2. A share of the drawn lines must be read exactly right, spaces ignored, and in the order drawn.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/dev"))

import draw_label  # noqa: E402
import peer_run  # noqa: E402

RELATIVE, ABSOLUTE = 1e-4, 1e-5
# Rounding of both engines: on pictures ONNX Runtime itself is up to 0.6 of the tolerance away from f64
# evaluation, so single elements of millions fall outside. A wrong kernel moves far more.
OUTSIDE_SHARE = 1e-5
# Two classes whose probabilities are this near may change places by rounding.
NEAR = 1e-3
OUT_OF_TOLERANCE = 6


def draw(folder: pathlib.Path, count: int, seed: int) -> list[tuple[pathlib.Path, list[str]]]:
    """Draws the labels; returns each picture with its text."""
    labels = []
    for number in range(count):
        image, truth = draw_label.draw_label(seed, number)
        path = folder / f"label_{number:03}.png"
        image.save(path)
        labels.append((path, [line["text"] for line in truth["lines"]]))
    return labels


def without_spaces(text: str) -> str:
    return "".join(text.split())


def judge_text(labels: list[tuple[pathlib.Path, list[str]]], answer: dict) -> tuple[int, int, list[str]]:
    """Counts the lines that are right and all lines; says what is wrong."""
    right, total, faults = 0, 0, []
    for (path, truth), picture in zip(labels, answer["pictures"], strict=True):
        expected = [without_spaces(text) for text in truth]
        got = [without_spaces(line["text"]) for line in picture["lines"]]
        found = [text for text in expected if text in got]
        right += len(found)
        total += len(expected)
        faults += [f"{path.name}: '{text}' not read" for text in expected if text not in got]
        faults += [f"{path.name}: read '{text}'" for text in got if text not in expected]
        if [text for text in got if text in expected] != found:
            faults.append(f"{path.name}: the lines are out of order: {got}")
            right -= len(found)
    return right, total, faults


def judge_network(name: str, model: pathlib.Path, dump: pathlib.Path) -> tuple[str, bool]:
    """Compares every run of one network; returns a row of the table and whether it passes."""
    peer = peer_run.open_peer(model)
    largest, worst, outside, runs, elements = 0.0, 0.0, 0, 0, 0
    classes_differ = 0
    for file in sorted(dump.glob(f"{name}_*_input.npy")):
        (expected,) = peer.run({"x": np.load(file)}).values()
        got = np.load(file.with_name(file.name.replace("_input", "_output")))
        runs += 1
        if got.shape != expected.shape:
            return f"  {name:4} got a shape of {got.shape}, expected {expected.shape}", False
        error = np.abs(got.astype(np.float64) - expected)
        allowed = ABSOLUTE + RELATIVE * np.abs(expected)
        outside += int((~(error <= allowed)).sum())
        elements += error.size
        largest = max(largest, float(error.max()))
        worst = max(worst, float((error / allowed).max()))
        if name == "rec":
            two = np.sort(expected, axis=-1)[..., -2:]
            clear = two[..., 1] - two[..., 0] > NEAR
            classes_differ += int(((got.argmax(-1) != expected.argmax(-1)) & clear).sum())
    passed = runs > 0 and outside <= OUTSIDE_SHARE * elements and classes_differ == 0
    row = f"  {name:4} {runs:4} {largest:16.2e} {worst:19.2f} {outside:8} {classes_differ:15}"
    return f"{row}  {'pass' if passed else 'FAIL'}", passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reader", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / ".deps/models", help="default: .deps/models")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder to work in; it is emptied")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.9, help="of lines that must be right (default: 0.9)")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    dump = arguments.work / "dump"
    labels = draw(arguments.work, arguments.count, arguments.seed)
    command = [arguments.reader, "--models", arguments.models, "--device", arguments.device]
    command += ["--json", "--dump", dump, *(path for path, _ in labels)]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        return 1
    answer = json.loads(done.stdout)

    for network in answer["networks"]:
        where = ", ".join(f"{row['nodes']} on {row['device']} ({row['tier']})" for row in network["placement"])
        print(f"{network['name']}: nodes {where}")
    right, total, faults = judge_text(labels, answer)
    print("\n".join(faults))
    share = right / total
    print(f"lines right: {right} of {total} ({100 * share:.1f} %), expected {100 * arguments.share:.0f} % or more")
    print("network runs  largest error  of what is allowed  outside  classes differ")
    verdicts = []
    for name in ("det", "cls", "rec"):
        row, passed = judge_network(name, arguments.models / f"ppocrv5_{name}.onnx", dump)
        print(row)
        verdicts.append(passed)
    shutil.rmtree(dump)
    if not all(verdicts):
        return OUT_OF_TOLERANCE
    return 0 if share >= arguments.share else 1


if __name__ == "__main__":
    sys.exit(main())
