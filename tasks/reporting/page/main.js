// The addresses of the report's pages: the overview, a layer and a set of images, two sets compared, the list of images, and an image at
// a layer.

startRoutes((root, [page, name, part], isCurrent) => {
  if (!page) return showOverview(root);
  const layer = site.layers[layerNumber.get(name)];
  if (page === "layer" && layer) return showLayer(root, layer, part, isCurrent);
  if (page === "compare" && layer) return showCompare(root, layer, isCurrent);
  if (page === "images") return showImages(root, name, part, isCurrent);
  if (page === "image" && /^\d+$/.test(name) && pageOf.has(Number(name))) return showImage(root, Number(name), part, isCurrent);
  return showMissing(root, "The report has no such page.", "#/");
});
