const CLICKED = {
  ArrowLeft: ".st-key-lecture_previous a",
  ArrowRight: ".st-key-lecture_next a",
  Escape: ".st-key-lecture_leave button",
};
const TAKES_KEYS = `input, textarea, select, [contenteditable=true], [role=slider], [role=radiogroup], [role=tablist],
  [role=listbox], [role=combobox], [role=grid], [role=dialog], [data-baseweb=popover], .stDataFrame, .js-plotly-plot`;
const SCROLLED = { ArrowDown: 0.15, ArrowUp: -0.15, PageDown: 0.85, PageUp: -0.85 };  // of a screen, where nothing has the focus
const GRACE = 500;  // milliseconds in which a link must be there, or a click have had an effect
const TRIES = 20;  // such times for one press

const control = (key) => document.querySelector(CLICKED[key]);
const slide = () => document.querySelector(".lecture-line")?.dataset.slide;
const running = () => document.querySelector(".stApp")?.dataset.testScriptState !== "notRunning";
const leading = () => {
  const url = new URLSearchParams(window.location.search);
  return url.get("present") === "1" || url.has("tour");
};

export default function (component) {
  const { data } = component;
  // One for all slides: a press may come after a slide has gone, with this component, and before the next is there.
  const keys = (window.lectureKeys ??= listen({ presses: [], left: null, tries: 0, busy: 0 }));
  if (keys.slide !== data.slide) document.querySelector(".stMain")?.scrollTo(0, 0);
  keys.slide = data.slide;
}

function listen(keys) {
  /* Clicks for one press at a time, once the slide that it is meant for stands, until another one does. A page that is
     still being drawn would set its own step in the URL again after the click. */
  const move = () => {
    const now = performance.now(), link = control(keys.presses[0]), at = slide();
    const click = () => {
      keys.left = at;
      keys.busy = now;
      link.click();
    };
    if (keys.left !== null && at && at !== keys.left) {
      keys.presses.shift();
      keys.left = null;
      keys.tries = 0;
    } else if (running()) keys.busy = now;
    else if (keys.left === null && link && at) click();
    else if (now - keys.busy > GRACE) {
      // The browser may still be loading what draws links, and a page that runs itself again may lose a click.
      keys.busy = now;
      if (keys.tries++ === TRIES || link?.hasAttribute("disabled")) Object.assign(keys, { presses: [], left: null, tries: 0 });
      else if (link && at) click();
    }
    if (keys.presses.length) keys.timer = setTimeout(move, 25);
  };
  // The window hears a key last, after all that may use it itself.
  window.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (SCROLLED[event.key] && event.target === document.body && leading()) {
      const main = document.querySelector(".stMain");
      return main?.scrollBy(0, SCROLLED[event.key] * main.clientHeight);
    }
    if (event.repeat) return;
    // A shadow root is one of our components: the image picker, a rank list, the graph and so on.
    const taken = event.composedPath().some((each) => each instanceof ShadowRoot || each.matches?.(TAKES_KEYS));
    if (taken || !CLICKED[event.key] || !leading()) return;
    if (event.key === "Escape") return control("Escape")?.click();
    event.preventDefault();
    keys.presses.push(event.key);
    clearTimeout(keys.timer);
    move();
  });
  return keys;
}
