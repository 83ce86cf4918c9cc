// A chart of two values for each channel, with both axes through 0.

const SCATTER = { side: 600, left: 84, top: 14, right: 14, bottom: 52 };
const DOT_PX = 2.5;
const CIRCLE = `a${DOT_PX} ${DOT_PX} 0 1 0 ${2 * DOT_PX} 0a${DOT_PX} ${DOT_PX} 0 1 0 ${-2 * DOT_PX} 0z`;

// `named` are the channels with a label; `room` is the free width in pixels.
const scatterChart = (across, down, acrossWords, downWords, named, room) => {
  const every = [...across, ...down];
  const [lowest, highest] = [Math.min(0, ...every), Math.max(0, ...every)];
  const width = Math.min(SCATTER.side, room);
  const height = width - SCATTER.left + SCATTER.bottom; // so that equal values have equal lengths
  const [right, foot] = [width - SCATTER.right, height - SCATTER.bottom];
  const xOf = (value) => SCATTER.left + ((right - SCATTER.left) * (value - lowest)) / (highest - lowest || 1);
  const yOf = (value) => foot - ((foot - SCATTER.top) * (value - lowest)) / (highest - lowest || 1);
  const words = (tick) => (tick === 0 ? "0" : signed(tick));
  const ticks = ticksBetween(lowest, highest).flatMap((tick) => [
    makeDrawn("line", { class: tick === 0 ? "axis" : "rule", x1: xOf(tick), x2: xOf(tick), y1: SCATTER.top, y2: foot }),
    makeDrawn("line", { class: tick === 0 ? "axis" : "rule", x1: SCATTER.left, x2: right, y1: yOf(tick), y2: yOf(tick) }),
    drawnText(words(tick), xOf(tick), foot + 18),
    drawnText(words(tick), SCATTER.left - 8, yOf(tick) + 4, "end"),
  ]);
  // One path for all points, because a layer can have thousands of channels.
  const dots = across.map((value, channel) => `M${(xOf(value) - DOT_PX).toFixed(1)} ${yOf(down[channel]).toFixed(1)}${CIRCLE}`).join("");
  const names = [...named].map((channel) => drawnText(String(channel), xOf(across[channel]) + 6, yOf(down[channel]) - 5, xOf(across[channel]) > right - 50 ? "end" : "start"));
  const unit = hasValues ? "" : ", logits";
  const drawing = makeDrawn(
    "svg",
    { class: "scatter", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `mean attribution of each channel over ${acrossWords} and over ${downWords}` },
    ...ticks,
    makeDrawn("line", { class: "diagonal", x1: xOf(lowest), y1: yOf(lowest), x2: xOf(highest), y2: yOf(highest) }),
    makeDrawn("path", { class: "dots", d: dots }),
    ...names,
    drawnText(`${acrossWords}${unit} →`, right, height - 8, "end"),
    makeDrawn("text", { class: "tick-words", transform: `translate(14 ${SCATTER.top}) rotate(-90)`, "text-anchor": "end" }, `${downWords}${unit} →`),
  );
  return make("div", { class: "scatter-figure" }, drawing);
};
