// The addresses of the report's pages: the overview, a layer and a set of images, the list of images, an image at a layer.

startRoutes((root, [page, name, part], isCurrent) => {
  if (!page) return showOverview(root);
  if (page === "layer" && layerNumber.has(name)) return showLayer(root, site.layers[layerNumber.get(name)], part, isCurrent);
  if (page === "images") return showImages(root, name, part, isCurrent);
  if (page === "image" && /^\d+$/.test(name) && pageOf.has(Number(name))) return showImage(root, Number(name), part, isCurrent);
  return showMissing(root, "The report has no such page.", "#/");
});
