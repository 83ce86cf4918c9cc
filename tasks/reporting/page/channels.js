// A channel: its sprite, its attribution, and its example images.

const PATCH_PX = 176;

const quantileWords = (quantile) => (quantile === null ? "strongest" : `at ${Math.round(100 * quantile)} %`);

// Example images under labels that say how strongly the channel responds to them.
const patchList = (layer, numbers, { patches, sprite }) => {
  if (!numbers.patches || patches.cells.length < (sprite === null ? 2 : 1)) return ""; // a missing sprite shows the first one itself
  const patch = (cell, at) => {
    const which = patches.quantiles[at] === null ? [] : [`sample at the ${Math.round(100 * patches.quantiles[at])} % quantile of all images`];
    const said = [`${isolated(patches.names[at])}: activation ${decimal(patches.values[at])}`, ...which].join(", ");
    const lines = () => [
      cellPictureNow(numbers.patches, cell, PATCH_PX),
      make("strong", {}, nameOf(patches.names[at])),
      factLine("activation", decimal(patches.values[at])),
      ...which.map((words) => make("div", { class: "quiet" }, words)),
    ];
    const picture = cellPicture(numbers.patches, cell);
    const inner = pageOf.has(patches.images[at])
      ? make("a", { href: imagePath(patches.images[at], layer), "aria-label": said }, picture)
      : make("span", { role: "img", "aria-label": said }, picture);
    return make("li", {}, withTip(inner, lines));
  };
  const labels = [...new Set(patches.quantiles.map(quantileWords))];
  const batch = (label) => {
    const members = patches.cells.flatMap((cell, at) => (quantileWords(patches.quantiles[at]) === label ? [patch(cell, at)] : []));
    const list = make("li", { class: "example-batch" }, make("span", { class: "quiet small" }, label), make("ul", { class: "patches", "aria-label": `examples: ${label}` }, ...members));
    list.style.setProperty("--members", members.length);
    return list;
  };
  return make("ul", { class: "examples", "aria-label": "example images" }, ...labels.map(batch));
};

const wordsOf = (known) => {
  const words = tellingWords(known);
  return words ? make("p", { class: "words" }, nameOf(words), " ", derivedTag()) : "";
};

const channelCard = (layer, numbers, known, { value, spread, share, most }) => {
  const facts = [!spread ? "" : `± ${decimal(spread)}${UNIT} (standard deviation)`, share === undefined ? "" : `${verbOf(value)} in ${percent(share)} of the images`].filter(Boolean).join(", ");
  const amount = make("div", { class: "amount" }, valueBar(value, most, { spread: spread || 0 }), make("span", {}, signedNumber(value), make("span", { class: "quiet small" }, UNIT)), facts ? make("span", { class: "quiet" }, facts) : "");
  const title = known.sprite === null ? channelTitle(known) : make("a", { href: galleryPath(layer, known.channel), title: "open in the gallery" }, channelTitle(known));
  return make(
    "article",
    { class: "channel", tabindex: -1, "data-channel": known.channel, "aria-label": `${channelTitle(known)}, ${withUnit(value)}` },
    make("div", { class: "channel-sprite" }, spriteButton(layer, numbers, known)),
    make("div", { class: "channel-facts" }, make("h3", {}, title, known.label ? make("span", { class: "label" }, " ", nameOf(known.label)) : ""), wordsOf(known), amount, known.sprite === null && !known.unlisted ? make("p", { class: "small quiet on-screen" }, "To render its sprite: ", commandLine(renderCommand(layer, known.channel))) : ""),
    patchList(layer, numbers, known),
  );
};

const channelColumns = (layer, numbers, set) => {
  const most = Math.max(...[...set.top, ...set.bottom].map((channel, at) => Math.abs(set.mean[channel]) + (set.spread[at] || 0)), 0);
  const column = (side, channels, offset) =>
    make(
      "section",
      { class: `side ${side}` },
      make("h2", {}, make("b", { class: side, "aria-hidden": "true" }, side === "for" ? "+ " : "− "), capital(side === "for" ? SUPPORTS : OPPOSES)),
      ...channels.map((channel, at) => channelCard(layer, numbers, knownOf(numbers, channel), { value: set.mean[channel], spread: set.spread[offset + at], share: set.share[offset + at], most })),
      ...(channels.length ? [] : [make("p", { class: "quiet" }, `No channel ${side === "for" ? SUPPORTS : OPPOSES} it.`)]),
    );
  return make("div", { class: "sides" }, column("for", set.top, 0), column("against", set.bottom, set.top.length));
};
