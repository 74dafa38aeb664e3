const ABOVE = 0.38;  // of the window: what the panel belongs to stays in view above it

/* Once more where the page was still too short below the panel, until the viewer moves it. */
function bring(panel, times) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  panel.style.scrollMarginTop = `${100 * ABOVE}vh`;
  panel.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  const moved = new AbortController();
  for (const kind of ["wheel", "pointerdown", "keydown"]) {
    document.addEventListener(kind, () => moved.abort(), { signal: moved.signal, passive: true });
  }
  setTimeout(() => {
    const away = Math.abs(panel.getBoundingClientRect().top - ABOVE * innerHeight) > 24;
    if (away && times && !moved.signal.aborted && panel.isConnected) bring(panel, times - 1);
    moved.abort();
  }, 900);
}

export default function (component) {
  const { data, parentElement } = component;
  const place = parentElement.querySelector(".place");
  const panel = document.querySelector(`.st-key-${data.panel}`);
  if (panel && place.opened !== data.opened) {
    place.opened = data.opened;
    bring(panel, 4);
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
