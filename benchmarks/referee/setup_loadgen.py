#!/usr/bin/env python3
"""Builds MLPerf LoadGen, the referee of the load generator, unmodified.

  setup_loadgen.py [--jobs N]

Takes the pinned source distribution of the PyPI package mlcommons-loadgen with pip, checks its hash, and leaves
its sources and libmlperf_loadgen.a under .deps/peers/loadgen, where the build finds them. Does nothing when they
are there.
"""
import argparse
import concurrent.futures
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = "6.0.17"
SHA256 = "a2e85d09e3cc0c606f89bfe1fbf97537c8b5b238ae0afbd923ad9c710fcf2ca8"
ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = (ROOT / ".deps").resolve() / "peers"
SOURCES = ("early_stopping.cc", "issue_query_controller.cc", "loadgen.cc", "logging.cc", "test_settings_internal.cc", "utils.cc", "version.cc",
           "results.cc", "bindings/c_api.cc", "generated/version_generated.cc")


def download(folder: pathlib.Path) -> pathlib.Path:
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps", "--disable-pip-version-check",
                    "-d", folder, f"mlcommons-loadgen=={VERSION}"], check=True)
    archive = next(folder.glob("mlcommons*loadgen*.tar.gz"))
    got = hashlib.sha256(archive.read_bytes()).hexdigest()
    if got != SHA256:
        sys.exit(f"setup_loadgen: {archive.name} has the hash {got}, expected {SHA256}")
    return archive


def build(source: pathlib.Path, work: pathlib.Path, jobs: int) -> pathlib.Path:
    def compile_one(name: str) -> pathlib.Path:
        made = work / (name.replace("/", "_") + ".o")
        subprocess.run(["g++", "-std=c++17", "-O3", "-fPIC", "-w", f"-I{source}", "-c", source / name, "-o", made], check=True)
        return made

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(compile_one, SOURCES))
    library = work / "libmlperf_loadgen.a"
    subprocess.run(["ar", "rcs", library, *objects], check=True)
    return library


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    out = PEERS / "loadgen"
    if (out / "libmlperf_loadgen.a").is_file():
        print("setup_loadgen: nothing to do")
        return 0
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as name:
        work = pathlib.Path(name)
        with tarfile.open(download(work)) as tar:
            tar.extractall(work)  # the hash says that it is the archive that was looked at
        source = next(path.parent for path in work.rglob("loadgen.h"))
        library = build(source, work, options.jobs)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(source, out / "include")
        shutil.copy2(library, out / library.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
