#!/usr/bin/env python3
"""Checks that the rooms of Naru depend on each other only downwards, and the bans that go with it.

The tables below are the rules. Run without arguments on the repository, or with --self-test, which
shows for every rule a small tree that breaks it.
"""

import argparse
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

# graph <- backends/backend.h <- compiler <- runtime <- tools, benchmarks.
# What the files under a prefix may include, from the root; the longest prefix decides. "{own}" is
# the backend's own folder. A promised header ("naru/x.h") counts as <room>/include/naru/x.h.
GRAPH = ("graph/",)
INTERFACE = GRAPH + ("backends/include/", "backends/backend.h", "backends/registry.h")
COMPILER = INTERFACE + ("compiler/",)
RUNTIME = COMPILER + ("runtime/",)
ALLOWED = {
    "graph/": GRAPH,
    # fence.h, host_queue.h and generated/ are what backends share that run work on host threads, and kernels of
    # compiler/kernel; the kernel compiler itself knows graph/ alone.
    "backends/*/": GRAPH
    + ("backends/include/", "backends/backend.h", "backends/fence.h", "backends/host_queue.h", "backends/generated/", "compiler/kernel/", "{own}"),
    # The simulated NPU is a device of its own: it knows nothing of Naru.
    "backends/npu_sim/": ("{own}",),
    "compiler/kernel/": GRAPH + ("compiler/kernel/",),
    "backends/": INTERFACE + ("backends/host_queue.h",),
    "compiler/": COMPILER,
    "runtime/": RUNTIME,
    # Micro-benchmarks measure single kernels of a backend.
    "benchmarks/": RUNTIME + ("backends/", "benchmarks/", "tools/io/"),
    # `naru bench` runs the harness of benchmarks/.
    "tools/": RUNTIME + ("benchmarks/", "tools/"),
    # Samples see what an application sees. Each is a project of its own, so its own headers are
    # written without a folder.
    "tools/samples/*/": tuple(f"{room}/include/" for room in ("graph", "backends", "compiler", "runtime"))
    + ("{own}",),
    # Tests look inside every room.
    "tests/": ("",),
}

# Rooms in dependency order: a promised header includes promised headers of its own room or before.
ROOM_ORDER = ("graph", "backends", "compiler", "runtime", "tools", "benchmarks")

# Rooms that are linked into an application, which they must never end.
LIBRARY_ROOMS = ("graph/", "backends/", "compiler/", "runtime/")

# Headers of one vendor or library, and the only places that may include them.
CONFINED = (
    ("oneDNN", r"(oneapi/dnnl/|dnnl)", ("backends/cpu/",)),
    ("OpenCL", r"CL/", ("backends/opencl/", "backends/npu_sim/icd/", "tests/npu/")),
    ("CUDA", r"(cuda|cublas|cudnn|cufft|nvrtc|nvml|nvJitLink|cooperative_groups|cub/)", ("backends/cuda/", "tests/backends/cuda/", "tests/compiler/kernel/nvrtc")),
    ("protobuf", r"(google/protobuf/|(.*/)?[\w-]+\.pb\.h)", ("graph/import/", "graph/export/")),
    ("FlatBuffers", r"(flatbuffers/|(.*/)?\w+_generated\.h)", ("graph/serialize", "tests/graph/serialize")),
)

BANNED_HEADERS = {
    "regex": "std::regex overflows the stack on long text and takes exponential time",
    "ranges": "the front end of clang-tidy 14 cannot read it",
    "format": "g++ 12 has none; use fmt",
}

BANNED_EVERYWHERE = (
    (re.compile(r"\bstd::\w*regex\w*"), "std::regex overflows the stack on long text and takes exponential time"),
)
BANNED_IN_LIBRARY = (
    (
        re.compile(r"(?<![\w.>:])(?:std\s*::\s*|::\s*)?(?:abort|exit|_exit|_Exit|quick_exit)\s*\("),
        "the library never ends the process; throw Error",
    ),
    (re.compile(r"\bstd\s*::\s*terminate\b"), "the library never ends the process; throw Error"),
)

# Files made at build time, included by their bare name.
GENERATED = re.compile(r"(.*/)?(backends\.def|skeleton_files\.h|[\w-]+\.pb\.h|\w+_generated\.h)")

STANDARD = frozenset(
    """
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes
    climits clocale cmath compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef
    cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem forward_list
    fstream functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list
    locale map memory memory_resource mutex new numbers numeric optional ostream queue random ratio
    scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf
    string string_view syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map
    unordered_set utility valarray variant vector version
    stddef.h stdint.h string.h
    """.split()
)

CXX_SUFFIXES = (".cpp", ".h", ".cu", ".cuh")
COMMENT_STARTS = {
    **dict.fromkeys(CXX_SUFFIXES + (".cl", ".def", ".inc", ".fbs", ".proto"), ("//", "/*")),
    **dict.fromkeys((".py", ".sh", ".cmake", ".yml"), ("#", '"""')),
}

RULES = {
    "first-line": "the first line of every source file is a comment that says what the file is for",
    "room": "every C++ file stands in a room of the table",
    "from-root": "headers are included from the root, promised ones as naru/x.h",
    "layer": "a room includes only the rooms below it",
    "confined": "a vendor's headers stay in one place",
    "banned-header": "some standard headers are not used",
    "banned-name": "some names are not used",
    "promised": "promised headers include only standard and promised headers",
    "own-header": "a .cpp includes its own header first",
}


class Problem(NamedTuple):
    path: str
    line: int
    rule: str
    text: str


class Include(NamedTuple):
    line: int
    name: str
    quoted: bool


TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<text>R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')
      | (?P<number>\b\d[\w.']*)""",
    re.DOTALL | re.VERBOSE,
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)


def blank(source: str, kinds: tuple[str, ...]) -> str:
    """Overwrites comments or literals with spaces, so that line numbers stay."""

    def replace(match: re.Match[str]) -> str:
        token = match.group()
        return re.sub(r"[^\n]", " ", token) if match.lastgroup in kinds or match.group("comment") else token

    return TOKEN.sub(replace, source)


def line_of(source: str, offset: int) -> int:
    return source.count("\n", 0, offset) + 1


def includes_of(source: str) -> list[Include]:
    raw_strings_gone = TOKEN.sub(
        lambda m: re.sub(r"[^\n]", " ", m.group()) if m.group("comment") or m.group().startswith("R") else m.group(),
        source,
    )
    return [
        Include(line_of(raw_strings_gone, m.start()), m.group(1) or m.group(2), m.group(1) is not None)
        for m in INCLUDE.finditer(raw_strings_gone)
    ]


def sample_folder(path: str) -> str | None:
    """The folder of the sample that the file belongs to."""
    match = re.match(r"tools/samples/[^/]+/", path)
    return match.group() if match else None


def layer_of(path: str) -> tuple[str, ...] | None:
    """What the file may include, or None where it stands in no room."""
    parts = path.split("/")
    own, rule = sample_folder(path), "tools/samples/*/"
    if len(parts) > 2 and parts[0] == "backends" and parts[1] != "include":
        own = f"backends/{parts[1]}/"
        rule = own if own in ALLOWED else "backends/*/"
    if path.startswith("compiler/kernel/"):
        return ALLOWED["compiler/kernel/"]
    if own is not None:
        return tuple(entry.replace("{own}", own) for entry in ALLOWED[rule])
    return ALLOWED.get(parts[0] + "/") if len(parts) > 1 else None


def promised_owner(name: str, files: dict[str, str]) -> str | None:
    """The path of promised header naru/x.h."""
    for room in ROOM_ORDER:
        path = f"{room}/include/{name}"
        if path in files:
            return path
    return None


def check_first_line(path: str, source: str) -> list[Problem]:
    suffix = pathlib.PurePosixPath(path).suffix
    lines = source.split("\n")
    shebang = bool(lines and lines[0].startswith("#!"))
    starts = COMMENT_STARTS.get(suffix)
    if pathlib.PurePosixPath(path).name == "CMakeLists.txt" or (starts is None and shebang):
        starts = ("#",)
    if starts is None:
        return []
    number = 2 if shebang else 1
    first = lines[number - 1] if len(lines) >= number else ""
    if first.startswith(starts):
        return []
    return [Problem(path, number, "first-line", "does not begin with a comment that says what the file is for")]


def check_include(path: str, include: Include, allowed: tuple[str, ...], files: dict[str, str]) -> list[Problem]:
    problems = []

    def report(rule: str, text: str) -> None:
        problems.append(Problem(path, include.line, rule, text))

    name = include.name
    if name in BANNED_HEADERS:
        report("banned-header", f"<{name}> is not used: {BANNED_HEADERS[name]}")
    for vendor, pattern, places in CONFINED:
        if re.match(pattern, name) and not path.startswith(places):
            report("confined", f"'{name}' belongs to {vendor}, which only {' and '.join(places)} may include")

    target = name
    sample = sample_folder(path)
    if sample is not None and include.quoted and sample + name in files:
        return problems
    if name.startswith("naru/"):
        owner = promised_owner(name, files)
        if owner is None:
            report("from-root", f"'{name}' is no promised header: no room has include/{name}")
            return problems
        target = owner
    elif "/include/naru/" in name:
        report("from-root", f"write a promised header as \"{name[name.index('naru/'):]}\", got '{name}'")
        return problems
    elif include.quoted and not GENERATED.fullmatch(name) and f"{name.split('/')[0]}/" not in ALLOWED:
        report("from-root", f"'{name}' is not written from the root, as in \"graph/graph.h\" (others take <>)")
        return problems

    in_room = name.startswith("naru/") or f"{name.split('/')[0]}/" in ALLOWED
    if in_room and not target.startswith(allowed):
        report("layer", f"may not include '{name}'; allowed here: {', '.join(allowed)}")

    if "/include/naru/" in path:
        room = path.split("/")[0]
        if name.startswith("naru/"):
            if ROOM_ORDER.index(target.split("/")[0]) > ROOM_ORDER.index(room):
                report("promised", f"a promised header of {room} may not include '{name}' of {target.split('/')[0]}")
        elif name not in STANDARD:
            report("promised", f"a promised header includes only standard and promised headers, got '{name}'")
    return problems


def check_own_header(path: str, includes: list[Include], files: dict[str, str]) -> list[Problem]:
    if not path.endswith((".cpp", ".cu")):
        return []
    folder, _, file = path.rpartition("/")
    stem = file.rpartition(".")[0]
    own = []
    if f"{folder}/{stem}.h" in files:
        own.append(f"{stem}.h" if sample_folder(path) else f"{folder}/{stem}.h")
    if f"{folder}/include/naru/{stem}.h" in files:
        own.append(f"naru/{stem}.h")
    if not own or (includes and includes[0].name in own):
        return []
    got = f"'{includes[0].name}'" if includes else "nothing"
    line = includes[0].line if includes else 1
    return [Problem(path, line, "own-header", f"includes {got} before its own header '{own[0]}'")]


def check(files: dict[str, str]) -> list[Problem]:
    """Checks a tree given as path -> text; paths are relative to the root, with slashes."""
    problems = []
    for path, source in sorted(files.items()):
        problems += check_first_line(path, source)
        if not path.endswith(CXX_SUFFIXES):
            continue
        allowed = layer_of(path)
        if allowed is None:
            problems.append(Problem(path, 1, "room", "stands in no room; the rooms are " + ", ".join(ALLOWED)))
            continue
        includes = includes_of(source)
        for include in includes:
            problems += check_include(path, include, allowed, files)
        problems += check_own_header(path, includes, files)
        code = blank(source, ("text", "mark"))
        banned = BANNED_EVERYWHERE + (BANNED_IN_LIBRARY if path.startswith(LIBRARY_ROOMS) else ())
        for pattern, why in banned:
            for match in pattern.finditer(code):
                name = match.group().rstrip("( ")
                line = line_of(code, match.start())
                problems.append(Problem(path, line, "banned-name", f"'{name}' is not used: {why}"))
    return problems


def read_tree(root: pathlib.Path) -> dict[str, str]:
    """The source files of the repository: tracked ones and new ones that git does not ignore."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
    ).stdout.decode()
    files = {}
    for name in filter(None, listing.split("\0")):
        path = root / name
        wanted = path.suffix in COMMENT_STARTS or path.name == "CMakeLists.txt" or name.startswith(("tools/", ".ci/"))
        if wanted and path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                files[name] = data.decode("utf-8", errors="replace")
    return files


# A tree without a fault; each case of the self-test changes it.
CLEAN = {
    "graph/include/naru/tensor.h": "// Tensors.\n#pragma once\n#include <cstdint>\n",
    "graph/graph.h": '// The graph.\n#pragma once\n#include "naru/tensor.h"\n',
    "graph/graph.cpp": '// The graph.\n#include "graph/graph.h"\n\n#include <vector>\n',
    "graph/tensor.cpp": '// Tensors.\n#include "naru/tensor.h"\n',
    "graph/import/onnx.cpp": '// Reads ONNX.\n#include "onnx.pb.h"\n',
    "graph/serialize.cpp": '// Writes models.\n#include <flatbuffers/flatbuffers.h>\n#include "model_generated.h"\n',
    "backends/backend.h": '// The interface.\n#pragma once\n#include "graph/graph.h"\n',
    "backends/registry.cpp": '// Lists backends.\n#include "backends/backend.h"\n#include "backends.def"\n',
    "backends/cpu/device.h": '// A device.\n#pragma once\n#include "backends/backend.h"\n',
    "backends/cpu/device.cpp": '// A device.\n#include "backends/cpu/device.h"\n\n#include <oneapi/dnnl/dnnl.hpp>\n',
    "backends/cuda/kernels/copy.cu": "// Copies.\n#include <cuda_runtime.h>\n",
    "compiler/program.h": '// A program.\n#pragma once\n#include "backends/backend.h"\n',
    "runtime/include/naru/session.h": '// A session.\n#pragma once\n#include <string>\n#include "naru/tensor.h"\n',
    "runtime/session.cpp": (
        '// A session.\n#include "naru/session.h"\n\n#include "compiler/program.h"\n'
        "void abort_request(); /* exit(1) */\n"
        "auto n = 1'000; auto s = \"exit(1)\"; auto t = 'x'; auto k = R\"cl(\n#include \"../x.h\"\nabort();)cl\";\n"
        "void stop() { queue.abort(); device->exit(2); pool::exit(); }\n"
    ),
    "tools/naru/main.cpp": '// The program.\n#include "naru/session.h"\nint main() { std::exit(0); }\n',
    "tools/samples/reader/page.h": "// A page.\n#pragma once\n#include <vector>\n",
    "tools/samples/reader/page.cpp": '// A page.\n#include "page.h"\n\n#include "naru/session.h"\n',
    "tests/cpu/device_test.cpp": '// Tests.\n#include "backends/cpu/device.h"\n',
    "tools/check": "#!/usr/bin/env bash\n# Checks.\n",
    "tools/dev/x.py": '#!/usr/bin/env python3\n"""Does x."""\n',
    "CMakeLists.txt": "# The build.\n",
}

# rule, file, its text, line of the problem, part of the message
FAULTS = (
    ("first-line", "graph/a.cpp", "#include <vector>\n", 1, "comment"),
    ("first-line", "graph/empty.cpp", "", 1, "comment"),
    ("first-line", "tools/b", "#!/usr/bin/env bash\nset -e\n", 2, "comment"),
    ("first-line", "graph/CMakeLists.txt", "add_library(graph)\n", 1, "comment"),
    ("first-line", "graph/model.fbs", "namespace naru;\n", 1, "comment"),
    ("room", "src/a.cpp", "// A.\n", 1, "no room"),
    ("from-root", "graph/a.cpp", '// A.\n#include "graph.h"\n', 2, "from the root"),
    ("from-root", "graph/a.cpp", '// A.\n#include "../graph/graph.h"\n', 2, "from the root"),
    ("from-root", "graph/a.cpp", '// A.\n#include "naru/none.h"\n', 2, "no promised header"),
    ("from-root", "graph/a.cpp", '// A.\n#include "graph/include/naru/tensor.h"\n', 2, '"naru/tensor.h"'),
    ("layer", "graph/a.cpp", '// A.\n\n#include "compiler/program.h"\n', 3, "compiler/program.h"),
    ("layer", "graph/a.cpp", '// A.\n#include "naru/session.h"\n', 2, "naru/session.h"),
    ("layer", "graph/a.cpp", '// A.\n#  include "backends/backend.h"\n', 2, "backends/backend.h"),
    ("layer", "backends/cpu/a.cpp", '// A.\n#include "backends/cuda/device.h"\n', 2, "backends/cuda"),
    ("layer", "backends/cpu/a.cpp", '// A.\n#include "backends/registry.h"\n', 2, "backends/registry.h"),
    ("layer", "backends/cpu/a.cpp", '// A.\n#include "compiler/program.h"\n', 2, "compiler/program.h"),
    ("layer", "backends/cpu/a.cpp", '// A.\n#include "naru/session.h"\n', 2, "naru/session.h"),
    ("layer", "backends/registry.cpp", '// A.\n#include "backends/cpu/device.h"\n', 2, "backends/cpu"),
    ("layer", "compiler/a.cpp", '// A.\n#include "backends/cpu/device.h"\n', 2, "backends/cpu"),
    ("layer", "compiler/a.cpp", '// A.\n#include "backends/host_queue.h"\n', 2, "backends/host_queue.h"),
    ("layer", "compiler/a.cpp", '// A.\n#include "runtime/scheduler.h"\n', 2, "runtime/scheduler.h"),
    ("layer", "runtime/a.cpp", '// A.\n#include "tools/naru/table.h"\n', 2, "tools/naru"),
    ("layer", "runtime/a.cpp", '// A.\n#include "backends/cpu/device.h"\n', 2, "backends/cpu"),
    ("layer", "benchmarks/a.cpp", '// A.\n#include "tools/naru/table.h"\n', 2, "tools/naru"),
    ("layer", "tools/a.cpp", '// A.\n#include "tests/support/x.h"\n', 2, "tests/support"),
    ("layer", "tools/samples/reader/a.cpp", '// A.\n#include "graph/graph.h"\n', 2, "graph/graph.h"),
    ("layer", "tools/samples/reader/a.cpp", '// A.\n#include "tools/naru/table.h"\n', 2, "tools/naru"),
    ("from-root", "tools/samples/reader/a.cpp", '// A.\n#include "none.h"\n', 2, "from the root"),
    ("own-header", "tools/samples/reader/page.cpp", '// A.\n#include "naru/tensor.h"\n', 2, "'page.h'"),
    ("confined", "runtime/a.cpp", "// A.\n#include <dnnl.hpp>\n", 2, "oneDNN"),
    ("confined", "backends/cuda/a.cpp", "// A.\n#include <oneapi/dnnl/dnnl.hpp>\n", 2, "oneDNN"),
    ("confined", "backends/cpu/a.cpp", "// A.\n#include <CL/cl.h>\n", 2, "OpenCL"),
    ("confined", "compiler/a.cpp", "// A.\n#include <cuda_runtime.h>\n", 2, "CUDA"),
    ("confined", "compiler/a.cpp", "// A.\n#include <cublasLt.h>\n", 2, "CUDA"),
    ("confined", "graph/a.cpp", "// A.\n#include <google/protobuf/message.h>\n", 2, "protobuf"),
    ("confined", "graph/a.cpp", '// A.\n#include "onnx.pb.h"\n', 2, "protobuf"),
    ("confined", "graph/import/a.cpp", '// A.\n#include "flatbuffers/flatbuffers.h"\n', 2, "FlatBuffers"),
    ("confined", "graph/a.cpp", '// A.\n#include "model_generated.h"\n', 2, "FlatBuffers"),
    ("banned-header", "tests/a.cpp", "// A.\n#include <regex>\n", 2, "<regex>"),
    ("banned-header", "graph/a.cpp", "// A.\n#include <ranges>\n", 2, "<ranges>"),
    ("banned-header", "tools/a.cpp", "// A.\n#include <format>\n", 2, "<format>"),
    ("banned-name", "tools/a.cpp", "// A.\n\nstd::regex r;\n", 3, "std::regex"),
    ("banned-name", "tests/a.cpp", "// A.\nauto b = std::sregex_iterator(x);\n", 2, "std::sregex_iterator"),
    ("banned-name", "graph/a.cpp", "// A.\nvoid f() { abort(); }\n", 2, "'abort'"),
    ("banned-name", "backends/cpu/a.cpp", "// A.\nvoid f() { std::abort(); }\n", 2, "'std::abort'"),
    ("banned-name", "compiler/a.h", "// A.\nvoid f() { ::exit(1); }\n", 2, "'::exit'"),
    ("banned-name", "runtime/a.cpp", "// A.\nvoid f() { std::exit(1); }\n", 2, "'std::exit'"),
    ("banned-name", "runtime/a.cpp", "// A.\nauto f = std::terminate;\n", 2, "'std::terminate'"),
    ("promised", "graph/include/naru/a.h", '// A.\n#include "graph/graph.h"\n', 2, "graph/graph.h"),
    ("promised", "graph/include/naru/a.h", "// A.\n#include <fmt/core.h>\n", 2, "fmt/core.h"),
    ("promised", "graph/include/naru/a.h", "// A.\n#include <unistd.h>\n", 2, "unistd.h"),
    ("promised", "graph/include/naru/a.h", '// A.\n#include "naru/session.h"\n', 2, "may not include 'naru/session.h'"),
    ("own-header", "graph/graph.cpp", '// A.\n#include <vector>\n#include "graph/graph.h"\n', 2, "'graph/graph.h'"),
    ("own-header", "graph/tensor.cpp", '// A.\n#include "graph/graph.h"\n', 2, "'naru/tensor.h'"),
    ("own-header", "backends/cpu/device.cpp", "// A.\n", 1, "nothing"),
)


def self_test() -> int:
    failures = [f"the clean tree: unexpected {problem}" for problem in check(CLEAN)]
    for rule, path, source, line, part in FAULTS:
        found = check({**CLEAN, path: source})
        if not any((p.path, p.line, p.rule) == (path, line, rule) and part in p.text for p in found):
            failures.append(f"{rule}: not found in {source!r} as {path}; found {found}")
    failures += [f"{rule}: no case breaks it" for rule in RULES if rule not in {fault[0] for fault in FAULTS}]
    for failure in failures:
        print(f"self-test: {failure}", file=sys.stderr)
    print(f"self-test: {len(FAULTS)} faults, {len(RULES)} rules, {len(failures)} failures")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--self-test", action="store_true", help="show that every rule can fail")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    files = read_tree(arguments.root)
    problems = check(files)
    for problem in problems:
        print(f"{problem.path}:{problem.line}: {problem.text} [{problem.rule}]")
    print(f"layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
