export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const list = parentElement.querySelector("ol");
  const focused = parentElement.activeElement?.dataset?.stage;
  const moves = [...parentElement.querySelectorAll(".move")];
  const present = data.titles.map((_, at) => at + 1).filter((stage) => !data.absent.includes(stage));
  // Stages asked for and not yet answered: the next key steps on from the last of them.
  const asked = (parentElement.asked ??= []), answered = asked.indexOf(data.at);
  if (answered >= 0) asked.splice(0, answered + 1);
  else if (data.at !== parentElement.shown) asked.length = 0;  // led elsewhere, by a link
  parentElement.shown = data.at;
  let at = asked.at(-1) ?? data.at;
  const beside = (by) => (by < 0 ? present.filter((stage) => stage < at).at(-1) : present.find((stage) => stage > at));
  const go = (stage) => {
    if (!stage || stage === at) return;
    at = stage;
    asked.push(stage);
    setTriggerValue("stage", stage);
  };

  list.replaceChildren(...data.titles.map((title, i) => {
    const stage = i + 1, item = document.createElement("li"), button = document.createElement("button");
    button.dataset.stage = stage;
    const [name, index] = title.split("_");
    button.textContent = name;
    if (index) button.append(Object.assign(document.createElement("sub"), { textContent: index }));
    button.title = `${stage}. ${title}`;
    button.classList.toggle("done", stage < data.at);
    button.classList.toggle("absent", data.absent.includes(stage));
    if (stage === data.at) button.setAttribute("aria-current", "step");
    button.onclick = () => go(stage);
    item.append(button);
    return item;
  }));
  for (const move of moves) {
    const by = Number(move.dataset.by);
    move.disabled = !beside(by);
    move.setAttribute("aria-label", by < 0 ? "Previous stage" : "Next stage");
    move.onclick = () => go(beside(by));
  }
  if (focused !== undefined) list.querySelector(`[data-stage="${data.at}"]`)?.focus();

  // On the whole page; what uses the arrows itself, as a slider or a gallery, keeps them.
  document.removeEventListener("keydown", parentElement.steps);
  parentElement.steps = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = event.composedPath()[0];
    const writing = target.matches?.("input, textarea, select, [role=slider], [role=radio], [role=tab], [contenteditable=true]");
    if (!by || writing || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!beside(by)) return;  // in lecture mode the next page's
    event.preventDefault();
    go(beside(by));
  };
  document.addEventListener("keydown", parentElement.steps);
  return () => document.removeEventListener("keydown", parentElement.steps);
}
