// Drawn by scatter.py, which says what `data` holds.
const draws = {
  circle: (c, x, y, r) => c.arc(x, y, r, 0, 7),
  square: (c, x, y, r) => c.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
  diamond: (c, x, y, r) => path(c, [[x, y - r * 1.3], [x + r * 1.3, y], [x, y + r * 1.3], [x - r * 1.3, y]]),
  "triangle-up": (c, x, y, r) => path(c, [[x, y - r * 1.2], [x + r * 1.2, y + r], [x - r * 1.2, y + r]]),
  "triangle-down": (c, x, y, r) => path(c, [[x, y + r * 1.2], [x + r * 1.2, y - r], [x - r * 1.2, y - r]]),
  cross: (c, x, y, r) => { const w = r * 0.45, l = r * 1.25;
    path(c, [[x-w,y-l],[x+w,y-l],[x+w,y-w],[x+l,y-w],[x+l,y+w],[x+w,y+w],[x+w,y+l],[x-w,y+l],[x-w,y+w],[x-l,y+w],[x-l,y-w],[x-w,y-w]]); },
  x: (c, x, y, r) => { c.save(); c.translate(x, y); c.rotate(Math.PI / 4); draws.cross(c, 0, 0, r); c.restore(); },
  star: (c, x, y, r) => path(c, [...Array(10).keys()].map((i) => {
    const d = r * (i % 2 ? 0.65 : 1.55), angle = (i * Math.PI) / 5;
    return [x + d * Math.sin(angle), y - d * Math.cos(angle)]; })),
};
const HIT = "#16a34a", RANKED = "#3b82f6", SMALL = 48;  // a picture's longer side in pixels
const CLICK = 5;  // pixels of path, below which it is a click
const WAIT = 700, LASTS = 2600;  // milliseconds: the first place is seen before points leave it
function path(c, points) {
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
}
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  return c;
}
function inside(x, y, polygon) {
  let hit = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [a, b] = polygon[i], [p, q] = polygon[j];
    if (b > y !== q > y && x < ((p - a) * (y - b)) / (q - b) + a) hit = !hit;
  }
  return hit;
}

export default function scatter(component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".scatter");
  const state = (root._state ??= { mode: "lasso", views: {}, pictures: {}, small: {}, way: 1, began: null });
  state.latest = component;
  const end = () => state.end?.();
  if (state.held) return end;  // another canvas would take the line from under the hand; it comes once that lets go
  end();
  const selectable = data.selectable;
  let selected = new Set(data.selected), hover = -1, drag = null, sent = false, asking = 0;
  const wanted = new Set();
  for (const [i, uri] of Object.entries(data.asked)) {
    const image = (state.small[data.labels[i]] ??= Object.assign(new Image(), { src: uri }));
    if (!image.complete) image.addEventListener("load", () => drawAll());
  }
  const tip = root.querySelector(".tip");
  tip.hidden = true;
  const kind = (i) => data.kinds[data.kind[i]];
  const colour = (name) => getComputedStyle(root).getPropertyValue(name);
  root.setAttribute("aria-label", data.alt);

  const moving = data.panels.some((panel) => panel.start);
  // Each panel's own frame, so that a change of colours keeps where the reader has zoomed to; one frame where points move.
  const placed = (of) => ({ ...of, x: of.x.map((v) => v ?? NaN), y: of.y.map((v) => v ?? NaN) });  // null: no place here
  const drawn = data.panels.map((panel) => ({ ...placed(panel), ...(panel.start ? { start: placed(panel.start) } : {}) }));
  const panels = drawn.map((panel) => {
    const { x, y } = panel;
    let lowX = Infinity, highX = -Infinity, lowY = Infinity, highY = -Infinity;
    for (const { x, y } of moving ? drawn : [panel]) for (let i = 0; i < x.length; i++) {
      if (Number.isNaN(x[i])) continue;
      lowX = Math.min(lowX, x[i]); highX = Math.max(highX, x[i]); lowY = Math.min(lowY, y[i]); highY = Math.max(highY, y[i]);
    }
    const home = { x: (lowX + highX) / 2, y: (lowY + highY) / 2, w: Math.max(highX - lowX, 1e-9), h: Math.max(highY - lowY, 1e-9), zoom: 1 };
    const name = `${panel.title} ${x.length} ${x[0]} ${y[0]}`;
    const view = (state.views[name] ??= { ...home });
    const box = document.createElement("div");
    box.className = "panel";
    const title = document.createElement("b"), note = document.createElement("small"), canvas = document.createElement("canvas");
    title.innerHTML = panel.heading; note.textContent = panel.note;
    canvas.style.height = `${data.height}px`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${panel.title}: ${x.length} points`);
    const foot = document.createElement("div");
    foot.className = "foot"; foot.textContent = panel.foot;
    box.append(title, note, canvas, ...(panel.foot ? [foot] : []));
    return { panel, home, view, note, canvas, box, sx: [], sy: [] };
  });
  root.querySelector(".panels").replaceChildren(...panels.map((p) => p.box));

  const at = (p) => {  // data -> pixels, with one scale for both axes
    const W = p.canvas.clientWidth, H = data.height, pad = 18;
    const scale = Math.min((W - 2 * pad) / p.view.w, (H - 2 * pad) / p.view.h) * p.view.zoom;
    return { W, H, scale, x: (v) => W / 2 + (v - p.view.x) * scale, y: (v) => H / 2 - (v - p.view.y) * scale };
  };
  function draw(p) {
    const t = at(p), c = sized(p.canvas, t.W, t.H), text = colour("--st-text-color");
    const small = p.panel.x.length > 1500 ? 2.6 : p.panel.x.length > 300 ? 3.6 : 5;
    const some = selected.size > 0, same = hover >= 0 ? data.kind[hover] : -1;
    const { x, y, start = { x, y } } = p.panel, way = p.panel.start ? state.way : 1;
    for (let i = 0; i < x.length; i++) {
      p.sx[i] = t.x(start.x[i] + way * (x[i] - start.x[i])); p.sy[i] = t.y(start.y[i] + way * (y[i] - start.y[i]));
    }
    const order = [...p.sx.keys()].sort((a, b) => selected.has(a) - selected.has(b));
    const from = data.marked[0];
    for (const [targets, ink, dash] of [[p.panel.unlisted, text, [3, 4]], [p.panel.listed, HIT, []], [p.panel.ranked, RANKED, []]]) {
      c.globalAlpha = 0.75; c.strokeStyle = ink; c.lineWidth = 1.5; c.setLineDash(dash);
      for (const i of targets) { c.beginPath(); c.moveTo(p.sx[from], p.sy[from]); c.lineTo(p.sx[i], p.sy[i]); c.stroke(); }
      c.setLineDash([]);
    }
    const pictured = showsPictures(p, t) ? ask(p, t) : new Set();
    for (const i of order) {
      const k = kind(i);
      if (pictured.has(i)) { drawPicture(c, p, i, k.colour, some && !selected.has(i) ? 0.4 : 1); continue; }
      c.globalAlpha = some && !selected.has(i) ? 0.22 : 0.88;
      c.fillStyle = k.colour;
      c.beginPath(); draws[k.shape](c, p.sx[i], p.sy[i], k.shape === "star" ? small + 2.5 : small); c.fill();
      if (k.shape === "star") { c.strokeStyle = text; c.lineWidth = 1.2; c.stroke(); }
      if (same === data.kind[i] && data.kinds.length > 8) {
        c.globalAlpha = 0.9; c.strokeStyle = text; c.lineWidth = 1;
        c.beginPath(); c.arc(p.sx[i], p.sy[i], small + 2.5, 0, 7); c.stroke();
      }
    }
    c.globalAlpha = 1;
    for (const i of data.marked) {
      c.strokeStyle = text; c.lineWidth = 2.5;
      c.beginPath(); c.arc(p.sx[i], p.sy[i], small + 6, 0, 7); c.stroke();
      if (data.marked.length === 1) {
        c.fillStyle = text; c.font = "600 12px sans-serif"; c.fillText(data.mark, p.sx[i] + small + 10, p.sy[i] + 4);
      }
    }
    if (hover >= 0) {
      c.strokeStyle = colour("--st-primary-color"); c.lineWidth = 3;
      c.beginPath(); c.arc(p.sx[hover], p.sy[hover], small + 4, 0, 7); c.stroke();
    }
    if (drag && drag.p === p && drag.line.length > 1) {
      c.strokeStyle = text; c.setLineDash([4, 3]); c.lineWidth = 1.5; c.beginPath(); path(c, polygon()); c.stroke(); c.setLineDash([]);
    }
  }
  // Pictures stand for points once few of them are in view; the server sends those that are.
  const inView = (p, t) => [...p.sx.keys()].filter((i) => p.sx[i] >= 0 && p.sx[i] <= t.W && p.sy[i] >= 0 && p.sy[i] <= t.H);
  const showsPictures = (p, t) => p.view.zoom > 1.5 && inView(p, t).length <= data.most_pictures;
  function ask(p, t) {
    const seen = inView(p, t), missing = seen.filter((i) => !state.small[data.labels[i]] && !wanted.has(i));
    missing.forEach((i) => wanted.add(i));
    if (missing.length) {
      clearTimeout(asking);
      asking = setTimeout(() => setTriggerValue("wanted", [...wanted]), 250);
    }
    return new Set(seen.filter((i) => { const image = state.small[data.labels[i]]; return image && image.complete && image.naturalWidth; }));
  }
  function drawPicture(c, p, i, ink, alpha) {
    const image = state.small[data.labels[i]], k = SMALL / Math.max(image.naturalWidth, image.naturalHeight);
    const w = image.naturalWidth * k, h = image.naturalHeight * k;
    c.globalAlpha = alpha;
    c.drawImage(image, p.sx[i] - w / 2, p.sy[i] - h / 2, w, h);
    c.strokeStyle = ink; c.lineWidth = selected.has(i) ? 4 : 2.5;
    c.strokeRect(p.sx[i] - w / 2, p.sy[i] - h / 2, w, h);
  }
  const drawAll = () => panels.forEach(draw);
  function polygon() {
    if (state.mode !== "box") return drag.line;
    const [[a, b], [x, y]] = [drag.line[0], drag.line[drag.line.length - 1]];
    return [[a, b], [x, b], [x, y], [a, y]];
  }
  function nearest(p, x, y) {
    let best = -1, least = 14 * 14;
    for (let i = 0; i < p.sx.length; i++) {
      const d = (p.sx[i] - x) ** 2 + (p.sy[i] - y) ** 2 - (kind(i).shape === "star" ? 49 : 0);  // a star covers what is below it
      if (d < least) { least = d; best = i; }
    }
    return best;
  }
  function showTip(p, x, y) {
    tip.replaceChildren();
    tip.hidden = hover < 0;
    if (hover < 0) return;
    if (data.pictures) {
      const at = data.picture[hover], [l, t, r, b] = data.crop ? data.crop[hover] : [0, 0, 1, 1];
      const image = (state.pictures[data.pictures[at]] ??= Object.assign(new Image(), { src: data.pictures[at] }));
      const canvas = document.createElement("canvas");
      const show = () => {
        const w = image.naturalWidth * (r - l), h = image.naturalHeight * (b - t), k = Math.min(180 / w, 150 / h);
        canvas.style.width = `${w * k}px`; canvas.style.height = `${h * k}px`;
        sized(canvas, w * k, h * k).drawImage(image, image.naturalWidth * l, image.naturalHeight * t, w, h, 0, 0, w * k, h * k);
      };
      image.complete && image.naturalWidth ? show() : (image.onload = show);
      tip.append(canvas);
    }
    const label = document.createElement("div");
    label.textContent = data.labels[hover];
    tip.append(label);
    const frame = root.getBoundingClientRect(), own = p.canvas.getBoundingClientRect();
    const left = own.left - frame.left + x + 16;
    tip.style.left = `${Math.max(0, left + tip.offsetWidth > frame.width ? left - tip.offsetWidth - 32 : left)}px`;
    tip.style.top = `${own.top - frame.top + Math.max(0, Math.min(y + 12, data.height - tip.offsetHeight))}px`;
  }
  const send = () => {
    sent = true;
    setTriggerValue("selected", [...selected]);
  };

  for (const p of panels) {
    const place = (event) => {
      const own = p.canvas.getBoundingClientRect();
      return [event.clientX - own.left, event.clientY - own.top];
    };
    const selects = () => selectable && state.mode !== "move";
    p.canvas.onpointerdown = (event) => {
      drag = { p, line: [place(event)], length: 0, last: place(event), from: { ...p.view }, scale: at(p).scale, add: event.shiftKey };
      p.canvas.setPointerCapture(event.pointerId);
      state.held = true;
    };
    p.canvas.onpointermove = (event) => {
      const [x, y] = place(event);
      if (drag) {
        hover = -1; tip.hidden = true;
        drag.length += Math.hypot(x - drag.last[0], y - drag.last[1]);
        drag.last = [x, y];
        if (selects()) drag.line.push([x, y]);
        else {
          p.view.x = drag.from.x - (x - drag.line[0][0]) / drag.scale;
          p.view.y = drag.from.y + (y - drag.line[0][1]) / drag.scale;
          drag.moved = true;
        }
        draw(p);
        return;
      }
      const found = nearest(p, x, y);
      if (found !== hover) { hover = found; drawAll(); }
      showTip(p, x, y);
    };
    p.canvas.onpointerup = (event) => {
      if (!drag) return;
      const [x, y] = place(event);
      // By the whole path: a lasso ends where it began.
      const clicked = drag.length + Math.hypot(x - drag.last[0], y - drag.last[1]) < CLICK;
      if (selectable && (clicked || selects())) {
        if (!drag.add) selected = new Set();
        if (clicked) { const found = nearest(p, x, y); if (found >= 0) selected.add(found); }
        else { const line = polygon(); p.sx.forEach((sx, i) => inside(sx, p.sy[i], line) && selected.add(i)); }
        send();
      }
      drag = null;
      drawAll();
    };
    p.canvas.onlostpointercapture = () => {
      state.held = false;
      drag = null;
      if (state.latest !== component && !sent) scatter(state.latest);  // else the answer to it comes
    };
    p.canvas.onpointerleave = () => { if (hover >= 0) { hover = -1; tip.hidden = true; drawAll(); } };
    p.canvas.onwheel = (event) => {
      if (selects() && !event.ctrlKey) return;  // the page scrolls
      event.preventDefault();
      p.view.zoom = Math.min(200, Math.max(0.5, p.view.zoom * Math.exp(-event.deltaY / 400)));
      draw(p);
    };
    p.canvas.ondblclick = () => { Object.assign(p.view, p.home); draw(p); };
    p.canvas.style.touchAction = selectable ? "none" : "pan-y";
    p.canvas.style.cursor = selectable ? "crosshair" : "grab";
  }

  // The motion: a slider from the first place to the last, and a button that plays it, or jumps where motion is unwanted.
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  function motion(p) {
    const [first, last] = p.panel.ends, bar = document.createElement("div"), slider = document.createElement("input");
    const play = document.createElement("button");
    bar.className = "motion"; slider.type = "range"; slider.min = 0; slider.max = 1; slider.step = 0.01;
    slider.setAttribute("aria-label", `From ${first} to ${last}`);
    const show = () => {
      slider.value = state.way;
      const words = `${Math.round(100 * state.way)}% of the way from ${first} to ${last}`;
      slider.setAttribute("aria-valuetext", words);
      p.note.textContent = state.way < 1 ? words : p.panel.note;
      play.textContent = still.matches ? `Show ${state.way < 1 ? last : first}` : state.began === null ? "Play" : "Pause";
      draw(p);
    };
    const go = (way) => { hover = -1; tip.hidden = true; state.way = way; show(); };
    const tick = (now) => {
      const s = Math.min(1, Math.max(0, (now - state.began - WAIT) / LASTS));
      if (s === 1) state.began = null;
      else frame = requestAnimationFrame(tick);
      go(s * s * (3 - 2 * s));
    };
    const stop = () => { cancelAnimationFrame(frame); state.began = null; };
    play.onclick = () => {
      const playing = state.began !== null;
      stop();
      if (still.matches) go(state.way < 1 ? 1 : 0);
      else if (playing) show();
      else {
        const from = state.way < 1 ? 0.5 - Math.sin(Math.asin(1 - 2 * state.way) / 3) : 0;  // the s of tick
        state.began = performance.now() - (from > 0 ? WAIT + from * LASTS : 0);
        frame = requestAnimationFrame(tick);
      }
    };
    slider.oninput = () => { stop(); go(Number(slider.value)); };
    bar.append(play, first, slider, last);
    p.box.append(bar);
    show();
    if (state.began !== null) frame = requestAnimationFrame(tick);  // the page ran again while it played
  }
  panels.filter((p) => p.panel.start).forEach(motion);

  function zoomIn(p) {
    const i = data.marked[0], { x, y } = p.panel;
    if (Number.isNaN(x[i])) return;
    Object.assign(p.view, { x: x[i], y: y[i], zoom: Math.min(200, p.view.zoom * 2) });
  }
  const tools = root.querySelector(".tools");
  const button = (label, pressed, act) => {
    const made = document.createElement("button");
    made.textContent = label;
    if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
    made.onclick = act;
    return made;
  };
  function drawTools() {
    const modes = selectable ? [["lasso", "Lasso"], ["box", "Box"], ["move", "Move"]] : [];
    const hint = document.createElement("span");
    hint.textContent = selectable && state.mode !== "move"
      ? "Drag around points to select them; Shift adds; a click selects one." : "Drag to move, turn the wheel to zoom.";
    tools.replaceChildren(
      ...modes.map(([mode, label]) => button(label, state.mode === mode, () => { state.mode = mode; drawTools(); })),
      ...(data.marked.length === 1 ? [button(`Zoom to the ${data.mark}`, null, () => { panels.forEach(zoomIn); drawAll(); })] : []),
      button("Whole map", null, () => { panels.forEach((p) => Object.assign(p.view, p.home)); drawAll(); }),
      ...(selectable ? [button("Clear selection", null, () => { selected = new Set(); drawAll(); send(); })] : []),
      hint,
    );
  }
  drawTools();
  root.querySelector(".legend").replaceChildren(...data.kinds.filter((k) => k.named).map((k) => {
    const entry = document.createElement("span"), sign = document.createElement("canvas");
    const c = sized(sign, 14, 14);
    c.fillStyle = k.colour; c.beginPath(); draws[k.shape](c, 7, 7, 4.5); c.fill();
    if (k.shape === "star") { c.strokeStyle = colour("--st-text-color"); c.stroke(); }
    entry.append(sign, k.label);
    return entry;
  }));
  const watch = new ResizeObserver(drawAll);
  panels.forEach((p) => watch.observe(p.canvas));
  drawAll();
  state.end = () => { cancelAnimationFrame(frame); clearTimeout(asking); watch.disconnect(); };
  return end;
}
