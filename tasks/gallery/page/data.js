// The page's data: the set from its own JSON, layers from scripts, spritemaps from image files.

const site = JSON.parse(document.getElementById("site").textContent);
const layerNamed = new Map(site.layers.map((layer) => [layer.name, layer]));
const spritesOf = new Map();
let opened = new Map();

const loadSprites = (layer) => {
  if (!spritesOf.has(layer.name)) {
    const loading = loadNumbers(layer.name, layer.numbers, "The layer's data could not be loaded.").then((numbers) => spritesFrom(layer, numbers));
    spritesOf.set(layer.name, loading);
    loading.catch(() => spritesOf.delete(layer.name));
  }
  return spritesOf.get(layer.name);
};

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

// The spritemaps of the open layer. The spritemaps of other layers are closed, because they are large.
const openSheets = (layer) => {
  const wanted = new Map(layer.spritemaps.map((sheet) => [sheet.file, opened.get(sheet.file) || loadSheet(sheet)]));
  for (const [file, loading] of opened) {
    if (!wanted.has(file)) loading.then((bitmap) => bitmap.close(), () => {});
  }
  opened = wanted;
  for (const [file, loading] of wanted) loading.catch(() => opened.get(file) === loading && opened.delete(file));
  return wanted;
};
