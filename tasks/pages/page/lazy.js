// Canvases that are drawn shortly before they scroll into view, or before the page is printed.

const AHEAD = "300px";
const drawOf = new WeakMap();

const drawNow = (canvas) => {
  observer.unobserve(canvas);
  delete canvas.dataset.waiting;
  return drawOf.get(canvas)();
};

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) drawNow(target);
  },
  { rootMargin: AHEAD },
);

// Draws a canvas again as soon as it is in view, for example after its data has changed.
const drawAgain = (canvas) => {
  canvas.dataset.waiting = "";
  observer.observe(canvas);
};

// Draws a canvas by `work(canvas)` when it scrolls into view.
const whenSeen = (canvas, work) => {
  drawOf.set(canvas, async () => {
    canvas.setAttribute("aria-busy", "true");
    try {
      await work(canvas);
      canvas.classList.add("drawn");
    } catch {
      canvas.classList.add("gone");
    }
    canvas.removeAttribute("aria-busy");
  });
  drawAgain(canvas);
  return canvas;
};

const drawEverything = () => Promise.all([...document.querySelectorAll("canvas[data-waiting]")].map(drawNow));
