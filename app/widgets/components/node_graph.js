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
  const off = new Set(data.off), cut = new Set(data.cut);
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
      setTriggerValue("switched", { off: [...off], cut: [...cut] });
    };
    group.onclick = act;
    group.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
    };
    make("title", {}, group).textContent = label;
    show();
  }

  for (const [a, b] of data.edges) {
    const p = place[a], q = place[b], group = make("g", { class: "edge" }, svg);
    const onPicture = [p, q].every((n) => n.box);
    group.style.setProperty("--line", onPicture ? "#ffffff" : "#60a5fa");
    const line = { x1: p.x, y1: p.y, x2: q.x, y2: q.y };
    make("line", line, group);
    make("line", { ...line, class: "wide" }, group);
    const x = p.x + (q.x - p.x) * 0.45, y = p.y + (q.y - p.y) * 0.45, r = 2.2;
    make("line", { class: "cross", x1: x - r, y1: y - r, x2: x + r, y2: y + r }, group);
    make("line", { class: "cross", x1: x - r, y1: y + r, x2: x + r, y2: y - r }, group);
    switching(group, cut, `${a}-${b}`, `edge ${p.title} - ${q.title}`);
  }
  for (const node of data.nodes) {
    const group = make("g", { class: "node" }, svg);
    group.style.setProperty("--fill", node.name === "token" ? "#c2410c" : node.name === "global" ? "#1d4ed8" : "#0f766e");
    const { x, y } = node, r = 6.2;
    make("circle", { cx: x, cy: y, r }, group);
    make("line", { class: "cross", x1: x - r, y1: y + r, x2: x + r, y2: y - r }, group);
    make("text", { x, y }, group).textContent = node.short;
    if (!node.box) make("text", { x, y: y + 9.5, class: "name" }, group).textContent = node.title;
    switching(group, off, node.name, `node ${node.title}`);
    const over = (shown) => {
      if (!node.box) return;
      const [left, top, width, height] = node.box;
      Object.entries({ x: left, y: top, width, height }).forEach(([k, v]) => box.setAttribute(k, v));
      box.setAttribute("visibility", shown ? "visible" : "hidden");
    };
    group.onpointerenter = group.onfocus = () => over(true);
    group.onpointerleave = group.onblur = () => over(false);
  }
  if (focused) svg.querySelector(`[data-name="${focused}"]`)?.focus();
}
