// One position of an image: the sprites of its strongest channels, its sources in the previous layer, and other images.

const SPRITE_PX = 132;

const positionWords = (layer, place) => (layer.width * layer.height === 1 ? "The whole image" : `Row ${Math.floor(place / layer.width) + 1}, column ${(place % layer.width) + 1}`);

const channelsAt = (details, way, map, place) => (way === "activation" ? details.activated[place] : map.channels[place]) || [];

const positionSprites = (layer, numbers, channels) => {
  const line = (channel) => {
    const known = knownOf(numbers, channel);
    return make(
      "li",
      {},
      spriteLink(layer, known, channelPicture(layer, numbers, known, cellPictureNow, SPRITE_PX)),
      make("span", { class: "position-channel" }, known.label ? nameOf(known.label) : channelTitle(known)),
      known.words ? make("span", { class: "words", title: `${known.words} (generated from the numbers)` }, nameOf(known.words)) : "",
    );
  };
  return make("ol", { class: "position-sprites", "aria-label": "strongest channels here, in descending order" }, ...channels.map(line));
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
  return [make("h3", {}, "Sources in ", make("a", { href: imagePath(image.number, before) }, nameOf(before.name))), make("div", { class: "seen-from" }, photo(image.file, { loading: "eager", decoding: "sync" }), seenFromMap(before, from))];
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
