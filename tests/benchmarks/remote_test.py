# Endpoints and programs that misbehave: each manner gives its reason code, and the report stays whole.
import json
import pathlib
import subprocess
import sys
import tempfile

import misbehaving_server
import pipe_program

GENERATE = {"schema": "naru.suite/1", "name": "remote", "runs": 1, "models": [{"id": "m", "kind": "generate"}],
            "grids": [{"models": ["m"], "input_tokens": [6], "output_tokens": [8], "concurrency": [2], "requests": 4, "seconds": 2}]}
INFER = {"schema": "naru.suite/1", "name": "infer", "runs": 1, "models": [{"id": "m", "kind": "infer", "shapes": {"x": ["batch", 3]}}],
         "grids": [{"models": ["m"], "requests": 4, "seconds": 2}]}
# Codes that only say that a short run is short, or that no gate can look inside.
NOTES = {"FEW_RUNS", "GATE_MISSING", "NOT_STEADY", "LITTLE"}
# Where a stall is what is tested it counts soon; elsewhere a busy machine may take its time.
SHORT_S, LONG_S = 0.4, 60


def stall_s(expected):
    return SHORT_S if expected == "TIMEOUT" else LONG_S


def bench(naru, folder, suite, systems):
    """The rows of a session by system, and the codes of each."""
    (folder / "suite.json").write_text(json.dumps(suite))
    command = [naru, "bench", str(folder / "suite.json"), "--out", str(folder / "out")]
    for name, (kind, settings) in systems.items():
        command += ["--sut", f"{name}={kind}:{json.dumps(settings)}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    verified = subprocess.run([naru, "bench", "verify", str(folder / "out")], capture_output=True, text=True)
    assert verified.returncode == 0, verified
    rows = json.loads((folder / "out" / "results.json").read_text())["rows"]
    return {row["condition"]["system"]: ({reason["code"] for reason in row["reasons"]}, row) for row in rows}


def check(name, found, expected):
    codes, row = found[name]
    assert codes - NOTES == ({expected} if expected else set()), (name, codes, expected, row["reasons"])
    assert row["condition"]["boundary"] == "B-net"
    if expected is None:
        assert row["status"] in ("valid", "not_steady", "invalid"), (name, row["status"])
        assert row["metrics"]["latency"]["count"] > 0


def in_folder(naru, suite, systems):
    with tempfile.TemporaryDirectory() as folder:
        return bench(naru, pathlib.Path(folder), suite, systems)


def main():
    naru = sys.argv[1]
    with misbehaving_server.make_server() as server:
        def settings(mode, expected=None, **more):
            return {"url": server.url(mode), "stall_s": stall_s(expected), **more}
        systems = {mode: ("openai", settings(mode, expected)) for mode, expected in misbehaving_server.MODES.items()}
        systems |= {f"chat_{mode}": ("openai", settings(mode, api="chat")) for mode in ("good", "error_mid", "empty_chunks")}
        systems["unreachable"] = ("openai", {"url": "http://127.0.0.1:1"})
        systems["no_server"] = ("openai", {"command": ["no-such-server", "{port}"]})
        systems["dead_server"] = ("openai", {"command": ["false"]})
        systems["wrong_kind"] = ("kserve", settings("good"))
        systems |= {f"pipe_{mode}": ("pipe", {"command": ["no-such-program"] if mode == "absent" else [sys.executable, pipe_program.__file__, mode],
                                              "stall_s": stall_s(expected)}) for mode, expected in pipe_program.MODES.items()}
        found = in_folder(naru, GENERATE, systems)
        for mode, expected in misbehaving_server.MODES.items():
            check(mode, found, expected)
        for name, expected in {"chat_good": None, "chat_error_mid": "STREAM_ERROR", "chat_empty_chunks": None, "unreachable": "CONNECTION",
                               "no_server": "CONNECTION", "dead_server": "CONNECTION", "wrong_kind": "UNSUPPORTED"}.items():
            check(name, found, expected)
        for mode, expected in pipe_program.MODES.items():
            check(f"pipe_{mode}", found, expected)
        details = {name: row["reasons"][0]["detail"] for name, (codes, row) in found.items()}
        assert "status 429: " in details["status_429"] and len(details["status_429"]) < 500, details["status_429"]
        assert "needs 2 B" in details["pipe_fails"], details["pipe_fails"]
        found = in_folder(naru, INFER, {mode: ("kserve", settings(mode, expected)) for mode, expected in misbehaving_server.INFER_MODES.items()})
        for mode, expected in misbehaving_server.INFER_MODES.items():
            check(mode, found, expected)
    for bad in ("openai", "openai:{}", "nosuch", 'openai:{"url":"ftp://x"}', 'openai:{"url":"http://u@x"}', 'openai:{"url":"http://x","speed":1}', "pipe",
                "kserve:[]", 'synthetic:{"ttft_ms":"x"}'):
        done = subprocess.run([naru, "bench", "quick", "--out", "/nonexistent/x", "--sut", bad], capture_output=True, text=True)
        assert done.returncode == 3 and "--sut" in done.stderr or "url" in done.stderr or "synthetic" in done.stderr, (bad, done)


main()
