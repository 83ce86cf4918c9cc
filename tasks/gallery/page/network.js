// The map of the network: a block for each layer, from input to output. Height shows positions, width shows channels.

const MOST_BLOCKS = 120;
const LEAST_PITCH_PX = 6;
const MOST_PITCH_PX = 64;
const MAP_WIDTH = 1040; // units; the drawing is stretched to the page, unless there are few blocks

// In a very deep network, only main layers and those with sprites are drawn.
const drawnLayers = () => {
  const known = site.network.filter((layer) => site.network.length <= MOST_BLOCKS || layer.main || layerNamed.has(layer.name));
  return known.map((layer) => ({ ...layer, shown: layerNamed.get(layer.name) || null }));
};

const renderedShare = ({ shown, channels }) => (shown ? Math.min(1, (shown.rendered ?? shown.sprites) / channels) : 0);

const positionsOf = (layer) => (layer.height === null ? "one vector" : `${layer.height} × ${layer.width} positions`);

const renderedWords = (layer, all) => {
  const number = layer.rendered ?? layer.sprites;
  if (all === null || number >= all) return `all ${count(number, "channel")} rendered`;
  return `${number.toLocaleString("en")} of ${count(all, "channel")} rendered`;
};

// Where a layer is: "layer 33 of 50".
const depthWords = (name) => {
  const place = site.network.findIndex((layer) => layer.name === name);
  return place < 0 ? "" : `layer ${place + 1} of ${site.network.length}`;
};

const blockTip = (layer) => [
  make("strong", {}, nameOf(layer.name)),
  make("div", { class: "quiet" }, `${layer.kind} · ${positionsOf(layer)}`),
  make("div", {}, layer.shown ? renderedWords(layer.shown, layer.channels) : `${count(layer.channels, "channel")}, no sprites`),
];

// `current` is the name of the layer to mark.
const networkMap = (heightPx, current = null) => {
  const layers = drawnLayers();
  if (layers.length < 2) return "";
  const weights = layers.map((layer) => 1 + Math.log2(1 + layer.channels));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const gap = Math.min(3, MAP_WIDTH / layers.length / 4);
  const tallest = Math.max(...layers.map((layer) => layer.height || 1));
  let x = 0;
  const blocks = layers.map((layer, place) => {
    const wide = (weights[place] / sum) * MAP_WIDTH - gap;
    const high = Math.max(8, Math.sqrt((layer.height || 1) / tallest) * (heightPx - 8));
    const block = networkBlock(layer, { x, y: (heightPx - high) / 2, wide, high }, layer.name === current);
    x += wide + gap;
    return block;
  });
  const drawing = makeDrawn("svg", { viewBox: `-1 -1 ${MAP_WIDTH - gap + 2} ${heightPx + 2}`, width: "100%", height: heightPx, preserveAspectRatio: "none", class: "network", "aria-hidden": "true" }, ...blocks);
  drawing.style.maxWidth = `${layers.length * MOST_PITCH_PX}px`;
  drawing.style.minWidth = `${layers.length * LEAST_PITCH_PX}px`;
  const scrolls = layers.length * LEAST_PITCH_PX > window.innerWidth - 60;
  return make("div", { class: "network-scroll", ...(scrolls ? { tabindex: 0, role: "group", "aria-label": "map of the network" } : {}) }, drawing);
};

// A link that only the pointer follows: the list of layers has the same links for the keyboard and for screen readers.
const networkBlock = (layer, { x, y, wide, high }, isCurrent) => {
  const kind = `block${layer.shown ? " shown" : ""}${layer.main ? " main" : ""}${isCurrent ? " current" : ""}`;
  const filled = high * renderedShare(layer);
  const link = makeDrawn(
    "a",
    { class: kind, href: layerPath(layer), tabindex: -1, "data-shows": JSON.stringify([layer.name, kind, layer.shown && renderedWords(layer.shown, layer.channels)]) },
    makeDrawn("rect", { class: "all", x, y, width: wide, height: high, rx: 2 }),
    filled ? makeDrawn("rect", { class: "rendered", x, y: y + high - Math.max(4, filled), width: wide, height: Math.max(4, filled), rx: 2 }) : "",
  );
  return withTip(link, () => blockTip(layer));
};

const networkFigure = () => {
  const map = networkMap(150);
  if (!map) return "";
  const { about } = site;
  const classes = about && about.classes ? `output: ${count(about.classes, "class", "classes")}` : "output";
  const ends = make("div", { class: "map-ends quiet small" }, make("span", {}, about ? `input: ${about.width} × ${about.height} px` : "input"), make("span", {}, classes));
  ends.style.maxWidth = map.firstChild.style.maxWidth;
  const figure = make(
    "figure",
    { class: "map-figure" },
    map,
    ends,
    make("figcaption", { class: "quiet small" }, "Each block is a layer. Taller: more positions. Wider: more channels. ", make("span", { class: "swatch-rendered" }), " share of channels with a sprite."),
  );
  const rows = () => [["layer", "kind", "channels", "height", "width", "channels with sprites"], ...drawnLayers().map(({ name, kind, channels, height, width, shown }) => [name, kind, channels, height, width, shown ? (shown.rendered ?? shown.sprites) : 0])];
  return make("section", { class: "first", "data-part": "network" }, make("div", { class: "figure-head" }, make("h2", {}, "The network"), shareFigure(figure, { name: `network of ${modelName}`, csv: rows })), figure);
};
