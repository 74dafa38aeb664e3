const CLICKED = {
  ArrowLeft: ".st-key-lecture_previous a",
  ArrowRight: ".st-key-lecture_next a",
  Escape: ".st-key-lecture_leave button",
};
const TAKES_KEYS = `input, textarea, select, [contenteditable=true], [role=slider], [role=radiogroup], [role=tablist],
  [role=listbox], [role=combobox], [role=grid], [role=dialog], [data-baseweb=popover], .stDataFrame, .js-plotly-plot`;

export default function (component) {
  const { data, parentElement } = component;
  const line = parentElement.querySelector(".line");
  line.setAttribute("aria-valuenow", data.number);
  line.setAttribute("aria-valuemax", data.of);
  line.querySelector(".done").style.width = `${100 * data.number / data.of}%`;

  const press = (event) => {
    if (event.defaultPrevented || event.repeat || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const focused = event.composedPath();
    // A shadow root is one of our components: the image picker, a rank list, the graph and so on.
    const taken = focused.some((each) => each instanceof ShadowRoot || each.matches?.(TAKES_KEYS));
    const control = !taken && CLICKED[event.key] && document.querySelector(CLICKED[event.key]);
    if (!control) return;
    event.preventDefault();
    control.click();
  };
  document.removeEventListener("keydown", parentElement.press);
  parentElement.press = press;
  document.addEventListener("keydown", press);
  if (parentElement.number !== data.number) document.querySelector(".stMain")?.scrollTo(0, 0);
  parentElement.number = data.number;
  return () => document.removeEventListener("keydown", parentElement.press);
}
