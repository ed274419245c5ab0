# The published schema of suites and the reader of suites accept and refuse the same files.
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

GOOD = {"schema": "naru.suite/1", "name": "t", "title": {"en": "a", "ko": "b"}, "runs": 1, "seed": 3, "declared": {"cores": 2},
        "models": [{"id": "m", "kind": "generate", "context": 64, "precision": {"kv": "f16"}, "gate": {"top1": 0.9}},
                   {"id": "n", "kind": "infer", "shapes": {"x": ["batch", 3], "s": []}, "values": {"s": 4}, "gate": False},
                   {"id": "s", "kind": "generate", "synth": {"shape": "llama-tiny", "type": "q8_0"}}],
        "grids": [{"models": ["m", "s"], "input_tokens": [1, 2], "output_tokens": [1], "concurrency": [1, 4], "limits": {"ttft_ms": 1}},
                  {"models": ["m"], "input_tokens": [8], "output_tokens": [1], "scenario": "capacity", "rate": [2.5], "limits": {"ttft_ms": 1, "attainment": 0.9}},
                  {"models": ["n"], "scenario": "trace", "arrivals_ms": [0, 1.5], "batch": [2]}]}
# Paths into GOOD and what is put there.
FAULTS = [(["speed"], 1), (["schema"], "naru.suite/2"), (["name"], 7), (["title", "fr"], "c"), (["runs"], 0), (["runs"], 1.5), (["seed"], -1), (["declared"], []),
          (["models"], {}), (["models", 0, "size"], 1), (["models", 0, "kind"], "train"), (["models", 0, "id"], 7), (["models", 0, "precision", "x"], "y"),
          (["models", 0, "gate", "top1"], 2), (["models", 0, "gate"], "yes"), (["models", 0, "context"], -1), (["models", 1, "shapes", "x"], 3),
          (["models", 1, "shapes", "x"], ["batch", 0]), (["models", 1, "shapes", "x"], ["size"]), (["models", 1, "values", "s"], "four"),
          (["models", 2, "synth", "seed"], 1), (["models", 2, "synth"], {"shape": "llama-tiny"}), (["grids"], []), (["grids", 0, "models"], []),
          (["grids", 0, "speed"], 1), (["grids", 0, "scenario"], "fast"), (["grids", 0, "input_tokens"], [0]), (["grids", 0, "input_tokens"], []),
          (["grids", 0, "input_tokens"], [1, 1]), (["grids", 0, "concurrency"], [1.5]), (["grids", 0, "requests"], 0), (["grids", 0, "seconds"], 0),
          (["grids", 0, "limits", "p99"], 1), (["grids", 1, "rate"], [0]), (["grids", 2, "arrivals_ms"], [-1]), (["grids", 0, "devices"], "cpu")]


def with_fault(path, value):
    suite = copy.deepcopy(GOOD)
    at = suite
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return suite


def main():
    naru, suites = sys.argv[1], pathlib.Path(sys.argv[2])
    schema = json.loads(subprocess.run([naru, "bench", "schema"], capture_output=True, check=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in suites.glob("*.json"):
        if path.name != "suite.schema.json":
            validator.validate(json.loads(path.read_text()))
    validator.validate(GOOD)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "suite.json"

        def refusal(suite):
            file.write_text(json.dumps(suite))
            done = subprocess.run([naru, "bench", str(file), "--out", str(file.parent / "out"), "--sut", "synthetic", "--no-gate", "--budget", "0.001"],
                                  capture_output=True, text=True)
            assert done.returncode in (0, 3), done
            return done.stderr if done.returncode == 3 else None

        assert refusal(GOOD) is None
        for path, value in FAULTS:
            suite = with_fault(path, value)
            assert not validator.is_valid(suite), f"the schema accepts {path} = {value}"
            assert refusal(suite), f"the reader accepts {path} = {value}"
        assert "unknown field 'speed'" in refusal(with_fault(["grids", 0, "speed"], 1))


main()
