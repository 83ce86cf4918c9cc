// The first page: what ran, how far it can be believed, and the layers with their strongest channels.

const STRIP = 6; // channels for, and as many against, on a layer's card

const showOverview = (root) => {
  const withGroups = site.layers.filter((layer) => layer.groups.length);
  root.className = "page report";
  root.replaceChildren(
    make(
      "header",
      { class: "masthead" },
      make("h1", { tabindex: -1 }, ...keyOf(site.dataset), make("span", { class: "joint" }, " seen by "), ...keyOf(site.model)),
      make("p", { class: "lead" }, "What speaks for ", ...specParts(site.spec), ", layer by layer and channel by channel."),
      make("p", { class: "quiet small" }, `by ${methodWords(site.spec)} · sprites by the recipe `, ...keyOf(site.sprites), " · ", ...keyOf(site.report)),
    ),
    ran(),
    make("p", { class: "doors" }, make("a", { class: "door", href: listPath() }, `Look at ${count(pageOf.size, "image")} one by one →`)),
    make("section", {}, make("h2", {}, "Layers"), make("p", { class: "quiet about" }, ABOUT_ATTRIBUTION), make("ol", { class: "layers", "aria-label": "layers, from the image on" }, ...site.layers.map(layerCard))),
    ...(hasFlow(withGroups)
      ? [make("section", {}, make("h2", {}, "How it comes together"), make("p", { class: "quiet about" }, "Groups of neurons that images excite together, and how much each adds to those of the next layer: orange for, blue against, as wide as it is strong."), makeFlow(withGroups, roomOf(root)))]
      : []),
    checksSection(),
    ...refusedSection(),
    filesSection(),
  );
  document.title = siteTitle;
  return { close: () => {}, keys: {} };
};

const ran = () => {
  const fact = (words, value, title = "") => make("div", { title }, make("dt", {}, words), make("dd", {}, value));
  const accuracy = site.accuracy
    ? [fact("right", percent(site.accuracy.top1), `the highest class is the label, of ${count(site.accuracy.images, "image")} whose label is a class`), fact("among the five highest", percent(site.accuracy.top5))]
    : [];
  const labels = site.labels === null ? [] : [fact("labels from", site.labels)];
  return make("dl", { class: "ran" }, fact("images", site.images.toLocaleString("en")), ...accuracy, ...labels, fact("layers", site.layers.length), ...(site.refused.length ? [fact("left out", count(site.refused.length, "image"))] : []));
};

const strip = (layer, channels, side) => {
  const most = Math.max(...[...layer.top, ...layer.bottom].map((one) => Math.abs(one.attribution)));
  const cells = channels.slice(0, STRIP).map((one) => make("span", { class: "strip-cell" }, cellPicture(layer.sprites, one.sprite), valueBar(one.attribution, most)));
  return make("span", { class: `strip ${side}`, title: `channels ${side}: ${channels.slice(0, STRIP).map((one) => one.channel).join(", ")}` }, ...cells);
};

const layerCard = (layer) => {
  const { checks } = layer;
  const believed = [`error ${percent(checks.completeness_error.median)}`, ...(checks.times === null ? [] : [`top ${decimal(checks.times)} times random`])];
  return make(
    "li",
    {},
    make(
      "a",
      { class: "layer", href: layerPath(layer) },
      make("span", { class: "layer-name" }, nameOf(layer.name)),
      make("span", { class: "layer-facts quiet" }, layerFacts(layer)),
      make("span", { class: "layer-count quiet" }, believed.join(" · ")),
      make("span", { class: "strips" }, strip(layer, layer.top, "for"), strip(layer, layer.bottom, "against")),
    ),
  );
};

const spreadWords = ({ lower_quartile: lower, upper_quartile: upper }, written) => `half of the images between ${written(lower)} and ${written(upper)}`;

const checksSection = () => {
  const most = Math.max(...site.layers.flatMap(({ checks }) => [checks.drop_of_top.median, checks.drop_of_random.median]));
  const row = (layer) => {
    const { checks } = layer;
    const drop = (words, spread) => make("div", { class: "drop", title: spreadWords(spread, decimal) }, make("span", {}, words), valueBar(spread.median, most), make("b", {}, decimal(spread.median)));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, make("a", { href: layerPath(layer) }, nameOf(layer.name))),
      make("td", { title: spreadWords(checks.completeness_error, percent) }, percent(checks.completeness_error.median)),
      make("td", {}, drop("top", checks.drop_of_top), drop("random", checks.drop_of_random)),
      make("td", {}, checks.times === null ? "–" : `${decimal(checks.times)} ×`),
    );
  };
  const sample = site.layers.length ? site.layers[0].checks : null;
  return make(
    "section",
    {},
    make("h2", {}, "Can it be believed?"),
    make(
      "p",
      { class: "quiet about" },
      "The error is how far a layer’s attributions are from adding up to what the whole layer does to the score: 0 % is exact. Silencing the channels of the highest attribution should take much more from the score than silencing as many at random; how many times as much is in the last column.",
      sample ? ` Medians over ${count(sample.images, "image")}, with 5 % of each layer’s channels silenced.` : "",
    ),
    make(
      "div",
      { class: "table", tabindex: 0, role: "group", "aria-label": "checks of each layer" },
      make("table", {}, make("thead", {}, make("tr", {}, ...["layer", "error", "what silencing takes from the score", "times"].map((words) => make("th", { scope: "col" }, words)))), make("tbody", {}, ...site.layers.map(row))),
    ),
  );
};

const OPEN_REFUSED = 5;

const refusedSection = () => {
  if (!site.refused.length) return [];
  const lines = site.refused.map(({ name, reason }) => make("li", {}, nameOf(name), make("span", { class: "quiet" }, ` ${reason}`)));
  return [make("section", {}, make("details", { class: "refused", open: site.refused.length <= OPEN_REFUSED }, make("summary", {}, make("h2", {}, `${count(site.refused.length, "image")} left out`)), make("ul", {}, ...lines)))];
};

const filesSection = () => {
  const table = ({ title, file, rows }) => make("li", {}, make("a", { href: urlOf(file) }, nameOf(title)), make("span", { class: "quiet" }, ` ${count(rows, "row")}, Parquet`));
  return make("section", {}, make("h2", {}, "For programs"), make("ul", { class: "files" }, ...site.tables.map(table), make("li", {}, make("a", { href: "report.json" }, "report.json"), make("span", { class: "quiet" }, " all of this page"))));
};
