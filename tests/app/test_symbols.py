"""The paper's symbols in the app's sentences."""

import pytest

from app.widgets.symbols import typeset


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("M_s differs, M_c", "$M_s$ differs, $M_c$"),
        ("|F_attn| of F_G", r"$|F_{\mathrm{attn}}|$ of $F_G$"),
        ("f_token's cosine at H(0), H(2).", r"$f_{\mathrm{token}}$'s cosine at $H^{(0)}$, $H^{(2)}$."),
        ("0007_c001_00000000_0.jpg, f_tokens, $M_s$, H(l)", "0007_c001_00000000_0.jpg, f_tokens, $M_s$, H(l)"),
    ],
)
def test_symbols_are_typeset_and_nothing_else(plain, latex):
    assert typeset(plain) == latex
