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
  const { data, parentElement, setTriggerValue } = component;
  const find = (selector) => parentElement.querySelector(selector);
  find(".regions").classList.toggle("compact", data.compact);
  const input = find("input");
  const { columns, rows, names, words, colours } = data;
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
        crop.title = words[i];
        tag("b", { textContent: name }, crop).style.background = colours[i];
        crop.onmouseenter = crop.onfocus = () => pointAt(name);
        crop.onmouseleave = crop.onblur = () => pointAt(null);
      });
    }
    boxes.forEach(([left, top, right, bottom], i) => {
      const crop = crops.children[i];
      crop.setAttribute("aria-label", `Crop ${names[i]}, ${words[i]}: columns ${left} to ${right}, rows ${top} to ${bottom}`);
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
    find(".cells").textContent = set.size + " on the map";
    find(".facts").replaceChildren(...set.facts.map(([name, value]) => {
      const item = document.createElement("li");
      item.append(name + " ");
      tag("b", { textContent: value }, item);
      return item;
    }));
  }

  const send = () => {
    kept.get(parentElement).sent.push(Number(input.value));
    setTriggerValue("ratio", data.steps[input.value].ratio);
  };
  find(".boxes").setAttribute("viewBox", `0 0 ${columns} ${rows}`);
  const picture = find("img");
  picture.src = data.uri;
  picture.alt = data.alt;
  input.max = data.steps.length - 1;
  const ratios = data.steps.map((step) => step.ratio).join();
  const before = kept.get(parentElement);
  if (before?.ratios === ratios) {
    // An answer to what was sent may be late, when the hand has moved on; any other place comes from a link.
    const answered = before.sent.indexOf(data.chosen);
    if (answered < 0 && data.chosen !== before.chosen) input.value = data.chosen;
    before.sent.splice(0, answered + 1);
    before.chosen = data.chosen;
  } else {
    input.value = data.chosen;
    kept.set(parentElement, { ratios, chosen: data.chosen, sent: [] });
    find(".ticks").replaceChildren(...data.steps.flatMap((step, i) => {
      if (!step.tick) return [];
      const button = document.createElement("button");
      button.textContent = step.tick;
      button.className = step.trained ? "trained" : "";
      button.title = step.trained ? "as trained" : "";
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
