export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const grid = parentElement.querySelector(".grid");
  const focused = parentElement.activeElement?.dataset?.key;
  const signature = data.items.map((item) => item.key).join("\n");
  grid.classList.toggle("strip", data.strip);
  grid.style.setProperty("--ratio", data.ratio);
  if (grid.signature !== signature) {
    grid.signature = signature;
    grid.replaceChildren(...data.items.map((item) => {
      const button = document.createElement("button");
      button.dataset.key = item.key;
      button.title = item.key;
      const image = document.createElement("img");
      image.src = item.uri;
      image.alt = item.label;
      const label = document.createElement("div");
      label.textContent = item.label;
      button.append(image, label);
      return button;
    }));
    grid.scrollLeft = 0;
  }
  const buttons = [...grid.children];
  const reached = Math.max(0, buttons.findIndex((button) => button.dataset.key === data.chosen));
  buttons.forEach((button, at) => {
    button.setAttribute("aria-pressed", String(button.dataset.key === data.chosen));
    button.tabIndex = at === reached ? 0 : -1;  // one stop for the Tab key; arrows go on from there
    button.onclick = () => setTriggerValue("picked", button.dataset.key);
  });
  if (focused !== undefined) {
    const again = buttons.find((button) => button.dataset.key === focused);
    (again ?? buttons[grid.backwards ? buttons.length - 1 : 0])?.focus();
  }
  const turn = (by) => {
    if (by < 0 ? data.from > 1 : data.to < data.total) {
      grid.backwards = by < 0;
      setTriggerValue("turned", by);
    }
  };
  grid.onkeydown = (event) => {
    const at = buttons.indexOf(parentElement.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const page = { PageDown: 1, PageUp: -1 }[event.key];
    if (page) turn(page);
    else if (step && buttons[at + step]) buttons[at + step].focus();
    else if (step) turn(step);
    else return;
    event.preventDefault();
  };
  for (const button of parentElement.querySelectorAll(".turn")) {
    const by = Number(button.dataset.by);
    button.disabled = by < 0 ? data.from <= 1 : data.to >= data.total;
    button.onclick = () => turn(by);
  }
  const number = (n) => n.toLocaleString("en");
  parentElement.querySelector(".where").textContent =
    `${number(data.from)} to ${number(data.to)} of ${number(data.total)} images`;
}
