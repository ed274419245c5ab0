#!/usr/bin/env python3
"""Installs Naru into an empty folder and builds and runs the samples against it, as a user would.

  install_test.py --build build/dev --work build/dev/tests/install --models .deps/models

Shows that the installed headers stand on their own, that the CMake package and the pkg-config file
lead to a program that links and runs, and that the installation may be moved.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failure(Exception):
    """A step that did not do what it should; the text is for the user."""


def run(command: list, **settings) -> str:
    """Runs a command and returns what it printed."""
    words = [str(word) for word in command]
    print("$ " + shlex.join(words), flush=True)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)
    if done.returncode != 0:
        raise Failure(f"exit code {done.returncode} of {shlex.join(words)}\n{done.stdout}")
    return done.stdout


def expect(condition: bool, text: str) -> None:
    if not condition:
        raise Failure(text)


def install(build: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    """Installs, then moves what was installed: no path of the first place may have stayed in it."""
    run(["cmake", "--install", build, "--prefix", work / "first"])
    (work / "first").rename(work / "prefix")
    return work / "prefix"


def check_headers(prefix: pathlib.Path, compiler: str) -> None:
    headers = sorted((prefix / "include/naru").glob("*.h"))
    expect(any(header.name == "naru.h" for header in headers), "naru/naru.h is not installed")
    for header in headers:
        command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", prefix / "include"]
        run([*command, "-include", f"naru/{header.name}", "-x", "c++", "/dev/null"])


def build_sample(name: str, prefix: pathlib.Path, work: pathlib.Path, compiler: str, flags: str) -> pathlib.Path:
    """Builds a sample outside the build tree by find_package(naru)."""
    folder = work / name
    settings = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={flags}"]
    # A copy of the sources: nothing beside them in the repository may be needed.
    shutil.copytree(ROOT / "tools/samples" / name, work / f"{name}_source")
    run(["cmake", "-S", work / f"{name}_source", "-B", folder, "-G", "Ninja", *settings])
    run(["cmake", "--build", folder])
    return folder / f"naru_{name}"


def build_with_pkg_config(prefix: pathlib.Path, work: pathlib.Path, compiler: str, flags: str) -> pathlib.Path:
    search = {**os.environ, "PKG_CONFIG_PATH": str(next(prefix.glob("**/pkgconfig")))}
    found = shlex.split(run(["pkg-config", "--cflags", "--libs", "naru"], env=search))
    library = run(["pkg-config", "--variable=libdir", "naru"], env=search).strip()
    program = work / "hello_pkg_config"
    source = ROOT / "tools/samples/hello/main.cpp"
    command = [compiler, "-std=c++20", *shlex.split(flags), source, "-o", program]
    run([*command, *found, f"-Wl,-rpath,{library}"])
    return program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a build of Naru")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder to work in; it is emptied")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--picture", type=pathlib.Path, help="a picture for the label reader")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--flags", default="", help="for compiler and linker, for example -fsanitize=address")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        prefix = install(arguments.build, work)
        check_headers(prefix, arguments.compiler)
        settings = (prefix, work, arguments.compiler, arguments.flags)
        model = arguments.models / "ppocrv5_cls.onnx"
        for hello in (build_sample("hello", *settings), build_with_pkg_config(*settings)):
            answer = run([hello, model])
            expect(answer == "f32[1,2]\n", f"hello: got '{answer}', expected the shape of the model's output")
        reader = build_sample("label_reader", *settings)
        if arguments.picture:
            answer = run([reader, "--models", arguments.models, arguments.picture])
            expect("MODEL" in answer or " lines\n" in answer, f"label reader: got '{answer}'")
            print(answer)
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
