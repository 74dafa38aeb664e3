export default function (component) {
  const { data, parentElement } = component;
  const place = parentElement.querySelector(".place");
  const panel = document.querySelector(`.st-key-${data.panel}`);
  if (panel && place.opened !== data.opened) {
    place.opened = data.opened;
    panel.style.scrollMarginTop = "38vh";  // what it belongs to stays in view above it
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    panel.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }
  const close = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("[data-baseweb=popover], [role=dialog]")) return;
    const button = document.querySelector(`.st-key-${data.close} button`);
    if (!button) return;
    event.preventDefault();
    event.stopImmediatePropagation();  // in lecture mode a second Escape leaves it
    button.click();
  };
  place.stop?.();
  document.addEventListener("keydown", close, true);
  place.stop = () => document.removeEventListener("keydown", close, true);
  return place.stop;
}
