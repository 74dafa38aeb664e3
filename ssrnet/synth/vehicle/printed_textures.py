"""Paints printed textures: inspection stickers, logos, company lettering, stripes.

Every picture is (h, w, 4) float in [0, 1]: linear RGB and coverage. The names are random syllables and
belong to no company.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INKS = {
    "red": (190, 24, 28),
    "yellow": (240, 196, 20),
    "green": (16, 120, 58),
    "blue": (20, 66, 160),
    "white": (240, 240, 238),
    "black": (18, 18, 20),
    "orange": (232, 106, 16),
    "cyan": (30, 150, 190),
    "pink": (214, 70, 130),
}
SYLLABLES = (
    "ka",
    "no",
    "ri",
    "ve",
    "lo",
    "ta",
    "mi",
    "sor",
    "del",
    "pan",
    "qui",
    "zen",
    "bur",
    "fe",
    "ga",
    "lux",
    "tro",
    "ma",
)
TRADES = (
    "CARGO",
    "EXPRESS",
    "CATERING",
    "ELECTRIC",
    "FLOWERS",
    "TOURS",
    "SERVICE",
    "FOODS",
    "RENTAL",
    "PLUMBING",
    "MEDIA",
)


def draw_print(kind: str, seed: int, aspect: float) -> np.ndarray:
    """The picture of a ``sticker``, ``decal``, ``lettering``, ``stripe``, ``sun strip`` or ``patch``.

    ``aspect`` is width over height. The same seed gives the same picture.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    height = 96
    size = (max(24, int(height * min(aspect, 12))), height)
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    painter = {
        "sticker": _sticker,
        "decal": _decal,
        "lettering": _lettering,
        "stripe": _stripe,
        "sun strip": _sun_strip,
        "patch": _patch,
    }[kind]
    painter(ImageDraw.Draw(image), size, rng)
    pixels = np.asarray(image, np.float64) / 255
    color = pixels[..., :3]
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return np.concatenate([0.85 * linear, pixels[..., 3:]], axis=-1)


def _inks(rng: np.random.Generator, n: int) -> list[tuple[int, int, int]]:
    names = list(INKS)
    return [INKS[names[i]] for i in rng.choice(len(names), size=n, replace=False)]


def _word(rng: np.random.Generator, parts: int = 3) -> str:
    return "".join(SYLLABLES[i] for i in rng.integers(0, len(SYLLABLES), parts)).upper()


def _text(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], text: str, ink: tuple[int, ...]) -> None:
    """``text`` as large as fits into ``box`` (left, top, right, bottom), centred."""
    left, top, right, bottom = box
    font = ImageFont.load_default(max(6, int((bottom - top) * 1.05)))
    wide = draw.textlength(text, font=font)
    if wide > right - left:
        font = ImageFont.load_default(max(6, int((bottom - top) * 1.05 * (right - left) / wide)))
    draw.text(
        ((left + right) / 2, (top + bottom) / 2),
        text,
        font=font,
        fill=ink,
        anchor="mm",
        stroke_width=1,
        stroke_fill=ink,
    )


def _sticker(draw, size, rng) -> None:
    w, h = size
    paper, border, ink = _inks(rng, 3)
    style = rng.integers(4)
    if style == 0:
        draw.ellipse((1, 1, w - 2, h - 2), fill=border)
        draw.ellipse((0.17 * w, 0.17 * h, 0.83 * w, 0.83 * h), fill=paper)
        _text(draw, (0.25 * w, 0.3 * h, 0.75 * w, 0.7 * h), str(rng.integers(1, 13)), ink)
        return
    if style == 1:
        draw.polygon([(w / 2, 0), (w - 1, h / 2), (w / 2, h - 1), (0, h / 2)], fill=INKS["yellow"])
        _text(draw, (0.25 * w, 0.35 * h, 0.75 * w, 0.65 * h), _word(rng, 2), INKS["black"])
        return
    draw.rectangle((0, 0, w - 1, h - 1), fill=border)
    draw.rectangle((0.08 * w, 0.08 * h, 0.92 * w, 0.92 * h), fill=paper)
    draw.rectangle((0.08 * w, 0.08 * h, 0.92 * w, (0.3 + 0.1 * style) * h), fill=border)
    _text(draw, (0.14 * w, 0.45 * h, 0.86 * w, 0.85 * h), str(rng.integers(10, 99)), ink)


def _decal(draw, size, rng) -> None:
    w, h = size
    a, b, c = _inks(rng, 3)
    style = rng.integers(5)
    if style == 0:
        draw.ellipse((1, 1, w - 2, h - 2), fill=a)
        draw.ellipse((0.12 * w, 0.12 * h, 0.88 * w, 0.88 * h), fill=b)
        _text(draw, (0.2 * w, 0.3 * h, 0.8 * w, 0.7 * h), _word(rng, 1) + str(rng.integers(1, 99)), c)
    elif style == 1:
        draw.rounded_rectangle((0, 0, w - 1, h - 1), 18, fill=a)
        _text(draw, (0.08 * w, 0.1 * h, 0.92 * w, 0.55 * h), _word(rng, 2), b)
        draw.rectangle((0.1 * w, 0.64 * h, 0.9 * w, 0.84 * h), fill=c)
    elif style == 2:
        turns = rng.uniform(0, 1)
        points = [
            (w / 2 + r * w / 2 * np.cos(t), h / 2 + r * h / 2 * np.sin(t))
            for t, r in ((2 * np.pi * (k / 12 + turns), 0.98 if k % 2 else 0.5) for k in range(12))
        ]
        draw.polygon(points, fill=a)
        draw.ellipse((0.32 * w, 0.32 * h, 0.68 * w, 0.68 * h), fill=b)
    elif style == 3:
        for k, ink in enumerate((a, b, c)):
            draw.rectangle((0, k * h / 3, w - 1, (k + 1) * h / 3), fill=ink)
    else:
        draw.polygon([(0, h - 1), (0.5 * w, 0), (w - 1, h - 1)], fill=a)
        draw.polygon([(0.25 * w, 0.85 * h), (0.5 * w, 0.35 * h), (0.75 * w, 0.85 * h)], fill=b)


def _lettering(draw, size, rng) -> None:
    w, h = size
    ink, second, ground = _inks(rng, 3)
    if rng.random() < 0.45:
        draw.rectangle((0, 0, w - 1, h - 1), fill=ground)
    mark = 0.0
    if rng.random() < 0.6:
        mark = min(0.9 * h / w, 0.3)
        draw.ellipse((2, 0.1 * h, 2 + 0.8 * h, 0.9 * h), fill=second)
        draw.pieslice((2, 0.1 * h, 2 + 0.8 * h, 0.9 * h), 30, 30 + int(rng.integers(80, 200)), fill=ink)
    _text(
        draw,
        ((mark + 0.02) * w, 0.02 * h, 0.98 * w, 0.62 * h),
        f"{_word(rng, 2)} {TRADES[rng.integers(len(TRADES))]}",
        ink,
    )
    _text(
        draw,
        ((mark + 0.05) * w, 0.66 * h, 0.95 * w, 0.98 * h),
        f"{rng.integers(100, 999)} {rng.integers(1000, 9999)}",
        second,
    )


def _stripe(draw, size, rng) -> None:
    w, h = size
    a, b, _ = _inks(rng, 3)
    style = rng.integers(3)
    if style == 0:
        draw.rectangle((0, 0.05 * h, w - 1, 0.55 * h), fill=a)
        draw.rectangle((0, 0.70 * h, w - 1, 0.95 * h), fill=b)
    elif style == 1:
        cell = h / 2
        for k in range(int(w / cell) + 1):
            draw.rectangle((k * cell, (k % 2) * cell, (k + 1) * cell, (k % 2 + 1) * cell), fill=a)
            draw.rectangle((k * cell, ((k + 1) % 2) * cell, (k + 1) * cell, ((k + 1) % 2 + 1) * cell), fill=b)
    else:
        draw.polygon([(0, 0.5 * h), (0.7 * w, 0), (w - 1, 0), (w - 1, h - 1), (0.4 * w, h - 1)], fill=a)
        draw.polygon([(0.3 * w, 0.65 * h), (w - 1, 0.4 * h), (w - 1, 0.75 * h), (0.5 * w, 0.85 * h)], fill=b)


def _sun_strip(draw, size, rng) -> None:
    w, h = size
    ground, ink, _ = _inks(rng, 3)
    draw.rectangle((0, 0, w - 1, h - 1), fill=ground)
    _text(draw, (0.2 * w, 0.1 * h, 0.8 * w, 0.9 * h), _word(rng, 3), ink)


def _patch(draw, size, rng) -> None:
    """Primer over a repair: a grey blotch with a ragged edge."""
    w, h = size
    tone = int(rng.integers(70, 135))
    for _ in range(26):
        x, y, r = rng.uniform(0.25, 0.75) * w, rng.uniform(0.3, 0.7) * h, rng.uniform(0.12, 0.26)
        draw.ellipse((x - r * w, y - r * h, x + r * w, y + r * h), fill=(tone, tone, tone + 4))
