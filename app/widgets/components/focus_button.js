export default function (component) {
  const { data, parentElement } = component;
  const place = parentElement.querySelector(".place");
  const button = () => document.querySelector(`.st-key-${data.button} button`);
  const focus = (frames) => {  // the button may be drawn after this
    if (button()) button().focus();
    else if (frames) requestAnimationFrame(() => focus(frames - 1));
  };
  if (place.turn !== data.turn) {
    place.turn = data.turn;
    focus(1200);  // twenty seconds, on a machine that does much else
  }
  const press = (event) => {
    if (event.key === "Enter" && !event.repeat && event.target === document.body) button()?.click();
  };
  place.stop?.();
  document.addEventListener("keydown", press);
  place.stop = () => document.removeEventListener("keydown", press);
  return place.stop;
}
