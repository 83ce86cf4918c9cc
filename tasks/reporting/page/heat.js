// Heat maps over an image: orange supports, blue opposes. Signs mark the strongest positions, so that the map needs no colour.

const FOR = [255, 134, 14];
const AGAINST = [26, 104, 255];
const LEAST_MARKED = 0.4; // of the strongest position
const MARKED = 6;

// A picture of one pixel for each position; `pixelOf` returns red, green, blue, and opacity up to 1.
const positionPicture = (width, height, pixelOf) => {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  for (let place = 0; place < width * height; place += 1) {
    const [red, green, blue, opacity] = pixelOf(place);
    data.data.set([red, green, blue, Math.round(255 * opacity)], 4 * place);
  }
  context.putImageData(data, 0, 0);
  return canvas;
};

const attributionAt = (map, place) => (map.values[place] / 127) * map.scale;

// `most` is the attribution of full colour.
const heatPicture = (layer, map, most = map.scale) =>
  positionPicture(layer.width, layer.height, (place) => [...(map.values[place] < 0 ? AGAINST : FOR), Math.min(1, Math.abs(attributionAt(map, place)) / (most || 1))]);

// Each position keeps its colour at its centre, and blends with its neighbours.
const paintOver = (context, picture, side) => {
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, side, side);
};

// The strongest positions that are higher than their neighbours, with their signs.
const peaksOf = (layer, map) => {
  const size = (row, column) => (row < 0 || column < 0 || row >= layer.height || column >= layer.width ? -1 : Math.abs(map.values[row * layer.width + column]));
  const found = map.values.map((value, place) => ({ place, value, row: Math.floor(place / layer.width), column: place % layer.width }));
  const isPeak = ({ value, row, column }) => [-1, 0, 1].every((down) => [-1, 0, 1].every((across) => size(row + down, column + across) <= Math.abs(value)));
  return found.filter((one) => Math.abs(one.value) >= LEAST_MARKED * 127 && isPeak(one)).sort((one, other) => Math.abs(other.value) - Math.abs(one.value)).slice(0, MARKED);
};

const paintSigns = (context, layer, map, side) => {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.font = `700 ${Math.round(Math.max(14, Math.min(side / 18, side / layer.width / 1.5)))}px system-ui, "DejaVu Sans", sans-serif`;
  for (const { value, row, column } of peaksOf(layer, map)) {
    const at = [value < 0 ? "−" : "+", ((column + 0.5) * side) / layer.width, ((row + 0.5) * side) / layer.height];
    context.lineWidth = side / 130;
    context.strokeStyle = "rgb(0 0 0 / 0.75)";
    context.strokeText(...at);
    context.fillStyle = "#fff";
    context.fillText(...at);
  }
};

const imageOf = new Map();

const decodedImage = (file) => {
  if (!imageOf.has(file)) {
    const image = new Image();
    image.src = urlOf(file);
    imageOf.set(file, image.decode().then(() => image));
    imageOf.get(file).catch(() => imageOf.delete(file));
    if (imageOf.size > KEPT_SHEETS) imageOf.delete(imageOf.keys().next().value);
  }
  return imageOf.get(file);
};

// Draws a greyish image with a map over it into a square canvas.
const paintMapped = (canvas, image, picture, opacity = 0.85) => {
  const context = sized(canvas);
  context.filter = "grayscale(0.8)";
  context.drawImage(image, 0, 0, canvas.width, canvas.width);
  context.filter = "none";
  if (!picture) return context;
  context.globalAlpha = opacity;
  paintOver(context, picture, canvas.width);
  context.globalAlpha = 1;
  return context;
};

// A small image with a map over it; `pictureOf` is called each time that it is drawn.
const smallMap = (file, pictureOf) =>
  whenSeen(make("canvas", { class: "cell", width: 1, height: 1, "aria-hidden": "true" }), async (canvas) => paintMapped(canvas, await decodedImage(file), pictureOf()));

// The colours of a map with the values at both ends and at 0.
const heatLegend = (most) =>
  make("div", { class: "legend small" }, make("span", {}, `−${decimal(most)}`), make("span", { class: "ramp", "aria-hidden": "true" }, make("span", { class: "ramp-zero" })), make("span", {}, `+${decimal(most)}${UNIT}`), make("span", { class: "quiet" }, `− ${OPPOSES}, 0 clear, + ${SUPPORTS}`));
