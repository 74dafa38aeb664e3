"""The README files: their links lead somewhere, their commands are ones that exist, their example runs."""

import contextlib
import io
import re
import shlex
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from ssrnet import cli

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "assets", "checkpoints", "ssrnet", "tests")
FILES = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
LINK = re.compile(r"""\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)\"""")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The headings of a Markdown file as GitHub links to them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def fenced(path: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(path.read_text()) if kind == language]


def spans(path: Path) -> list[str]:
    return [" ".join(text.split()) for text in SPAN.findall(FENCE.sub("", path.read_text()))]


def parsed(arguments: list[str], monkeypatch) -> list[object]:
    """The settings that the command line makes of ``arguments``; runs nothing."""
    seen: list[object] = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, seen.append))
    try:
        cli.run(arguments)
    except SystemExit as end:  # --help ends with 0, a wrong command with 2
        assert end.code == 0, " ".join(arguments)
        seen.append(None)
    return seen


@cache
def options(command: tuple[str, ...]) -> set[str]:
    """The options of a command, from its help."""
    with contextlib.redirect_stdout(io.StringIO()) as text, pytest.raises(SystemExit) as end:
        cli.run([*command, "--help"])
    assert end.value.code == 0, f"ssrnet {' '.join(command)}"
    return set(re.findall(r"--[\w.-]+", text.getvalue()))


def test_the_readme_is_short_and_starts_with_a_picture():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= 10_000
    assert "retrieval-light.jpg" in "".join(text.splitlines()[:4])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_links_lead_somewhere(path):
    for target in ("".join(groups) for groups in LINK.findall(FENCE.sub("", path.read_text()))):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists() and linked.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(linked), target


@cache
def endings() -> set[str]:
    """Every file and folder of the repository, each as all ends of its path: `widgets/page.py` and `page.py` too."""
    paths = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    parts = [path.relative_to(ROOT).parts for path in paths]
    return {"/".join(each[start:]) for each in parts for start in range(len(each))}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_named_in_the_text_are_there(path):
    for span in spans(path):
        if re.fullmatch(r"(app|assets|checkpoints|ssrnet|tests)/[a-z_0-9./-]+|[a-z_0-9/.-]+\.(py|toml|lock|md)", span):
            assert span.rstrip("/") in endings(), span


def test_the_map_of_the_code_names_what_is_there():
    """`region_boxes` in `ssrnet/model/regions.py`: the name stands in the file."""
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    pairs = re.findall(r"`([\w.]+)`(?: in|,) `([\w/]+\.py)`", text)
    assert len(pairs) >= 5
    for symbol, file in pairs:
        if symbol.endswith(".py"):
            continue
        assert symbol.split(".")[-1] in (ROOT / file).read_text(), f"{symbol} in {file}"


def test_the_notebook_example_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = fenced(ROOT / "README.md", "python")
    names: dict[str, object] = {}
    *lines, last = example.strip().splitlines()
    exec("\n".join(lines), names)
    ranked = eval(last.split("#")[0], names)
    assert [hit.rank for hit in ranked] == [1, 2, 3, 4, 5] and 0 < ranked[4].cosine <= ranked[0].cosine < 1


@pytest.mark.parametrize("path", [path for path in FILES if fenced(path, "bash")], ids=name)
def test_commands_shown_are_commands(path, monkeypatch):
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for block in fenced(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(re.sub(r"\[(--[^]]*)\]", r"\1", line), comments=True)
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            if not words:
                continue
            program, *rest = words
            program = program.removeprefix(".venv/bin/")
            if program == "ssrnet":
                assert len(parsed(rest, monkeypatch)) == 1, line
            elif program == "make":
                assert all(f"\n{target}:" in makefile for target in rest if "=" not in target), line
            elif program == "streamlit":
                assert rest[0] == "run" and (ROOT / rest[1]).exists(), line
            elif program == "python":
                assert rest[0] == "-m" and find_spec(rest[1]), line
            elif program == "pip":
                assert all(extra in extras for extra in re.findall(r"\.\[(\w+)\]", line)), line
            else:
                assert program in ("source", "cd"), line


@pytest.mark.parametrize("path", FILES, ids=name)
def test_commands_named_in_the_text_have_these_options(path):
    """Of `ssrnet index build --pca 512` that there is an `index build` with a `--pca`; of a lone `--pca`, that one has it."""
    named = spans(path)
    for span in (span for span in named if span.startswith("ssrnet ")):
        words = span.split()[1:]
        command = []
        for word in words:
            if not re.fullmatch(r"[a-z][a-z-]+", word):
                break
            command.append(word)
        missing = set(re.findall(r"(?<!\S)--[\w.-]+", span)) - options(tuple(command)) - {"--help"}
        assert not missing, f"{span}: {missing}"
    everything = [("train",), ("evaluate",), ("compare",), ("extract",), ("publish",), ("study", "all")]
    everything += [("study", "report"), ("study", "explanations"), ("synth",), ("index", "build")]
    for span in (span for span in named if span.startswith("--")):
        assert any(span.split()[0] in options(command) for command in everything), span
