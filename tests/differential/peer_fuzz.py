#!/usr/bin/env python3
"""Runs random graphs in ONNX Runtime and compares it with the reference, within the fuzzer's own tolerances.

  build/dev/tests/naru_graph_fuzz --graphs 2000 --peer DIR
  peer_fuzz.py DIR [--peer onnxruntime|openvino] [--list]

A peer may refuse a graph or a node: it has no kernel for it, or wants more of its operands than ONNX does. peer_gaps.txt
says where the peer departs from ONNX: such a difference of a node is explained, and of a graph that holds such a node or
is off by a rounding that it has.
Exit code 1 when a difference is not explained.
"""

import argparse
import collections
import pathlib
import re
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "onnx"))
import peer_suite  # noqa: E402

OUTCOMES = ("agrees", "differs", "explained", "refuses")
FLAGS = ("keepdims", "noop_with_empty_axes", "select_last_index", "exclusive", "reverse")


def read_data(folder: pathlib.Path) -> dict[str, list]:
    """The values of a case: lists by kind, input, output and tolerance."""
    import onnx
    from onnx import numpy_helper

    data = collections.defaultdict(list)
    for tensor in onnx.load(folder / "data.onnx").graph.initializer:
        data[tensor.name.rpartition("_")[0]].append(numpy_helper.to_array(tensor))
    return data


def with_plain_flags(folder: pathlib.Path) -> str:
    """The model with its flags as 0 and 1: ONNX says nothing of others, naru takes any other as 1."""
    import onnx

    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in FLAGS:
                attribute.i = int(attribute.i != 0)
    path = folder / "plain.onnx"
    onnx.save(model, path)
    return str(path)


def as_numbers(value: np.ndarray) -> np.ndarray:
    """The elements as doubles; a complex one is two."""
    flat = np.ascontiguousarray(value).reshape(-1)
    return flat.view(flat.real.dtype).astype(np.float64) if flat.dtype.kind == "c" else flat.astype(np.float64)


def same_class(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    finite = np.isfinite(a) & np.isfinite(b)
    return finite | (np.isnan(a) & np.isnan(b)) | (np.isinf(a) & (a == b))


def differs(got, expected, tolerance: np.ndarray) -> str | None:
    got, expected = np.asarray(peer_suite.plain(got)), np.asarray(peer_suite.plain(expected))
    if got.shape != expected.shape:
        return f"got {got.dtype}{list(got.shape)}, expected {expected.dtype}{list(expected.shape)}"
    if expected.dtype.kind in "OUS":
        return None if [str(x) for x in got.ravel()] == [str(x) for x in expected.ravel()] else "strings differ"
    if got.dtype != expected.dtype:
        return f"got {got.dtype}, expected {expected.dtype}"
    a, b = as_numbers(got), as_numbers(expected)
    with np.errstate(invalid="ignore"):
        near = same_class(a, b) & (~np.isfinite(b) | (np.abs(a - b) <= tolerance))
    wrong = np.flatnonzero(~near & np.isfinite(tolerance))
    if not wrong.size:
        return None
    first = wrong[0]
    return f"element {first} of {expected.dtype}{list(expected.shape)}: got {a[first]:.9g}, expected {b[first]:.9g} within {tolerance[first]:.3g}"


def run_case(peer: str, folder: str) -> tuple[str, str]:
    path = pathlib.Path(folder)
    data = read_data(path)
    try:
        results = peer_suite.LOADERS[peer](with_plain_flags(path)).run(data["input"])
    except Exception as error:  # noqa: BLE001: whatever the peer throws is its answer
        return "refuses", str(error)
    for index, (got, value, tolerance) in enumerate(zip(results, data["output"], data["tolerance"])):
        if text := differs(got, value, tolerance):
            return "differs", f"output {index}: {text}"
    return "agrees", ""


def walk(graph):
    """All nodes, those of bodies too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from walk(body)


class Case:
    """What the conditions of peer_gaps.txt ask."""

    def __init__(self, folder: pathlib.Path, detail: str):
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(folder / "model.onnx").graph
        self.nodes = list(walk(graph))
        data = read_data(folder)
        operands = data["input"] + [numpy_helper.to_array(tensor) for tensor in graph.initializer]
        self.operands = [np.asarray(peer_suite.plain(array)) for array in operands]
        self.outputs = [np.asarray(peer_suite.plain(array)) for array in data["output"]]
        self.arrays = self.operands + self.outputs
        self.detail = detail
        self.operators = sorted({node.op_type for node in self.nodes})

    def floats(self):
        return [array for array in self.arrays if array.dtype.kind == "f"]

    def is_rounding(self) -> bool:
        numbers = re.search(r"got (\S+), expected (\S+) within", self.detail)
        largest = max((np.abs(array[np.isfinite(array)]).max(initial=0) for array in self.floats()), default=0)
        return bool(numbers) and abs(float(numbers[1]) - float(numbers[2])) <= 1e-3 * float(largest)


CONDITIONS = {
    "always": lambda case: True,
    "empty": lambda case: any(array.size == 0 for array in case.arrays),
    "nonfinite": lambda case: any(not np.isfinite(array).all() for array in case.floats()),
    "double": lambda case: any(array.dtype == np.float64 for array in case.arrays),
    "auto_pad": lambda case: any(attribute.name == "auto_pad" for node in case.nodes for attribute in node.attribute),
    "rounding": Case.is_rounding,
    "peer_nonfinite": lambda case: re.search(r"got -?(nan|inf),", case.detail) is not None,
    "align_corners": lambda case: any(attribute.s == b"align_corners" for node in case.nodes for attribute in node.attribute),
    "zeros": lambda case: not any(array.any() for array in case.operands),
    "integers": lambda case: all(array.dtype.kind in "iu" for array in case.outputs),
}


def read_gaps(peer: str) -> dict[str, list[str]]:
    """The conditions by operator."""
    gaps = collections.defaultdict(list)
    for line in (HERE / "peer_gaps.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, operator, condition = line.split(":", 1)[0].split()
            if name == peer:
                gaps[operator].append(condition)
    return gaps


def is_explained(case: Case, gaps: dict[str, list[str]]) -> bool:
    return any(CONDITIONS[condition](case) for operator in case.operators for condition in gaps.get(operator, ()))


def holds_gap(graph: pathlib.Path, gaps: dict[str, list[str]]) -> bool:
    """Whether a node of the graph meets a condition, though alone it may have agreed: memory left unset is at times right."""
    return any(is_explained(Case(node, ""), gaps) for node in graph.parent.glob(f"{graph.name}.*"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", type=pathlib.Path)
    parser.add_argument("--peer", choices=peer_suite.PEERS, default="onnxruntime")
    parser.add_argument("--list", action="store_true", help="print each case that the peer refuses or whose difference is explained")
    arguments = parser.parse_args()
    gaps = read_gaps(arguments.peer)
    roundings = {operator: ["rounding"] for operator, conditions in gaps.items() if "rounding" in conditions}
    tallies = {"graphs": collections.Counter(), "nodes": collections.Counter()}
    runner = peer_suite.Runner(run_case)
    explained = set()  # graphs with such a node
    for folder in sorted(arguments.cases.iterdir(), key=lambda path: ("." not in path.name, *map(int, path.name.split(".")))):
        graph, _, node = folder.name.partition(".")
        outcome, detail = runner.run(arguments.peer, str(folder))
        case = Case(folder, detail) if outcome not in ("agrees", "refuses") else None
        if case:
            known = is_explained(case, gaps) if node else graph in explained or is_explained(case, roundings) or holds_gap(folder, gaps)
            outcome = "explained" if known else "differs"
        if node and outcome == "explained":
            explained.add(graph)
        tallies["nodes" if node else "graphs"][outcome] += 1
        if outcome == "differs" or (arguments.list and outcome != "agrees"):
            print(f"{folder.name}: {outcome}: {' '.join(case.operators if case else [])}: {(detail.strip().splitlines() or [''])[0][:300]}", flush=True)
    runner.stop()
    print(f"{'cases':<8}" + "".join(f"{title:>10}" for title in ("all", *OUTCOMES)))
    for title, tally in tallies.items():
        print(f"{title:<8}" + "".join(f"{number:>10}" for number in (tally.total(), *(tally[outcome] for outcome in OUTCOMES))))
    return 1 if any(tally["differs"] for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
