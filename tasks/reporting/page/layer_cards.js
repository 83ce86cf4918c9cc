// The layers on the first page, each with its strongest channels.

const STRIP = 6; // channels on each side

const stripCell = (layer, one, most) => {
  const picture = spritePicture(layer, null, one);
  const words = `channel ${one.channel}, ${withUnit(one.attribution)}${flagsOf(one).length ? `, ${flagWords(flagsOf(one))}` : ""}`;
  return make("a", { class: "strip-cell", href: channelPath(layer, one.channel, 0), "aria-label": words, title: words }, picture, valueBar(one.attribution, most), signedNumber(one.attribution));
};

const strip = (layer, channels, side, most) =>
  make(
    "div",
    { class: `strip-side ${side}` },
    make("p", { class: "strip-words small" }, make("b", { class: side }, side === "for" ? "+ " : "− "), side === "for" ? SUPPORTS : OPPOSES),
    channels.length ? make("div", { class: "strip" }, ...channels.slice(0, STRIP).map((one) => stripCell(layer, one, most))) : make("p", { class: "quiet small" }, "no channel"),
  );

// The verdict, or the numbers that reports of earlier versions have instead.
const layerVerdict = (layer) => {
  const { verdict, reason, completeness_error: error } = layer.checks;
  return verdict ? verdictChip(verdict, reason) : make("span", { class: "quiet small" }, term("completeness error"), ` ${percent(error.median)}`);
};

const layerCard = (layer) => {
  const most = Math.max(...[...layer.top, ...layer.bottom].map((one) => Math.abs(one.attribution)), 0);
  const card = make(
    "li",
    { class: "layer-card" },
    make("div", { class: "layer-head" }, make("h3", {}, make("a", { href: layerPath(layer) }, nameOf(layer.name))), layerVerdict(layer), make("span", { class: "quiet small" }, ...layerFacts(layer))),
    ...(layer.checks.advice ? [make("p", { class: "small advice" }, layer.checks.advice)] : []),
    make("div", { class: "strips" }, strip(layer, layer.top, "for", most), strip(layer, layer.bottom, "against", most)),
  );
  return card;
};

const layersTable = () => [
  ["layer", "channel", `mean attribution${UNIT_WORDS}, over all images`],
  ...site.layers.flatMap((layer) => [...layer.top, ...[...layer.bottom].reverse()].map((one) => [layer.name, one.channel, one.attribution])),
];

const layersSection = () => {
  const list = make("ol", { class: "layer-cards", "aria-label": "layers, from input to output" }, ...site.layers.map(layerCard));
  const mixed = mixesQuestions(site.sets[0]) ? ["Strongest channels over all images. This mean mixes questions, because each image is explained by its own classes; the page of a layer asks one question at a time."] : ["Strongest channels over all images."];
  return make(
    "section",
    {},
    make("div", { class: "figure-head" }, make("h2", {}, "Layers"), shareFigure(list, { name: "layers", csv: layersTable })),
    make("p", { class: "quiet about" }, ...aboutAttribution(), " ", ...mixed, ` Bars start at 0, the mark at their end; numbers are mean attributions${UNIT_WORDS}.`),
    list,
  );
};
