const TONES = { query: "#2563eb", hit: "#16a34a", error: "#dc2626", junk: "#6b7280" };
const kept = new WeakMap();

function tag(name, attributes, parent) {
  const node = Object.assign(document.createElement(name), attributes);
  parent.append(node);
  return node;
}

const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export default function (component) {
  const { data, parentElement } = component;
  const find = (selector) => parentElement.querySelector(selector);
  const [rows, columns] = data.size, count = rows * columns;
  const cosines = data.cosines.map(decoded);  // of each other picture: the query's cells by rows, its own by columns
  const value = (level) => data.low + (data.high - data.low) * level / 255;
  const before = kept.get(parentElement);
  const state = before?.id === data.id ? before : { id: data.id, picture: 0, cell: data.start, held: false };
  kept.set(parentElement, state);

  // The levels of picture `other`'s cells against the cell that is pointed at; none where the two are not compared.
  function levels(other) {
    if (state.picture === 0) return other ? cosines[other - 1].subarray(state.cell * count, (state.cell + 1) * count) : null;
    if (other) return null;
    return Uint8Array.from({ length: count }, (_, cell) => cosines[state.picture - 1][cell * count + state.cell]);
  }

  const pictures = find(".pictures");
  pictures.classList.toggle("two", data.pictures.length === 2);
  pictures.replaceChildren();
  const stages = data.pictures.map((picture, at) => {
    const figure = tag("figure", {}, pictures);
    figure.style.setProperty("--ratio", picture.ratio);
    const stage = tag("div", { className: "stage", tabIndex: 0 }, figure);
    stage.style.setProperty("--tone", TONES[picture.kind]);
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", `${picture.title}: the arrow keys choose a cell`);
    tag("img", { src: picture.uri, alt: picture.alt, draggable: false }, stage);
    const canvas = tag("canvas", { width: columns, height: rows }, stage);
    canvas.setAttribute("aria-hidden", "true");
    const mark = tag("span", { className: "mark" }, stage);
    const caption = tag("figcaption", {}, figure);
    tag("b", { textContent: picture.title }, caption);
    caption.append(picture.note);

    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      const place = (fraction, cells) => Math.min(cells - 1, Math.max(0, Math.floor(fraction * cells)));
      return place((event.clientY - box.top) / box.height, rows) * columns + place((event.clientX - box.left) / box.width, columns);
    };
    const point = (cell) => Object.assign(state, { picture: at, cell }) && draw();
    stage.onpointermove = (event) => state.held || point(under(event));
    stage.onpointerdown = (event) => {
      state.held = !state.held || state.picture !== at || state.cell !== under(event);
      point(under(event));
    };
    stage.onkeydown = (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      const cell = state.picture === at ? state.cell : data.start;
      const y = Math.floor(cell / columns) + step[0], x = cell % columns + step[1];
      state.held = true;
      point(Math.min(rows - 1, Math.max(0, y)) * columns + Math.min(columns - 1, Math.max(0, x)));
    };
    return { canvas, mark, picture };
  });

  const colours = data.colours.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  function paint(canvas, cells) {
    const image = new ImageData(columns, rows);
    cells?.forEach((level, at) => image.data.set([...colours[Math.round(level * (colours.length - 1) / 255)], 255], 4 * at));
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  function place(mark, cell, best) {
    mark.hidden = cell === null;
    mark.classList.toggle("best", best);
    if (cell === null) return;
    Object.assign(mark.style, { left: `${100 * (cell % columns) / columns}%`, top: `${100 * Math.floor(cell / columns) / rows}%`,
      width: `${100 / columns}%`, height: `${100 / rows}%` });
  }
  const named = (cell) => `row ${Math.floor(cell / columns) + 1}, column ${cell % columns + 1}`;

  function draw() {
    const said = [];
    stages.forEach(({ canvas, mark, picture }, at) => {
      if (at === state.picture) {
        paint(canvas, null);
        place(mark, state.cell, false);
        return;
      }
      const cells = levels(at);
      paint(canvas, cells);
      const best = cells && cells.indexOf(Math.max(...cells));
      place(mark, best, true);
      if (!cells) return;
      const mean = cells.reduce((sum, level) => sum + level, 0) / count;
      said.push(`${picture.title} answers most at ${named(best)}, cosine ${value(cells[best]).toFixed(2)} (mean ${value(mean).toFixed(2)})`);
    });
    find("output").textContent = `${data.pictures[state.picture].title}, ${named(state.cell)} of ${rows} × ${columns} cells. ${said.join("; ")}.`;
  }

  const [low, high] = [data.low.toFixed(2), data.high.toFixed(2)];
  find(".bar i").style.background = `linear-gradient(90deg, ${data.colours.join()})`;
  find(".bar").setAttribute("aria-label", `Cosine of two cells, from ${low} to ${high}`);
  find(".low").textContent = low;
  find(".high").textContent = high;
  draw();
}
