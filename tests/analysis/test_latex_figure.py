"""A figure for a LaTeX paper."""

import io
import json
import re
import shutil
import subprocess
import zipfile

import pytest

from ssrnet.analysis.figure_layout import FigureSettings
from ssrnet.analysis.latex_figure import escaped, figure_environment, latex_archive
from ssrnet.analysis.paper_figures import draw_figure
from ssrnet.data.datasets import open_dataset
from tests.analysis.toys import random_and_right

ODD = r"50 % of {a_b} & $x$ #1 \o/ ~ ^ <y> | ✓ ✗ α ′ − × `" + " Zürich łódź x--y\nz\x07"


def balanced(text: str) -> bool:
    """Whether braces that are not escaped pair up, and every environment that begins ends."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", re.sub(r"(?m)(?<!\\)%.*$", "", text)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    begun, ended = (re.findall(rf"\\{word}\{{([^}}]+)\}}", text) for word in ("begin", "end"))
    return depth == 0 and sorted(begun) == sorted(ended)


def test_nothing_in_a_caption_is_taken_for_a_command():
    words = escaped(ODD)
    plain = re.sub(r"\\(text\w+\{\}|[{}$&#_%])|\$(\\\w+|['-])\$|-\{\}-", "", words)
    assert not set("\\{}$&#_%~^<>|✓✗α′−×`\n\x07") & set(plain), plain
    assert balanced(words) and escaped("Fig. 5: mAP +3.6") == "Fig. 5: mAP +3.6"


def test_a_caption_is_one_line_of_composed_letters():
    """A paragraph would end the caption; pdfLaTeX has no combining accents; two hyphens would become a dash."""
    assert escaped("a\n\n b\t\x07c") == "a b c" and escaped("Zu\u0308rich") == "Zürich"
    assert escaped("veri--v2 x---y") == "veri-{}-v2 x-{}-{}-y"


def test_letters_that_pdflatex_may_not_have_are_named():
    assert "Here: б日\n" in figure_environment("fig-a", "日б data", 85.0)
    assert "XeLaTeX" not in figure_environment("fig-a", "✓ λ data", 85.0)


def test_the_environment_is_as_wide_as_the_figure():
    narrow, wide = (figure_environment("fig-a", ODD, width) for width in (85.0, 180.0))
    assert balanced(narrow) and balanced(wide)
    assert "\\begin{figure}[t]" in narrow and "\\includegraphics[width=85mm]{fig-a.pdf}" in narrow
    assert "\\begin{figure*}[t]" in wide and "width=180mm" in wide
    assert f"\\caption{{{escaped(ODD)}}}" in wide and "\\label{fig:fig-a}" in wide
    assert not balanced(narrow.replace("\\end{figure}", "")) and not balanced(narrow + "}")


@pytest.fixture(scope="module")
def archive(city):
    comparison = random_and_right(open_dataset(city))
    rows = {"Baseline": comparison.a, "SSR-Net": comparison.b}
    drawn = draw_figure(rows, [0, 1], FigureSettings(3, 1, 85.0, captioned=False), ODD)
    return zipfile.ZipFile(io.BytesIO(latex_archive("fig-a", drawn, 85.0, rows)))


def test_the_archive_has_all_that_a_paper_needs(archive):
    assert sorted(archive.namelist()) == ["document.tex", "fig-a.json", "fig-a.pdf", "fig-a.tex"]
    assert archive.read("fig-a.pdf").startswith(b"%PDF") and b"CreationDate" not in archive.read("fig-a.pdf")
    records = json.loads(archive.read("fig-a.json"))
    assert list(records) == ["Baseline", "SSR-Net"]
    assert [record["features"]["checkpoint_hash"] for record in records.values()] == ["aaaa", "bbbb"]
    assert {record["protocol"] for record in records.values()} == {"single_gallery_shot"}
    assert "\\input{fig-a}" in archive.read("document.tex").decode() and balanced(archive.read("document.tex").decode())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(archive, tmp_path):
    archive.extractall(tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "document.pdf").stat().st_size > archive.getinfo("fig-a.pdf").file_size / 2
