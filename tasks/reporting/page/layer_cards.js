// The layers on the first page, each with its strongest channels.

const STRIP = 6; // channels on each side

const stripCell = (layer, one, most, set) => {
  const picture = spritePicture(layer, null, one);
  const words = `channel ${one.channel}, ${withUnit(one.attribution)}${flagsOf(one).length ? `, ${flagWords(flagsOf(one))}` : ""}`;
  return make("a", { class: "strip-cell", href: channelPath(layer, one.channel, set), "aria-label": words, title: words }, picture, valueBar(one.attribution, most), signedNumber(one.attribution));
};

const stripOf = (layer, channels, most, set) => (channels.length ? make("div", { class: "strip" }, ...channels.slice(0, STRIP).map((one) => stripCell(layer, one, most, set))) : make("p", { class: "quiet small" }, "no channel"));

const sideStrip = (layer, channels, side, most) =>
  make("div", { class: `strip-side ${side}` }, make("p", { class: "strip-words small" }, make("b", { class: side }, side === "for" ? "+ " : "− "), side === "for" ? SUPPORTS : OPPOSES), stripOf(layer, channels, most, 0));

const setStrip = (layer, { set: number, top }, most) => {
  const set = site.sets[number];
  const mixed = mixesQuestions(set) ? ", mixes questions" : "";
  return make("div", { class: "set-strip" }, make("p", { class: "strip-words small" }, make("a", { class: "strip-set", href: layerPath(layer, number), title: set.title }, nameOf(set.title)), make("span", {}, `${count(set.images, "image")}${mixed}`)), stripOf(layer, top, most, number));
};

// Reports of earlier versions show all images.
const asksBySet = (layer) => Boolean(layer.by_set && layer.by_set.length);

// The channels of a layer: of a few sets that ask one question each, or of all images if they ask the same.
const layerStrips = (layer) => {
  const shown = asksBySet(layer) ? layer.by_set.flatMap(({ top }) => top) : [...layer.top, ...layer.bottom];
  const most = Math.max(...shown.map((one) => Math.abs(one.attribution)), 0);
  if (!asksBySet(layer)) return make("div", { class: "strips" }, sideStrip(layer, layer.top, "for", most), sideStrip(layer, layer.bottom, "against", most));
  const strips = make("div", { class: "set-strips" }, ...layer.by_set.map((one) => setStrip(layer, one, most)));
  strips.style.setProperty("--sets", layer.by_set.length);
  return strips;
};

// The verdict, or the numbers that reports of earlier versions have instead.
const layerVerdict = (layer) => {
  const { verdict, reason, completeness_error: error } = layer.checks;
  return verdict ? verdictChip(verdict, reason) : make("span", { class: "quiet small" }, term("completeness error"), ` ${percent(error.median)}`);
};

const layerCard = (layer) =>
  make(
    "li",
    { class: "layer-card" },
    make("div", { class: "layer-head" }, make("h3", {}, make("a", { href: layerPath(layer) }, nameOf(layer.name))), layerVerdict(layer), make("span", { class: "quiet small" }, ...layerFacts(layer))),
    ...(layer.checks.advice ? [make("p", { class: "small advice" }, layer.checks.advice)] : []),
    layerStrips(layer),
  );

const layersTable = () => [
  ["layer", "images", "channel", `mean attribution${UNIT_WORDS}`],
  ...site.layers.flatMap((layer) =>
    asksBySet(layer)
      ? layer.by_set.flatMap(({ set, top }) => top.map((one) => [layer.name, site.sets[set].title, one.channel, one.attribution]))
      : [...layer.top, ...[...layer.bottom].reverse()].map((one) => [layer.name, site.sets[0].title, one.channel, one.attribution]),
  ),
];

// What the strips show.
const stripsWords = () => {
  const [layer] = site.layers;
  if (layer && asksBySet(layer)) {
    const kinds = [...new Set(layer.by_set.map(({ set }) => site.sets[set].kind))];
    const names = { class: "classes", label: "labels" };
    const whose = { class: "predicted as the class", label: "with the label" };
    return `Shown are the channels that support the most frequent ${kinds.map((kind) => names[kind]).join(" and ")} most. Numbers are mean attributions${UNIT_WORDS} over the images ${kinds.map((kind) => whose[kind]).join(" or ")}.`;
  }
  const all = `Shown are the strongest channels. Numbers are mean attributions${UNIT_WORDS} over all images.`;
  return mixesQuestions(site.sets[0]) ? `${all} These means mix questions, because each image is explained by its own classes; the page of a layer asks one question at a time.` : all;
};

const layersSection = () => {
  const list = make("ol", { class: "layer-cards", "aria-label": "layers, from input to output" }, ...site.layers.map(layerCard));
  return make(
    "section",
    {},
    make("div", { class: "figure-head" }, make("h2", {}, "Layers"), shareFigure(list, { name: "layers", csv: layersTable })),
    make("p", { class: "quiet about" }, ...aboutAttribution(), ` ${stripsWords()} Bars start at 0.`),
    list,
  );
};
