// The page's data: the set from its own JSON, layers from scripts, spritemaps from image files.

const site = JSON.parse(document.getElementById("site").textContent);
const layerNamed = new Map(site.layers.map((layer) => [layer.name, layer]));
const modelName = site.about ? site.about.name : site.model.split("@")[0];
const recipeOptions = site.about ? site.about.options : [];
const spritesOf = new Map();
let opened = new Map();

// The sprites of a layer in progress are in the page, because files of such a layer would be left behind.
const numbersOf = async (layer) => layer.inline || loadNumbers(layer.name, layer.numbers, "The layer's data could not be loaded.");

const loadSprites = (layer) => {
  if (!spritesOf.has(layer.name)) {
    const loading = numbersOf(layer).then((numbers) => spritesFrom(layer, numbers));
    spritesOf.set(layer.name, loading);
    loading.catch(() => spritesOf.delete(layer.name));
  }
  return spritesOf.get(layer.name);
};

const kindOf = (layer) => (layer.mixes ? (layer.groups ? "neuron group" : "mix") : "channel");

const spritesFrom = (layer, numbers) => {
  const severalVariants = numbers.variants.some((variant) => variant > 0);
  return numbers.channels.map((channel, index) => {
    const variant = numbers.variants[index];
    const shard = numbers.shard_of[index];
    return {
      index,
      channel,
      variant,
      unit: variant ? `${channel}.${variant}` : `${channel}`,
      title: `${layer.mixes ? "mix" : "channel"} ${channel}${severalVariants ? `, variant ${variant}` : ""}`,
      label: numbers.labels[index] || "",
      scores: Object.fromEntries(Object.entries(numbers.scores).map(([score, values]) => [score, values[index]])),
      flags: numbers.flags[index],
      rung: numbers.rungs[index],
      sheet: layer.spritemaps[numbers.spritemaps[index]],
      cell: numbers.cells[index],
      lossless: shard === null ? null : { sheet: numbers.shards[shard], cell: numbers.shard_cells[index] },
      neighbours: (numbers.neighbours[index] || []).map((other, place) => ({ index: other, likeness: numbers.likeness[index][place] })),
    };
  });
};

// The spritemaps of a layer beside those that are open already.
const openMoreSheets = (layer) => {
  for (const sheet of layer.spritemaps) if (!opened.has(sheet.file)) opened.set(sheet.file, loadSheet(sheet));
  return layer.spritemaps.map((sheet) => [sheet.file, opened.get(sheet.file)]);
};

// The spritemaps of the open layer. The spritemaps of other layers are closed, because they are large.
const openSheets = (layer) => {
  const wanted = new Map((layer ? layer.spritemaps : []).map((sheet) => [sheet.file, opened.get(sheet.file) || loadSheet(sheet)]));
  for (const [file, loading] of opened) {
    if (!wanted.has(file)) loading.then((bitmap) => bitmap.close(), () => {});
  }
  opened = wanted;
  for (const [file, loading] of wanted) loading.catch(() => opened.get(file) === loading && opened.delete(file));
  return wanted;
};

// Sprites of many layers are drawn sheet by sheet: the last few stay open, because each may take a hundred megabytes.
const MOST_SHEETS = 3;
const recent = new Map();
let drawing = Promise.resolve();

const withSheet = (sheet, draw) => {
  drawing = drawing.catch(() => {}).then(async () => {
    const picture = recent.get(sheet.file) || (await loadSheet(sheet));
    recent.delete(sheet.file);
    recent.set(sheet.file, picture);
    for (const [file, old] of [...recent].slice(0, -MOST_SHEETS)) {
      old.close();
      recent.delete(file);
    }
    draw(picture);
  });
  return drawing;
};

// A small canvas with a sprite, which is drawn when it scrolls into view. Shards may have transparent parts.
const spriteCanvas = (sheet, cell, sidePx, attributes = {}) => {
  const canvas = canvasFor(sidePx, sidePx, { "data-shows": `${sheet.file} ${cell}`, ...attributes });
  return whenSeen(canvas, () =>
    withSheet(sheet, (picture) => {
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      drawCell(context, picture, sheet, cell, 0, 0, canvas.width);
    }),
  );
};
