// Two sets of images side by side: the channels whose mean attributions differ most between them.

const DIFFERING = 10; // on each side

const setWords = (number) => isolated(site.sets[number].title);

// A channel with both of its values on one scale.
const differingChannel = (layer, numbers, channel, [a, b], most) => {
  const known = knownOf(numbers, channel);
  const value = (number) => make("div", { class: "amount" }, make("span", { class: "amount-set small", title: site.sets[number].title }, nameOf(site.sets[number].title)), valueBar(numbers.sets[number].mean[channel], most, { centred: true }), signedNumber(numbers.sets[number].mean[channel]));
  const difference = numbers.sets[a].mean[channel] - numbers.sets[b].mean[channel];
  return make(
    "article",
    { class: "channel", tabindex: -1, "data-channel": channel, "aria-label": `${channelTitle(known)}: ${setWords(a)} ${withUnit(numbers.sets[a].mean[channel])}, ${setWords(b)} ${withUnit(numbers.sets[b].mean[channel])}` },
    make("div", { class: "channel-sprite" }, spriteButton(layer, numbers, known)),
    make("div", { class: "channel-facts" }, make("h3", {}, make("a", { href: channelPath(layer, channel, a) }, channelTitle(known)), known.label ? make("span", { class: "label" }, " ", nameOf(known.label)) : ""), make("p", { class: "quiet small" }, `differs by ${decimal(Math.abs(difference))}${UNIT}`), wordsOf(known), value(a), value(b)),
    patchList(layer, numbers, known),
  );
};

const differences = (numbers, a, b) => {
  const [first, second] = [numbers.sets[a].mean, numbers.sets[b].mean];
  const order = first.map((_, channel) => channel).sort((one, other) => first[other] - second[other] - (first[one] - second[one]) || one - other);
  const gain = (channel) => first[channel] - second[channel];
  return { forA: order.slice(0, DIFFERING).filter((channel) => gain(channel) > 0), forB: order.slice(-DIFFERING).reverse().filter((channel) => gain(channel) < 0) };
};

const compareTable = (numbers, a, b) => [
  ["channel", `mean attribution of ${site.sets[a].title}${UNIT_WORDS}`, `mean attribution of ${site.sets[b].title}${UNIT_WORDS}`, "difference"],
  ...numbers.sets[a].mean.map((mean, channel) => [channel, mean, numbers.sets[b].mean[channel], rounded(mean - numbers.sets[b].mean[channel])]),
];

// A few images of each set, to see what is compared.
const COMPARED_IMAGES = 6;
const imagesOf = (list, number, layer) =>
  make("ul", { class: "compared-images", "aria-label": `images of ${setWords(number)}` }, ...list.images.filter((image) => image.sets.includes(number)).slice(0, COMPARED_IMAGES).map((image) => make("li", {}, make("a", { href: imagePath(image.number, layer), title: image.name, "aria-label": isolated(image.name) }, photo(image.file)))));

const differentQuestions = (a, b) => {
  const [one, other] = [site.sets[a], site.sets[b]];
  if (site.spec.positive !== "auto" || site.head !== "classes") return [];
  if (one.kind === "class" && other.kind === "class") return [make("p", { class: "note" }, "The two sets explain different classes. A channel that supports both is not listed, even if it is strong; the chart shows it.")];
  return [make("p", { class: "note" }, "Each image is explained by its own top class, so the two sets can ask different questions. The values say which channels matter for the predictions of each set.")];
};

const showCompare = async (root, layer, isCurrent) => {
  const [numbers, list] = await Promise.all([loadLayerSets(layer), loadList()]);
  if (!isCurrent()) return null;
  const fallback = suggestedPairs()[0] || [0, Math.min(1, site.sets.length - 1)];
  const readPair = () => {
    const [a, b] = ["a", "b"].map((key) => whole(viewState().get(key), 0, site.sets.length - 1));
    return [a ?? fallback[0], b ?? fallback[1]];
  };
  let [a, b] = readPair();
  const body = make("div", {});
  const at = layerNumber.get(layer.name);
  const pathOf = (other) => comparePath(other, a, b);
  const go = (other) => () => other && (window.location.hash = pathOf(other));

  // The page is drawn again; the focus stays on the control.
  const pick = (next, control) => {
    [a, b] = next;
    setViewState({ a, b });
    fill();
    focusAgain(control);
  };

  const fill = () => {
    const { forA, forB } = differences(numbers, a, b);
    const most = Math.max(...[...forA, ...forB].flatMap((channel) => [a, b].map((number) => Math.abs(numbers.sets[number].mean[channel]))), 0);
    const column = (number, channels) => make("section", { class: "side" }, make("h2", {}, "More for ", nameOf(site.sets[number].title)), imagesOf(list, number, layer), ...channels.map((channel) => differingChannel(layer, numbers, channel, [a, b], most)), ...(channels.length ? [] : [make("p", { class: "quiet" }, "No channel.")]));
    const sides = make("div", { class: "sides" }, column(a, forA), column(b, forB));
    const chart = scatterChart(numbers.sets[a].mean, numbers.sets[b].mean, setWords(a), setWords(b), new Set([...forA.slice(0, 4), ...forB.slice(0, 4)]), roomOf(root));
    const csv = () => compareTable(numbers, a, b);
    const name = `${layer.name} ${site.sets[a].title} and ${site.sets[b].title}`;
    body.replaceChildren(
      make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: layerPath(layer) }, nameOf(layer.name)), make("h1", { tabindex: -1 }, nameOf(site.sets[a].title), " and ", nameOf(site.sets[b].title))), make("div", { class: "tools" }, copyLink(), turns("previous and next layer", goalOf(site.layers[at - 1]), goalOf(site.layers[at + 1])))),
      layerRail(layer, pathOf),
      make("div", { class: "pair" }, make("label", { class: "tool" }, make("span", {}, "First set"), setMenu("first set", a, (next) => pick([next, b], '[aria-label="first set"]'))), make("button", { type: "button", class: "swap", onclick: () => pick([b, a], ".swap") }, "Swap"), make("label", { class: "tool" }, make("span", {}, "Second set"), setMenu("second set", b, (next) => pick([a, next], '[aria-label="second set"]')))),
      make("p", { class: "lead" }, "Channels whose mean attributions differ most between ", make("a", { href: listPath(1, a) }, count(site.sets[a].images, "image")), " of ", nameOf(site.sets[a].title), " and ", make("a", { href: listPath(1, b) }, count(site.sets[b].images, "image")), " of ", nameOf(site.sets[b].title), "."),
      make("div", { class: "layer-facts" }, layerVerdict(layer), make("span", { class: "quiet" }, ...layerFacts(layer))),
      ...differentQuestions(a, b),
      make("div", { class: "figure-head" }, make("p", { class: "quiet small" }, `Bars share one scale with 0 in the middle; values are mean attributions${UNIT_WORDS}.`), shareFigure(sides, { name, csv })),
      sides,
      make("section", {}, make("div", { class: "figure-head" }, make("h2", {}, "All channels"), shareFigure(chart, { name: `${name} chart`, csv })), make("p", { class: "quiet about" }, "Each point is a channel. On the diagonal, both sets have the same value."), chart),
    );
    document.title = `${site.sets[a].title} and ${site.sets[b].title} · ${layer.name} · ${siteTitle}`;
    showInRail(body.querySelector(".rail"), layer);
  };
  const goalOf = (other) => other && { path: pathOf(other), title: other.name };

  root.className = "page report";
  root.replaceChildren(body);
  fill();
  return {
    close: () => {},
    follow: (page, name) => {
      if (page !== "compare" || name !== layer.name) return false;
      [a, b] = readPair();
      fill();
      return true;
    },
    keys: { Escape: () => (window.location.hash = layerPath(layer)), ArrowLeft: go(site.layers[at - 1]), ArrowRight: go(site.layers[at + 1]), "[": go(site.layers[at - 1]), "]": go(site.layers[at + 1]) },
  };
};
