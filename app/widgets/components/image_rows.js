const FORGOTTEN = 10000;  // milliseconds after which an answer that changed nothing no longer holds up the next

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".place");
  let focused;
  if (place.shown !== data.html) {
    focused = parentElement.activeElement?.closest?.("[data-at]")?.dataset.at;
    place.shown = data.html;
    place.innerHTML = data.html;  // every name in it has been escaped
  }
  const rows = [...place.querySelectorAll(".row")].map((row) => [...row.querySelectorAll("[data-at]")]);
  for (const row of rows) {
    const chosen = row.findIndex((figure) => figure.dataset.name === data.chosen);
    row.forEach((figure, at) => {
      if (!data.answers) figure.setAttribute("aria-pressed", String(at === chosen));
      figure.tabIndex = at === Math.max(0, chosen) ? 0 : -1;  // one stop a row for the Tab key
    });
  }
  if (focused !== undefined) unanswered(place, focused)?.focus();
  if (data.jump && place.jumped !== data.jump[0]) {
    place.jumped = data.jump[0];
    place.querySelector(`[data-name="${CSS.escape(data.jump[1])}"]`)?.focus();
  }
  const choose = (figure) => setTriggerValue("picked", figure.dataset.name);
  /* One answer at a time: what is pressed meanwhile is for the picture that then has the focus. */
  const answer = (figure, letter) => {
    if (place.waiting && performance.now() - place.asked < FORGOTTEN) return place.waiting.push(letter);
    place.waiting ??= [];
    place.asked = performance.now();
    setTriggerValue("answered", [letter, figure.dataset.name]);
  };
  const current = () => parentElement.activeElement?.closest?.("[data-at]") ?? unanswered(place, "0.0");
  if (place.turn !== data.turn) {
    place.turn = data.turn;
    const [letter, ...later] = place.waiting ?? [];
    place.waiting = null;
    if (letter && current()) answer(current(), letter);
    if (letter) place.waiting?.push(...later);
  }
  place.onclick = (event) => {
    const figure = event.target.closest("[data-at]");
    const letter = event.target.closest("[data-answer]")?.dataset.answer;
    if (!figure) return;
    if (data.answers) figure.focus();
    if (letter) answer(figure, letter);
    else if (!data.answers) choose(figure);
  };
  const press = (event, figure) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const y = rows.findIndex((row) => row.includes(figure));
    const x = rows[y].indexOf(figure);
    const to = {
      ArrowRight: rows[y][x + 1], ArrowLeft: rows[y][x - 1], Home: rows[y][0], End: rows[y].at(-1),
      ArrowDown: rows[y + 1]?.[Math.min(x, rows[y + 1].length - 1)],
      ArrowUp: rows[y - 1]?.[Math.min(x, rows[y - 1].length - 1)],
    }[event.key];
    const letter = event.key.toLowerCase();
    if (to) to.focus();
    else if (data.answers && data.answers.includes(letter) && letter.length === 1) {
      if (!event.repeat) answer(figure, letter);
    } else if (!data.answers && (event.key === "Enter" || event.key === " ")) choose(figure);
    else return;
    event.preventDefault();
  };
  place.onkeydown = (event) => {
    const figure = event.target.closest("[data-at]");
    if (figure) press(event, figure);
  };
  place.stop?.();
  if (!data.answers) return;
  const anywhere = (event) => {  // while nothing has the focus; an answer must not go to a picture that is not marked
    if (event.target !== document.body || !current()) return;
    const letter = data.answers.includes(event.key.toLowerCase());
    if (letter && rows.flat().length === 1) press(event, current());
    else if (letter || event.key === "ArrowRight" || event.key === "ArrowLeft") current().focus();
  };
  document.addEventListener("keydown", anywhere);
  place.stop = () => document.removeEventListener("keydown", anywhere);
  return place.stop;
}

/* The picture at this place, or the next one in its row that has no answer; else the last of the row. */
function unanswered(place, at) {
  const [y, x] = at.split(".").map(Number);
  const row = [...place.querySelectorAll(".row")][y]?.querySelectorAll("[data-at]") ?? [];
  const left = [...row].slice(Math.min(x, row.length - 1));
  return left.find((figure) => !("answered" in figure.dataset)) ?? left[0];
}
