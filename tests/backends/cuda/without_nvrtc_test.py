"""Machines without NVRTC: what cannot be compiled says so, and carried kernels run all the same."""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile


def check(condition: bool, what: str, result: subprocess.CompletedProcess) -> None:
    if not condition:
        raise SystemExit(f"{what}: exit code {result.returncode}\n{result.stdout}\n{result.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--naru", required=True)
    parser.add_argument("--emulator", type=pathlib.Path, required=True, help="folder of the emulated driver and NVRTC")
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        broken = folder / "libraries"
        broken.mkdir()
        shutil.copy(arguments.emulator / "libcuda.so.1", broken)
        for library in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
            (broken / library).write_text("no library\n")

        def naru(libraries: pathlib.Path, *words: str) -> subprocess.CompletedProcess:
            environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "NARU_CACHE": ""}
            return subprocess.run([arguments.naru, *words], env=environment, capture_output=True, text=True)

        compiled = str(folder / "model.naru")
        compile_words = ("compile", arguments.model, "--target", "cuda:sm_90", "-o", compiled)
        result = naru(broken, *compile_words)
        check(result.returncode == 4 and "no NVRTC (install" in result.stderr, "compile without NVRTC", result)
        check(not pathlib.Path(compiled).exists(), "compile without NVRTC left a file", result)
        result = naru(broken, "run", arguments.model, "--device", "cuda,cpu", "--strict")
        check(result.returncode == 0 and "cpu:0" in result.stdout, "run without NVRTC on the next device", result)
        result = naru(arguments.emulator, *compile_words)
        check(result.returncode == 0, "compile", result)
        result = naru(broken, "run", compiled, "--device", "cuda", "--strict", "--trust-code")
        check(result.returncode == 0 and "cuda:0" in result.stdout, "run of carried kernels without NVRTC", result)
        result = naru(broken, "run", compiled, "--device", "cuda", "--strict")
        check(result.returncode == 4, "run of carried kernels that are not trusted", result)


if __name__ == "__main__":
    main()
