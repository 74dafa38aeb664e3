export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const place = parentElement.querySelector(".network");
  if (place.drawn !== data.svg) {
    place.innerHTML = data.svg;
    place.drawn = data.svg;
  }
  for (const link of place.querySelectorAll("a")) {
    link.setAttribute("href", link.dataset.view + window.location.search);
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;  // a new tab is the browser's own
      event.preventDefault();
      setTriggerValue("opened", link.dataset.view);
    };
  }
}
