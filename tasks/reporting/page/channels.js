// A channel: its sprite, its attribution, and its example images.

const PATCH_PX = 176;

const channelTitle = (known) => `channel ${known.channel}`;

const patchList = (layer, numbers, { patches }) => {
  if (!numbers.patches || !patches.cells.length) return "";
  const patch = (cell, at) => {
    const sample = patches.quantiles[at];
    const which = sample === null ? [] : [`sample at the ${Math.round(100 * sample)} % quantile of all images`];
    const said = [`${isolated(patches.names[at])}: ${decimal(patches.values[at])}`, ...which].join(", ");
    const lines = () => [
      cellPictureNow(numbers.patches, cell, PATCH_PX),
      make("strong", {}, nameOf(patches.names[at])),
      factLine("activation", decimal(patches.values[at])),
      ...which.map((words) => make("div", { class: "quiet" }, words)),
    ];
    const picture = cellPicture(numbers.patches, cell);
    const shown = pageOf.has(patches.images[at]);
    const inner = shown
      ? make("a", { href: imagePath(patches.images[at], layer), "aria-label": said }, picture)
      : make("span", { role: "img", "aria-label": said }, picture);
    return make("li", { class: sample === null ? "" : "sample" }, withTip(inner, lines));
  };
  return make("ul", { class: "patches", "aria-label": "images with the highest activations, then samples of lower quantiles" }, ...patches.cells.map(patch));
};

const wordsOf = (known) => (known.words ? make("p", { class: "words" }, nameOf(known.words), " ", derivedTag()) : "");

const channelCard = (layer, numbers, known, { value, spread, share, most }) => {
  const amount = make(
    "div",
    { class: "amount" },
    valueBar(value, most, spread || 0),
    make("b", { class: sideOf(value) }, signed(value)),
    make("span", { class: "quiet" }, [spread === undefined ? "" : `± ${decimal(spread)}`, share === undefined ? "" : `${verbOf(value)} in ${percent(share)} of the images`].filter(Boolean).join(", ")),
  );
  const title = known.sprite === null ? channelTitle(known) : make("a", { href: galleryPath(layer, known.channel), title: "open in the gallery" }, channelTitle(known));
  return make(
    "article",
    { class: "channel", tabindex: -1, "data-channel": known.channel, "aria-label": `${channelTitle(known)}, ${signed(value)}` },
    spriteLink(layer, known, channelPicture(layer, numbers, known, cellPicture)),
    make("div", { class: "channel-facts" }, make("h3", {}, title, known.label ? make("span", { class: "label" }, " ", nameOf(known.label)) : ""), wordsOf(known), amount),
    patchList(layer, numbers, known),
  );
};

const channelColumns = (layer, numbers, set) => {
  const most = Math.max(...[...set.top, ...set.bottom].map((channel, at) => Math.abs(set.mean[channel]) + (set.spread[at] || 0)), 0);
  const column = (side, channels, offset) =>
    make(
      "section",
      { class: `side ${side}` },
      make("h2", {}, capital(side === "for" ? SUPPORTS : OPPOSES)),
      ...channels.map((channel, at) => channelCard(layer, numbers, knownOf(numbers, channel), { value: set.mean[channel], spread: set.spread[offset + at], share: set.share[offset + at], most })),
      ...(channels.length ? [] : [make("p", { class: "quiet" }, `No channel ${side === "for" ? SUPPORTS : OPPOSES} it.`)]),
    );
  return make("div", { class: "sides" }, column("for", set.top, 0), column("against", set.bottom, set.top.length));
};
