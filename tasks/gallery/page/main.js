// The addresses of the gallery's pages: the list of layers, a layer, a unit.

startRoutes((root, [page, name, unit], isCurrent) => {
  if (!page) return showLayers(root);
  const layer = layerNamed.get(name);
  if (page !== "layer" || !layer) return showMissing(root, "The layer does not exist in this set, or has no spritemap.", "#/");
  return unit ? showUnit(root, layer, unit, isCurrent) : showLayer(root, layer, isCurrent);
});
