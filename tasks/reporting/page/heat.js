// Maps over an image: orange supports, blue opposes; each neuron group has a colour of its own.

const FOR = [255, 134, 14];
const AGAINST = [26, 104, 255];
const GROUP_COLOURS = [[255, 107, 53], [0, 168, 232], [139, 195, 52], [214, 73, 190], [255, 200, 20], [98, 92, 240], [0, 178, 140], [230, 60, 80]];
let mapOpacity = 0.75;

const groupColour = (number) => GROUP_COLOURS[number % GROUP_COLOURS.length];

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

const heatPicture = (layer, map) => positionPicture(layer.width, layer.height, (place) => [...(map.values[place] < 0 ? AGAINST : FOR), Math.abs(map.values[place]) / 127]);

// All groups, with their colours mixed by their shares; or one group alone.
const groupsPicture = (layer, maps, only = null) =>
  positionPicture(layer.width, layer.height, (place) => {
    if (only !== null) return [...groupColour(only), maps[only][place] / 255];
    const values = maps.map((map) => map[place]);
    const sum = values.reduce((one, other) => one + other, 0);
    const mixed = [0, 1, 2].map((part) => values.reduce((colour, value, number) => colour + value * groupColour(number)[part], 0) / (sum || 1));
    return [...mixed, Math.max(...values) / 255];
  });

const amountPicture = (layer, amounts) => positionPicture(layer.width, layer.height, (place) => [255, 255, 255, amounts[place] / 255]);

// Each position keeps its colour at its centre, and blends with its neighbours.
const paintOver = (context, picture, side) => {
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, side, side);
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

// A small image with a map over it.
const smallMap = (file, pictureOf) =>
  whenSeen(make("canvas", { class: "cell", width: 1, height: 1, "aria-hidden": "true" }), async (canvas) => {
    const image = await decodedImage(file);
    const context = sized(canvas);
    context.filter = "grayscale(0.8)";
    context.drawImage(image, 0, 0, canvas.width, canvas.width);
    context.filter = "none";
    context.globalAlpha = 0.85;
    paintOver(context, pictureOf(), canvas.width);
  });

// The large image with a map and the selected position. `onPlace` is called for each newly selected position.
const makeStage = (image, onPlace, labelOf) => {
  const overlay = make("canvas", { class: "overlay", "aria-hidden": "true" });
  const cursor = make("button", { type: "button", class: "cursor" });
  const said = make("span", { class: "unseen", role: "status" });
  const node = make("div", { class: "stage" }, photo(image.file, { class: "seen", loading: "eager", alt: image.name }), overlay, cursor, said);
  let grid = { width: 1, height: 1 };
  let place = 0;
  let point = [0.5, 0.5]; // the position as a share of the image's sides
  let pinned = false;

  const mark = () => {
    const [column, row] = [place % grid.width, Math.floor(place / grid.width)];
    Object.assign(cursor.style, { left: `${(100 * column) / grid.width}%`, top: `${(100 * row) / grid.height}%`, width: `${100 / grid.width}%`, height: `${100 / grid.height}%` });
    cursor.setAttribute("aria-label", labelOf(place));
    cursor.setAttribute("aria-pressed", pinned);
    node.classList.toggle("pinned", pinned);
  };

  const choose = (next) => {
    if (next === place) return;
    place = next;
    point = [((place % grid.width) + 0.5) / grid.width, (Math.floor(place / grid.width) + 0.5) / grid.height];
    mark();
    onPlace(place);
  };

  const placeAt = (event) => {
    const box = node.getBoundingClientRect();
    const at = (share, positions) => Math.max(0, Math.min(positions - 1, Math.floor(share * positions)));
    return at((event.clientY - box.top) / box.height, grid.height) * grid.width + at((event.clientX - box.left) / box.width, grid.width);
  };

  const pin = (on) => {
    pinned = on;
    mark();
    onPlace(place);
  };

  node.addEventListener("pointermove", (event) => !pinned && choose(placeAt(event)));
  node.addEventListener("click", (event) => {
    if (event.detail === 0) return pin(!pinned); // by the keyboard
    const next = placeAt(event);
    const same = pinned && next === place;
    choose(next);
    return pin(!same);
  });
  node.addEventListener("keydown", (event) => {
    const [column, row] = [place % grid.width, Math.floor(place / grid.width)];
    const goals = { ArrowRight: [column + 1, row], ArrowLeft: [column - 1, row], ArrowDown: [column, row + 1], ArrowUp: [column, row - 1] };
    if (!(event.key in goals)) return;
    event.preventDefault();
    const [x, y] = goals[event.key];
    if (x < 0 || y < 0 || x >= grid.width || y >= grid.height) return;
    choose(y * grid.width + x);
    said.textContent = labelOf(place); // for screen readers
  });

  return {
    node,
    place: () => place,
    isPinned: () => pinned,
    unpin: () => pin(false),
    // The selected point of the image stays the same when the layer has another grid.
    setGrid: (next) => {
      grid = next;
      place = Math.floor(point[1] * grid.height) * grid.width + Math.floor(point[0] * grid.width);
      mark();
    },
    choose,
    paint: (picture) => {
      const side = Math.round((node.clientWidth || 448) * (window.devicePixelRatio || 1));
      overlay.width = overlay.height = side;
      overlay.style.opacity = mapOpacity;
      paintOver(overlay.getContext("2d"), picture, side);
    },
    setOpacity: (opacity) => {
      mapOpacity = opacity;
      overlay.style.opacity = opacity;
    },
    relabel: mark,
  };
};
