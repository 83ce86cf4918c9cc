// One position of an image: its strongest channels with their example images, its sources in the previous layer, and other images.

const EXAMPLES = 3; // of each channel

const positionWords = (layer, place) => (layer.width * layer.height === 1 ? "The whole image" : `Row ${Math.floor(place / layer.width) + 1}, column ${(place % layer.width) + 1}`);

const channelsAt = (details, order, map, place) => (order === "activation" ? details.activated[place] : map.channels[place]) || [];

const strongestExamples = (layer, numbers, known) => {
  const { cells, images, names } = known.patches;
  if (!numbers.patches || (known.sprite === null && cells.length < 2)) return ""; // a missing sprite shows the first one itself
  const one = (cell, at) => {
    const picture = cellPictureNow(numbers.patches, cell, 64);
    const words = `strongest example: ${isolated(names[at])}`;
    return make("li", {}, pageOf.has(images[at]) ? make("a", { href: imagePath(images[at], layer), "aria-label": words, title: names[at] }, picture) : make("span", { role: "img", "aria-label": words, title: names[at] }, picture));
  };
  return make("ul", { class: "position-examples", "aria-label": "strongest examples" }, ...cells.slice(0, EXAMPLES).map(one));
};

const positionChannels = (layer, numbers, channels) => {
  const line = (channel) => {
    const known = knownOf(numbers, channel);
    const words = tellingWords(known);
    return make(
      "li",
      {},
      make("div", { class: "position-sprite" }, spriteButton(layer, numbers, known, cellPictureNow, 132)),
      make(
        "div",
        {},
        make("a", { class: "position-channel", href: channelPath(layer, channel) }, known.label ? nameOf(known.label) : channelTitle(known)),
        words ? make("p", { class: "words small", title: `${words} (generated from the numbers)` }, nameOf(words)) : "",
        strongestExamples(layer, numbers, known),
      ),
    );
  };
  return make("ol", { class: "position-channels", "aria-label": "strongest channels here, in descending order" }, ...channels.map(line));
};

const framed = (layer, place) => {
  const frame = make("span", { class: "frame" });
  Object.assign(frame.style, {
    left: `${(100 * (place % layer.width)) / layer.width}%`,
    top: `${(100 * Math.floor(place / layer.width)) / layer.height}%`,
    width: `${100 / layer.width}%`,
    height: `${100 / layer.height}%`,
  });
  return frame;
};

const samePlace = (layer, details, place, list) => {
  const others = (details.same_place[place] || []).map((number) => list.byNumber.get(number)).filter(Boolean);
  if (!others.length) return [];
  const link = (other) => make("li", {}, make("a", { href: imagePath(other.number, layer), "aria-label": isolated(other.name), title: other.name }, photo(other.file, { loading: "eager", decoding: "sync" }), framed(layer, place)));
  return [make("h3", {}, `Other images with high activation of channel ${details.activated[place][0]} here`), make("ul", { class: "same-place" }, ...others.map(link))];
};

const seenFrom = (layer, image, details, place) => {
  const from = details.seen_from[place];
  const before = site.layers[layerNumber.get(layer.name) - 1];
  if (!from || !before) return [];
  return [
    make("h3", {}, "Sources in ", make("a", { href: imagePath(image.number, before) }, nameOf(before.name))),
    make("div", { class: "seen-from-line" }, make("div", { class: "seen-from" }, photo(image.file, { loading: "eager", decoding: "sync" }), seenFromMap(before, from)), make("p", { class: "quiet small" }, "Bright: the positions of the previous layer that contribute most to this one.")),
  ];
};

const seenFromMap = (before, from) => {
  const side = Math.round(168 * (window.devicePixelRatio || 1));
  const canvas = make("canvas", { width: side, height: side, "aria-hidden": "true" });
  const shares = new Map(from);
  // Everything else is dark.
  const shade = positionPicture(before.width, before.height, (place) => [12, 14, 18, 0.75 * (1 - (shares.get(place) || 0) / 255)]);
  paintOver(canvas.getContext("2d"), shade, side);
  return canvas;
};
