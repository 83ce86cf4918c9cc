// The images of the first screen: the map of a layer over the image, its strongest position, and the sprite of the channel that decides
// there.

const SCENE = { width: 300, height: 200, sprite: 96 };

// A line from the marked position to the sprite.
const leader = (layer, cell) => {
  const [x, y] = [(((cell % layer.width) + 0.5) / layer.width) * SCENE.height, ((Math.floor(cell / layer.width) + 0.5) / layer.height) * SCENE.height];
  const halfPx = SCENE.height / layer.width / 2;
  const goal = SCENE.width - SCENE.sprite;
  return makeDrawn(
    "svg",
    { class: "leader", viewBox: `0 0 ${SCENE.width} ${SCENE.height}`, "aria-hidden": "true" },
    makeDrawn("path", { class: "leader-case", d: `M${x + halfPx} ${y}L${goal} ${SCENE.height / 2}` }),
    makeDrawn("path", { d: `M${x + halfPx} ${y}L${goal} ${SCENE.height / 2}` }),
  );
};

const annotatedFigure = ({ image, layer: name, cell, channel, sprite, flags, caption }) => {
  const at = layerNumber.get(name);
  const layer = site.layers[at];
  const draw = async (canvas) => {
    const details = await loadImage(image);
    const map = details.layers[at].maps[0];
    const picture = await decodedImage(details.file);
    const context = paintMapped(canvas, picture, heatPicture(layer, map));
    paintSigns(context, layer, map, canvas.width);
  };
  const href = withState(imagePath(image, layer), { at: placeText(layer, cell) });
  const known = { channel, sprite, flags };
  const words = `channel ${channel} of ${isolated(name)}`;
  return make(
    "figure",
    { class: "annotated" },
    make(
      "a",
      { class: "scene", href, "aria-label": `${caption} Open this position.` },
      make("span", { class: "scene-image" }, whenSeen(make("canvas", { class: "cell", width: 1, height: 1, "aria-hidden": "true" }), draw), framed(layer, cell)),
      leader(layer, cell),
      make("span", { class: "scene-sprite" }, spritePicture(layer, null, known), make("span", { class: "scene-words small" }, words)),
    ),
    make("figcaption", {}, nameOf(caption)),
  );
};

const annotatedSection = () => {
  const shown = (site.annotated || []).filter(({ image, layer }) => layerNumber.has(layer) && pageOf.has(image));
  if (!shown.length) return [];
  const figures = make("div", { class: "annotated-list" }, ...shown.map(annotatedFigure));
  const rows = [["image", "layer", "row", "column", "channel", "caption"], ...shown.map(({ image, layer, cell, channel, caption }) => [image, layer, ...placeText(site.layers[layerNumber.get(layer)], cell).split(","), channel, caption])];
  return [
    make(
      "section",
      { class: "first-images", "aria-label": "three images, explained" },
      figures,
      make("div", { class: "figure-head" }, make("p", { class: "quiet small" }, `Orange with + ${SUPPORTS}, blue with − ${OPPOSES}. The frame marks the strongest position; the sprite shows what its strongest channel looks for.`), shareFigure(figures, { name: "explained images", csv: () => rows })),
    ),
  ];
};
