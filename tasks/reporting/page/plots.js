// Bars for numbers, each with a mark at 0.

// A bar from 0 with a whisker for the spread; `most` is the value of a full bar. The number stands beside the bar. Positive values grow
// to the right and negative values to the left, so that the sign needs no colour. With `centred`, 0 is in the middle, for lists of both
// signs.
const valueBar = (value, most, { spread = 0, centred = false } = {}) => {
  const whole = centred ? 50 : 100;
  const zero = centred ? 50 : value < 0 ? 100 : 0;
  const length = (amount) => whole * Math.max(0, Math.min(1, amount / (most || 1)));
  const size = Math.abs(value);
  const [from, to] = value < 0 ? [zero - length(size), zero] : [zero, zero + length(size)];
  const at = (amount) => (value < 0 ? zero - length(amount) : zero + length(amount));
  const bar = makeDrawn("rect", { class: sideOf(value), x: from, y: 0, width: to - from, height: 10 });
  const whisker = spread ? [makeDrawn("line", { class: "whisker", x1: at(size - spread), x2: at(size + spread), y1: 5, y2: 5 })] : [];
  const mark = makeDrawn("line", { class: "zero", x1: zero, x2: zero, y1: -4, y2: 14 });
  return makeDrawn("svg", { class: "value-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, bar, ...whisker, mark);
};

const PAPER_PX = 690; // the width of a page of paper within its margins

// Draws a chart in the width of paper before the page is printed, and as before after it. Returns a function that ends this.
const redrawnOnPaper = (draw) => {
  const [before, after] = [() => draw(PAPER_PX), () => draw()];
  window.addEventListener("beforeprint", before);
  window.addEventListener("afterprint", after);
  return () => {
    window.removeEventListener("beforeprint", before);
    window.removeEventListener("afterprint", after);
  };
};

const signedNumber = (value) => make("b", { class: sideOf(value) }, signed(value));

// Round values for the ticks of an axis between two values, at most `wanted` and a few more, with 0 among them if it is inside.
const ticksBetween = (lowest, highest, wanted = 5) => {
  const span = highest - lowest || 1;
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= wanted + 0.5) || 10 * power;
  const ticks = [];
  for (let tick = Math.ceil(lowest / step); tick * step <= highest + step * 1e-9; tick += 1) ticks.push(Number((tick * step).toPrecision(12)));
  return ticks;
};
