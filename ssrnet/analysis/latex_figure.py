"""A drawn figure for a LaTeX paper: the PDF, the figure environment with its caption, and the protocol records."""

from __future__ import annotations

import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import asdict

from ssrnet.analysis.figure_layout import COLUMN_MM
from ssrnet.analysis.paper_figures import DrawnFigure
from ssrnet.retrieval.evaluation import Evaluation

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{sign: "\\" + sign for sign in "{}$&#_%"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "′": "$'$",
    "−": "$-$",
    "×": r"$\times$",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
}
"""What stands in LaTeX for a character; all of it needs no package."""
DOCUMENT = r"""\documentclass[a4paper,twocolumn]{article}
\usepackage{graphicx}
\setlength{\textwidth}{180mm}
\setlength{\textheight}{270mm}
\setlength{\columnsep}{10mm}
\setlength{\oddsidemargin}{-10mm}
\setlength{\topmargin}{-30mm}
\pagestyle{empty}
\begin{document}
\input{NAME}
\end{document}
"""


def escaped(words: str) -> str:
    """``words`` as one line of LaTeX text.

    Control characters are left out and hyphens stay hyphens; a letter and its accent are one character, as pdfLaTeX
    needs them.
    """
    line = " ".join(unicodedata.normalize("NFC", words).split())
    text = "".join(SPECIAL.get(character, character) for character in line if character.isprintable())
    return re.sub("(?<=-)-", "{}-", text)


def figure_environment(name: str, caption: str, width_mm: float) -> str:
    """The figure of ``name.pdf``, over both columns where it is wider than one."""
    kind = "figure" if width_mm <= COLUMN_MM else "figure*"
    text = escaped(caption)
    beyond = "".join(sorted({character for character in text if not character.isascii()}))
    note = f"% pdfLaTeX sets accented Latin letters; other scripts need XeLaTeX or LuaLaTeX. Here: {beyond}\n"
    return (
        f"% Needs \\usepackage{{graphicx}}. The protocol records are in {name}.json.\n{note * bool(beyond)}"
        f"\\begin{{{kind}}}[t]\n  \\centering\n  \\includegraphics[width={width_mm:g}mm]{{{name}.pdf}}\n"
        f"  \\caption{{{text}}}\n  \\label{{fig:{name}}}\n\\end{{{kind}}}\n"
    )


def latex_archive(name: str, drawn: DrawnFigure, width_mm: float, rows: Mapping[str, Evaluation]) -> bytes:
    """A ZIP: ``name.pdf``, ``name.tex`` to ``\\input``, ``name.json`` with each row's protocol record, and a document.

    ``drawn`` must be without a drawn caption, which LaTeX sets; ``name`` of letters, digits, hyphens and underscores.
    """
    records = {title: asdict(evaluation.record) for title, evaluation in rows.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.pdf", drawn.export("pdf"))
        file.writestr(f"{name}.tex", figure_environment(name, drawn.caption, width_mm))
        file.writestr(f"{name}.json", json.dumps(records, indent=2, ensure_ascii=False) + "\n")
        file.writestr("document.tex", DOCUMENT.replace("NAME", name))
    return buffer.getvalue()
