// The first page: the finding and how far it can be believed, three images, the layers, and then the details.

const showOverview = (root) => {
  const withGroups = site.layers.filter((layer) => layer.groups.length);
  root.className = "page report";
  root.replaceChildren(
    masthead(),
    ...annotatedSection(),
    make("p", { class: "doors" }, make("a", { class: "door", href: listPath() }, `Browse ${count(pageOf.size, "image")} →`)),
    ...remarks(),
    layersSection(),
    ...setsSection(),
    ...flowSection("Neuron groups across layers", withGroups, roomOf(root)),
    checksSection(),
    ...refusedSection(),
    filesSection(),
    aboutSection(),
    glossarySection(OVERVIEW_TERMS),
  );
  document.title = siteTitle;
  if (viewState().get("part") === "reliability") toReliability();
  return { close: () => {}, follow: (page) => !page, keys: {} };
};

const OVERVIEW_TERMS = ["ablation", "activation", "attribution", "channel", "completeness error", "layer", "logit", "neuron group", "receptive field", "recipe", "score", "semantic map", "sprite", "verdict"];

const seenBy = () => [nameOf(site.dataset.split("@")[0]), " seen by ", nameOf(modelName)];

// The least reliable verdict of all layers, for a first impression.
const overallVerdict = () => {
  const layers = site.layers.filter((layer) => layer.checks.verdict);
  if (!layers.length) return [];
  const counts = ["reliable", "order only", "not reliable"].map((verdict) => [verdict, layers.filter((layer) => layer.checks.verdict === verdict).length]).filter(([, number]) => number);
  return [make("p", { class: "verdicts" }, ...counts.flatMap(([verdict, number]) => [verdictChip(verdict), ` ${count(number, "layer")} `]), make("a", { href: "#/?part=reliability", onclick: toReliability }, "Is this reliable?"))];
};

const toReliability = (event = null) => {
  if (event) event.preventDefault();
  setViewState({ part: "reliability" });
  const goal = document.getElementById("reliability");
  goal.scrollIntoView();
  goal.querySelector("h2").setAttribute("tabindex", "-1");
  goal.querySelector("h2").focus({ preventScroll: true });
};

const masthead = () =>
  make(
    "header",
    { class: "masthead answer" },
    make("div", { class: "eyebrow" }, make("p", { class: "quiet" }, ...(site.finding ? seenBy() : ["Attribution report"])), make("div", { class: "tools" }, copyLink(), printTool())),
    make("h1", { tabindex: -1 }, ...(site.finding ? [nameOf(site.finding)] : seenBy())),
    make("div", { class: "answer-line" }, make("div", {}, make("p", { class: "lead" }, ...(site.belief ? [nameOf(site.belief)] : [...evidenceParts(), ", by layer and channel."])), ...overallVerdict(), ...(site.belief ? [make("p", { class: "quiet" }, ...evidenceParts(), ", by layer and channel.")] : [])), ran()),
  );

const fact = (words, value, title = "") => make("div", { title }, make("dt", {}, words), make("dd", {}, ...[value].flat()));

const accuracyFacts = () => {
  if (!site.accuracy) return [];
  const { images, top1, top5 } = site.accuracy;
  const over = `over ${count(images, "image")} with the label of a class`;
  const counted = (share) => [percent(share), make("span", { class: "quiet small" }, ` of ${images.toLocaleString("en")}`)];
  if (site.head !== "two classes") return [fact("top-1 accuracy", counted(top1), over), fact("top-5 accuracy", counted(top5), over)];
  return [fact("accuracy", counted(top1), over), fact("wrong", count(Math.round(images * (1 - top1)), "image"))];
};

const headFacts = () => {
  if (site.head === "two classes") return [fact("threshold", thresholdParts(), "the probability above which this class is predicted")];
  return site.values ? ["lowest", "mean", "highest"].map((which) => fact(`${which} value`, decimal(site.values[which]))) : [];
};

const ran = () => make("dl", { class: "ran" }, ...accuracyFacts(), ...headFacts(), fact("images", site.images.toLocaleString("en")), fact("layers", site.layers.length), ...(site.refused.length ? [fact("skipped", count(site.refused.length, "image"))] : []));

const remarks = () => {
  const note = site.preprocessing;
  const byLabel = site.spec.classes_by_label ? [make("p", { class: "quiet" }, "The model has no labels. Its classes 0 and 1 are taken to be ", nameOf(className(0)), " and ", nameOf(className(1)), ", the labels of the images in alphabetical order.")] : [];
  return [
    ...(note ? [make("p", { class: note.warns ? "note warned" : "quiet small" }, nameOf(note.text))] : []),
    ...(site.pictures ? [make("p", { class: "quiet small" }, site.pictures)] : []),
    ...byLabel,
    ...failedNote(),
  ];
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
