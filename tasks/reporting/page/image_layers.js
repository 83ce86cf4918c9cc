// The maps of all layers of an image, side by side. Each is a link to its layer.

const scaleWords = (scale) => (scale === "each" ? "Full colour is each layer’s own strongest position." : "All layers share one colour scale. Layers with few positions are stronger, because each position holds more of the score.");

const layerMaps = (image, hrefOf, mostOf, explainedNow) => {
  const figures = site.layers.map((layer, at) => {
    const map = () => image.layers[at].maps[explainedNow()];
    const canvas = smallMap(image.file, () => heatPicture(layer, map(), mostOf(layer)));
    const scale = make("span", { class: "quiet small" });
    const link = make("a", { "data-layer": layer.name, title: layer.name }, canvas, make("span", { class: "layer-map-name" }, nameOf(layer.name)), scale);
    return { layer, canvas, link, tell: () => (scale.textContent = `± ${decimal(mostOf(layer))}${UNIT}`) };
  });
  const node = make("nav", { class: "layer-maps", "aria-label": "layers, from input to output; press [ and ] to switch" }, make("ol", {}, ...figures.map(({ link }) => make("li", {}, link))));
  return {
    node,
    show: (current) => {
      for (const { layer, link, tell } of figures) {
        link.setAttribute("href", hrefOf(layer));
        if (layer === current) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
        tell();
      }
    },
    // After the class or the scale has changed.
    repaint: () => figures.forEach(({ canvas }) => drawAgain(canvas)),
  };
};
