# llama-server and Naru on one GGUF in one report, and what a changed byte does to it. Skipped where the peer is not built.
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SKIPPED = 77
SUITE = {"schema": "naru.suite/1", "name": "peer", "runs": 2,
         "models": [{"id": "SmolLM2", "kind": "generate", "path": "smollm2-135m-instruct-q4_1.gguf", "gate": False}],
         "grids": [{"models": ["SmolLM2"], "input_tokens": [16], "output_tokens": [8], "concurrency": [1, 2], "requests": 4, "seconds": 5}]}


def main():
    naru, root = sys.argv[1], pathlib.Path(sys.argv[2])
    if not (root / ".deps/peers/llama.cpp/bin/llama-server").exists() or not (root / ".deps/models" / SUITE["models"][0]["path"]).exists():
        print("llama-server is not built: benchmarks/versus/setup_llama.py")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "suite.json").write_text(json.dumps(SUITE))
        out = folder / "out"

        def bench(*arguments):
            return subprocess.run([naru, "bench", *arguments], capture_output=True, text=True, cwd=root)

        done = bench(str(folder / "suite.json"), "--out", str(out), "--sut", "naru=in-process", "--sut", "llama=llama-server")
        assert done.returncode == 0, done
        rows = json.loads((out / "results.json").read_text())["rows"]
        found = [(row["condition"]["system"], row["condition"]["boundary"]) for row in rows]
        assert sorted(found) == [("llama", "B-net")] * 2 + [("naru", "B-tok")] * 2, found
        for row in rows:
            assert row["status"] in ("valid", "not_steady", "invalid"), row["reasons"]
            assert row["metrics"]["failed_share"]["estimate"] == 0, row["reasons"]
            codes = {reason["code"] for reason in row["reasons"]}
            assert not codes & {"LENGTH_MISMATCH", "USAGE_MISMATCH", "PREFIX_CACHED", "PROMPT_LENGTH"}, codes
            assert row["load"]["model_sha256"] == rows[0]["load"]["model_sha256"]
        assert bench("verify", str(out)).returncode == 0
        draw = random.Random(1)
        files = sorted(path for path in out.rglob("*") if path.is_file())
        for path in files:
            data = path.read_bytes()
            at = draw.randrange(len(data))
            changed = bytearray(data)
            changed[at] ^= 1 << draw.randrange(8)
            path.write_bytes(bytes(changed))
            assert bench("verify", str(out)).returncode == 3, (path, at)
            path.write_bytes(data)
        assert bench("verify", str(out)).returncode == 0
    return 0


sys.exit(main())
