# Reports as their readers see them: the workbook through openpyxl where it is installed, XML and HTML by parsers.
import csv
import html.parser
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
import zipfile

SUITE = {
    "schema": "naru.suite/1", "name": "synthetic", "title": {"en": "Test <suite>", "ko": "시험"},
    "models": [{"id": "m", "kind": "generate", "path": "model.bin"}, {"id": "none", "kind": "infer", "path": "absent.onnx"}],
    "grids": [{"models": ["m"], "input_tokens": [8], "output_tokens": [4], "concurrency": [1, 2], "requests": 8},
              {"models": ["none"]}],
}


class Tags(html.parser.HTMLParser):
    VOID = {"meta", "rect", "path", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.counts = [], {}

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attributes:
            assert not (name in ("src", "href")), f"the report reaches outside: {value}"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, tag


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def check_workbook(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            if name.endswith((".xml", ".rels")):
                xml.etree.ElementTree.fromstring(archive.read(name))
        charts = [n for n in names if n.startswith("xl/charts/chart")]
        assert len(charts) >= 3, charts
        book = archive.read("xl/workbook.xml").decode()
    assert book.count("<sheet ") >= 11, book
    try:
        import openpyxl
    except ImportError:
        return
    for sheet in openpyxl.load_workbook(path).worksheets:
        assert sheet.max_row >= 1


def main():
    naru = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "model.bin").write_text("x")
        (folder / "suite.json").write_text(json.dumps(SUITE))
        out = folder / "out"
        done = run(naru, "bench", str(folder / "suite.json"), "--out", str(out), "--sut", 'synthetic:{"ttft_ms": 2, "tpot_ms": 1}')
        assert done.returncode == 0, done
        results = json.loads((out / "results.json").read_text())
        assert [r["status"] for r in results["rows"]][2] == "skipped", results
        for language in ("en", "ko"):
            parser = Tags()
            parser.feed((out / f"report.{language}.html").read_text())
            assert not parser.open and parser.counts["svg"] >= 2, parser.counts
            check_workbook(out / f"report.{language}.xlsx")
        assert "Test &lt;suite&gt;" in (out / "report.en.html").read_text()
        tests = xml.etree.ElementTree.parse(out / "junit.xml").getroot()
        assert tests.get("tests") == "3" and tests.get("skipped") == "1"
        rows = list(csv.DictReader((out / "results.csv").open()))
        assert {r["metric"] for r in rows} >= {"ttft", "tpot", "output_tokens_per_s"}
        files = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
        assert run(naru, "report", str(out)).returncode == 0
        assert files == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}, "the same log gave other bytes"
        assert run(naru, "bench", "verify", str(out)).returncode == 0
        assert run(naru, "bench", "diff", str(out), str(out)).returncode == 0
        (out / "results.csv").write_bytes(files[out / "results.csv"][:-2] + b"9\n")
        assert run(naru, "bench", "verify", str(out)).returncode == 3
        assert run(naru, "bench", str(folder / "suite.json")).returncode == 2
        assert run(naru, "bench", "nosuch", "--out", str(out)).returncode == 3


main()
