// How far the attributions of each layer can be believed, and which sprites failed.

const spreadWords = ({ lower_quartile: lower, upper_quartile: upper }, written) => `half of the images lie between ${written(lower)} and ${written(upper)}`;

const checksTable = () => [
  ["layer", "verdict", "completeness error, median", `drop without the top channels${UNIT_WORDS}, median`, `drop without random channels${UNIT_WORDS}, median`, "ratio of both drops", "method"],
  ...site.layers.map((layer) => [layer.name, layer.checks.verdict, layer.checks.completeness_error.median, layer.checks.drop_of_top.median, layer.checks.drop_of_random.median, layer.checks.times, methodOf(layer)]),
];

const checksRow = (layer, most, centred) => {
  const { checks } = layer;
  const drop = (words, spread) => make("div", { class: "drop", title: spreadWords(spread, decimal) }, make("span", {}, words), valueBar(spread.median, most, { centred }), make("b", {}, signed(spread.median) || "0"));
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("a", { href: layerPath(layer) }, nameOf(layer.name))),
    make("td", { class: "verdict-cell" }, checks.verdict ? verdictChip(checks.verdict, checks.reason) : "–", ...(checks.reason ? [make("p", { class: "small quiet" }, checks.reason)] : []), ...(checks.advice ? [make("p", { class: "small advice" }, checks.advice)] : [])),
    make("td", { title: spreadWords(checks.completeness_error, percent) }, percent(checks.completeness_error.median)),
    make("td", {}, drop("top", checks.drop_of_top), drop("random", checks.drop_of_random)),
    make("td", {}, checks.times === null ? "–" : `${decimal(checks.times)} ×`),
  );
};

const checksSection = () => {
  if (!site.layers.length) return "";
  const drops = site.layers.flatMap(({ checks }) => [checks.drop_of_top.median, checks.drop_of_random.median]);
  const most = Math.max(...drops.map(Math.abs));
  const heads = [["layer"], [term("verdict")], [term("completeness error")], [`drop of the ${SCORE}${UNIT_WORDS}`], ["ratio of both drops"]];
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((words) => make("th", { scope: "col" }, ...words)))), make("tbody", {}, ...site.layers.map((layer) => checksRow(layer, most, drops.some((drop) => drop < 0)))));
  return make(
    "section",
    { id: "reliability" },
    make("div", { class: "figure-head" }, make("h2", {}, "How reliable are the attributions?"), shareFigure(table, { name: "reliability", csv: checksTable })),
    make(
      "p",
      { class: "quiet about" },
      "The completeness error compares the sum of a layer’s attributions with the layer’s total effect on the ",
      term("score", SCORE),
      "; 0 % is exact. The ",
      term("ablation", "ablation test"),
      ` sets channels to 0. The ${SCORE} should drop much more without the top channels than without as many random channels. Values are medians over ${count(site.layers[0].checks.images, "image")}. The test ablates 5 % of each layer’s channels.`,
    ),
    make("div", { class: "table", tabindex: 0, role: "group", "aria-label": "checks of each layer" }, table),
  );
};

const failedNote = () => {
  const failed = site.failed_sprites;
  if (!failed || !failed.failed) return [];
  const flags = Object.entries(failed.by_flag).map(([flag, number]) => `${number.toLocaleString("en")} ${plain(flag)}`);
  return [make("p", { class: "note" }, make("strong", {}, `${failed.failed.toLocaleString("en")} of ${count(failed.of, "sprite")} failed`), ` (${flags.join(", ")}). They bear a badge wherever they are shown. ${failed.advice}`)];
};
