"""The paper's symbols as Markdown typesets them. Where there is no Markdown (tables, charts, options) they stay plain."""

from __future__ import annotations

import re

PLAIN = re.compile(r"(?<![\w$|])(\|?)([MFf])_(attn|token|ul|ur|mid|dl|dr|[csG])(\|?)(?!\w)|(?<![\w$])H\((\d+)\)")


def typeset(text: str) -> str:
    r"""``text`` with M_s, |F_attn|, f_token, H(1) and their like as $M_s$, $|F_{\mathrm{attn}}|$ and so on."""
    return PLAIN.sub(_latex, text)


def _latex(found: re.Match[str]) -> str:
    left, letter, index, right, layer = found.groups()
    if layer is not None:
        return f"$H^{{({layer})}}$"
    index = index if len(index) == 1 else rf"{{\mathrm{{{index}}}}}"
    return f"${left}{letter}_{index}{right}$"
