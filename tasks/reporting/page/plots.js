// Bars for numbers.

const PLOT_PX = 150;
const PLOT_EDGE_PX = 10;

// A bar from 0 with a whisker for the spread; `most` is the value of a full bar. The number stands beside the bar.
const valueBar = (value, most, spread = 0) => {
  const share = (amount) => 100 * Math.max(0, Math.min(1, amount / (most || 1)));
  const size = Math.abs(value);
  const bar = makeDrawn("rect", { class: sideOf(value), x: 0, y: 0, width: share(size), height: 10, rx: 0.4 });
  const whisker = spread ? [makeDrawn("line", { class: "whisker", x1: share(size - spread), x2: share(size + spread), y1: 5, y2: 5 })] : [];
  return makeDrawn("svg", { class: "value-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, bar, ...whisker);
};

// The mean attribution of each channel as a bar, in descending order. It is a slider: the pointer and the arrow keys select a channel.
const makeDistribution = (means, tellOf, onOpen) => {
  const order = means.map((_, channel) => channel).sort((one, other) => means[other] - means[one] || one - other);
  const canvas = make("canvas", { "aria-hidden": "true" });
  const tip = makeTip();
  const node = make("div", { class: "distribution", role: "slider", tabindex: 0, "aria-label": "all channels by mean attribution", "aria-valuemin": 1, "aria-valuemax": order.length }, canvas);
  const [highest, lowest] = [Math.max(0, means[order[0]]), Math.min(0, means[order[order.length - 1]])];
  const context = canvas.getContext("2d");
  let place = 0;
  let active = false;

  const zero = () => PLOT_EDGE_PX + ((PLOT_PX - 2 * PLOT_EDGE_PX) * highest) / (highest - lowest || 1);
  const yOf = (value) => zero() - ((PLOT_PX - 2 * PLOT_EDGE_PX) * value) / (highest - lowest || 1);

  const paint = () => {
    const scale = window.devicePixelRatio || 1;
    const width = node.clientWidth;
    if (!width) return;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(PLOT_PX * scale);
    const style = getComputedStyle(node);
    const colour = (name) => style.getPropertyValue(name).trim();
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const step = width / order.length;
    const gap = step > 4 ? 1 : 0;
    order.forEach((channel, at) => {
      const value = means[channel];
      context.fillStyle = colour(value < 0 ? "--against" : "--for");
      context.globalAlpha = active && at !== place ? 0.45 : 1;
      const end = yOf(value);
      context.fillRect(at * step, Math.min(zero(), end), Math.max(step - gap, 0.6), Math.max(Math.abs(end - zero()), value ? 1 : 0));
    });
    context.globalAlpha = 1;
    context.fillStyle = colour("--quiet");
    context.fillRect(0, zero() - 0.5, width, 1);
    if (active) context.fillRect((place + 0.5) * step - 0.5, 0, 1, PLOT_PX);
  };

  const tell = () => {
    const channel = order[place];
    node.setAttribute("aria-valuenow", place + 1);
    node.setAttribute("aria-valuetext", `channel ${channel}, ${signed(means[channel])}`);
  };

  const choose = (at) => {
    place = Math.max(0, Math.min(order.length - 1, at));
    active = true;
    tell();
    paint();
    const around = node.getBoundingClientRect();
    const x = around.left + ((place + 0.5) * around.width) / order.length;
    tip.show(tellOf(order[place]), { left: x, width: 0, top: around.top, bottom: around.bottom });
  };

  const leave = () => {
    active = false;
    tip.hide();
    paint();
  };

  const placeAt = (event) => Math.floor(((event.clientX - node.getBoundingClientRect().left) / node.clientWidth) * order.length);

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
  const resized = new ResizeObserver(paint);
  resized.observe(node);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", paint);
  tell();
  return {
    node,
    tip: tip.node,
    close: () => {
      resized.disconnect();
      scheme.removeEventListener("change", paint);
      tip.node.remove();
    },
  };
};
