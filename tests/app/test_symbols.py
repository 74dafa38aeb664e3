"""The paper's symbols in the app's sentences."""

import pytest

from app.widgets.symbols import as_html, layer_in_chart, typeset


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


def test_symbols_in_html_and_in_charts():
    html = "<i>M</i><sub>s</sub> &lt; |<i>F</i><sub>attn</sub>|, <i>H</i><sup>(2)</sup>, f_tokens"
    assert as_html("M_s < |F_attn|, H(2), f_tokens") == html
    assert layer_in_chart(12) == "H⁽¹²⁾"
