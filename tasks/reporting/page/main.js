// The report's pages by address: the overview, a layer over a set of images, the images, one image at a layer.

startRoutes((root, [page, name, part], isCurrent) => {
  if (!page) return showOverview(root);
  if (page === "layer" && layerNumber.has(name)) return showLayer(root, site.layers[layerNumber.get(name)], part, isCurrent);
  if (page === "images") return showImages(root, name, part, isCurrent);
  if (page === "image" && /^\d+$/.test(name) && pageOf.has(Number(name))) return showImage(root, Number(name), part, isCurrent);
  return showMissing(root, "The report has no such page.", "#/");
});
