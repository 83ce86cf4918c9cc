// The mean attribution of each channel as a bar, in descending order, with axes. It is a slider: the pointer and the arrow keys select a
// channel.

const PLOT = { height: 200, top: 12, bottom: 34, left: 74, right: 8 };

const drawnText = (words, x, y, anchor = "middle") => makeDrawn("text", { x, y, "text-anchor": anchor, class: "tick-words" }, words);

// Bars of one sign as one path, because a layer can have thousands of channels.
const barsPath = (values, keeps, xOf, yOf, thick) =>
  values.map((value, at) => (keeps(value) ? `M${xOf(at).toFixed(2)} ${yOf(0).toFixed(2)}V${(value ? yOf(value) : yOf(0) - 1).toFixed(2)}h${thick.toFixed(2)}V${yOf(0).toFixed(2)}z` : "")).join("");

const distributionMarks = (values, width) => {
  const [highest, lowest] = [Math.max(0, values[0]), Math.min(0, values[values.length - 1])];
  const [room, foot] = [width - PLOT.left - PLOT.right, PLOT.height - PLOT.bottom];
  const yOf = (value) => PLOT.top + ((foot - PLOT.top) * (highest - value)) / (highest - lowest || 1);
  const step = room / values.length;
  const xOf = (at) => PLOT.left + at * step;
  const thick = Math.max(step - (step > 4 ? 1 : 0), 0.5);
  const ticks = ticksBetween(lowest, highest).flatMap((tick) => [
    makeDrawn("line", { class: tick === 0 ? "axis" : "rule", x1: PLOT.left, x2: width - PLOT.right, y1: yOf(tick), y2: yOf(tick) }),
    drawnText(signed(tick) === "" || tick === 0 ? "0" : signed(tick), PLOT.left - 8, yOf(tick) + 4, "end"),
  ]);
  return [
    ...ticks,
    makeDrawn("path", { class: "for", d: barsPath(values, (value) => value >= 0, xOf, yOf, thick) }),
    makeDrawn("path", { class: "against", d: barsPath(values, (value) => value < 0, xOf, yOf, thick) }),
    makeDrawn("line", { class: "axis", x1: PLOT.left, x2: width - PLOT.right, y1: yOf(0), y2: yOf(0) }),
    drawnText("1", PLOT.left, PLOT.height - 18, "start"),
    drawnText(values.length.toLocaleString("en"), width - PLOT.right, PLOT.height - 18, "end"),
    drawnText("rank of the channel", PLOT.left + room / 2, PLOT.height - 18),
    makeDrawn("text", { class: "tick-words", transform: `translate(12 ${(PLOT.top + foot) / 2}) rotate(-90)`, "text-anchor": "middle" }, hasValues ? "attribution" : "logits"),
  ];
};

const makeDistribution = (means, tellOf, onOpen) => {
  const order = means.map((_, channel) => channel).sort((one, other) => means[other] - means[one] || one - other);
  const values = order.map((channel) => means[channel]);
  const drawing = makeDrawn("svg", { height: PLOT.height, "aria-hidden": "true" });
  const needle = makeDrawn("line", { class: "needle", y1: PLOT.top, y2: PLOT.height - PLOT.bottom });
  const tip = makeTip();
  const node = make("div", { class: "distribution", role: "slider", tabindex: 0, "aria-label": "all channels by mean attribution", "aria-valuemin": 1, "aria-valuemax": order.length }, drawing);
  const room = () => node.clientWidth - PLOT.left - PLOT.right;
  const middleOf = (place) => PLOT.left + ((place + 0.5) * room()) / order.length;
  let place = 0;

  const draw = (width = node.clientWidth) => {
    if (!width) return;
    drawing.setAttribute("width", width);
    drawing.setAttribute("viewBox", `0 0 ${width} ${PLOT.height}`); // for paper
    drawing.replaceChildren(...distributionMarks(values, width), needle);
  };

  const tell = () => {
    node.setAttribute("aria-valuenow", place + 1);
    node.setAttribute("aria-valuetext", `channel ${order[place]}, ${withUnit(values[place])}`);
  };

  const choose = (at) => {
    place = Math.max(0, Math.min(order.length - 1, at));
    tell();
    node.classList.add("active");
    needle.setAttribute("x1", middleOf(place));
    needle.setAttribute("x2", middleOf(place));
    const around = node.getBoundingClientRect();
    tip.show(tellOf(order[place]), { left: around.left + middleOf(place), width: 0, top: around.top, bottom: around.bottom });
  };

  const leave = () => {
    node.classList.remove("active");
    tip.hide();
  };

  const placeAt = (event) => Math.floor(((event.clientX - node.getBoundingClientRect().left - PLOT.left) / room()) * order.length);

  node.addEventListener("pointermove", (event) => choose(placeAt(event)));
  node.addEventListener("pointerleave", leave);
  node.addEventListener("focus", () => node.matches(":focus-visible") && choose(place));
  node.addEventListener("blur", leave);
  node.addEventListener("click", (event) => {
    choose(placeAt(event));
    onOpen(order[place]);
  });
  node.addEventListener("keydown", (event) => {
    const goals = { ArrowRight: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: order.length - 1, PageDown: place + 16, PageUp: place - 16 };
    if (event.key === "Enter") onOpen(order[place]);
    else if (event.key in goals) choose(goals[event.key]);
    else return;
    event.preventDefault();
  });
  const resized = new ResizeObserver(() => draw());
  const endOnPaper = redrawnOnPaper(draw);
  resized.observe(node);
  tell();
  return {
    node,
    tip: tip.node,
    close: () => {
      resized.disconnect();
      endOnPaper();
      tip.node.remove();
    },
  };
};
