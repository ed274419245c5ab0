#!/usr/bin/env python3
"""Makes a plug-in with `naru vendor new`, builds it against the installed package alone, and checks it.

  skeleton_test.py --build build/dev --work build/dev/tests/plugin/skeleton
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys


def run(command: list, expected: int = 0, **settings) -> str:
    words = [str(word) for word in command]
    print("$ " + " ".join(words), flush=True)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)
    if done.returncode != expected:
        raise SystemExit(f"error: exit code {done.returncode}, expected {expected}\n{done.stdout}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder to work in; it is emptied")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    run(["cmake", "--install", arguments.build, "--prefix", work / "prefix"])
    naru = work / "prefix/bin/naru"
    run([naru, "vendor", "new", "Bad-Name"], expected=3, cwd=work)
    run([naru, "vendor", "new", "demo"], cwd=work)
    run([naru, "vendor", "new", "demo"], expected=3, cwd=work)  # never over files that are there
    run(["cmake", "-S", work / "demo", "-B", work / "demo/build", f"-DCMAKE_PREFIX_PATH={work / 'prefix'}"])
    run(["cmake", "--build", work / "demo/build"])
    run(["ctest", "--test-dir", work / "demo/build", "--output-on-failure"])
    report = json.loads((work / "demo/build/report/report.json").read_text())
    grades = {section["name"]: section["grade"] for section in report["sections"]}
    for section in ("interface", "operators f32", "determinism", "threads"):
        if grades.get(section) != "A":
            raise SystemExit(f"error: section {section}: got grade {grades.get(section)}, expected A")
    print(grades)
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
