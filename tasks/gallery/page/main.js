// The gallery's pages by address: the layers, a layer, a unit of it.

startRoutes((root, [page, name, unit], isCurrent) => {
  if (!page) return showLayers(root);
  const layer = layerNamed.get(name);
  if (page !== "layer" || !layer) return showMissing(root, "This set has no such layer, or no spritemap of it.", "#/");
  return unit ? showUnit(root, layer, unit, isCurrent) : showLayer(root, layer, isCurrent);
});
