"""The five regions on the image, on the feature map and as crops; they follow the slider in the browser (Eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isclose
from typing import Any

import numpy as np
import streamlit as st

from ssrnet.explain.overlaps import coverage, overlap
from ssrnet.model.regions import REGION_NAMES, Box, region_boxes

COLOURS = ("#3b82f6", "#f97316", "#eab308", "#10b981", "#ec4899")
"""Of ul, ur, mid, dl, dr; each box also carries its name."""
LEAST, PARTS = Fraction(1, 8), 48
"""The smallest lambda of the paper's Fig. 4, and steps of 1/48, which hit every fraction that it names."""
NAMED = {Fraction(1, 8), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(5, 6), Fraction(1)}

_HTML = """
<div class="regions">
  <div class="control">
    <output></output>
    <div class="slider"><input type="range" min="0" step="1" aria-label="Crop ratio λ"><div class="ticks"></div></div>
  </div>
  <div class="panels">
    <figure><div class="stage image"><img><svg class="boxes" preserveAspectRatio="none"></svg></div>
      <figcaption>The image as the network sees it</figcaption></figure>
    <figure><div class="stage"><svg class="grid"></svg></div><figcaption class="cells"></figcaption></figure>
    <figure><div class="crops"></div><figcaption>The five crops: point at one to see where it lies</figcaption></figure>
    <ul class="facts" aria-live="polite"></ul>
  </div>
</div>
"""

_CSS = """
.regions { font: 0.875rem/1.4 var(--st-font); color: var(--st-text-color); container-type: inline-size; }
.control { display: flex; gap: 1.2rem; align-items: flex-start; margin: 0.2rem 0 0.9rem; }
output { flex: 0 0 13.5rem; font-size: 1.05rem; font-weight: 600; line-height: 1.3; }
output small { display: block; font-weight: 400; font-size: 0.8rem; opacity: 0.8; }
.slider { flex: 1; min-width: 0; }
input { width: 100%; margin: 0.25rem 0 0; accent-color: var(--st-primary-color); cursor: ew-resize; }
.ticks { position: relative; height: 1.35rem; margin: 0 8px; font-size: 0.75rem; }
.ticks button { all: unset; position: absolute; transform: translateX(-50%); cursor: pointer; padding: 0 0.25rem;
  border-radius: 4px; opacity: 0.8; }
.ticks button:hover, .ticks button:focus-visible { opacity: 1; background: var(--st-secondary-background-color); }
.ticks .own { font-weight: 700; opacity: 1; text-decoration: underline; text-underline-offset: 3px; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 22rem)) minmax(10rem, 14rem); gap: 1.2rem; }
@container (max-width: 700px) { .panels { grid-template-columns: 1fr; } .control { flex-direction: column; gap: 0; }
  output { flex: none; } .slider { width: 100%; } }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.8rem; opacity: 0.8; padding-top: 0.35rem; text-align: center; }
.stage { position: relative; aspect-ratio: 1; border-radius: 8px; overflow: hidden;
  border: 1px solid var(--st-border-color); box-sizing: border-box; }
.stage img { width: 100%; height: 100%; display: block; object-fit: fill; }
.stage svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.crops { display: grid; grid-template-columns: repeat(3, 1fr); grid-template-rows: repeat(3, 1fr); aspect-ratio: 1;
  gap: 0.5rem; }
.crop { position: relative; border: 3px solid; border-radius: 7px; overflow: hidden; box-sizing: border-box;
  min-width: 0; min-height: 0; outline: none; }
.crop:hover, .crop:focus-visible { box-shadow: 0 0 0 2px var(--st-text-color); }
.crop svg { width: 100%; height: 100%; display: block; }
.crop b, .mark { position: absolute; left: 0; top: 0; font-size: 0.72rem; line-height: 1.2; padding: 0 0.3rem;
  color: #fff; border-bottom-right-radius: 5px; }
rect.box { fill: none; vector-effect: non-scaling-stroke; stroke-width: 3px; }
rect.under { stroke: #000; stroke-width: 5px; stroke-opacity: 0.45; }
.pointed rect.box:not(.on) { stroke-opacity: 0.12; } .pointed rect.on { fill-opacity: 0.28; }
.mark { border-radius: 4px; transform: translate(-50%, -50%); left: auto; top: auto; }
line { stroke: var(--st-border-color); vector-effect: non-scaling-stroke; stroke-width: 1px; }
.count { fill: var(--st-text-color); text-anchor: middle; dominant-baseline: central; opacity: 0.85; }
.cover { fill: var(--st-primary-color); }
.facts { margin: 0; padding: 0; list-style: none; display: grid; gap: 0.3rem; align-content: start; }
.facts li { display: flex; justify-content: space-between; gap: 0.8rem; border-bottom: 1px solid var(--st-border-color);
  padding-bottom: 0.25rem; }
.facts b { font-variant-numeric: tabular-nums; white-space: nowrap; }
"""

_JS = """
const SVG = "http://www.w3.org/2000/svg";
const kept = new WeakMap();

function shape(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

function tag(name, attributes, parent) {
  const node = Object.assign(document.createElement(name), attributes);
  parent.append(node);
  return node;
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const find = (selector) => parentElement.querySelector(selector);
  const input = find("input");
  const { columns, rows, names, colours } = data;
  const pointAt = (name) => {
    for (const svg of parentElement.querySelectorAll(".boxes, .grid")) {
      svg.classList.toggle("pointed", name !== null);
      svg.querySelectorAll("rect.box").forEach((rect) => rect.classList.toggle("on", rect.dataset.name === name));
    }
  };

  // Boxes that lie upon one another, as all do at 1, are drawn one inside the other.
  function drawBoxes(svg, boxes) {
    svg.querySelectorAll("rect.box, rect.under").forEach((old) => old.remove());
    const step = columns / 110;
    boxes.forEach(([left, top, right, bottom], i) => {
      const inset = step * (i + 0.5);
      const place = { x: left + inset, y: top + inset,
        width: Math.max(right - left - 2 * inset, 0.05), height: Math.max(bottom - top - 2 * inset, 0.05) };
      if (svg.classList.contains("boxes")) shape("rect", { ...place, class: "box under" }, svg).dataset.name = names[i];
      shape("rect", { ...place, class: "box", stroke: colours[i], fill: colours[i], "fill-opacity": 0 }, svg)
        .dataset.name = names[i];
    });
  }

  function drawMarks(stage, boxes) {
    stage.querySelectorAll(".mark").forEach((old) => old.remove());
    const across = [0, 1, 0.5, 0, 1], down = [0, 0, 0.5, 1, 1];
    boxes.forEach(([left, top, right, bottom], i) => {
      const mark = tag("span", { className: "mark", textContent: names[i] }, stage);
      const x = left + (right - left) * across[i], y = top + (bottom - top) * down[i];
      mark.style.background = colours[i];
      mark.style.left = `clamp(14px, ${100 * x / columns}%, calc(100% - 16px))`;
      mark.style.top = `clamp(10px, ${100 * y / rows}%, calc(100% - 10px))`;
    });
  }

  function drawGrid(svg, counts) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    counts.forEach((row, y) => row.forEach((count, x) => {
      if (!count) return;
      shape("rect", { x, y, width: 1, height: 1, class: "cover", "fill-opacity": 0.11 * count }, svg);
      shape("text", { x: x + 0.5, y: y + 0.5, "font-size": 0.5, class: "count" }, svg).textContent = count;
    }));
    for (let x = 1; x < columns; x++) shape("line", { x1: x, x2: x, y1: 0, y2: rows }, svg);
    for (let y = 1; y < rows; y++) shape("line", { x1: 0, x2: columns, y1: y, y2: y }, svg);
  }

  function drawCrops(boxes) {
    const places = ["1 / 1", "1 / 3", "2 / 2", "3 / 1", "3 / 3"];
    const crops = find(".crops");
    if (!crops.children.length) {
      names.forEach((name, i) => {
        const crop = tag("div", { className: "crop", tabIndex: 0 }, crops);
        crop.style.gridArea = places[i];
        crop.style.borderColor = colours[i];
        crop.setAttribute("role", "img");
        const svg = shape("svg", { preserveAspectRatio: "xMidYMid meet" }, crop);
        shape("image", { preserveAspectRatio: "none", x: 0, y: 0 }, svg);
        tag("b", { textContent: name }, crop).style.background = colours[i];
        crop.onmouseenter = crop.onfocus = () => pointAt(name);
        crop.onmouseleave = crop.onblur = () => pointAt(null);
      });
    }
    boxes.forEach(([left, top, right, bottom], i) => {
      const crop = crops.children[i];
      crop.setAttribute("aria-label", `Crop ${names[i]}: columns ${left} to ${right}, rows ${top} to ${bottom}`);
      const svg = crop.querySelector("svg"), image = svg.querySelector("image");
      svg.setAttribute("viewBox", `${left} ${top} ${right - left} ${bottom - top}`);
      image.setAttribute("width", columns);
      image.setAttribute("height", rows);
      if (image.getAttribute("href") !== data.uri) image.setAttribute("href", data.uri);
    });
  }

  function draw() {
    const step = data.steps[input.value], set = data.sets[step.set];
    const output = find("output");
    output.textContent = step.title;
    tag("small", { textContent: step.note }, output);
    input.setAttribute("aria-valuetext", `${step.title}, ${set.size}`);
    drawGrid(find(".grid"), set.counts);
    drawBoxes(find(".boxes"), set.boxes);
    drawBoxes(find(".grid"), set.boxes);
    parentElement.querySelectorAll(".stage").forEach((stage) => drawMarks(stage, set.boxes));
    drawCrops(set.boxes);
    find(".cells").textContent = set.size + " on the map; the numbers count the regions that see a cell";
    find(".facts").replaceChildren(...set.facts.map(([name, value]) => {
      const item = document.createElement("li");
      item.append(name + " ");
      tag("b", { textContent: value }, item);
      return item;
    }));
  }

  const send = () => setStateValue("ratio", data.steps[input.value].ratio);
  find(".boxes").setAttribute("viewBox", `0 0 ${columns} ${rows}`);
  const picture = find("img");
  picture.src = data.uri;
  picture.alt = data.alt;
  input.max = data.steps.length - 1;
  // Only at first: later the server may answer an older place while the hand has moved on.
  const ratios = data.steps.map((step) => step.ratio).join();
  if (kept.get(parentElement) !== ratios) {
    input.value = data.chosen;
    kept.set(parentElement, ratios);
    find(".ticks").replaceChildren(...data.steps.flatMap((step, i) => {
      if (!step.tick) return [];
      const button = document.createElement("button");
      button.textContent = step.tick;
      button.className = step.own ? "own" : "";
      button.title = step.own ? "as trained" : "";
      button.dataset.at = i;
      button.style.left = `${100 * i / Math.max(data.steps.length - 1, 1)}%`;
      return [button];
    }));
  }
  find(".ticks").onclick = (event) => {
    if (!event.target.dataset.at) return;
    input.value = event.target.dataset.at;
    draw();
    send();
  };
  input.oninput = draw;
  input.onchange = send;
  draw();
}
"""

_component = st.components.v2.component("region_boxes", html=_HTML, css=_CSS, js=_JS)


def crop_ratios(height: int, width: int, own: float) -> list[float]:
    """The slider's values: from 1/8, or the first that leaves a cell of the map, to 1, and ``own`` among them."""
    steps = [float(Fraction(k, PARTS)) for k in range(int(LEAST * PARTS), PARTS + 1)]
    steps = [step for step in steps if step * min(height, width) >= 1 - 1e-9]
    return steps if any(isclose(step, own, abs_tol=1e-6) for step in steps) else sorted([*steps, own])


def region_boxes_slider(
    key: str, uri: str, alt: str, size: tuple[int, int], ratios: Sequence[float], chosen: float, own: float
) -> None:
    """Draws the slider and all that follows it; what it is let go at is in session state under ``key``, ``ratio``.

    uri: the picture. size: (height, width) of the feature map. own: the lambda that the network was trained with.
    """
    sets: list[dict[str, Any]] = []
    found: dict[tuple[Box, ...], int] = {}
    steps = []
    for ratio in ratios:
        boxes = region_boxes(*size, ratio)
        if boxes not in found:
            found[boxes] = len(sets)
            sets.append(_set(boxes, *size))
        is_own = isclose(ratio, own, abs_tol=1e-6)
        fraction = _fraction(ratio)
        steps.append(
            {
                "ratio": ratio,
                "set": found[boxes],
                "title": f"λ = {ratio:.3g}",
                "own": is_own,
                "note": _note(boxes == region_boxes(*size, own), is_own, fraction),
                "tick": fraction or f"{ratio:.2g}" if is_own or fraction else None,
            }
        )
    _component(
        data={
            "uri": uri,
            "alt": alt,
            "columns": size[1],
            "rows": size[0],
            "names": REGION_NAMES,
            "colours": COLOURS,
            "steps": steps,
            "sets": sets,
            "chosen": ratios.index(chosen),
        },
        key=key,
        on_ratio_change=lambda: None,
    )


def _set(boxes: tuple[Box, ...], height: int, width: int) -> dict[str, Any]:
    """One set of boxes with the facts beneath it."""
    IoU, counts, box = overlap(boxes), coverage(boxes, height, width), boxes[0]
    H_L, W_L = box.bottom - box.top, box.right - box.left
    facts = [
        ("H_L × W_L", f"{H_L} × {W_L}"),
        ("One region, of the map", f"{H_L * W_L / height / width:.0%}"),
        ("Overlap (IoU) of neighbouring corners", _percent(IoU[[0, 1, 3, 4], [1, 4, 0, 3]])),
        ("of opposite corners", _percent(IoU[[0, 1], [4, 3]])),
        ("of a corner and the middle", _percent(np.delete(IoU[2], 2))),
        ("Cells in no region", f"{int((counts == 0).sum())}"),
        ("Cells in all five", f"{int((counts == len(boxes)).sum())}"),
    ]
    size = f"{H_L} × {W_L} of {height} × {width} cells"
    return {"boxes": [list(box) for box in boxes], "counts": counts.tolist(), "facts": facts, "size": size}


def _percent(shares: np.ndarray) -> str:
    """One number, or the lowest and the highest where they differ."""
    low, high = (f"{100 * edge:.0f}" for edge in (shares.min(), shares.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _note(same_boxes: bool, is_own: bool, fraction: str | None) -> str:
    said = f"{fraction}, " if fraction else ""
    if is_own:
        return f"{said}as trained"
    return f"{said}same boxes as trained" if same_boxes else f"{said}changed at test time"


def _fraction(ratio: float) -> str | None:
    """As "2/3", for the ratios that the paper or its study names."""
    fraction = Fraction(ratio).limit_denominator(PARTS)
    return str(fraction) if fraction in NAMED and isclose(fraction, ratio, abs_tol=1e-6) else None
