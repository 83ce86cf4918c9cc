// The first page: the run, the layers with their strongest channels, and the checks.

const STRIP = 6; // channels on each side of a layer's card

const showOverview = (root) => {
  const withGroups = site.layers.filter((layer) => layer.groups.length);
  root.className = "page report";
  root.replaceChildren(
    make(
      "header",
      { class: "masthead" },
      make("h1", { tabindex: -1 }, ...keyOf(site.dataset), make("span", { class: "joint" }, " seen by "), ...keyOf(site.model)),
      make("p", { class: "lead" }, ...evidenceParts(), ", by layer and channel."),
      make("p", { class: "quiet small" }, `method: ${methodWords(site.spec)} · sprite recipe: `, ...keyOf(site.sprites), " · report: ", ...keyOf(site.report)),
    ),
    ran(),
    ...preprocessingNote(),
    ...(site.pictures ? [make("p", { class: "quiet small" }, site.pictures)] : []),
    site.spec.classes_by_label ? make("p", { class: "quiet" }, "The model has no labels. Its classes 0 and 1 are taken to be ", nameOf(className(0)), " and ", nameOf(className(1)), ", the labels of the images in alphabetical order.") : "",
    make("p", { class: "doors" }, make("a", { class: "door", href: listPath() }, `Browse ${count(pageOf.size, "image")} →`)),
    make("section", {}, make("h2", {}, "Layers"), make("p", { class: "quiet about" }, ABOUT_ATTRIBUTION), make("ol", { class: "layers", "aria-label": "layers, from input to output" }, ...site.layers.map(layerCard))),
    ...(hasFlow(withGroups)
      ? [make("section", {}, make("h2", {}, "Neuron groups across layers"), make("p", { class: "quiet about" }, "A neuron group is a set of channels that respond to the same parts of images. Links show how much a group adds to the groups of the next layer. Orange links support, blue links oppose; wide links are strong."), makeFlow(withGroups, roomOf(root)))]
      : []),
    checksSection(),
    ...refusedSection(),
    filesSection(),
  );
  document.title = siteTitle;
  return { close: () => {}, keys: {} };
};

const fact = (words, value, title = "") => make("div", { title }, make("dt", {}, words), make("dd", {}, ...[value].flat()));

const accuracyFacts = () => {
  if (!site.accuracy) return [];
  const { images, top1, top5 } = site.accuracy;
  const over = `over ${count(images, "image")} with the label of a class`;
  if (site.head !== "two classes") return [fact("top-1 accuracy", percent(top1), over), fact("top-5 accuracy", percent(top5))];
  return [fact("accuracy", percent(top1), over), fact("wrong", count(Math.round(images * (1 - top1)), "image"))];
};

const headFacts = () => {
  if (site.head === "two classes") return [fact("threshold", thresholdParts(), "the probability above which this class is predicted")];
  return site.values ? ["lowest", "mean", "highest"].map((which) => fact(`${which} value`, decimal(site.values[which]))) : [];
};

const ran = () => {
  const labels = site.labels === null ? [] : [fact("labels from", site.labels)];
  return make("dl", { class: "ran" }, fact("images", site.images.toLocaleString("en")), ...headFacts(), ...accuracyFacts(), ...labels, fact("layers", site.layers.length), ...(site.refused.length ? [fact("skipped", count(site.refused.length, "image"))] : []));
};

const preprocessingNote = () => {
  const note = site.preprocessing;
  return note ? [make("p", { class: note.warns ? "warned" : "quiet small" }, nameOf(note.text))] : [];
};

const strip = (layer, channels, side) => {
  const most = Math.max(...[...layer.top, ...layer.bottom].map((one) => Math.abs(one.attribution)));
  const cells = channels.slice(0, STRIP).map((one) => make("span", { class: "strip-cell" }, cellPicture(layer.sprites, one.sprite), valueBar(one.attribution, most)));
  return make("span", { class: `strip ${side}`, title: `${verbOf(side === "for" ? 1 : -1)}: channels ${channels.slice(0, STRIP).map((one) => one.channel).join(", ")}` }, ...cells);
};

const layerCard = (layer) => {
  const { checks } = layer;
  const reliability = [`completeness error ${percent(checks.completeness_error.median)}`, ...(checks.times === null ? [] : [`top channels matter ${decimal(checks.times)}× more than random ones`])];
  return make(
    "li",
    {},
    make(
      "a",
      { class: "layer", href: layerPath(layer) },
      make("span", { class: "layer-name" }, nameOf(layer.name)),
      make("span", { class: "layer-facts quiet" }, layerFacts(layer)),
      make("span", { class: "layer-count quiet" }, reliability.join(" · ")),
      make("span", { class: "strips" }, strip(layer, layer.top, "for"), strip(layer, layer.bottom, "against")),
    ),
  );
};

const spreadWords = ({ lower_quartile: lower, upper_quartile: upper }, written) => `half of the images lie between ${written(lower)} and ${written(upper)}`;

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
    make("h2", {}, "How reliable are the attributions?"),
    make(
      "p",
      { class: "quiet about" },
      `The completeness error compares the sum of a layer’s attributions with the layer’s total effect on the ${SCORE}; 0 % is exact. The ablation test sets channels to 0. The ${SCORE} should drop much more without the top channels than without as many random channels. The last column is the ratio of both drops.`,
      sample ? ` Values are medians over ${count(sample.images, "image")}. The test ablates 5 % of each layer’s channels.` : "",
    ),
    make(
      "div",
      { class: "table", tabindex: 0, role: "group", "aria-label": "checks of each layer" },
      make("table", {}, make("thead", {}, make("tr", {}, ...["layer", "completeness error", `drop of the ${SCORE}`, "ratio"].map((words) => make("th", { scope: "col" }, words)))), make("tbody", {}, ...site.layers.map(row))),
    ),
  );
};

const OPEN_REFUSED = 5;

const refusedSection = () => {
  if (!site.refused.length) return [];
  const lines = site.refused.map(({ name, reason }) => make("li", {}, nameOf(name), make("span", { class: "quiet" }, ` ${reason}`)));
  return [make("section", {}, make("details", { class: "refused", open: site.refused.length <= OPEN_REFUSED }, make("summary", {}, make("h2", {}, `${count(site.refused.length, "image")} skipped`)), make("ul", {}, ...lines)))];
};

const filesSection = () => {
  const table = ({ title, file, rows }) => make("li", {}, make("a", { href: urlOf(file) }, nameOf(title)), make("span", { class: "quiet" }, ` ${count(rows, "row")}, Parquet`));
  return make("section", {}, make("h2", {}, "Data files"), make("ul", { class: "files" }, ...site.tables.map(table), make("li", {}, make("a", { href: "report.json" }, "report.json"), make("span", { class: "quiet" }, " the data of this page"))));
};
