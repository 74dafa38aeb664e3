const SVG = "http://www.w3.org/2000/svg";
function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  if (parent) parent.append(element);
  return element;
}
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const svg = parentElement.querySelector("svg");
  const focused = parentElement.activeElement?.dataset?.name;
  svg.replaceChildren();
  svg.setAttribute("viewBox", data.viewBox.join(" "));
  svg.setAttribute("aria-label", data.alt);
  const least = parseFloat(getComputedStyle(svg).getPropertyValue("--smallest-text"));  // of lecture mode
  const fit = () => svg.style.setProperty("--least", `${least / svg.getScreenCTM().a}px`);
  parentElement.sizes?.disconnect();
  parentElement.sizes = new ResizeObserver(fit);
  if (least) parentElement.sizes.observe(svg);
  const off = new Set(data.off), cut = new Set(data.cut), removable = new Set(data.removable), edges = [];
  const showEdges = () => edges.forEach((show) => show());  // a node that is taken out takes its edges along
  const steps = data.steps;
  make("image", { href: data.image, x: 0, y: 0, width: data.size[0], height: data.size[1], preserveAspectRatio: "none" }, svg);
  const box = make("rect", { class: "box", visibility: "hidden" }, svg);
  const place = Object.fromEntries(data.nodes.map((node) => [node.name, node]));

  function switching(group, set, name, label) {
    group.dataset.name = name;
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "switch");
    const show = () => {
      group.classList.toggle("off", set.has(name));
      group.setAttribute("aria-checked", String(!set.has(name)));
      group.setAttribute("aria-label", label);
    };
    const act = () => {
      set.has(name) ? set.delete(name) : set.add(name);
      show();
      showEdges();
      setTriggerValue("switched", { off: [...off], cut: [...cut] });
    };
    group.onclick = act;
    group.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
    };
    make("title", {}, group).textContent = label;
    show();
  }

  for (const [i, [a, b]] of steps ? [] : data.edges.entries()) {
    const p = place[a], q = place[b], group = make("g", { class: "edge" }, svg);
    group.style.setProperty("--line", data.lines[i]);
    const line = { x1: p.x, y1: p.y, x2: q.x, y2: q.y };
    make("line", line, group);
    make("line", { ...line, class: "wide" }, group);
    const x = p.x + (q.x - p.x) * 0.45, y = p.y + (q.y - p.y) * 0.45, r = 2.2;
    make("line", { class: "cross", x1: x - r, y1: y - r, x2: x + r, y2: y + r }, group);
    make("line", { class: "cross", x1: x - r, y1: y + r, x2: x + r, y2: y - r }, group);
    const label = `edge ${p.title} - ${q.title}`;
    switching(group, cut, `${a}-${b}`, label);
    edges.push(() => {
      const ends = [a, b].filter((name) => off.has(name)), gone = ends.filter((name) => removable.has(name));
      group.classList.toggle("gone", gone.length > 0);
      group.classList.toggle("pale", ends.length > gone.length);
      const why = gone.length ? `, off with ${gone.map((name) => place[name].title).join(" and ")}` : "";
      group.setAttribute("aria-label", label + why);
    });
  }
  const under = make("g", {}, svg);
  for (const node of data.nodes) {
    const group = make("g", { class: "node" }, svg);
    group.style.setProperty("--fill", node.colour);
    const { x, y } = node, r = 6.2;
    make("circle", { cx: x, cy: y, r }, group);
    make("line", { class: "cross", x1: x - r, y1: y + r, x2: x + r, y2: y - r }, group);
    make("text", { x, y }, group).textContent = node.short;
    if (!node.box) make("text", { x, y: y + 9.5, class: "name" }, group).textContent = node.title;
    if (steps) make("text", { x, y: y - 8.6, class: "sent" }, group).dataset.of = node.name;
    else switching(group, off, node.name, `node ${node.title}`);
    const over = (shown) => {
      if (!node.box) return;
      const [left, top, width, height] = node.box;
      Object.entries({ x: left, y: top, width, height }).forEach(([k, v]) => box.setAttribute(k, v));
      box.setAttribute("visibility", shown ? "visible" : "hidden");
    };
    group.onpointerenter = group.onfocus = () => over(true);
    group.onpointerleave = group.onblur = () => over(false);
  }
  showEdges();
  if (focused) svg.querySelector(`[data-name="${focused}"]`)?.focus();
  clearInterval(parentElement.playing);
  parentElement.querySelector(".steps").replaceChildren();
  parentElement.querySelector("output").textContent = "";
  svg.setAttribute("role", steps ? "img" : "group");
  if (steps) messages(parentElement, data, svg, under, place);
  return () => {
    clearInterval(parentElement.playing);
    parentElement.sizes.disconnect();
  };
}

/* What the nodes send, a step after the other until one is chosen; nothing moves for who wants less motion. */
function messages(parentElement, data, svg, under, place) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const along = (p, q, part) => ({ x: p.x + (q.x - p.x) * part, y: p.y + (q.y - p.y) * part });

  function show(at) {
    const step = data.steps[at];
    under.replaceChildren();
    data.edges.forEach(([a, b], i) => {
      const ends = [[a, b, step.widths[i][0]], [b, a, step.widths[i][1]]];
      const either = step.widths[i].find((width) => width !== null) ?? null;
      for (const [from, to, width] of ends) {
        const p = place[from], q = place[to], middle = along(p, q, 0.5);
        const wide = width ?? either;
        const looks = wide === null ? { class: "unread" } : { class: "sends", "stroke-width": 0.5 + 3.2 * wide };
        make("line", { x1: p.x, y1: p.y, x2: middle.x, y2: middle.y, ...looks }, under);
      }
      for (const [from, to, width] of still ? [] : ends) {
        if (width === null) continue;
        const p = place[from], q = place[to];
        const dot = make("circle", { r: 0.7 + 1.5 * width, fill: place[from].colour, class: "message" }, under);
        const moves = { dur: "1.8s", begin: `${-((i * 0.37) % 1.8)}s`, repeatCount: "indefinite" };
        make("animate", { attributeName: "cx", from: p.x, to: q.x, ...moves }, dot);
        make("animate", { attributeName: "cy", from: p.y, to: q.y, ...moves }, dot);
      }
    });
    svg.querySelectorAll(".sent").forEach((text) => { text.textContent = step.labels[text.dataset.of] ?? ""; });
    parentElement.querySelector("output").innerHTML = step.note;  // titles and notes come escaped, with their symbols typeset
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === at)));
    shown = at;
  }

  let shown = 0;
  const bar = parentElement.querySelector(".steps");
  const play = document.createElement("button");
  const label = () => { play.textContent = parentElement.playing ? "Pause" : "Play"; };
  const stop = () => { clearInterval(parentElement.playing); parentElement.playing = 0; label(); };
  const start = () => {
    parentElement.playing = setInterval(() => show((shown + 1) % data.steps.length), 5000);
    label();
  };
  const buttons = data.steps.map((step, i) => {
    const button = document.createElement("button");
    button.innerHTML = step.title;
    button.onclick = () => { stop(); show(i); };
    return button;
  });
  play.onclick = () => (parentElement.playing ? stop() : start());
  bar.append(...buttons, ...(data.steps.length > 1 ? [play] : []));
  parentElement.playing = 0;
  if (still || data.steps.length < 2) label(); else start();
  show(0);
}
