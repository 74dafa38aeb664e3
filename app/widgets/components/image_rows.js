export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".place");
  if (place.shown !== data.html) {
    const focused = parentElement.activeElement?.dataset?.at;
    place.shown = data.html;
    place.innerHTML = data.html;  // every name in it has been escaped
    if (focused !== undefined) place.querySelector(`[data-at="${focused}"]`)?.focus();
  }
  const rows = [...place.querySelectorAll(".row")].map((row) => [...row.querySelectorAll("[role=button]")]);
  for (const row of rows) {
    const chosen = row.findIndex((figure) => figure.dataset.name === data.chosen);
    row.forEach((figure, at) => {
      figure.setAttribute("aria-pressed", String(at === chosen));
      figure.tabIndex = at === Math.max(0, chosen) ? 0 : -1;  // one stop a row for the Tab key
    });
  }
  if (data.jump && place.jumped !== data.jump[0]) {
    place.jumped = data.jump[0];
    place.querySelector(`[data-name="${CSS.escape(data.jump[1])}"]`)?.focus();
  }
  const choose = (figure) => setTriggerValue("picked", figure.dataset.name);
  place.onclick = (event) => {
    const figure = event.target.closest("[role=button]");
    if (figure) choose(figure);
  };
  place.onkeydown = (event) => {
    const figure = event.target.closest("[role=button]");
    if (!figure) return;
    const y = rows.findIndex((row) => row.includes(figure));
    const x = rows[y].indexOf(figure);
    const to = {
      ArrowRight: rows[y][x + 1], ArrowLeft: rows[y][x - 1], Home: rows[y][0], End: rows[y].at(-1),
      ArrowDown: rows[y + 1]?.[Math.min(x, rows[y + 1].length - 1)],
      ArrowUp: rows[y - 1]?.[Math.min(x, rows[y - 1].length - 1)],
    }[event.key];
    if (to) to.focus();
    else if (event.key === "Enter" || event.key === " ") choose(figure);
    else return;
    event.preventDefault();
  };
}
