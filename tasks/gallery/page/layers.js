// The first page: what the set is, the map of the network, layers, mixes, groups of reports, and the set itself.

const layerPath = (layer) => `#/layer/${encodeURIComponent(layer.name)}`;
const unitPath = (layer, sprite) => `${layerPath(layer)}/${sprite.unit}`;

const homeLink = () => make("a", { href: "#/", title: site.model }, nameOf(modelName));

const layerTitle = (layer) => (layer.mixes ? [layer.groups ? "Groups " : "Mixes ", make("span", { class: "hash" }, layer.name.replace("mixes.", ""))] : [nameOf(layer.name)]);

const layerFacts = (layer) => {
  const size = layer.height === null ? [] : [`${layer.height} × ${layer.width} positions`];
  return [...(layer.kind ? [layer.kind] : []), ...size].join(" · ");
};

// What is there, and what is not: "32 of 1,280 channels rendered".
const layerCount = (layer) => {
  if (layer.mixes) return count(layer.sprites, layer.groups ? "neuron group" : "mix", layer.groups ? "neuron groups" : "mixes");
  return `${isInProgress(layer) ? "in progress: " : ""}${renderedWords(layer, layer.channels)}`;
};

const flagCounts = (layers) => {
  const counts = new Map();
  for (const layer of layers) for (const [flag, sprites] of Object.entries(layer.flags)) counts.set(flag, (counts.get(flag) || 0) + sprites);
  return [...counts].map(([flag, sprites]) => `${sprites.toLocaleString("en")} ${plain(flag)}`).join(", ");
};

const channelsCommand = (layer, channel = null) =>
  ["diamond-cutter", "sprites", modelName, "--layers", layer.name, ...(channel === null ? [] : ["--channels", channel]), ...recipeOptions].map((word) => quoted(String(word))).join(" ");

const homeParts = () => {
  const layers = site.layers.filter((layer) => !layer.mixes);
  const mixes = site.layers.filter((layer) => layer.mixes && !layer.groups);
  const rest = site.network.filter((layer) => layer.main && !layerNamed.has(layer.name));
  return [
    homeHead(layers),
    networkFigure(),
    make("section", { "data-part": "layers" }, make("h2", { id: "layers" }, "Layers"), layers.length ? make("ol", { class: "layers", "aria-label": "layers, from input to output" }, ...layers.map(layerCard)) : make("p", {}, "No layer has a sprite yet.")),
    ...failureSection(),
    ...(mixes.length ? [make("section", { "data-part": "mixes" }, make("h2", {}, "Mixes"), make("p", { class: "quiet about" }, "Sprites of weighted sums of channels."), make("ol", { class: "layers" }, ...mixes.map(layerCard)))] : []),
    ...groupSections(),
    ...(rest.length ? [unrenderedLayers(rest)] : []),
    aboutSet(),
    glossarySection(["sprite", "channel", "layer", "flag", "recipe", "spritemap", ...(mixes.length ? ["mix"] : []), ...(site.layers.some((layer) => layer.groups) ? ["neuron group"] : [])]),
  ];
};

const showLayers = (root) => {
  root.className = "page";
  root.replaceChildren(...homeParts());
  document.title = siteTitle;
  return { close: () => {}, grow: () => renewPage(root, homeParts()), keys: { "/": () => root.querySelector("input[type=search]").focus() } };
};

const homeHead = (layers) => {
  const sprites = layers.reduce((sum, layer) => sum + layer.sprites, 0);
  const flagged = layers.reduce((sum, layer) => sum + layer.flagged, 0);
  const failedAtAll = site.failures.reduce((sum, failure) => sum + failure.sprites, 0);
  const of = site.network.length ? ` of its ${site.network.length}` : "";
  return make(
    "header",
    { class: "masthead" },
    make("h1", { tabindex: -1 }, "What ", nameOf(modelName), " looks for"),
    make("p", { class: "lead" }, `${count(sprites, "sprite")} of ${layers.length}${of} layers. A `, term("sprite"), " is the picture that excites one ", term("channel"), " most. "),
    workNote(),
    flagged ? make("p", {}, make("a", { href: withState("#/search", { show: "failed" }) }, `${flagged.toLocaleString("en")} of ${count(sprites, "sprite")} failed`), ` (${flagCounts(layers)}).`) : "",
    failedAtAll ? make("p", { class: "flagged" }, `${count(failedAtAll, "sprite")} could not be rendered.`) : "",
    make("div", { class: "bar home-tools" }, searchForm(""), make("div", { class: "tools" }, copyLink())),
  );
};

const previewOf = (layer) => {
  if (layer.inline) return make("span", { class: "preview strip", "aria-hidden": "true" }, ...layer.inline.cells.slice(0, 16).map((cell, place) => spriteCanvas(layer.spritemaps[layer.inline.spritemaps[place]], cell, 64)));
  return make("span", { class: "preview", "data-shows": layer.preview }, make("img", { src: urlOf(layer.preview), alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.remove() }));
};

const layerCard = (layer) => {
  const missing = !layer.mixes && layer.channels !== null && layer.rendered !== null && layer.rendered < layer.channels;
  const failure = failureOf(layer);
  return make(
    "li",
    { "data-part": layer.name },
    make(
      "a",
      { class: "layer", href: layerPath(layer) },
      make("span", { class: "layer-name" }, ...layerTitle(layer)),
      make("span", { class: "layer-facts quiet" }, layerFacts(layer)),
      make("span", { class: "layer-count" }, layerCount(layer), layer.flagged ? make("span", { class: "flagged" }, ` · ${flagCounts([layer])}`) : ""),
      previewOf(layer),
    ),
    failure ? failureDetails(failure) : missing && modelName ? make("details", { class: "rest small" }, make("summary", {}, isInProgress(layer) ? "Interrupted? Continue" : `Render the other ${(layer.channels - layer.rendered).toLocaleString("en")}`), commandLine(channelsCommand(layer))) : "",
  );
};

// Mixes that are the neuron groups of reports, by report.
const groupSections = () => {
  const groups = site.layers.filter((layer) => layer.groups);
  if (!groups.length) return [];
  const shown = site.reports.map((report, place) => [report, groups.filter((layer) => layer.reports.includes(place))]).filter(([, own]) => own.length);
  const others = groups.filter((layer) => !layer.reports.length);
  const list = (own) => make("ol", { class: "layers" }, ...own.map(layerCard));
  return [
    make(
      "section",
      { class: "groups-of-reports", "data-part": "groups" },
      make("h2", {}, "Groups of reports"),
      make("p", { class: "quiet about" }, "Sprites of ", term("neuron group", "neuron groups"), " that were found in the images of a report."),
      ...shown.flatMap(([report, own]) => [make("h3", {}, make("a", { href: `${urlOf(report.folder)}index.html` }, ...keyOf(report.dataset))), list(own)]),
      ...(others.length ? [make("h3", {}, "Reports that are not in this bucket"), list(others)] : []),
    ),
  ];
};

const unrenderedLayers = (layers) =>
  make(
    "section",
    { class: "unrendered", "data-part": "unrendered" },
    make("h2", {}, "Layers without sprites"),
    make("details", {}, make("summary", {}, `${count(layers.length, "main layer")}`), make("ul", {}, ...layers.map((layer) => make("li", {}, make("a", { href: layerPath(layer) }, nameOf(layer.name)), make("span", { class: "quiet" }, ` ${count(layer.channels, "channel")}, ${positionsOf(layer)}`))))),
  );
