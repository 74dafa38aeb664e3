"""The paper's symbols as Markdown and HTML typeset them.

Alt texts and tables keep them plain, and options too, whose words stand in links.
"""

from __future__ import annotations

import re
from html import escape

PLAIN = re.compile(r"(?<![\w$|])(\|?)([MFf])_(attn|token|ul|ur|mid|dl|dr|[csG])(\|?)(?!\w)|(?<![\w$])H\((\d+)\)")

RAISED = str.maketrans("()0123456789", "⁽⁾⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(text: str) -> str:
    r"""``text`` with M_s, |F_attn|, f_token, H(1) and their like as $M_s$, $|F_{\mathrm{attn}}|$ and so on."""
    return PLAIN.sub(_latex, text)


def as_html(text: str) -> str:
    """``text`` escaped, with the same symbols set by <i>, <sub> and <sup>, which Plotly knows too."""
    return PLAIN.sub(_tags, escape(text))


def layer_in_chart(layer: int) -> str:
    """ "H⁽²⁾", in characters of full size: Plotly draws <sup> too small for a projector."""
    return "H" + f"({layer})".translate(RAISED)


def _latex(found: re.Match[str]) -> str:
    left, letter, index, right, layer = found.groups()
    if layer is not None:
        return f"$H^{{({layer})}}$"
    index = index if len(index) == 1 else rf"{{\mathrm{{{index}}}}}"
    return f"${left}{letter}_{index}{right}$"


def _tags(found: re.Match[str]) -> str:
    left, letter, index, right, layer = found.groups()
    if layer is not None:
        return f"<i>H</i><sup>({layer})</sup>"
    return f"{left}<i>{letter}</i><sub>{index}</sub>{right}"
