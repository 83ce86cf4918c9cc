// The strongest channels of each label and class on the first page, and a way to compare two sets.

const MOST_TILES = 12;
const TILE_SPRITES = 3; // as many as are rendered of each set

// The last layer of the best verdict, because later layers separate classes best.
const LEADING_VERDICTS = ["reliable", "order only", "not reliable", null];
const leadingLayer = () => {
  const rank = (layer) => LEADING_VERDICTS.indexOf(layer.checks.verdict || null);
  return [...site.layers].reverse().reduce((best, layer) => (rank(layer) < rank(best) ? layer : best));
};

// Sets that people compare first: right and wrong predictions, then neighbours in the list.
const suggestedPairs = () => {
  const ofKind = (kind) => setOrder.filter((number) => site.sets[number].kind === kind);
  const neighbours = (numbers) => numbers.slice(1, 4).map((number, at) => [numbers[at], number]);
  const [right, wrong] = [ofKind("right")[0], ofKind("wrong")[0]];
  return [...(right === undefined || wrong === undefined ? [] : [[right, wrong]]), ...neighbours(ofKind("label")), ...neighbours(ofKind("class"))].slice(0, 5);
};

// As tall as a channel, so that the page does not move when the numbers arrive.
const emptyCell = () => make("span", { class: "strip-cell", "aria-hidden": "true" }, make("span", { class: "cell" }), valueBar(0, 1), "–");

const setTile = (layer, number) => {
  const set = site.sets[number];
  const sprites = make("div", { class: "tile-sprites" }, ...Array.from({ length: TILE_SPRITES }, emptyCell));
  const tile = make("li", { class: "set-tile" }, make("h3", {}, make("a", { href: layerPath(layer, number) }, nameOf(set.title)), make("span", { class: "quiet small" }, ` ${count(set.images, "image")}`)), sprites);
  const fill = async () => {
    const numbers = await loadLayerSets(layer);
    const { mean, top } = numbers.sets[number];
    const most = Math.abs(mean[top[0]] || 0);
    sprites.replaceChildren(...top.slice(0, TILE_SPRITES).map((channel) => {
      const known = knownOf(numbers, channel);
      const words = `channel ${channel}, ${withUnit(mean[channel])}`;
      return make("a", { class: "strip-cell", href: channelPath(layer, channel, number), "aria-label": words, title: words }, spritePicture(layer, numbers, known), valueBar(mean[channel], most), signedNumber(mean[channel]));
    }));
  };
  return { tile, fill };
};

const setsSection = () => {
  const numbers = setOrder.filter((number) => site.sets[number].kind !== "all").slice(0, MOST_TILES);
  if (!numbers.length) return [];
  const layer = leadingLayer();
  const tiles = numbers.map((number) => setTile(layer, number));
  const list = make("ul", { class: "set-tiles" }, ...tiles.map(({ tile }) => tile));
  const marker = make("canvas", { class: "marker", width: 1, height: 1, "aria-hidden": "true" });
  whenSeen(marker, async () => {
    await Promise.all(tiles.map(({ fill }) => fill()));
    await Promise.all([...list.querySelectorAll("canvas[data-waiting]")].map(drawNow)); // before the page is printed
  });
  const pairs = suggestedPairs().map(([a, b]) => make("a", { class: "chip", href: comparePath(layer, a, b) }, nameOf(site.sets[a].title), " and ", nameOf(site.sets[b].title)));
  const rest = site.sets.length - 1 - numbers.length;
  return [
    make(
      "section",
      {},
      make("h2", {}, "By class and label"),
      make("p", { class: "quiet about" }, `Channels with the strongest support in `, make("a", { href: layerPath(layer) }, nameOf(layer.name)), `; mean attribution${UNIT_WORDS}.`),
      ...(pairs.length ? [make("div", { class: "chips compare-chips" }, make("span", { class: "quiet" }, "What separates"), ...pairs)] : []),
      marker,
      list,
      ...(rest > 0 ? [make("p", { class: "quiet small" }, make("a", { href: layerPath(layer) }, `${rest.toLocaleString("en")} more ${rest === 1 ? "set" : "sets"} of images`))] : []),
    ),
  ];
};
